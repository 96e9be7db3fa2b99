"""Fainter letters are found along the line of certain ones, and nowhere else."""

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from training.overlays.viewers import LAYOUTS, screen
from workers.ingest import anatomy, text, text_lines
from workers.ingest.pipeline import steps_of
from workers.pixels import Gray

AREA = np.zeros((200, 600, 3), np.uint8)
LINE_ROW, LETTER = 40, (10, 6)
"""At half size: the row that a line of made-up letters lies in, their height and width."""


def letters(columns: list[int], level: float, row: int = LINE_ROW) -> NDArray[np.float32]:
    """Logits, half the size of AREA, of letters in a row; -9 elsewhere."""
    logits = np.full((100, 300), -9, np.float32)
    for column in columns:
        logits[row : row + LETTER[0], column : column + LETTER[1]] = level
    return logits


def found(monkeypatch: pytest.MonkeyPatch, *parts: NDArray[np.float32]) -> Gray:
    """Ink in AREA if the looks agreed on these letters."""
    logits = np.max(parts, axis=0)
    monkeypatch.setattr(text_lines, "agreed", lambda area: logits)
    return text_lines.followed(AREA)


def test_faint_letters_beside_a_certain_one_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    faint = letters([132, 144, 156], -4)
    ink = found(monkeypatch, letters([120], 3), faint)
    assert ink[faint > -9].all()


def test_a_line_is_followed_from_letter_to_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    faint = letters(list(range(60, 200, 30)), -4)
    assert found(monkeypatch, letters([40], 3), faint)[faint > -9].all()


def test_faint_ink_in_no_line_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    certain, elsewhere = letters([120], 3), letters([120, 132], -4, row=70)
    ink = found(monkeypatch, certain, elsewhere)
    assert ink[certain > 0].all()
    assert not ink[elsewhere > -9].any()


def test_faint_ink_alone_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not found(monkeypatch, letters([120, 132, 144], -4)).any()


def test_a_line_whose_end_fades_is_blanked_beyond_it_and_another_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = letters([60, 70, 80, 90], 5)
    fading = found(monkeypatch, begin, letters([100, 110], -2))
    beyond = np.s_[LINE_ROW + 4 : LINE_ROW + 6, 122:140]
    assert fading[beyond].all()
    assert not fading[:, :55].any()
    assert not found(monkeypatch, begin)[beyond].any()


def test_a_spot_does_not_fade_like_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    spot = letters([120, 126], 1)
    assert (found(monkeypatch, spot) == (spot > 0)).all()


def test_a_corridor_slants_as_its_line_does() -> None:
    ink = np.zeros((200, 300), np.uint8)
    cv2.line(ink, (100, 100), (160, 106), 1, 8)
    where = text_lines.corridors(ink)
    assert where[110, 195]
    assert not where[100, 195]
    assert where[97, 70]


def test_a_line_in_which_nothing_is_clear_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clear, doubtful = letters([60, 72, 84], 0), letters([60, 72, 84], -1, row=70)
    ink = found(monkeypatch, clear, doubtful)
    assert ink[clear > -9].all()
    assert not ink[doubtful > -9].any()


def test_looks_agree_on_the_mean_of_what_they_see() -> None:
    drawn = screen("test", LAYOUTS["test"]["quarters"], default_rng(2)).canvas[:301, :401]
    looks = [text_lines.looked(drawn, look) for look in text_lines.LOOKS]
    assert {each.shape for each in looks} == {(151, 201)}
    assert np.allclose(text_lines.agreed(drawn), sum(looks) / 3, atol=1e-4)


def test_what_an_enlarged_look_sees_lies_where_it_is() -> None:
    area = np.full((301, 401, 3), 90, np.uint8)
    cv2.putText(area, "TEST 4711", (120, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (250,) * 3)
    ink = cv2.resize(area[..., 0], (201, 151), interpolation=cv2.INTER_AREA) > 110
    for look in text_lines.LOOKS:
        found = text_lines.looked(area, look) > 0
        assert found[ink].mean() > 0.8
        assert not found[:60].any()
        assert not found[:, :50].any()


@pytest.mark.parametrize("number", range(6))
def test_lines_on_heads_are_blanked(number: int) -> None:
    drawn = screen("test", list(LAYOUTS["test"].values())[number], default_rng([43, number]))
    mask = anatomy.find(drawn.canvas)
    left = mask & (1 - text_lines.find(drawn.canvas, mask))
    on_head = [n for n, line in enumerate(drawn.lines, 1) if line.on_head]
    assert sum(left[drawn.ink == n].mean() > 0.02 for n in on_head) <= 0.02 * len(on_head) + 0.5


def test_nothing_is_found_where_no_head_is() -> None:
    blank = np.zeros((300, 300), np.uint8)
    assert not text_lines.find(np.zeros((300, 300, 3), np.uint8), blank).any()


def test_a_profile_names_the_nets_of_its_steps() -> None:
    assert {text.stamp(net) for net in text_lines.NETS} <= set(steps_of("ingest-3"))
    assert not {text.stamp(net) for net in text.SHA256} & set(steps_of("ingest-1"))
