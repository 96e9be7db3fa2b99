"""The demo as one page: each chat as its clinician saw it, beside what was kept and recorded of it.

Nothing is fetched when it opens: styles and images are inside, and there are no scripts.
"""

import asyncio
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from domain.case import PredictionDeclined, PredictionProduced
from ictus.demo.clinician import Sent
from ictus.demo.markup import cause, images, story_html, waited
from ictus.demo.result import Result
from ictus.demo.story import Known, Story, chosen, know, tell
from ictus.demo.telegram import Telegram
from ictus.wiring import House

STORIES_MAX = 12
FIGURES = {
    "cases": "cases",
    "images": "images",
    "answered": "answered",
    "lost": "lost",
    "answered_twice": "answered twice",
    "labels_confirmed": "final causes",
    "dataset_rows": "dataset rows",
    "p50_s": "seconds, median",
    "p95_s": "seconds, 95th percentile",
}


async def write_page(
    house: House, telegram: Telegram, sent: Sequence[Sent], result: Result
) -> Path:
    """Writes `index.html` into the data directory; at most STORIES_MAX cases are told in full."""
    known = [await know(house, one) for one in sent]
    stories = [await tell(house, telegram, one) for one in chosen(known, STORIES_MAX)]
    path = house.settings.folder / "index.html"
    await asyncio.to_thread(_write, path, known, stories, result)
    return path


def _write(path: Path, known: Sequence[Known], stories: Sequence[Story], result: Result) -> None:
    path.write_text(page_html(known, stories, result, path.parent), "utf-8")


def page_html(
    known: Sequence[Known], stories: Sequence[Story], result: Result, folder: Path
) -> str:
    """The whole page about the run in the data directory `folder`."""
    codes = [escape(story.known.sent.code or "") for story in stories]
    others = [one for one in known if one not in [story.known for story in stories]]
    return Template(_file("page.html")).substitute(
        style=_file("page.css"),
        figures=_figures(result),
        root=escape(result.dataset_root),
        built="byte-identical" if result.replay_identical else "NOT identical",
        contents="\n".join(f'<a href="#{code}">{code}</a>' for code in codes),
        stories="\n".join(map(story_html, stories)),
        others=_others(others),
        example=codes[0] if codes else "CODE",
        folder=escape(_from_here(folder)),
    )


def _figures(result: Result) -> str:
    return "\n".join(
        f"<div><dd>{escape(f'{getattr(result, field):g}')}</dd><dt>{name}</dt></div>"
        for field, name in FIGURES.items()
    )


def _others(others: Sequence[Known]) -> str:
    """What is not told in full, one line each."""
    if not others:
        return ""
    rows = "\n".join(map(_other, others))
    return f"""<section class="others">
<h2>{len(others)} more</h2>
<table>
<thead><tr><th scope="col">case</th><th scope="col">clinician</th><th scope="col">images</th>
<th scope="col">prediction</th><th scope="col">final cause</th><th scope="col">waited</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</section>"""


def _other(known: Known) -> str:
    sent, label = known.sent, known.case.label
    cells = (
        escape(sent.code or "no card"),
        escape(sent.person.name),
        images(sent.photos),
        _predicted(known),
        cause(label.cause) if label else "",
        waited(sent),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _predicted(known: Known) -> str:
    match known.case.prediction:
        case PredictionProduced(chosen=(only,), ranked=ranked):
            return f"{cause(only)} {ranked[0][1] / 10:.0f} %"
        case PredictionProduced():
            return "abstains"
        case PredictionDeclined(reason=reason):
            return f"declined: {escape(reason)}"
    return ""


def _from_here(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def _file(name: str) -> str:
    return (files("ictus.demo") / name).read_text("utf-8")
