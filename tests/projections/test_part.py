"""Parts of a dataset, folded apart from each other, are the dataset."""

from random import Random

import pytest
from msgspec.structs import replace

from adapters.storage.memory import MemoryLedger
from commands.ports import Damaged
from domain.errors import Refused
from projections.builder import build
from projections.part import Part, Portion, fold, whole
from projections.spec import Spec
from tests.givens import Given
from tests.projections.copied import LEDGER, CopiedLedger

SPEC = Spec(hold_out_sites=("demo-2",))
AS_OF = 60


def portion(busy: CopiedLedger, of: int, until: int | None = None) -> Portion:
    head = len(busy.events)
    return Portion(ledger=LEDGER, head=head, until=until or head, shard=0, of=of, spec=SPEC)


async def parts(busy: CopiedLedger, first: Portion) -> list[Part]:
    return [await fold(busy, replace(first, shard=shard)) for shard in range(first.of)]


@pytest.mark.parametrize("of", [1, 2, 7, 64])
async def test_all_parts_in_any_order_are_what_one_process_builds(
    busy: CopiedLedger, of: int
) -> None:
    for until in (None, AS_OF):
        first = portion(busy, of, until)
        found = await parts(busy, first)
        Random(of).shuffle(found)
        assert whole(first, found) == await build(busy, SPEC, until)
    assert sum(len(part.leaves) for part in found) > 0


async def test_what_the_ledger_got_since_it_was_asked_changes_nothing(
    busy: CopiedLedger, ledger: MemoryLedger, given: Given
) -> None:
    first = portion(busy, 3, AS_OF)
    before = await parts(busy, first)
    await given.erased((await given.ward(2))[0])
    await given.ward(2)
    longer = CopiedLedger([recorded async for recorded in ledger.read()])
    assert len(longer.events) > first.head
    assert await parts(longer, first) == before


async def test_a_part_is_not_folded_from_another_ledger_or_by_other_rules(
    busy: CopiedLedger,
) -> None:
    other = CopiedLedger(busy.events, id_=busy.events[0].id)
    with pytest.raises(Damaged, match="is asked of ledger"):
        await fold(other, portion(busy, 2))
    with pytest.raises(Refused, match="one version of ictus on all machines"):
        await fold(busy, replace(portion(busy, 2), projector="rows@0"))
    gap = CopiedLedger([each for each in busy.events if each.sequence != 7])
    with pytest.raises(Damaged, match="no event 7 "):
        await fold(gap, portion(busy, 2))
    short = CopiedLedger(busy.events[:-1])
    with pytest.raises(Damaged, match="ends at event"):
        await fold(short, portion(busy, 2))


async def test_parts_that_read_different_events_make_no_dataset(busy: CopiedLedger) -> None:
    first = portion(busy, 2)
    one, two = await parts(busy, first)
    with pytest.raises(Damaged, match="in 2 versions"):
        whole(first, [one, replace(two, head_sha256="0" * 64)])
