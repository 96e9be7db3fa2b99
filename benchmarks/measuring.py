"""Measurements in processes of their own, so that nobody's memory or imports slow another down."""

import time
from asyncio import get_running_loop
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from resource import RUSAGE_SELF, getrusage
from statistics import median
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from ictus.demo.result import percentile

PEERS = frozenset({"eventsourcing", "psycopg", "umadb"})


class Measured(Struct):
    """So many events in so many seconds; `cpu_s` and `rss_mb`, its peak, are the client's alone."""

    events: int
    seconds: float
    cpu_s: float
    latencies_ms: list[float]
    rss_mb: float = 0.0


class Stopwatch:
    """`with Stopwatch(events) as watch: …` and then `watch.measured`; of several blocks, their sum."""

    def __init__(self, events: int) -> None:
        self.measured = Measured(events, 0.0, 0.0, [])

    def __enter__(self) -> Self:
        self._cpu, self._since = time.process_time(), time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.measured.seconds += time.perf_counter() - self._since
        self.measured.cpu_s += time.process_time() - self._cpu
        self.measured.rss_mb = rss_mb()

    def lap(self, since: float) -> None:
        """Notes how long one thing took, which ends now."""
        self.took(time.perf_counter() - since)

    def took(self, seconds: float) -> None:
        self.measured.latencies_ms.append(seconds * 1000)


class Results:
    """What each contender measured, round after round; a peer that is not installed has nothing."""

    def __init__(self) -> None:
        self._measured: defaultdict[str, list[Measured]] = defaultdict(list)

    async def measure(self, name: str, function: str, *arguments: Any) -> None:
        """Calls `module:function` below `benchmarks.peers` in a new process."""
        module, _, called = function.partition(":")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            outcome = await get_running_loop().run_in_executor(
                process, _call, f"benchmarks.peers.{module}", called, arguments
            )
        if outcome:
            self._measured[name].append(outcome)

    def per_s(self, name: str) -> int | None:
        """Events per second: the median of the rounds."""
        rates = [round_.events / round_.seconds for round_ in self._measured[name]]
        return round(median(rates)) if rates else None

    def ms(self, name: str, share: float = 0.5) -> float | None:
        """A percentile of all latencies of all rounds."""
        latencies = [each for round_ in self._measured[name] for each in round_.latencies_ms]
        return round(percentile(latencies, share), 3) if latencies else None

    def seconds(self, name: str) -> float:
        """The median of the rounds."""
        return round(median(round_.seconds for round_ in self._measured[name]), 2)

    def rss_mb(self, name: str) -> int:
        """The highest peak of all rounds."""
        return round(max(round_.rss_mb for round_ in self._measured[name]))

    def cpu_us(self, name: str) -> float | None:
        """The client's processor time per event: the median of the rounds."""
        costs = [round_.cpu_s / round_.events * 1e6 for round_ in self._measured[name]]
        return round(median(costs), 2) if costs else None


def rss_mb() -> float:
    """The most memory this process ever held."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


def share(answers: Iterable[bool]) -> float | None:
    """Of true ones; null of nothing."""
    all_ = list(answers)
    return ratio(sum(all_), len(all_))


def ratio(part: int, whole: int) -> float | None:
    """Rounded to five digits; null of nothing."""
    return round(part / whole, 5) if whole else None


def show(title: str, outcome: Mapping[str, float | None], missing: str = "not installed") -> None:
    """A table for people, on stderr: the last line of stdout belongs to programs."""
    table = Table("", title, box=None, title_justify="left")
    table.columns[1].justify = "right"
    for name, value in outcome.items():
        table.add_row(name, missing if value is None else f"{value:,}")
    Console(stderr=True).print(table)


def _call(module: str, function: str, arguments: tuple[Any, ...]) -> Measured | None:
    """None when the peer is not installed."""
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in PEERS:
            raise
        return None
    measured: Measured | None = getattr(loaded, function)(*arguments)
    return measured
