"""Models asked again about what was: `ictus case explain` and `ictus model replay` on real servers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import cv2
import pytest
import pytest_asyncio
from msgspec.structs import replace

from domain.case import PredictionProduced
from domain.stroke import PREDICTED
from ictus.explanation import differences
from ictus.settings import environment
from tests.bundle1 import BUNDLE_1
from tests.servers import NatsServer, PostgresServer
from tests.system.stack import Stack, images, standing
from workers.inference.classifier import Prediction

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("inbox", "bot", "ingest", "inference", "answer", "outbox", "projector")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    nats_server: NatsServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    async with standing(nats_server, postgres_server, tmp_path_factory.mktemp("stack")) as stack:
        await stack.serve()
        await stack.start(*ROLES)
        yield stack


async def ictus(stack: Stack, *words: object) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ictus", *map(str, words)],
        env=environment(stack.house.settings) | {"PATH": "/usr/bin:/bin", "COLUMNS": "160"},
        capture_output=True,
        text=True,
    )


async def test_an_answer_is_made_again_bit_for_bit_and_shows_where_it_came_from(
    stack: Stack, tmp_path: Path
) -> None:
    clinician = await stack.clinician()
    await clinician.album(images(900, 2))
    case, _ = await clinician.answer()
    [said] = await stack.told(case, PredictionProduced)

    done = await ictus(stack, "case", "explain", case, "--out", tmp_path, "--json")

    told = json.loads(done.stdout)
    assert (done.returncode, told["reproduced"], told["differs"]) == (0, True, []), done.stderr
    assert [tuple(pair) for pair in told["ranked"]] == list(said.ranked)
    assert list(told["attention_permille"].values()) == list(said.attention)
    overlays = [cv2.imread(file) for file in told["overlays"]]
    assert len(overlays) == 2
    assert any((shown[..., 0] != shown[..., 2]).any() for shown in overlays)

    early = await ictus(stack, "case", "explain", case, "--as-of", "1")
    assert early.returncode == 3
    assert "no model had answered" in early.stderr


async def test_an_answer_that_would_be_none_now_is_a_difference() -> None:
    said = PredictionProduced(
        task="ce-vs-laa",
        inputs=("a" * 64,),
        af="no",
        ranked=(("cardioembolic", 700), ("large-artery", 300)),
        chosen=("cardioembolic",),
        interval=(600, 800),
        attention=(1000,),
        model=UUID(int=1),
        model_sha256="b" * 64,
        role="champion",
        runtime="cpu",
    )
    again = Prediction(
        ranked=said.ranked,
        interval_permille=said.interval,
        decision="answer",
        left_open=said.chosen,
        attention_permille=said.attention,
        runtime="cpu",
    )
    assert differences(said, again) == ()
    assert differences(said, replace(again, left_open=PREDICTED)) == ("chosen",)
    assert differences(said, replace(again, decision="out-of-distribution")) == ("chosen",)


async def test_the_same_model_over_the_same_events_tells_the_same(
    stack: Stack, tmp_path: Path
) -> None:
    clinician = await stack.clinician()
    await clinician.album(images(910, 2))
    await clinician.answer()
    await stack.settled()
    head = (await stack.house.books.ledger.head()).sequence
    asked = ("model", "replay", BUNDLE_1, "--as-of", head, "--out", tmp_path / "lines", "--json")

    one, other = [json.loads((await ictus(stack, *asked)).stdout) for _ in range(2)]

    assert one == other
    assert one["cases"] >= 1
    assert (one["flipped"], one["unreadable"]) == (0, 0)
    written = (tmp_path / "lines").read_bytes()
    assert sha256(written).hexdigest() == one["sha256"]
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) == one["cases"]
    assert all(line["was"] == line["would_be"] != "" for line in lines)
    beyond = json.loads((await ictus(stack, *asked[:3], "--as-of", head + 9, "--json")).stdout)
    assert (beyond["as_of"], beyond["sha256"]) == (head, one["sha256"])
    events = (await ictus(stack, "events")).stdout.splitlines(keepends=True)[:head]
    (tmp_path / "events").write_text("".join(events))
    over = await ictus(stack, *asked[:3], "--over", tmp_path / "events", "--json")
    assert json.loads(over.stdout) == one
    before = json.loads((await ictus(stack, *asked[:3], "--as-of", 1, "--json")).stdout)
    assert (before["cases"], before["sha256"] != one["sha256"]) == (0, True)


async def test_a_replay_over_events_is_of_the_cases_that_they_are_about(
    stack: Stack, tmp_path: Path
) -> None:
    clinician = await stack.clinician()
    await clinician.album(images(920, 2))
    case, _ = await clinician.answer()
    await stack.settled()
    file = tmp_path / "events"
    file.write_text((await ictus(stack, "events", "--case", case)).stdout)
    asked = ("model", "replay", BUNDLE_1, "--over", file, "--out", tmp_path / "lines", "--json")

    assert json.loads((await ictus(stack, *asked)).stdout)["cases"] == 1
    assert json.loads((tmp_path / "lines").read_text())["case"] == str(case)

    altered = [json.loads(line) | {"hash": "0" * 64} for line in file.read_text().splitlines()]
    codes = [(await ictus(stack, *asked, "--as-of", 1)).returncode]
    for words in ("\n".join(map(json.dumps, altered)), "no events", ""):
        file.write_text(words)
        codes.append((await ictus(stack, *asked)).returncode)
    file.unlink()
    codes.append((await ictus(stack, *asked)).returncode)
    assert codes == [2, 4, 4, 3, 3]
