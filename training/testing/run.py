"""One test of a bundle on a verified dataset: from a folder to a report that is held to its limits."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from projections.rows import Split
from training.dataset import Dataset
from training.testing import measures
from training.testing.acceptance import Acceptance, Verdict, verdicts
from training.testing.cases import Judged, judged, labelled
from training.testing.figures import Figure, measured, table_of
from training.testing.invariances import changes
from training.testing.pointing import pointed
from training.testing.slices import Slice
from training.testing.truth import read_truth
from workers.inference.classifier import Classifier
from workers.inference.manifest import MANIFEST_FILE, BundleRefused, read_file

REPORT_FILE: Final = "report.json"


class CannotTest(Exception):
    """There is too little to test with; the message says what."""


class Report(Struct, frozen=True, kw_only=True):
    """What a bundle showed, on which rows, by which rules. `roc` has false positive rate and
    sensitivity, `reliability` mean score, share of positives and cases of each bin."""

    name: str
    version: str
    manifest_sha256: str
    synthetic: bool
    notice: str
    dataset_root: str
    dataset: dict[str, Any]
    split: Split
    acceptance_sha256: str
    passed: bool
    figures: dict[str, Figure]
    verdicts: list[Verdict]
    alarms: list[str]
    warnings: list[str]
    slices: list[Slice]
    roc: list[tuple[float, float]]
    reliability: list[tuple[float, float, int]]


def examined(
    bundle: Path,
    dataset: Dataset,
    acceptance: Acceptance,
    split: Split = "test",
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Raises BundleRefused, CannotTest, AcceptanceRefused. `told` hears of every case done."""
    classifier = Classifier.load(bundle)
    cases = _judged(classifier, dataset, split, told)
    outcome = measured(
        cases,
        read_truth(dataset.folder),
        changes(classifier, dataset, cases),
        pointed(classifier, dataset, cases),
        dataset.manifest.spec,
        unseen=len(labelled(dataset, split)) - len(cases),
    )
    held = verdicts(acceptance, outcome.figures)
    table, manifest = table_of(cases), classifier.manifest
    false, sensitivity, _ = measures.roc(table.positive, table.score)
    return Report(
        name=manifest.name,
        version=manifest.version,
        manifest_sha256=sha256((bundle / MANIFEST_FILE).read_bytes()).hexdigest(),
        synthetic=manifest.synthetic,
        notice=manifest.notice.get("en", ""),
        dataset_root=dataset.manifest.root,
        dataset=dataset.manifest.spec,
        split=split,
        acceptance_sha256=acceptance.sha256,
        passed=held_to(held, outcome.alarms),
        figures=outcome.figures,
        verdicts=held,
        alarms=outcome.alarms,
        warnings=outcome.warnings,
        slices=outcome.slices,
        roc=[(float(x), float(y)) for x, y in zip(false, sensitivity, strict=True)],
        reliability=measures.reliability(table.positive, table.score),
    )


def write_report(report: Report, folder: Path) -> Path:
    """Beside the bundle, which from then on carries it."""
    file = folder / REPORT_FILE
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return file


def read_report(folder: Path) -> Report | None:
    """The report that a bundle carries, if any. Raises BundleRefused for one that cannot be read."""
    file = folder / REPORT_FILE
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(read_file(file), type=Report)
    except msgspec.DecodeError as error:
        raise BundleRefused(f"{file} is no report: {error}") from error


def held_to(held: Sequence[Verdict], alarms: Sequence[str]) -> bool:
    """Whether a test passes: there are limits, every one holds, and there is no alarm."""
    return bool(held) and all(verdict.holds for verdict in held) and not alarms


def _judged(
    classifier: Classifier, dataset: Dataset, split: Split, told: Callable[[int, int], None]
) -> Sequence[Judged]:
    total = len(labelled(dataset, split))
    cases: list[Judged] = []
    for case in judged(classifier, dataset, split):
        cases.append(case)
        told(len(cases), total)
    kinds = {case.positive for case in cases}
    if len(kinds) < 2:
        raise CannotTest(
            f"split `{split}` of {dataset.folder} has {len(cases)} cases with a cause that the model"
            " tells, confirmed by an instrument; both causes are needed"
        )
    return cases
