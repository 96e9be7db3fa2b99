"""A manifest is understood whole, or every mistake in it is told by its line and column."""

from datetime import date
from pathlib import Path

import pytest

from adapters import manifest
from adapters.manifest import BadManifest, Row, read_manifest
from commands.imports import Existing, Label
from commands.ports import Missing
from domain.case import Fact
from domain.stroke import CAUSES, CONFIDENCES, CONTEXT, EVIDENCE, MODALITIES, STAGES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
LEAST = "case,site,images\n"


def read(folder: Path, text: str | bytes) -> list[Row]:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifest(path)


def mistakes(folder: Path, text: str | bytes) -> str:
    with pytest.raises(BadManifest) as refused:
        read(folder, text)
    assert str(refused.value).startswith("manifest.csv ")
    return str(refused.value)


def test_a_row_holds_all_that_its_cells_say(tmp_path: Path) -> None:
    [row] = read(
        tmp_path,
        "site,case,images,modality,patient,taken_on,cause,evidence,rater,stage,confidence,"
        "labelled_on,level,af,age_band,nihss\n"
        "North,N-1, a/1.png; a/2.png ,mri-dwi;mri-adc,P,2024-02-29,cardioembolic,ecg;echo,R,"
        "discharge,probable,2024-03-09,3,yes,71,unknown\n",
    )

    assert row.line == 2
    assert row.images == (("a/1.png", "mri-dwi"), ("a/2.png", "mri-adc"))
    assert row.existing == Existing(
        site="North",
        key="N-1",
        patient="P",
        taken=date(2024, 2, 29),
        facts=(Fact("af", "yes"), Fact("age_band", "65-74"), Fact("nihss", "unknown")),
        label=Label(
            cause="cardioembolic",
            level=3,
            evidence=("ecg", "echo"),
            rater="R",
            stage="discharge",
            confidence="probable",
            at=date(2024, 3, 9),
        ),
    )


def test_the_least_row_says_nothing_but_its_images(tmp_path: Path) -> None:
    [row] = read(tmp_path, "\ufeff" + LEAST + "N-1,North,1.png\n\n,,\n")
    assert row.existing == Existing(site="North", key="N-1")
    assert row.images == (("1.png", "mri"),)


@pytest.mark.parametrize(("evidence", "level"), [("ecg", 2), ("clinical", 1), ("", 1)])
def test_without_a_level_the_evidence_decides(tmp_path: Path, evidence: str, level: int) -> None:
    header = "case,site,images,cause,rater,evidence\n"
    [row] = read(tmp_path, f"{header}1,N,1.png,small-vessel,R,{evidence}\n")
    assert row.existing.label
    assert row.existing.label.level == level


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"case,site,images\n1,N,1.png\n2,\xcf\xf0,2.png\n", "byte 0xcf in line 3; save it as"),
        ("case,site,images\n1,N,1.png\n".encode("utf-16"), "is UTF-16, not UTF-8: save it as"),
        ("case;site;images\n1;N;1.png\n", "line 1: there is no comma"),
        ("case\tsite\timages\n", "line 1: there is no comma"),
        ("", "column `case`: is missing"),
        (LEAST, "has no row below its header"),
        ("case,site,image\n1,N,1.png\n", "column `image`: no such column. Did you mean `images`?"),
        ("case,case,site,images\n", "column `case`: stands there twice"),
        (LEAST + '1,N,"1.png\n2,N,2.png\n', "line 2: unexpected end of data; is a quote open"),
        (LEAST + '1,N,"1"x.png\n', "line 2: ',' expected after '\"'"),
        (
            LEAST + "1,N\n",
            "line 2: 2 cells, and the header has 3: put a cell that has a comma into",
        ),
        (LEAST + "1,N,1.png,2.png\n", "line 2: 4 cells, and the header has 3"),
        (LEAST + ",N,1.png\n", "line 2, column `case`: is empty"),
        (LEAST + '"1\n",N,1.png\n1,N,2.png\n', "line 4, column `case`: the case of line 2 again"),
        (LEAST + "1,N,/etc/passwd\n", "`/etc/passwd` must lie below the folder"),
        (LEAST + "1,N,a/../../b.png\n", "`a/../../b.png` must lie below the folder"),
        (LEAST + "1,N,a\\b.png\n", "write / instead of \\"),
        (LEAST + f"1,N,{';'.join(f'{n}.png' for n in range(101))}\n", "101 images, and a case has"),
        (LEAST + f"1,N,{'x' * 10_001}\n", "line 2: field larger than field limit (10000)"),
    ],
)
def test_a_broken_manifest_says_where_and_how_to_mend_it(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert told in mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("cause", "cardio", "`cardio` is none of large-artery, cardioembolic"),
        ("level", "4", "`4` is none of 0, 1, 2, 3"),
        ("level", "2", "2 is what an instrument shows: `evidence` names one of ecg, echo"),
        ("evidence", "ecg;mri", "`mri` is none of ecg, echo"),
        ("rater", "", "is empty, and `cause` is not"),
        ("cause", "", "is empty, and `rater` is not"),
        ("labelled_on", "09.03.2024", "`09.03.2024` is no day: write it as 2024-02-29"),
        ("taken_on", "2024-02-30", "`2024-02-30` is no day"),
        ("stage", "exitus", "`exitus` is none of admission"),
        ("confidence", "sure", "`sure` is none of evident"),
        ("af", "maybe", "`maybe` is none of yes, no, unknown"),
        ("age_band", "130", "`130` is none of <50, 50-59, 60-64, 65-74, 75-84, 85+, unknown, or a"),
        ("nihss", "-1", "`-1` is none of 0, 1-4"),
        ("modality", "ct", "`ct` is none of mri, mri-dwi"),
        ("modality", "mri;mri;mri", "one word for all images, or 2 of them"),
    ],
)
def test_a_wrong_cell_is_told_by_line_and_column(
    tmp_path: Path, column: str, cell: str, told: str
) -> None:
    cells = {"case": "1", "site": "N", "images": "1.png;2.png"}
    cells |= {"cause": "small-vessel", "rater": "R", "evidence": "clinical"}
    cells |= {column: cell}
    text = ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"

    assert f"line 2, column `{column}`: {told}" in mistakes(tmp_path, text)


def test_every_mistake_is_told_at_once_up_to_a_limit(tmp_path: Path) -> None:
    told = mistakes(tmp_path, LEAST + "1,,1.png\n2,,2.png\n")
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == [
        "line 2, column `site`",
        "line 3, column `site`",
    ]
    many = mistakes(tmp_path, LEAST + "1,,1.png\n" * 30)
    assert many.splitlines()[-1].strip().startswith("and ")
    assert len(many.splitlines()) == 1 + manifest.MISTAKES_TOLD_MAX + 1


def test_a_manifest_that_is_not_there_is_missing_and_one_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Missing):
        read_manifest(tmp_path / "manifest.csv")
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", 10)
    assert "has more than 10 bytes: cut it" in mistakes(tmp_path, LEAST)


def test_the_document_tells_every_column_and_word() -> None:
    words = {*manifest.COLUMNS, *CAUSES, *EVIDENCE, *STAGES, *CONFIDENCES, *MODALITIES}
    words |= {answer for answers in CONTEXT.values() for answer in answers}
    assert [word for word in words if f"`{word}`" not in DOCUMENT] == []
