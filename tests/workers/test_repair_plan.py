"""What is to be restored: all of the archive, and of the stream only what fits behind it."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from adapters.storage.commits import entries
from adapters.storage.signing import FileSigningKey
from commands.ports import Commit, Damaged, Head, Unavailable
from domain.events import NO_HASH, payload_hash
from tests.contracts.writing import event, new_request
from tests.workers.witnessing import KEY, LEDGER, archived, flip
from workers.witness.repair import Plan, plan
from workers.witness.stream import Stored

PERSON = UUID(int=9, version=4)
WITNESSED = 300


def history(count: int, person: UUID = PERSON) -> list[Stored]:
    """One person's chained events."""
    found: list[Stored] = []
    prevhash = NO_HASH
    for sequence in range(1, count + 1):
        commit = Commit("person", person, (event(f"{sequence}"),), sequence - 1, prevhash)
        (entry,) = entries(new_request(), [commit])
        found.append(Stored(sequence, entry.subject, str(entry.id), entry.payload))
        prevhash = payload_hash(entry.payload)
    return found


class Remains:
    """What a damaged stream gives: these messages, of what it takes for its whole."""

    def __init__(
        self, messages: Sequence[Stored], head: int, ledger: UUID = LEDGER, broken: int = 0
    ) -> None:
        self._messages, self._broken = messages, broken
        self._head = Head(ledger, "demo", head)

    async def head(self) -> Head:
        return self._head

    async def read(self, first: int, last: int) -> AsyncIterator[Stored]:
        for message in self._messages:
            if message.sequence == self._broken:
                raise Unavailable("it broke off")
            if first <= message.sequence <= last:
                yield message

    async def durables(self) -> dict[str, int]:
        return {}


async def planned(whole: Sequence[Stored], stream: Remains | None) -> Plan:
    return await plan(await archived(whole[:WITNESSED]), KEY, stream)


async def test_without_a_stream_the_archive_is_restored() -> None:
    whole = history(WITNESSED)
    found = await planned(whole, None)
    assert [each async for each in found.messages()] == whole
    assert (found.origin, found.head, found.forked) == ("demo", WITNESSED, 0)


async def test_what_follows_the_archive_and_fits_is_taken_from_the_stream() -> None:
    whole = history(WITNESSED + 5)
    left = [each for each in whole if each.sequence not in (3, 299)]
    found = await planned(whole, Remains(left, WITNESSED + 5))
    assert [each async for each in found.messages()] == whole


async def test_nothing_is_taken_from_behind_a_gap() -> None:
    whole = history(WITNESSED + 5)
    left = [each for each in whole if each.sequence != WITNESSED + 3]
    found = await planned(whole, Remains(left, WITNESSED + 5))
    assert found.tail == tuple(whole[WITNESSED : WITNESSED + 2])


async def test_nothing_is_taken_from_where_the_chain_breaks() -> None:
    whole, other = history(WITNESSED + 5), history(WITNESSED + 5)
    left = [*whole[: WITNESSED + 2], *other[WITNESSED + 2 :]]
    found = await planned(whole, Remains(left, WITNESSED + 5))
    assert found.tail == tuple(whole[WITNESSED : WITNESSED + 2])


async def test_nothing_is_taken_from_a_stream_that_breaks_off() -> None:
    whole = history(WITNESSED + 5)
    found = await planned(whole, Remains(whole, WITNESSED + 5, broken=WITNESSED + 4))
    assert found.head < WITNESSED + 5
    assert [each async for each in found.messages()] == whole[: found.head]


async def test_a_stream_with_another_history_is_called_forked_and_gives_nothing() -> None:
    whole, other = history(WITNESSED), history(WITNESSED + 5, uuid4())
    left = [*whole[:280], *other[280:]]
    found = await planned(whole, Remains(left, WITNESSED + 5))
    assert (found.forked, found.tail) == (281, ())
    assert [each async for each in found.messages()] == whole


async def test_a_message_that_is_no_event_is_damage_and_no_fork() -> None:
    whole = history(WITNESSED)
    left = [*whole[:9], whole[9]._replace(payload=b"rotten"), *whole[10:]]
    assert (await planned(whole, Remains(left, WITNESSED))).forked == 0


async def test_an_archive_of_another_ledger_is_refused() -> None:
    with pytest.raises(Damaged, match="the archive is of ledger"):
        await planned(history(WITNESSED), Remains([], 0, ledger=UUID(int=8)))


@pytest.mark.parametrize(
    "key", ["archive/000", "archive/000.manifest", "archive/001.p/44", "checkpoint"]
)
async def test_nothing_is_planned_from_a_damaged_archive(key: str) -> None:
    blobs = await archived(history(WITNESSED))
    await flip(blobs, f"witness/{key}", 60)
    with pytest.raises(Damaged):
        await plan(blobs, KEY, None)
    await blobs.delete(f"witness/{key}")
    with pytest.raises(Damaged, match="is gone"):
        await plan(blobs, KEY, None)


async def test_an_archive_that_another_key_signed_is_refused() -> None:
    with pytest.raises(Damaged, match="not signed by"):
        await plan(await archived(history(3)), FileSigningKey(bytes(32)), None)


async def test_an_archive_whose_own_chains_break_is_refused() -> None:
    whole = history(WITNESSED)
    whole[7] = whole[7]._replace(payload=history(8, uuid4())[7].payload)
    with pytest.raises(Damaged, match="archive, sequence 8"):
        await planned(whole, None)
