"""A report as one page to read: verdicts, curves, slices. Nothing is fetched, and there are no scripts."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from training.testing.acceptance import Verdict
from training.testing.figures import Figure
from training.testing.run import Report
from training.testing.slices import Slice

SIDE: Final = 240
BAR_WIDTH, BAR_HEIGHT, NAME_WIDTH = 360, 22, 200
DOT_MIN, DOT_MAX = 2.0, 6.0


def page_html(report: Report) -> str:
    fails = [verdict for verdict in report.verdicts if not verdict.holds]
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(report.name)} {escape(report.version)}: test</title>
<style>
{style}
</style>
</head>
<body>
<h1>{escape(report.name)} {escape(report.version)}</h1>
<p class="verdict">{_verdict(report, fails)}</p>
<p class="quiet">{escape(report.notice)}</p>
{_said("Alarms", report.alarms)}
{_said("Warnings", report.warnings)}
<h2>Limits</h2>
{_table(("figure", "limit", "measured", ""), map(_limit, report.verdicts))}
<h2>Curves</h2>
<div class="plots">
{_roc(report)}
{_reliability(report.reliability)}
</div>
<h2>Slices</h2>
{_bars(report.slices, report.figures["auroc"])}
{_table(("slice", "", "cases", "cardioembolic", "AUROC", "best"), map(_slice, report.slices))}
<h2>All figures</h2>
{_table(("figure", "measured"), ((name, _number(value)) for name, value in report.figures.items()))}
<h2>On what</h2>
{_table(("", ""), _sources(report))}
</body>
</html>
"""


def _verdict(report: Report, fails: Sequence[Verdict]) -> str:
    if report.passed:
        return "Passed: every limit holds, no alarm."
    reasons = [verdict.name for verdict in fails] + (["an alarm"] if report.alarms else [])
    return f'<span class="fails">Not passed: {escape(", ".join(reasons))}.</span>'


def _said(heading: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    return f"<h2>{heading}</h2>\n" + "\n".join(f"<p>{escape(each)}.</p>" for each in sentences)


def _limit(verdict: Verdict) -> tuple[str, str, str, str]:
    word = "holds" if verdict.holds else "fails"
    if verdict.figure is None:
        word = "not required" if verdict.holds else "not measured"
    return verdict.name, verdict.limit, _number(verdict.figure), word


def _slice(part: Slice) -> tuple[str, ...]:
    shown = "too few" if part.auroc is None else f"{part.auroc:.3f}"
    best = "" if part.best is None else f"{part.best:.3f}"
    return part.by, part.name, str(part.cases), str(part.positive), shown, best


def _sources(report: Report) -> list[tuple[str, str]]:
    return [
        ("bundle", report.manifest_sha256),
        ("dataset", report.dataset_root),
        ("split", report.split),
        ("limits", report.acceptance_sha256),
        *((name, str(value)) for name, value in report.dataset.items()),
    ]


def _number(figure: Figure) -> str:
    return "not measured" if figure is None else f"{figure:g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


# Plots: squares of SIDE units, 0 to 1 on both axes


def _roc(report: Report) -> str:
    curve = f'<polyline class="curve" points="{_points(report.roc)}"/>'
    low, value, high = (report.figures[name] for name in ("auroc_low", "auroc", "auroc_high"))
    told = f"ROC: AUROC {_number(value)} ({_number(low)} to {_number(high)})"
    return _plot(told, "1 − specificity", "sensitivity", curve)


def _reliability(bins: Sequence[tuple[float, float, int]]) -> str:
    most = max(count for _, _, count in bins)
    dots = "".join(
        f'<circle class="dot" cx="{x * SIDE:.1f}" cy="{(1 - y) * SIDE:.1f}" r="{_radius(count, most):.1f}"/>'
        for x, y, count in bins
    )
    return _plot("Reliability: bins of equally many cases", "said", "was so", dots)


def _radius(count: int, most: int) -> float:
    return DOT_MIN + (DOT_MAX - DOT_MIN) * count / most


def _plot(caption: str, across: str, up: str, drawn: str) -> str:
    return f"""<figure>
<svg viewBox="-24 -8 {SIDE + 34} {SIDE + 34}" role="img" aria-label="{escape(caption)}">
<rect class="axis" width="{SIDE}" height="{SIDE}"/>
<line class="chance" x1="0" y1="{SIDE}" x2="{SIDE}" y2="0"/>
{drawn}
<text x="{SIDE / 2}" y="{SIDE + 20}" text-anchor="middle">{escape(across)}</text>
<text transform="translate(-10 {SIDE / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text>
</svg>
<figcaption>{escape(caption)}</figcaption>
</figure>"""


def _points(curve: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x * SIDE:.1f},{(1 - y) * SIDE:.1f}" for x, y in curve)


def _bars(parts: Sequence[Slice], overall: Figure) -> str:
    """AUROC of each slice that is large enough, from 0.5 to 1; the line is all cases."""
    known = [(part, part.auroc) for part in parts if part.auroc is not None]
    if not known or overall is None:
        return '<p class="quiet">Every slice is too small to be measured.</p>'
    height = BAR_HEIGHT * len(known)
    bars = "\n".join(_bar(at, part, auroc) for at, (part, auroc) in enumerate(known))
    line = _across(overall)
    return f"""<svg viewBox="0 0 {NAME_WIDTH + BAR_WIDTH + 50} {height + 20}" role="img"
 aria-label="AUROC by slice">
{bars}
<line class="chance" x1="{line:.1f}" y1="0" x2="{line:.1f}" y2="{height}"/>
<text x="{line:.1f}" y="{height + 14}" text-anchor="middle">all cases</text>
</svg>"""


def _bar(at: int, part: Slice, auroc: float) -> str:
    top = at * BAR_HEIGHT
    end = max(_across(auroc), NAME_WIDTH)
    return (
        f'<text x="{NAME_WIDTH - 8}" y="{top + 14}" text-anchor="end">'
        f"{escape(f'{part.by}: {part.name}')}</text>"
        f'<rect class="bar" x="{NAME_WIDTH}" y="{top + 4}" width="{end - NAME_WIDTH:.1f}"'
        f' height="{BAR_HEIGHT - 8}"/>'
        f'<text x="{end + 6:.1f}" y="{top + 14}">{auroc:.2f}</text>'
    )


def _across(auroc: float) -> float:
    return NAME_WIDTH + BAR_WIDTH * (auroc - 0.5) / 0.5
