"""UmaDB through its own client: conditional appends tagged by case, and reads in its batches."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from umadb import AppendCondition, Client, Event, Query, QueryItem, SequencedEvent

from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import Written, fresh, written
from domain.events import decode

BATCH_EVENTS = 1000


def single(url: str, events: int, seed: str) -> Measured:
    return concurrent(url, events, 1, seed)


def concurrent(url: str, events: int, in_flight: int, seed: str) -> Measured:
    """So many threads share the client, which lets go of the interpreter while it waits."""
    client = Client(url)
    made = [(_event(each), _unless_known(each)) for each in fresh(events, seed)]
    left = iter(made)

    def write(watch: Stopwatch) -> None:
        for event, condition in left:
            since = time.perf_counter()
            client.append([event], condition)
            watch.lap(since)

    with ThreadPoolExecutor(in_flight) as threads, Stopwatch(events) as watch:
        for done in [threads.submit(write, watch) for _ in range(in_flight)]:
            done.result()
    return watch.measured


def filled(url: str, events: int) -> Measured:
    client, stored = Client(url), [_event(each) for each in written(events, "fill")]
    with Stopwatch(events) as watch:
        for at in range(0, events, BATCH_EVENTS):
            client.append(stored[at : at + BATCH_EVENTS])
    return watch.measured


def replayed(url: str, events: int) -> Measured:
    """Not decoded: its client's events as they come."""
    with Stopwatch(events) as watch:
        read = sum(len(batch) for batch in _batches(url))
    assert read == events
    return watch.measured


def replayed_decoded(url: str, events: int) -> Measured:
    """Decoded into typed events, like ours."""
    with Stopwatch(events) as watch:
        for batch in _batches(url):
            for each in batch:
                decode(each.position, each.event.data)
    return watch.measured


def _batches(url: str) -> Iterator[list[SequencedEvent]]:
    client = Client(url, batch_size=BATCH_EVENTS)  # its end would cancel the reading
    response = client.read()
    while batch := response.next_batch():
        yield batch


def _event(each: Written) -> Event:
    kind = each.entry.subject.rpartition(".")[2]
    return Event(kind, each.entry.payload, [_tag(each)], each.entry.id)


def _unless_known(each: Written) -> AppendCondition:
    return AppendCondition(Query([QueryItem(tags=[_tag(each)])]))


def _tag(each: Written) -> str:
    return f"case:{each.commit.aggregate_id}"
