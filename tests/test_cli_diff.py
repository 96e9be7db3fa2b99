"""`ictus dataset diff` between moments of a real ledger and a folder built from it."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from commands import objects
from ictus.wiring import House, open_house
from tests.commandline import Ictus
from tests.givens import Given


async def keep(house: House, given: Given) -> None:
    """The pictures as ingest would have stored them."""
    for (case, _), data in given.objects.items():
        await objects.store(house.blobs, house.books.vault, UUID(case), data)


@pytest.fixture
async def moments(furnished: Ictus) -> tuple[int, int]:
    """Two answered cases; then one is labelled and the other withdrawn."""
    async with open_house(furnished.settings, "test") as house:
        given = Given(house.books.ledger)
        by = await given.person()
        labelled, withdrawn = await given.answered_case(by), await given.answered_case(by)
        await keep(house, given)
        before = (await house.books.ledger.head()).sequence
        await given.labelled(labelled)
        await given.withdrawn(withdrawn)
        return before, (await house.books.ledger.head()).sequence


def test_every_changed_row_names_the_events_that_did_it(
    furnished: Ictus, moments: tuple[int, int]
) -> None:
    before, after = map(str, moments)
    found = furnished.json("dataset", "diff", before, after)
    assert [found[word] for word in ("added", "removed", "changed", "unexplained")] == [0, 1, 1, 0]
    causes = {row["kind"]: [cause["type"] for cause in row["causes"]] for row in found["rows"]}
    assert causes == {
        "changed": ["ictus.case.label-confirmed.v1"],
        "removed": ["ictus.case.withdrawn.v1"],
    }
    shown = furnished("dataset", "diff", before, after)
    assert "label-confirmed" in shown.stdout
    assert "0 added, 1 removed, 1 changed, 0 unchanged, 0 unexplained" in shown.stderr


def test_a_folder_stands_for_the_moment_it_was_built_of(
    furnished: Ictus, moments: tuple[int, int], tmp_path: Path
) -> None:
    before, after = map(str, moments)
    folder = tmp_path / "built"
    built = furnished.json("dataset", "build", "--out", str(folder), "--as-of", before)
    found = furnished.json("dataset", "diff", str(folder), after)
    assert (found["root_a"], found["a"]["as_of"]) == (built["root"], int(before))
    assert found == furnished.json("dataset", "diff", before, after)


@pytest.mark.parametrize(
    ("field", "value", "code", "word"),
    [
        ("root", "0" * 64, 4, "has the root"),
        ("ledger", "00000000-0000-4000-8000-000000000001", 5, "ledger"),
        ("projector", "rows@1", 5, "build it anew"),
    ],
)
def test_a_folder_that_this_ledger_does_not_give_is_refused(
    furnished: Ictus, tmp_path: Path, field: str, value: str, code: int, word: str
) -> None:
    folder = tmp_path / "built"
    furnished.json("dataset", "build", "--out", str(folder))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {field: value}))
    done = furnished("dataset", "diff", str(folder), "1")
    assert (done.returncode, word in done.stderr) == (code, True), done.stderr


def test_what_is_neither_moment_nor_folder_is_told(furnished: Ictus, tmp_path: Path) -> None:
    assert furnished("dataset", "diff", "1", "yesterday").returncode == 2
    assert furnished("dataset", "diff", "1", "9999").returncode == 5
    assert furnished("dataset", "diff", "1", str(tmp_path)).returncode == 4
