"""Cases as they really go, event by event, for benchmarks: real payloads of about 700 bytes."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count, islice, repeat
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from adapters.storage.commits import Entry, entries
from commands.ports import Commit
from domain import case as cases
from domain.case import CaseEvent
from domain.events import NO_HASH, Recorded, Request, payload_hash
from domain.identity import case_code
from domain.sealed import Sealed

TOGETHER = 1000
REPEATED = 3
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Written(NamedTuple):
    """One commit on its way, and its only event as a ledger would store it."""

    request: Request
    commit: Commit
    entry: Entry


def imported(events: int, seed: str, head: int) -> Iterator[tuple[Request, Commit]]:
    """As `written`, of cases taken in from existing data: no worker acts on them."""
    made = islice(_side_by_side(seed, count(head + 1), origin="import"), events)
    return ((request, commit) for request, commit, _ in made)


def written(events: int, seed: str, head: int = 0) -> list[Written]:
    """So many events of cases that go on side by side, on top of a ledger that ends at `head`."""
    return list(islice(going_on(seed, head), events))


def going_on(seed: str, head: int = 0) -> Iterator[Written]:
    """The same without an end, made as it is asked for."""
    return _side_by_side(seed, count(head + 1))


def stream_of(events: int, seed: str) -> Iterator[tuple[Request, Commit]]:
    """As `written` on an empty ledger, each made only when it is asked for."""
    made = islice(_side_by_side(seed, count(1)), events)
    return ((request, commit) for request, commit, _ in made)


def fresh(events: int, seed: str) -> list[Written]:
    """First events of so many new cases."""
    return list(islice(_side_by_side(seed, count(), together=events), events))


def with_long_case(events: int, seed: str, long_case_events: int) -> list[Written]:
    """From the beginning of a ledger: many cases, and one more whose events lie all over it."""
    apart = events // long_case_events
    long_case = _one_case(seed, long_case_events, count(apart, apart))
    others = _side_by_side(seed, (each for each in count(1) if each % apart))
    return [next(others if each % apart else long_case) for each in range(1, events + 1)]


def whole_case(seed: str, events: int) -> tuple[Request, Commit]:
    """One commit with all events of a case."""
    return _request(seed), Commit(cases.NAME, id_of(seed), _long_story(seed, events))


def next_of(seed: str, last: Recorded) -> tuple[Request, Commit]:
    """One more event for the case that ends with `last`."""
    event = _story(seed)[REPEATED]
    commit = Commit(cases.NAME, id_of(seed), (event,), last.sequence, last.hash)
    return _request(f"{seed}/{last.sequence}"), commit


def id_of(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


def _side_by_side(
    seed: str,
    sequences: Iterator[int],
    together: int = TOGETHER,
    origin: cases.Origin = "bot",
) -> Iterator[Written]:
    """`sequences` are those that the events will get."""
    for block in count():
        names = [f"{seed}/{block}/{number}" for number in range(together)]
        stories = [_story(name, origin) for name in names]
        last = [(0, NO_HASH)] * together
        for step in range(len(stories[0])):
            for number, name in enumerate(names):
                made = _write(f"{name}/{step}", id_of(name), stories[number][step], *last[number])
                last[number] = (next(sequences), payload_hash(made.entry.payload))
                yield made


def _one_case(seed: str, events: int, sequences: Iterator[int]) -> Iterator[Written]:
    last = (0, NO_HASH)
    for number, event in enumerate(_long_story(seed, events)):
        made = _write(f"{seed}/{number}", id_of(seed), event, *last)
        last = (next(sequences), payload_hash(made.entry.payload))
        yield made


def _long_story(seed: str, events: int) -> tuple[CaseEvent, ...]:
    story = _story(seed)
    return (*story[:1], *repeat(story[REPEATED], events - 1))


def _write(seed: str, case: UUID, event: CaseEvent, expected: int, prevhash: str) -> Written:
    request = _request(seed)
    commit = Commit(cases.NAME, case, (event,), expected, prevhash)
    (entry,) = entries(request, [commit])
    return Written(request, commit, entry)


def _request(seed: str) -> Request:
    made = id_of(f"{seed}/request")
    return Request(
        id=made,
        actor=f"person:{id_of('somebody')}",
        source="/ictus/bench",
        time=START,
        correlation=made,
        cause=id_of(f"{seed}/cause"),
    )


class _Known(NamedTuple):
    """What all events of a case have in common, made from its name."""

    case: UUID
    item: UUID
    person: UUID
    model: UUID
    digest: str
    sealed: Sealed


def _story(name: str, origin: cases.Origin = "bot") -> Sequence[CaseEvent]:
    case = id_of(name)
    digest = sha256(name.encode()).hexdigest()
    item, person, model = (id_of(f"{name}/{part}") for part in ("item", "by", "model"))
    sealed = Sealed(key=f"case/{case}", nonce=digest[:16], box=digest[:48])
    known = _Known(case, item, person, model, digest, sealed)
    return (*_sent(known, origin), *_answered(known), _confirmed(known))


def _sent(known: _Known, origin: cases.Origin) -> tuple[CaseEvent, ...]:
    """A photo and what is known beside it."""
    code, person = case_code(known.case), known.person
    return (
        cases.Opened(code=code, site="site-1", patient=person, origin=origin, by=person),
        cases.ImageSubmitted(
            item=known.item,
            channel="photo",
            modality="mri",
            joined="album",
            sent=START,
            file=known.sealed,
        ),
        _ingested(known),
        cases.ContextGiven(facts=(cases.Fact("af", "yes"), cases.Fact("age", "65-74")), by=person),
    )


def _ingested(known: _Known) -> cases.ImageIngested:
    return cases.ImageIngested(
        item=known.item,
        modality="mri-dwi",
        derivative=known.digest,
        pixels=known.digest,
        original=known.sealed,
        width=1024,
        height=1024,
        source="screenshot",
        profile="ingest@1",
        phash=known.digest[:16],
        heads=((10, 12, 480, 500),),
        masked_permille=31,
        quality={"sharpness": 412, "contrast": 230},
    )


def _answered(known: _Known) -> tuple[CaseEvent, ...]:
    return (
        _predicted(known),
        cases.AnswerComposed(
            prediction=known.item,
            advice=((known.model, 1), (known.person, 2)),
            language="ru",
            notice="2026-1",
            text_sha256=known.digest,
        ),
        cases.AnswerDelivered(answer=known.item, to=known.person, channel="telegram"),
    )


def _predicted(known: _Known) -> cases.PredictionProduced:
    return cases.PredictionProduced(
        task="subtype@1",
        inputs=(known.digest,),
        af="yes",
        ranked=(("cardioembolic", 713), ("large-artery", 287)),
        chosen=("cardioembolic",),
        interval=(604, 801),
        attention=(1000,),
        model=known.model,
        model_sha256=known.digest,
        role="champion",
        runtime="onnxruntime",
    )


def _confirmed(known: _Known) -> cases.LabelConfirmed:
    return cases.LabelConfirmed(
        cause="cardioembolic",
        level=2,
        evidence=("ecg",),
        rater=known.person,
        blinded=False,
        stage="discharge",
    )
