"""`ictus import` on real servers with the real ingest: cases enter once, nobody is told, nothing leaks."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from domain.case import Case, ImageIngested, ImageQuarantined
from domain.events import CASE
from ictus.imports import CONCURRENT_ROWS_MAX, IMAGES_AHEAD_MAX
from ictus.settings import environment
from projections import builder
from tests.servers import NatsServer, PostgresServer
from tests.system.stack import Stack, eventually, image, images, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
MANIFEST = re.findall(r"```csv\n(.*?)```", DOCUMENT, re.DOTALL)[0]
FILES = ("17/dwi.png", "17/adc.jpg", "18/screen.jpg", "19/screen.jpg")
SECONDS_MAX = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    nats_server: NatsServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """A house with a model that answers; no role runs until a test starts it."""
    folder = tmp_path_factory.mktemp("stack")
    async with standing(nats_server, postgres_server, folder) as stack:
        await stack.serve()
        yield stack


class Done:
    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()

    @property
    def rows(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.rows]

    @property
    def cases(self) -> list[UUID]:
        return [UUID(row["case"]) for row in self.rows]


async def begun(stack: Stack, *words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ictus", "import", *map(str, words)),
        env=environment(stack.house.settings) | {"PATH": "/usr/bin:/bin", "COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def taken_in(stack: Stack, *words: object) -> Done:
    process = await begun(stack, *words)
    out, err = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    return Done(process.returncode or 0, out, err)


def written(folder: Path, text: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


def put_images(folder: Path, files: tuple[str, ...], seed: int) -> None:
    for file, data in zip(files, images(seed, len(files)), strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)


async def sequence(stack: Stack) -> int:
    return (await stack.house.books.ledger.head()).sequence


async def test_the_documents_manifest_becomes_cases_whose_images_are_ingested_and_rows(
    stack: Stack, tmp_path: Path
) -> None:
    put_images(tmp_path, FILES, 500)
    manifest, before = written(tmp_path, MANIFEST), await sequence(stack)

    dry = await taken_in(stack, manifest, "--images", tmp_path, "--dry-run", "--json")
    assert (dry.code, dry.outcomes) == (0, ["ready"] * 3), dry.err
    assert await sequence(stack) == before

    first = await taken_in(stack, manifest, "--images", tmp_path, "--json")
    assert (first.code, first.outcomes) == (0, ["imported"] * 3), first.err
    assert first.cases == dry.cases
    again = await taken_in(stack, manifest, "--images", tmp_path, "--json")
    assert (again.code, again.outcomes) == (0, ["already-there"] * 3)

    await stack.start("ingest", "inference", "answer", "projector")
    seen = [await stack.until(case, _is_ingested, "ingest") for case in first.cases]
    await stack.settled()
    assert [case.label and case.label.cause for case in seen] == [
        "cardioembolic",
        "large-artery",
        None,
    ]
    assert seen[0].context == {"af": "yes", "age_band": "65-74", "nihss": "5-15"}
    for case in first.cases:
        assert not (await stack.case(case)).prediction
    outbox = await stack.house.client.jetstream().stream_info("ICTUS_OUT")
    assert outbox.state.messages == 0

    dataset = await builder.build(stack.house.books.ledger, builder.Spec(origins=("import",)))
    rows = {row.case: row for row in dataset.rows}
    one, other = (rows[str(case)] for case in first.cases[:2])
    assert one.patient == other.patient
    assert (one.split, len(one.images)) == (other.split, 2)


def _is_ingested(case: Case) -> bool:
    outcomes = [image.outcome for image in case.images.values()]
    return all(isinstance(each, ImageIngested | ImageQuarantined) for each in outcomes)


async def test_what_the_manifest_calls_them_is_stored_nowhere(stack: Stack, tmp_path: Path) -> None:
    secrets = (b"KestrelCase77", b"KestrelPatient77", b"KestrelRater77", b"KestrelFile77")
    case, patient, rater, file = (secret.decode() for secret in secrets)
    put_images(tmp_path, (f"{file}.png",), 510)
    text = f"case,site,images,patient,cause,rater\n{case},N,{file}.png,{patient},small-vessel,{rater}\n"
    done = await taken_in(stack, written(tmp_path, text), "--images", tmp_path)
    assert done.code == 0, done.err

    folder = stack.house.settings.folder
    stored = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    stored += [recorded.payload async for recorded in stack.house.books.ledger.read()]

    assert any(b"label-confirmed" in data for data in stored)
    assert [secret for secret in secrets if any(secret in data for data in stored)] == []


async def test_bad_rows_are_refused_each_for_its_reason_and_the_others_come_in(
    stack: Stack, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere.png"
    outside.write_bytes(image(520))
    scans = tmp_path / "scans"
    put_images(scans, ("good.png", "other.png"), 521)
    (scans / "text.png").write_bytes(b"no image at all")
    (scans / "scan.pdf").write_bytes(b"%PDF-1.7 of a scan")
    (scans / "empty.png").touch()
    (scans / "large.png").write_bytes(bytes(20_000_001))
    (scans / "link.png").symlink_to(outside)
    files = "text.png scan.pdf empty.png large.png link.png gone.png good.png;gone.png good.png"
    rows = [f"{number},North,{file}" for number, file in enumerate(files.split())]
    manifest = written(tmp_path, "\n".join(["case,site,images", *rows]))

    done = await taken_in(stack, manifest, "--images", scans, "--json")

    assert done.code == 7, done.err
    assert [row["reason"] for row in done.rows] == [
        "not-an-image",
        "unsupported-type",
        "empty",
        "too-large",
        "outside",
        "no-file",
        "no-file",
        "",
    ]
    assert done.outcomes == ["refused"] * 7 + ["imported"]
    assert done.rows[6]["file"] == "gone.png"

    shown = await taken_in(stack, manifest, "--images", scans)
    assert shown.code == 7
    assert "1 already-there, 7 refused" in shown.err
    assert "unsupported-type" in shown.out
    mixed = written(tmp_path, "case,site,images,patient\n7,North,good.png,someone else\n")
    other = await taken_in(stack, mixed, "--images", scans, "--json")
    assert [row["reason"] for row in other.rows] == ["another-patient"]


async def test_a_broken_manifest_exits_2_and_what_is_not_there_exits_3(
    stack: Stack, tmp_path: Path
) -> None:
    broken = written(tmp_path, "case,site,images,cause\n1,N,1.png,cardio\n")
    before = await sequence(stack)

    wrong = await taken_in(stack, broken, "--images", tmp_path)
    gone = await taken_in(stack, tmp_path / "none.csv", "--images", tmp_path)
    broken.write_text("case,site,images\n1,N,1.png\n")
    nowhere = await taken_in(stack, broken, "--images", tmp_path / "none")

    assert (wrong.code, gone.code, nowhere.code) == (2, 3, 3)
    assert "line 2, column `cause`: `cardio` is none of" in wrong.err
    assert "none.csv" in gone.err
    assert "--images" in nowhere.err
    assert await sequence(stack) == before


async def test_killed_at_any_moment_and_repeated_every_row_is_there_once(
    stack: Stack, tmp_path: Path
) -> None:
    count = 60
    put_images(tmp_path, tuple(f"{n}.png" for n in range(count)), 530)
    rows = [f"K-{n},Killed,{n}.png,yes,small-vessel,R" for n in range(count)]
    manifest = written(tmp_path, "\n".join(["case,site,images,af,cause,rater", *rows]))
    start = await sequence(stack)
    for reached in (1, 2, 30, 60):
        await _kill_at(stack, manifest, tmp_path, start + reached)

    done = await taken_in(stack, manifest, "--images", tmp_path, "--json")

    assert (done.code, {*done.outcomes}) == (0, {"imported", "already-there"}), done.err
    assert len({*done.cases}) == count
    for case in done.cases:
        events = [
            recorded.event
            for recorded in await stack.story(case)
            if recorded.envelope.source == "/ictus/import"
        ]
        assert [type(event).__name__ for event in events] == [
            "Opened",
            "ImageSubmitted",
            "ContextGiven",
            "LabelConfirmed",
        ]
        seen = await stack.until(case, _is_ingested, "ingest of what was killed")
        assert len(seen.images) == 1
    opened = [
        recorded
        async for recorded in stack.house.books.ledger.read(start, CASE.name)
        if recorded.aggregate_id not in {*done.cases}
    ]
    assert opened == []


async def test_an_import_goes_at_the_pace_of_ingest_and_photos_wait_behind_few(
    stack: Stack, tmp_path: Path
) -> None:
    count = IMAGES_AHEAD_MAX + 2 * CONCURRENT_ROWS_MAX
    put_images(tmp_path, tuple(f"{n}.png" for n in range(count)), 700)
    rows = [f"P-{n},Paced,{n}.png" for n in range(count)]
    manifest = written(tmp_path, "\n".join(["case,site,images", *rows]))
    await stack.start("ingest")
    await stack.settled()

    importing = asyncio.create_task(taken_in(stack, manifest, "--images", tmp_path, "--json"))
    seen = [0]
    while not importing.done():
        seen.append(await stack.house.queue.backlog("ICTUS_EV", "ingest"))
        await asyncio.sleep(0.05)

    assert (await importing).outcomes == ["imported"] * count
    assert 0 < max(seen) <= IMAGES_AHEAD_MAX + CONCURRENT_ROWS_MAX


@pytest.mark.long
async def test_an_import_does_not_wait_for_an_ingest_that_is_not_there(
    stack: Stack, tmp_path: Path
) -> None:
    await stack.stop("ingest")
    count = IMAGES_AHEAD_MAX + 2 * CONCURRENT_ROWS_MAX
    put_images(tmp_path, tuple(f"{n}.png" for n in range(count)), 800)
    rows = [f"A-{n},Alone,{n}.png" for n in range(count)]
    manifest = written(tmp_path, "\n".join(["case,site,images", *rows]))

    done = await taken_in(stack, manifest, "--images", tmp_path, "--json")

    assert done.outcomes == ["imported"] * count, done.err
    await stack.start("ingest")


async def _kill_at(stack: Stack, manifest: Path, folder: Path, wanted: int) -> None:
    """Starts it, and kills it as soon as the ledger has come so far."""
    process = await begun(stack, manifest, "--images", folder)

    async def reached() -> bool | None:
        return True if await sequence(stack) >= wanted else None

    await eventually(reached, f"event {wanted}")
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
