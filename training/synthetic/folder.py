"""Many cases on all cores, written into a folder that says what it is."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from shutil import rmtree
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask
from typing import Final, TypeVar

import cv2
import msgspec
from msgspec import Struct

from training.synthetic import NOTICE, VERSION
from training.synthetic.cases import case
from training.synthetic.facts import Plan
from training.synthetic.oracle import ceiling_auroc, oracle_auroc, pattern_auroc
from training.synthetic.truth import CASE_FILE, files_of

CASES: Final = "cases"
MANIFEST_FILE: Final = "manifest.json"
AHEAD_CASES: Final = 4
"""By process: enough that none waits while another's case takes longer."""


Progress = Callable[[int, int], None]
Made = TypeVar("Made")


class Taken(Exception):
    """The folder holds something already."""


class Written(Struct, frozen=True, kw_only=True):
    """What a folder holds, and what can be known from it at best. `digest`: SHA-256 over every file
    but this one and the README, case by case: equal plans and libraries give equal digests.
    AUROC of `oracle`: pattern and atrial fibrillation; `pattern`: the pattern alone; `ceiling`: all
    that was drawn by cause."""

    notice: str
    generator: str
    mode: str
    difficulty: float
    seed: int
    cases: int
    images: int
    hostile: int
    causes: dict[str, int]
    patterns: dict[str, int]
    oracle_auroc: float
    pattern_auroc: float
    ceiling_auroc: float
    digest: str


class Summary(Struct, frozen=True, kw_only=True):
    """Of one case, once its files are written."""

    cause: str
    pattern: str
    images: int
    hostile: bool
    digest: bytes


def write(plan: Plan, count: int, out: Path, processes: int | None, told: Progress) -> Written:
    """Writes cases 0 to `count` - 1, all or nothing; raises Taken unless `out` is empty or missing."""
    summaries = each(partial(write_case, plan, out), count, processes)
    with begun(out), closing(summaries):
        (out / CASES).mkdir()
        done: list[Summary] = []
        for summary in summaries:
            done.append(summary)
            told(len(done), count)
        written = _written(plan, done)
        manifest = msgspec.json.format(msgspec.json.encode(written)) + b"\n"
        (out / MANIFEST_FILE).write_bytes(manifest)
        (out / "README.md").write_text(_readme(written))
    return written


@contextmanager
def begun(out: Path) -> Iterator[None]:
    """`out` is as empty or missing as it was unless writing came to its end; a folder beside it would
    not do where it is a mount. Raises Taken unless it is empty or missing."""
    is_new = not out.exists()
    if not is_new and any(out.iterdir()):
        raise Taken(f"{out} is not empty: choose a folder that is, or remove it first")
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for entry in out.iterdir():
            rmtree(entry) if entry.is_dir() else entry.unlink()
        if is_new:
            out.rmdir()
        raise


def write_case(plan: Plan, out: Path, number: int) -> Summary:
    """One case into its own folder."""
    made = case(plan, number)
    folder, digest = out / CASES / f"{number:06d}", sha256()
    folder.mkdir(exist_ok=True)
    for name, data in files_of(plan, made).items():
        (folder / name).write_bytes(data)
        digest.update(name.encode() + sha256(data).digest())
    return Summary(
        cause=made.facts.cause,
        pattern=made.facts.finding.pattern,
        images=len(made.pictures),
        hostile=made.hostile_file is not None,
        digest=digest.digest(),
    )


def each(
    make: Callable[[int], Made], count: int, processes: int | None
) -> Generator[Made, None, None]:
    """`make(number)` of every case, in order, whatever the number of processes (None: all cores); only
    a few are made before they are asked for."""
    wanted = min(processes or cpu_count() or 1, count)
    with _pool(wanted) as pool:
        ahead: deque[Future[Made]] = deque()
        for number in range(count):
            ahead.append(_submitted(pool, make, number))
            if len(ahead) > AHEAD_CASES * wanted:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _submitted(pool: ProcessPoolExecutor, make: Callable[[int], Made], number: int) -> Future[Made]:
    """A process that is started for it inherits what is blocked: Ctrl-C is for its caller alone."""
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        return pool.submit(make, number)
    finally:
        pthread_sigmask(SIG_SETMASK, before)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """What was not begun is dropped when its caller stops."""
    pool = ProcessPoolExecutor(processes, get_context("spawn"), cv2.setNumThreads, (1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _written(plan: Plan, done: list[Summary]) -> Written:
    return Written(
        notice=NOTICE["en"],
        generator=VERSION,
        mode=plan.mode,
        difficulty=plan.hardness,
        seed=plan.seed,
        cases=len(done),
        images=sum(one.images for one in done),
        hostile=sum(one.hostile for one in done),
        causes=dict(sorted(Counter(one.cause for one in done).items())),
        patterns=dict(sorted(Counter(one.pattern for one in done).items())),
        oracle_auroc=round(oracle_auroc(plan), 4),
        pattern_auroc=round(pattern_auroc(plan), 4),
        ceiling_auroc=round(ceiling_auroc(plan), 4),
        digest=sha256(b"".join(one.digest for one in done)).hexdigest(),
    )


def _readme(written: Written) -> str:
    return f"""# {NOTICE["en"]}

{NOTICE["ru"]}

{written.cases} made-up cases by {written.generator}, mode `{written.mode}`, difficulty \
{written.difficulty:g}, seed {written.seed}. No patient is in here: heads are formulas, names are \
fictional and say so. Frequencies were chosen by a developer after published odds ratios; nothing \
learnt or measured here says anything about patients.

`cases/NNNNNN/` has the files as a clinician would send them, `NN.truth.png` beside each (black
outside a head, grey head, red acute lesion) and `{CASE_FILE}`. `hostile-*` are files that should be
refused. Best AUROC from pattern and atrial fibrillation: {written.oracle_auroc:.3f}.
"""
