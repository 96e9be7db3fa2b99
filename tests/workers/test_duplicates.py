"""Near duplicates are found the same by any number of workers, started at any time."""

from uuid import UUID

import pytest
from hypothesis import given as any_of, strategies as st
from msgspec.structs import replace

from adapters.storage.memory import MemoryLedger, MemoryVault
from commands import cases
from commands.transact import Books, from_outside
from domain.case import Alike, ImageIngested, ImagesMoved, NearDuplicatesFound
from domain.events import Recorded
from tests.givens import Given
from tests.made import ingested as one_ingested
from tests.workers.reacting import Now
from workers.duplicates import (
    BITS,
    FINE_BITS,
    NEAR_BITS_MAX,
    NEAR_FINE_BITS_MAX,
    Duplicates,
    Fingerprints,
    bits_apart,
    pieces,
)
from workers.reactor import Done, Ignored

ONE = 0x0123_4567_89AB_CDEF
FAR = ONE ^ 0xFFFF
BIT_FLIPS = st.sets(st.integers(0, BITS - 1), max_size=12)


def hexes(*fingerprints: int) -> tuple[str, ...]:
    """Of 64 bits, with as many fine ones as there are."""
    return tuple(f"{each:016x}" + "0f" * 24 for each in fingerprints)


def flipped(fingerprint: int, bits: int) -> int:
    """So many bits differ, spread over all of them."""
    return fingerprint ^ sum(1 << (number * 10 % BITS) for number in range(bits))


class Ward:
    """A ledger with cases whose images have fingerprints."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.given = Given(self.ledger)
        self.books = Books(self.ledger, MemoryVault(), Now())

    async def image(self, *fingerprints: int, case: UUID | None = None) -> Recorded:
        """An image of a new case or of this one, ingested."""
        if case is None:
            case = await self.given.case(await self.given.person())
            (item,) = (await self.given.state(case)).waiting
        else:
            item = await self.given.image(case)
        made = replace(one_ingested(), item=item, fingerprints=hexes(*fingerprints))
        return await self.given.on(case, made)

    async def found(self, case: UUID) -> list[NearDuplicatesFound]:
        return list((await self.given.state(case)).alike)

    async def suspects(self, case: UUID) -> tuple[UUID, ...]:
        return (await self.given.state(case)).suspects(case)


@pytest.fixture
def ward() -> Ward:
    return Ward()


def named(recorded: Recorded, bits: int) -> Alike:
    assert isinstance(recorded.event, ImageIngested)
    return Alike(case=recorded.aggregate_id, item=recorded.event.item, bits=bits)


async def test_an_image_like_one_of_another_case_is_told_of_once(ward: Ward) -> None:
    first, second = await ward.image(ONE), await ward.image(FAR, flipped(ONE, 6))
    worker = Duplicates(ward.books)
    assert isinstance(await worker.react(first), Ignored)
    assert isinstance(await worker.react(second), Done)
    assert isinstance(await worker.react(second), Ignored)
    (found,) = await ward.found(second.aggregate_id)
    assert found.alike == (named(first, 6),)
    assert await ward.suspects(second.aggregate_id) == (first.aggregate_id,)
    assert await ward.found(first.aggregate_id) == []


async def test_seven_bits_are_too_many(ward: Ward) -> None:
    await ward.image(ONE)
    second = await ward.image(flipped(ONE, 7))
    assert isinstance(await Duplicates(ward.books).react(second), Ignored)


async def test_images_of_old_profiles_have_no_fingerprints_and_are_like_nothing(ward: Ward) -> None:
    await ward.image()
    assert isinstance(await Duplicates(ward.books).react(await ward.image()), Ignored)


async def test_the_same_picture_twice_in_a_case_is_told_but_suspects_nobody(ward: Ward) -> None:
    first = await ward.image(ONE)
    second = await ward.image(ONE, case=first.aggregate_id)
    await Duplicates(ward.books).react(second)
    (found,) = await ward.found(first.aggregate_id)
    assert found.alike == (named(first, 0),)
    assert await ward.suspects(first.aggregate_id) == ()


async def test_of_every_case_the_nearest_image_is_named_and_the_nearest_case_first(
    ward: Ward,
) -> None:
    far = await ward.image(flipped(ONE, 5))
    near = await ward.image(flipped(ONE, 4))
    nearer = await ward.image(flipped(ONE, 2), case=near.aggregate_id)
    last = await ward.image(ONE)
    await Duplicates(ward.books).react(last)
    (found,) = await ward.found(last.aggregate_id)
    assert found.alike == (named(nearer, 2), named(far, 5))


async def test_an_image_that_was_moved_is_not_like_itself(ward: Ward) -> None:
    first = await ward.image(ONE)
    await ward.image(FAR, case=first.aggregate_id)
    assert isinstance(first.event, ImageIngested)
    other = await ward.given.split(first.aggregate_id, first.event.item)
    made = replace(first.event, fingerprints=hexes(ONE))
    again = await ward.given.on(other, made)
    assert isinstance(await Duplicates(ward.books).react(again), Ignored)


async def test_who_comes_late_finds_what_was_found_in_time(ward: Ward) -> None:
    pictures = [await ward.image(flipped(ONE, number % 4)) for number in range(6)]
    in_time = Duplicates(ward.books)
    for each in pictures:
        await in_time.react(each)
    truth = [await ward.found(each.aggregate_id) for each in pictures]

    known = Fingerprints()
    async for recorded in ward.ledger.read():
        known.take(recorded)
    for each, found in zip(reversed(pictures), reversed(truth), strict=True):
        assert isinstance(each.event, ImageIngested)
        alike = known.like(each.aggregate_id, each.event, each.sequence)
        assert [one.alike for one in found] == ([alike] if alike else [])


async def test_cases_told_apart_suspect_each_other_no_longer(ward: Ward) -> None:
    first, second = await ward.image(ONE), await ward.image(ONE)
    await Duplicates(ward.books).react(second)
    request = from_outside(ward.books, ward.given.new_id(), "system", "test")
    ids = second.aggregate_id, first.aggregate_id
    assert await cases.tell_apart(ward.books, request, *ids)
    assert await ward.suspects(second.aggregate_id) == ()
    assert (await ward.given.state(first.aggregate_id)).apart == (second.aggregate_id,)


@any_of(fingerprint=st.integers(0, 2**BITS - 1), flips=BIT_FLIPS)
def test_near_fingerprints_share_a_piece(fingerprint: int, flips: set[int]) -> None:
    fingerprint <<= FINE_BITS
    other = fingerprint ^ sum(1 << FINE_BITS + bit for bit in flips)
    shared = set(pieces(fingerprint)) & set(pieces(other))
    assert shared or len(flips) > NEAR_BITS_MAX
    if not flips:
        assert len(shared) == NEAR_BITS_MAX + 1


def test_what_is_near_by_chance_is_told_by_its_finer_bits() -> None:
    fine = (1 << NEAR_FINE_BITS_MAX) - 1
    assert bits_apart(0, fine | 0b11 << FINE_BITS) == 2
    assert bits_apart(0, fine << 1 | 1) is None


async def test_a_finding_leaves_with_its_image(ward: Ward) -> None:
    await ward.image(ONE)
    second = await ward.image(ONE)
    await ward.image(FAR, case=second.aggregate_id)
    await Duplicates(ward.books).react(second)
    assert isinstance(second.event, ImageIngested)
    out = ImagesMoved(
        items=(second.event.item,),
        direction="out",
        other=ward.given.new_id(),
        by=ward.given.new_id(),
    )
    await ward.given.on(second.aggregate_id, out)
    assert await ward.found(second.aggregate_id) == []
