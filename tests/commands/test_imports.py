"""Existing cases come in by the same commands as the bot's, once, whatever breaks off meanwhile."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from adapters.storage.memory import MemoryBlobs, MemoryLedger, MemoryVault
from commands import cases, imports
from commands.imports import AnotherPatient, Changed, Existing, IsWithdrawn, Label, Picture
from commands.transact import Books, from_outside
from domain.case import Case, ContextGiven, Fact, ImageSubmitted, LabelConfirmed, LabelRevised
from domain.errors import IsErased
from domain.events import CASE, Recorded, fold
from domain.sealed import additional_data, sealed_fields
from workers.ingest.pipeline import Refused as Unfit
from workers.ingest.worker import Ingest

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ROW = Existing(
    site="North",
    key="N-0017",
    patient="Pseudonym 5",
    taken=date(2024, 2, 29),
    facts=(Fact("af", "yes"), Fact("age_band", "65-74")),
    label=Label(
        cause="cardioembolic",
        level=2,
        evidence=("ecg",),
        rater="Rater A",
        stage="discharge",
        at=date(2024, 3, 9),
    ),
)


class Stopped:
    def now(self) -> datetime:
        return NOON


class Killed(BaseException):
    """The process is gone at this very moment."""


class Mortal:
    """Passes calls on to what writes, and dies before or after one of them."""

    def __init__(self, inner: Any, life: "Life") -> None:
        self._inner, self._life = inner, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._life.ending(found) if name in {"append", "put", "seal", "encrypt"} else found


class Life:
    """So many calls, each with a moment before and one after it."""

    def __init__(self, moments: int) -> None:
        self.left = moments

    def ending(self, call: Any) -> Any:
        async def called(*args: Any) -> Any:
            self._pass()
            done = await call(*args)
            self._pass()
            return done

        return called

    def _pass(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


class World:
    """What is kept, and a process that works with it."""

    def __init__(self, vault: MemoryVault | None = None) -> None:
        self.ledger, self.blobs = MemoryLedger(), MemoryBlobs()
        self.vault = vault or MemoryVault()

    async def take_in(
        self, row: Existing = ROW, pictures: Sequence[Picture] = (), life: Life | None = None
    ) -> bool:
        life = life or Life(-1)
        books = Books(Mortal(self.ledger, life), Mortal(self.vault, life), Stopped())
        place = await imports.place_of(books, row)
        news = await imports.brings_news(books, place, row.facts, pictures)
        done = await imports.take_in(books, Mortal(self.blobs, life), row, place, pictures)
        assert news == done
        return done

    async def story(self, row: Existing = ROW) -> list[Recorded]:
        return await self.ledger.load(
            CASE.name, await self.vault.derive("import-case", row.site, row.key)
        )

    async def case(self, row: Existing = ROW) -> Case:
        state: Case = fold(CASE, await self.story(row))
        return state

    async def told(self) -> list[Any]:
        """All that the ledger says, with the seals opened."""
        return [
            (
                recorded.id,
                recorded.envelope.subject,
                recorded.envelope.time,
                await self._opened(recorded),
            )
            async for recorded in self.ledger.read()
        ]

    async def _opened(self, recorded: Recorded) -> dict[str, Any]:
        words: dict[str, Any] = msgspec.to_builtins(recorded.event)
        for name, sealed in sealed_fields(recorded.event):
            words[name] = await self.vault.unseal(sealed, additional_data(recorded.id, name))
        return words

    async def keys(self) -> list[str]:
        return [key async for key in self.blobs.keys("")]


@pytest.fixture
def world() -> World:
    return World()


def picture(words: bytes, holds: bytes | None = None) -> Picture:
    async def read() -> bytes:
        return words if holds is None else holds

    return Picture(sha256(words).hexdigest(), "mri-dwi", read)


TWO = [picture(b"first"), picture(b"second")]


async def test_a_row_becomes_a_case_of_origin_import(world: World) -> None:
    assert await world.take_in(pictures=TWO)

    case = await world.case()
    assert case.opened
    assert (case.opened.origin, case.opened.site) == ("import", "North")
    first, second = (image.submitted for image in case.images.values())
    assert (first.joined, second.joined) == ("first", "album")
    assert {first.channel, second.channel} == {"file"}
    assert first.sent == datetime(2024, 2, 29, tzinfo=UTC)
    assert first.modality == "mri-dwi"
    assert case.context == {"af": "yes", "age_band": "65-74"}
    assert isinstance(case.label, LabelConfirmed)
    assert (case.label.level, case.label.stage, case.label.blinded) == (2, "discharge", True)
    assert case.label.at == date(2024, 3, 9)


async def test_a_row_taken_in_again_changes_nothing(world: World) -> None:
    await world.take_in(pictures=TWO)
    before = await world.story()

    assert not await world.take_in(pictures=TWO)
    assert not await world.take_in(pictures=TWO[::-1])
    assert not await world.take_in()
    assert await world.story() == before


async def test_whenever_it_is_killed_repeating_leads_to_the_same_ledger(world: World) -> None:
    await world.take_in(pictures=TWO)
    whole = await world.told(), await world.keys()
    killed = 0
    for moments in range(100):
        again = World(world.vault)
        try:
            await again.take_in(pictures=TWO, life=Life(moments))
        except Killed:
            killed += 1
        else:
            break
        await again.take_in(pictures=TWO)
        assert (await again.told(), await again.keys()) == whole
        assert not await again.take_in(pictures=TWO)
    assert killed == 2 * (2 * len(("encrypt", "put", "seal", "append")) + len(("facts", "label")))
    assert len(whole[0]) == 5


async def test_what_a_later_row_adds_is_added_and_nothing_else(world: World) -> None:
    await world.take_in(pictures=TWO[:1])
    later = replace(ROW, facts=(*ROW.facts, Fact("sex", "female")))

    assert await world.take_in(later, TWO)

    added = [type(recorded.event) for recorded in (await world.story())[4:]]
    assert added == [ImageSubmitted, ContextGiven]


async def test_a_changed_label_revises_and_the_old_manifest_does_not_undo_it(world: World) -> None:
    assert ROW.label
    await world.take_in(pictures=TWO)
    later = replace(
        ROW, label=replace(ROW.label, cause="large-artery", evidence=("stenosis",), rater="Rater B")
    )

    assert await world.take_in(later, TWO)
    assert not await world.take_in(ROW, TWO)

    label = (await world.case()).label
    assert isinstance(label, LabelRevised)
    assert (label.cause, label.reason) == ("large-artery", "another-rater")


async def test_two_rows_of_one_pseudonym_at_one_site_are_one_patient(world: World) -> None:
    rows = [
        ROW,
        replace(ROW, key="N-0018"),
        replace(ROW, key="N-0019", patient=""),
        replace(ROW, site="South"),
    ]
    for row in rows:
        await world.take_in(row, TWO)

    openings = [(await world.case(row)).opened for row in rows]
    first, same, nobody, elsewhere = (opened.patient for opened in openings if opened)

    assert first == same
    assert len({first, nobody, elsewhere}) == 3


async def test_a_case_is_never_taken_in_for_another_patient(world: World) -> None:
    await world.take_in(pictures=TWO)
    with pytest.raises(AnotherPatient):
        await world.take_in(replace(ROW, patient="Pseudonym 6"), TWO)


async def test_a_file_that_changed_since_it_was_looked_at_is_not_taken_in(world: World) -> None:
    with pytest.raises(Changed):
        await world.take_in(pictures=[picture(b"first", holds=b"other")])
    assert await world.story() == []


async def test_what_its_site_calls_it_is_kept_nowhere(world: World) -> None:
    await world.take_in(pictures=TWO)

    told = repr(await world.told()) + repr(await world.keys())
    assert [word for word in ("N-0017", "Pseudonym", "Rater A") if word in told] == []


async def test_nothing_new_comes_into_a_withdrawn_case_and_an_erased_one_stays_erased(
    world: World,
) -> None:
    await world.take_in(pictures=TWO)
    case = (await world.story())[0].aggregate_id
    books = Books(world.ledger, world.vault, Stopped())
    request = partial(from_outside, books, actor="system", role="test")

    await cases.withdraw(books, request(uuid4()), case, "consent")
    assert not await world.take_in(pictures=TWO)
    with pytest.raises(IsWithdrawn):
        await world.take_in(pictures=[picture(b"third")])

    await cases.erase(books, world.blobs, request(uuid4()), case)
    with pytest.raises(IsErased):
        await world.take_in(pictures=TWO)
    assert await world.keys() == []


# What ingest does with it


class NoPhotos:
    async def fetch(self, address: str) -> bytes:
        raise AssertionError(f"nobody asks a messenger for {address}")


async def _ingested(world: World, outcome: Unfit) -> list[bytes]:
    """What ingest was given of every image, when each has come to this outcome."""
    seen: list[bytes] = []

    async def process(data: bytes) -> Unfit:
        seen.append(data)
        return outcome

    books = Books(world.ledger, world.vault, Stopped())
    worker = Ingest(books, world.blobs, NoPhotos(), process)
    async for recorded in world.ledger.read():
        await worker.react(recorded)
    return seen


async def test_ingest_reads_the_original_that_is_kept(world: World) -> None:
    await world.take_in(pictures=TWO)

    seen = await _ingested(world, Unfit("quarantined", "no-head"))

    assert seen == [b"first", b"second"]
    assert len(await world.keys()) == 2
    assert not (await world.case()).waiting


async def test_nothing_of_a_rejected_image_is_kept(world: World) -> None:
    await world.take_in(pictures=TWO)
    await _ingested(world, Unfit("rejected", "too-blurred"))
    assert await world.keys() == []

    await world.take_in(pictures=TWO)
    assert await world.keys() == []


async def test_an_original_left_by_a_crash_after_its_rejection_is_forgotten_later(
    world: World,
) -> None:
    await world.take_in(pictures=TWO)
    left = {key: await world.blobs.get(key) for key in await world.keys()}
    await _ingested(world, Unfit("rejected", "too-blurred"))
    for key, data in left.items():
        await world.blobs.put(key, data)

    assert await _ingested(world, Unfit("rejected", "too-blurred")) == []
    assert await world.keys() == []
