"""A manifest of existing cases: a CSV file (UTF-8, commas, a header), one row per case.

Reads all of it before anything is done with it, and tells every mistake by its line and column.
The columns are told in docs/import.md.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec import Struct

from commands.imports import Existing, Label
from commands.ports import Missing
from domain.case import Fact
from domain.stroke import (
    BANDS,
    CAUSES,
    CONFIDENCES,
    CONTEXT,
    EVIDENCE,
    INSTRUMENTAL,
    LEVEL_INSTRUMENTAL,
    LEVELS,
    MODALITIES,
    NUMBERS_MAX,
    STAGES,
    Modality,
    band,
    label_level,
)

REQUIRED = ("case", "site", "images")
LABEL = ("rater", "level", "evidence", "stage", "confidence", "labelled_on")
COLUMNS = (*REQUIRED, "patient", "modality", "taken_on", "cause", *LABEL, *CONTEXT)
SEPARATOR = ";"

MANIFEST_BYTES_MAX = 64_000_000
CELL_CHARACTERS_MAX = 10_000
IMAGES_MAX = 100
MISTAKES_TOLD_MAX = 20

W = TypeVar("W", bound=str)


class BadManifest(Exception):
    """The manifest cannot be understood; the message says where, and how to mend it."""


class Row(Struct, frozen=True, kw_only=True):
    """One case, from line `line` on; `images` are paths below the images' folder."""

    line: int
    existing: Existing
    images: tuple[tuple[str, Modality], ...]


def read_manifest(path: Path) -> list[Row]:
    """All rows in order. Raises BadManifest, and Missing when there is no such file."""
    if not path.is_file():
        raise Missing(f"there is no manifest {path}")
    if path.stat().st_size > MANIFEST_BYTES_MAX:
        raise BadManifest(f"{path.name} has more than {MANIFEST_BYTES_MAX} bytes: cut it")
    return Reader(path.name).read(path.read_bytes())


class Reader:
    """Reads one manifest and gathers what is wrong with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._mistakes: list[str] = []

    def read(self, data: bytes) -> list[Row]:
        lines = self._lines(self._text(data))
        _, header = next(lines, (1, []))
        self._check_header(header)
        cells = [Cells(line, self._row(line, header, row), self._mistakes) for line, row in lines]
        self._check_twice(cells)
        rows = [_row(each) for each in cells]
        self._raise_mistakes()
        if not rows:
            raise self._bad("has no row below its header")
        return rows

    def _text(self, data: bytes) -> str:
        how = "save it as `CSV UTF-8`"
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self._bad(f"is UTF-16, not UTF-8: {how}")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            byte = f"0x{data[error.start]:02x}"
            raise self._bad(f"is not UTF-8: byte {byte} in line {line}; {how}") from None

    def _lines(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Rows that are not empty, each with the line it begins in."""
        csv.field_size_limit(CELL_CHARACTERS_MAX)
        reader = csv.reader(StringIO(text, newline=""), strict=True)
        begins = 1
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield begins, [cell.strip() for cell in row]
                begins = reader.line_num + 1
        except csv.Error as error:
            raise self._bad(f"line {begins}: {error}; is a quote open, or left inside?") from None

    def _check_header(self, header: Sequence[str]) -> None:
        """A wrong header makes all else meaningless, so that it is told alone."""
        if len(header) < 2 and any(mark in "".join(header) for mark in ";\t|"):
            raise self._bad("line 1: there is no comma: save it as CSV that commas part")
        for name in header:
            if name not in COLUMNS:
                near = get_close_matches(name, COLUMNS, 1)
                guess = f" Did you mean `{near[0]}`?" if near else ""
                self._wrong(1, name, f"no such column.{guess} There are {', '.join(COLUMNS)}")
            if header.count(name) > 1:
                self._wrong(1, name, "stands there twice")
        for name in REQUIRED:
            if name not in header:
                self._wrong(1, name, "is missing")
        self._raise_mistakes()

    def _row(self, line: int, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
        if len(row) != len(header):
            hint = 'put a cell that has a comma into "quotes"'
            self._mistakes.append(
                f"line {line}: {len(row)} cells, and the header has {len(header)}: {hint}"
            )
        return dict.fromkeys(COLUMNS, "") | dict(zip(header, row, strict=False))

    def _check_twice(self, rows: Sequence["Cells"]) -> None:
        seen: dict[tuple[str, str], int] = {}
        for cells in rows:
            first = seen.setdefault((cells["site"], cells["case"]), cells.line)
            if first != cells.line and cells["case"]:
                self._wrong(cells.line, "case", f"the case of line {first} again; one row each")

    def _wrong(self, line: int, column: str, told: str) -> None:
        self._mistakes.append(f"line {line}, column `{column}`: {told}")

    def _raise_mistakes(self) -> None:
        if not self._mistakes:
            return
        told = self._mistakes[:MISTAKES_TOLD_MAX]
        left = len(self._mistakes) - len(told)
        more = [f"and {left} more"] if left else []
        raise self._bad("\n  ".join(["must be mended first; nothing was done", *told, *more]))

    def _bad(self, told: str) -> BadManifest:
        return BadManifest(f"{self._name} {told}")


class Cells:
    """One row by column; what is wrong in it is noted, and read as if it were empty."""

    def __init__(self, line: int, cells: dict[str, str], mistakes: list[str]) -> None:
        self.line, self._cells, self._mistakes = line, cells, mistakes

    def __getitem__(self, column: str) -> str:
        return self._cells[column]

    def wrong(self, column: str, told: str) -> None:
        self._mistakes.append(f"line {self.line}, column `{column}`: {told}")

    def needed(self, column: str) -> str:
        if not self[column]:
            self.wrong(column, "is empty")
        return self[column]

    def one_of(self, column: str, words: Sequence[W]) -> W | None:
        return self._known(column, self[column], words) if self[column] else None

    def several(self, column: str, words: Sequence[W]) -> tuple[W, ...]:
        found = (self._known(column, text, words) for text in self.parts(column))
        return tuple(word for word in found if word)

    def parts(self, column: str) -> list[str]:
        return [part.strip() for part in self[column].split(SEPARATOR) if part.strip()]

    def day(self, column: str) -> date | None:
        try:
            return date.fromisoformat(self[column]) if self[column] else None
        except ValueError:
            self.wrong(column, f"`{self[column]}` is no day: write it as 2024-02-29")
            return None

    def _known(self, column: str, text: str, words: Sequence[W]) -> W | None:
        if text not in words:
            self.wrong(column, f"`{text}` is none of {', '.join(words)}")
        return next((word for word in words if word == text), None)


def _row(cells: Cells) -> Row:
    existing = Existing(
        site=cells.needed("site"),
        key=cells.needed("case"),
        patient=cells["patient"],
        taken=cells.day("taken_on"),
        facts=tuple(_facts(cells)),
        label=_label(cells),
    )
    return Row(line=cells.line, existing=existing, images=tuple(_images(cells)))


def _images(cells: Cells) -> Iterator[tuple[str, Modality]]:
    cells.needed("images")
    files = cells.parts("images")
    modalities = cells.several("modality", MODALITIES) or ("mri",)
    if len(modalities) == 1:
        modalities = modalities * len(files)
    if len(modalities) != len(files):
        cells.wrong("modality", f"one word for all images, or {len(files)} of them")
    if len(files) > IMAGES_MAX:
        cells.wrong("images", f"{len(files)} images, and a case has {IMAGES_MAX} at most")
    for file, modality in zip(files, modalities, strict=False):
        _check_path(cells, file)
        yield file, modality


def _check_path(cells: Cells, file: str) -> None:
    path = PurePosixPath(file)
    if "\\" in file:
        cells.wrong("images", f"`{file}`: write / instead of \\")
    elif path.is_absolute() or ".." in path.parts:
        cells.wrong("images", f"`{file}` must lie below the folder that --images names")


def _facts(cells: Cells) -> Iterator[Fact]:
    for code, answers in CONTEXT.items():
        text = cells[code]
        if number := _number(code, text):
            yield Fact(code, number)
        elif text in answers:
            yield Fact(code, text)
        elif text:
            bound = f", or a number up to {NUMBERS_MAX[code]}" if code in BANDS else ""
            cells.wrong(code, f"`{text}` is none of {', '.join(answers)}{bound}")


def _number(code: str, text: str) -> str | None:
    """The band of a whole number; the number itself goes no further."""
    if code not in BANDS or not (text.isascii() and text.isdigit()):
        return None
    return band(code, int(text)) if int(text) <= NUMBERS_MAX[code] else None


def _label(cells: Cells) -> Label | None:
    cause = cells.one_of("cause", CAUSES)
    if cause is None:
        if not cells["cause"]:
            for column in LABEL:
                if cells[column]:
                    cells.wrong("cause", f"is empty, and `{column}` is not")
        return None
    evidence = cells.several("evidence", EVIDENCE)
    level = cells.one_of("level", [str(level) for level in LEVELS])
    if level == str(LEVEL_INSTRUMENTAL) and not INSTRUMENTAL & set(evidence):
        shown = ", ".join(sorted(INSTRUMENTAL))
        cells.wrong("level", f"2 is what an instrument shows: `evidence` names one of {shown}")
    if not cells["rater"]:
        cells.wrong("rater", "is empty, and `cause` is not: any pseudonym will do")
    return Label(
        cause=cause,
        level=int(level) if level else label_level(evidence),
        evidence=evidence,
        rater=cells["rater"],
        stage=cells.one_of("stage", STAGES),
        confidence=cells.one_of("confidence", CONFIDENCES),
        at=cells.day("labelled_on"),
    )
