"""Models asked again about what was: `ictus case explain` and `ictus model replay` on real servers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import pytest
import pytest_asyncio

from domain.case import PredictionProduced
from ictus.settings import environment
from tests.bundle1 import BUNDLE_1
from tests.servers import NatsServer, PostgresServer
from tests.system.stack import Stack, images, standing

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
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert len(lines) == one["cases"]
    assert all(line["was"] == line["would_be"] != "" for line in lines)
    before = json.loads((await ictus(stack, *asked[:3], "--as-of", 1, "--json")).stdout)
    assert (before["cases"], before["sha256"] != one["sha256"]) == (0, True)
