"""`ictus model test` and `ictus model compare`: a bundle before anybody is answered by it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ictus.cli.errors import PRECONDITION
from ictus.cli.options import Json, put_json, put_table, tell
from ictus.cli.progress import progress
from ictus.places import prove_file

if TYPE_CHECKING:
    from training.testing.run import Report

Split = Literal["train", "validation", "test", "external"]


def examine(
    bundle: Path,
    *,
    dataset: Path,
    split: Split = "test",
    acceptance: Path | None = None,
    report: Path | None = None,
    keep: Annotated[bool, Parameter(negative="--no-keep")] = True,
    json: Json = False,
) -> None:
    """Measures a bundle and holds it to limits.

    Exits 5 when a limit does not hold or an alarm is raised.

    Parameters
    ----------
    bundle
        A folder as `ictus model register` takes it.
    dataset
        A folder as `ictus dataset build` or `ictus synth --as-dataset` writes it.
    split
        Of the dataset; the model must not have been trained on it.
    acceptance
        Limits of your own, as TOML; those that come with ictus otherwise.
    report
        Where a page with curves and slices is written.
    keep
        Writes report.json into the bundle, which carries it from then on.
    """
    from training import dataset as datasets
    from training.testing.acceptance import ACCEPTANCE_FILE, read_acceptance
    from training.testing.page import page_html
    from training.testing.run import examined, write_report

    if report:
        prove_file(report)
    limits = read_acceptance(acceptance or ACCEPTANCE_FILE)
    with progress("cases") as told:
        done = examined(bundle, datasets.read(dataset), limits, split, told)
    if keep:
        write_report(done, bundle)
    if report:
        report.write_text(page_html(done), "utf-8")
    put_json({"passed": done.passed, **done.figures, **_words(done)}) if json else _put(done)
    if not done.passed:
        raise SystemExit(PRECONDITION)


def compare(a: Path, b: Path, *, dataset: Path, split: Split = "test", json: Json = False) -> None:
    """Two bundles on the same cases.

    Paired bootstrap of AUROC, McNemar's test.

    Parameters
    ----------
    a
        A bundle's folder.
    b
        Another's.
    dataset
        A folder as `ictus dataset build` writes it.
    split
        Of the dataset; neither must have been trained on it.
    """
    from training import dataset as datasets
    from training.testing.comparing import compared
    from workers.inference.classifier import Classifier

    found = compared(
        Classifier.load(a),
        Classifier.load(b),
        datasets.read(dataset),
        split,
        lambda name: tell(f"{name} …"),
    )
    if json:
        put_json(found)
        return
    rows = [
        (found.a, found.auroc_a, found.accuracy_a),
        (found.b, found.auroc_b, found.accuracy_b),
    ]
    put_table(f"{found.cases} cases of split {split}", ("bundle", "AUROC", "accuracy"), rows)
    tell(
        f"difference of AUROC {found.difference:+.3f} ({found.difference_low:+.3f} to"
        f" {found.difference_high:+.3f}); McNemar p = {found.mcnemar_p:.3f};"
        f" {len(found.flipped)} cases flipped"
    )


def _words(report: "Report") -> dict[str, object]:
    return {
        "failed": [verdict.name for verdict in report.verdicts if not verdict.holds],
        "alarms": report.alarms,
        "warnings": report.warnings,
        "notice": report.notice,
    }


def _put(report: "Report") -> None:
    rows = [
        (v.name, v.limit, "—" if v.figure is None else f"{v.figure:g}", "" if v.holds else "FAILS")
        for v in report.verdicts
    ]
    put_table(f"{report.name} {report.version}", ("figure", "limit", "measured", ""), rows)
    for sentence in (*report.alarms, *report.warnings, report.notice):
        tell(sentence)
    tell("passed" if report.passed else "NOT PASSED")
