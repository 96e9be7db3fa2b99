"""Whatever happens, and however it is cut into batches, a read model is the fold of the log."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from adapters.storage.postgres import PostgresDatabase
from commands.ports import Db
from domain.case import PredictionDeclined, PredictionProduced
from domain.events import CASE, DEAD_LETTER, EXAMINATION, PERSON, Kind, Recorded, fold
from domain.examination import Retired
from projections import (
    PROJECTIONS,
    advice,
    cursor,
    dataset,
    deadletters,
    digest,
    history,
    inbox,
    people,
    quality,
)
from projections.builder import build
from projections.cursor import Cursor
from projections.projection import Projection
from tests.projections.copied import CopiedLedger
from tests.projections.stories import ACTS, story

Events = Sequence[Recorded]

STORIES = st.lists(st.tuples(st.integers(0, len(ACTS)), st.integers(0, 99)), max_size=30)
CUTS = st.lists(st.integers(1, 17), max_size=12)


# The folds


def states(kind: Kind, events: Events) -> dict[UUID, Any]:
    """Every aggregate of the kind as it stands."""
    past: defaultdict[UUID, list[Recorded]] = defaultdict(list)
    for recorded in events:
        if recorded.aggregate == kind.name:
            past[recorded.aggregate_id].append(recorded)
    return {one: fold(kind, recorded) for one, recorded in past.items()}


async def all_of_history(db: Db, events: Events) -> None:
    found = await db.fetch("SELECT payload FROM history.events ORDER BY sequence")
    assert [row["payload"] for row in found] == [recorded.payload for recorded in events]
    for case in states(CASE, events):
        told = [recorded for recorded in events if recorded.aggregate_id == case]
        assert await history.of_case(db, case) == told


async def rows_of_a_build(db: Db, events: Events) -> None:
    built = await build(CopiedLedger(events), dataset.SPEC)
    assert await dataset.encoded_rows(db) == built.encoded


async def cases_of_the_inbox(db: Db, events: Events) -> None:
    known = states(CASE, events)
    lines = {line.case_id: line for line in await inbox.latest(db, len(known) + 1)}
    assert lines.keys() == known.keys()
    for case, state in known.items():
        line = lines[case]
        assert (line.code, line.person) == (state.opened.code, state.opened.by)
        assert (line.usable, line.pending) == (len(state.usable), len(state.waiting))
        assert line.label == (state.label.cause if state.label else None)
        assert (line.state in ("withdrawn", "erased")) == (state.withdrawn is not None)


async def people_who_joined(db: Db, events: Events) -> None:
    for person, state in states(PERSON, events).items():
        found = await people.profile(db, person)
        assert found is not None
        assert (found.asked, found.joined) == (state.asked, state.joined)
        assert (set(found.roles), found.language) == (state.roles, state.language)
        assert set(found.consents) == state.consents


async def last_words_of_models(db: Db, events: Events) -> None:
    """Of each model in each case that was not withdrawn, beside the labels in force."""
    last: dict[tuple[UUID, UUID], str] = {}
    for recorded in events:
        if isinstance(recorded.event, PredictionProduced | PredictionDeclined):
            last[recorded.aggregate_id, recorded.event.model] = quality.said(recorded.event)
    kept = {case: one for case, one in states(CASE, events).items() if not one.withdrawn}
    found = await quality.report(db, ("model", "level"))
    assert found.cases == len(kept)
    assert found.labelled.count == sum(one.label is not None for one in kept.values())
    expected: Counter[tuple[str, int | None, str]] = Counter()
    for (case, model), word in last.items():
        if case in kept:
            label = kept[case].label
            expected[str(model), label.level if label else None, word] += 1
    told = {
        (group.of["model"], group.of["level"], word): count
        for group in found.groups
        for word, count in group.said.items()
    }
    assert told == expected


async def texts_of_examinations(db: Db, events: Events) -> None:
    known = states(EXAMINATION, events)
    found = {text.examination: text for text in await advice.catalogue(db)}
    assert found.keys() == known.keys()
    for examination, state in known.items():
        text = found[examination]
        assert (text.code, text.revision) == (state.code, state.revision)
        assert (text.retired is not None) == state.retired
        assert (text.name, text.when, text.source) == (
            state.text.name,
            state.text.when,
            state.text.source,
        )
    assert sum(state.retired for state in known.values()) == sum(
        isinstance(recorded.event, Retired) for recorded in events
    )


async def lines_of_dead_letters(db: Db, events: Events) -> None:
    known = states(DEAD_LETTER, events)
    everything = await deadletters.lines(db, everything=True)
    assert {one.letter for one in everything} == {
        letter for line in known.values() for letter in (*line.letters, *line.closed)
    }
    open_letters = await deadletters.lines(db)
    for id_, line in known.items():
        told = [(e.letter, e.standing, e.attempts) for e in open_letters if e.line == id_]
        assert told == [
            (id_, letter.standing, letter.parked.attempts) for id_, letter in line.letters.items()
        ]


FOLDS: dict[str, Callable[[Db, Events], Awaitable[None]]] = {
    "advice": texts_of_examinations,
    "dataset": rows_of_a_build,
    "deadletters": lines_of_dead_letters,
    "history": all_of_history,
    "inbox": cases_of_the_inbox,
    "people": people_who_joined,
    "quality": last_words_of_models,
}
"""By projection: holds its queries against what the events say."""


# The tests


def test_every_read_model_has_a_fold_to_be_held_against() -> None:
    assert FOLDS.keys() == PROJECTIONS.keys()


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STORIES, cuts=CUTS)
async def test_a_read_model_is_the_fold_of_the_log_in_any_cut(
    database: PostgresDatabase,
    projection: Projection,
    steps: list[tuple[int, int]],
    cuts: list[int],
) -> None:
    events = await story(steps)
    async with database.acquire() as db:
        one_by_one = await applied(db, database, projection, events, [])
        in_batches = await applied(db, database, projection, events, cuts)
        assert in_batches == one_by_one
        await FOLDS[projection.name](db, events)


async def applied(
    db: Db, database: PostgresDatabase, projection: Projection, events: Events, cuts: list[int]
) -> str:
    """The digest of a new live version, to which came batches of the sizes `cuts`, then single
    events."""
    await cursor.create((projection,), database)
    built = await cursor.begin(projection, database)
    for batch in batches(events, cuts):
        async with db.transaction():
            await cursor.enter(db, built)
            await projection.apply(db, batch)
            built = await cursor.move(db, built, batch[-1])
    async with db.transaction():
        await cursor.switch(db, await live(db, projection), built)
    return await digest.of_schema(db, projection.name)


async def live(db: Db, projection: Projection) -> Cursor:
    return await cursor.lock_live(db, projection.name)


def batches(events: Events, cuts: Sequence[int]) -> list[Events]:
    made, first = [], 0
    for size in (*cuts, *(1 for _ in events)):
        if first < len(events):
            made.append(events[first : first + size])
            first += size
    return made
