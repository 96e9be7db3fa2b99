"""History is ingested again by another profile: new events beside the old, on real servers."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from commands import cases, objects
from commands.objects import ORIGINALS
from domain.case import Case, ImageIngested, NearDuplicatesFound
from domain.events import Recorded
from domain.sealed import additional_data
from ictus.settings import environment
from projections import builder
from tests.servers import NatsServer, PostgresServer
from tests.system.stack import Stack, images, standing
from workers.duplicates import Duplicates
from workers.ingest.pipeline import CURRENT, LOOKING, Ingested, named, process

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS_MAX = 120
OTHER = "ingest-1"
NEWEST = list(LOOKING)[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    nats_server: NatsServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """Images are gathered; no model answers."""
    folder = tmp_path_factory.mktemp("stack")
    async with standing(nats_server, postgres_server, folder) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(stack: Stack) -> list[UUID]:
    """Two cases, in each of which the same picture was ingested, and another in the second."""
    one, two = images(640, 2)
    sent = [(one,), (one, two)]
    await stack.start("ingest", "projector")
    found = [await submitted(stack, *pictures) for pictures in sent]
    for case in found:
        await stack.until(case, _is_ingested, "ingest")
    await stack.settled()
    return found


async def submitted(stack: Stack, *pictures: bytes) -> UUID:
    """A case of its own, whose originals are kept already."""
    books, case = stack.house.books, uuid4()
    for picture in pictures:
        digest = await objects.store(stack.house.blobs, books.vault, case, picture, ORIGINALS)
        await cases.submit_image(
            books,
            stack.house.operator(),
            case,
            item=await books.vault.derive(str(case), digest),
            by=case,
            site="demo-1",
            origin="import",
            channel="file",
            joined="first",
            sent=books.clock.now(),
            address=objects.kept_address(case, digest),
        )
    return case


def _is_ingested(case: Case) -> bool:
    return not case.waiting and bool(case.usable)


class Done:
    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.err = code, err.decode()
        self.rows = [json.loads(line) for line in out.decode().splitlines()]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.rows]


async def reingested(stack: Stack, *words: object) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ictus", "reingest", *map(str, words), "--json"),
        env=environment(stack.house.settings) | {"PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    return Done(process.returncode or 0, out, err)


async def ingestions(stack: Stack, case: UUID) -> list[Recorded]:
    return [each for each in await stack.story(case) if isinstance(each.event, ImageIngested)]


async def original_of(stack: Stack, recorded: Recorded) -> bytes:
    assert isinstance(recorded.event, ImageIngested)
    vault = stack.house.books.vault
    aad = additional_data(recorded.id, "original")
    digest = await vault.unseal(recorded.event.original, aad)
    case = recorded.aggregate_id
    return await objects.fetch(stack.house.blobs, vault, case, digest, ORIGINALS)


async def test_a_dry_run_says_what_would_be_and_writes_nothing(
    stack: Stack, ward: list[UUID]
) -> None:
    before = (await stack.house.books.ledger.head()).sequence
    dry = await reingested(stack, "--profile", OTHER, "--all", "--dry-run")
    assert (dry.code, dry.outcomes) == (0, ["ready"] * 3), dry.err
    same = await reingested(stack, "--profile", CURRENT, "--all", "--dry-run")
    assert (same.code, same.outcomes) == (0, ["already"] * 3), same.err
    assert (await stack.house.books.ledger.head()).sequence == before


async def test_another_profile_speaks_beside_the_first_once_and_every_event_can_be_made_again(
    stack: Stack, ward: list[UUID]
) -> None:
    first = await reingested(stack, "--profile", OTHER, "--case", ward[1])
    assert (first.code, first.outcomes) == (0, ["reingested"] * 2), first.err
    again = await reingested(stack, "--profile", OTHER, "--case", ward[1])
    assert (again.code, again.outcomes) == (0, ["already"] * 2)

    told = await ingestions(stack, ward[1])
    assert [each.event.profile for each in told] == [named(CURRENT)] * 2 + [named(OTHER)] * 2  # type: ignore[union-attr]
    for recorded in told:
        assert isinstance(recorded.event, ImageIngested)
        name = recorded.event.profile.split(":")[0]
        replayed = await asyncio.to_thread(process, await original_of(stack, recorded), name)
        assert isinstance(replayed, Ingested)
        assert replayed.sha256 == recorded.event.derivative
        assert replayed.pixel_sha256 == recorded.event.pixels


async def test_a_dataset_takes_what_was_made_last_or_what_its_spec_names(
    stack: Stack, ward: list[UUID]
) -> None:
    ledger, case = stack.house.books.ledger, str(ward[1])
    for spec, profile in (
        (builder.Spec(), OTHER),
        (builder.Spec(profile=CURRENT), CURRENT),
        (builder.Spec(profile=OTHER), OTHER),
    ):
        rows = {row.case: row for row in (await builder.build(ledger, spec)).rows}
        assert {image.profile for image in rows[case].images} == {named(profile)}


async def test_the_newest_profile_finds_the_picture_that_two_cases_share(
    stack: Stack, ward: list[UUID]
) -> None:
    done = await reingested(stack, "--profile", NEWEST, "--all")
    assert set(done.outcomes) <= {"reingested", "already"}, done.err
    await stack.settled()
    later = [
        each
        for case in ward
        for each in await stack.story(case)
        if isinstance(each.event, NearDuplicatesFound)
    ]
    across = {
        (each.aggregate_id, one.case, one.bits)
        for each in later
        if isinstance(each.event, NearDuplicatesFound)
        for one in each.event.alike
        if one.case != each.aggregate_id
    }
    assert {frozenset(pair[:2]) for pair in across} == {frozenset(ward)}
    assert {bits for *_, bits in across} == {0}
    rows = {
        row.case: row
        for row in (await builder.build(stack.house.books.ledger, builder.Spec())).rows
    }
    assert rows[str(ward[0])].split == rows[str(ward[1])].split
    assert rows[str(ward[0])].patient == rows[str(ward[1])].patient

    late = Duplicates(stack.house.books)
    head = (await stack.house.books.ledger.head()).sequence
    for case in ward:
        for recorded in await ingestions(stack, case):
            await late.react(recorded)
    assert (await stack.house.books.ledger.head()).sequence == head


async def test_a_case_whose_original_is_gone_is_named_and_the_rest_goes_on(
    stack: Stack, ward: list[UUID]
) -> None:
    (recorded, *_) = await ingestions(stack, ward[0])
    digest_key = await _key_of_original(stack, recorded)
    await stack.house.blobs.delete(digest_key)
    done = await reingested(stack, "--profile", OTHER, "--all")
    assert done.code == 7
    by_case = {row["case"]: row["outcome"] for row in done.rows}
    assert by_case[str(ward[0])] == "original-gone"
    assert by_case[str(ward[1])] == "reingested"


async def _key_of_original(stack: Stack, recorded: Recorded) -> str:
    assert isinstance(recorded.event, ImageIngested)
    aad = additional_data(recorded.id, "original")
    digest = await stack.house.books.vault.unseal(recorded.event.original, aad)
    return objects.object_key(recorded.aggregate_id, digest, ORIGINALS)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--profile", "ingest-0", "--all"), 2),
        (("--profile", OTHER), 2),
        (("--profile", OTHER, "--all", "--case", UUID(int=7)), 2),
        (("--profile", OTHER, "--case", UUID(int=7)), 3),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    stack: Stack, words: tuple[object, ...], code: int
) -> None:
    done = await reingested(stack, *words)
    assert (done.code, done.rows) == (code, []), done.err
    assert done.err
