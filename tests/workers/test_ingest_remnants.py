"""What is left after lines were blanked is doubted where two nets agree, and nowhere else."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workers.pictures import scan
from workers.ingest import anatomy, text
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import look, steps_of

SPOT = np.s_[150:156, 150:180]
"""At half size, in the middle of the head."""
CANVAS = np.asarray(scan(700, 700).convert("RGB"))


def outcome(monkeypatch: pytest.MonkeyPatch, profile: str, **levels: float) -> Ingested | Refused:
    """Of a picture on which these nets have this logit in the middle, and all others see nothing."""

    def seen(net: text.Net, area: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = np.full([(side + 1) // 2 for side in area.shape[:2]], -9, np.float32)
        logits[SPOT] = levels.get(net, -9)
        return logits

    monkeypatch.setattr(text, "seen", seen)
    return look(Pixels(*CANVAS.shape[:2], CANVAS.tobytes(), False, {}), profile=profile).outcome


DOUBTED = Refused("quarantined", "text-remains")


def test_what_both_nets_see_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    level = text.AGREED_LEFT.logit
    assert outcome(monkeypatch, "ingest-3", residual=level, remnant=level) == DOUBTED


def test_what_one_net_alone_takes_for_text_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(outcome(monkeypatch, "ingest-3", residual=1), Ingested)
    assert isinstance(outcome(monkeypatch, "ingest-3", remnant=1), Ingested)


def test_one_net_that_is_very_sure_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(monkeypatch, "ingest-3", residual=6) == DOUBTED


def test_the_profile_before_asks_its_one_net(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(monkeypatch, "ingest-2", residual=0, remnant=-9) == DOUBTED
    assert isinstance(outcome(monkeypatch, "ingest-2", residual=-1, remnant=9), Ingested)
    assert text.stamp("remnant") in steps_of("ingest-3")
    assert text.stamp("remnant") not in steps_of("ingest-2")


@pytest.mark.parametrize("size", [(14, 22), (30, 260), (26, 90)])
def test_a_blanked_box_alone_raises_no_doubt(size: tuple[int, int]) -> None:
    mask = anatomy.find(CANVAS)
    found = np.zeros_like(mask)
    cv2.rectangle(found, (240, 340), (240 + size[1], 340 + size[0]), (1,), cv2.FILLED)
    assert not text.remains(CANVAS, mask, found & mask, text.DOUBTERS, text.AGREED_LEFT)


def test_a_line_that_is_left_beside_a_blanked_one_is_seen() -> None:
    canvas = CANVAS.copy()
    for row in (300, 380):
        cv2.putText(canvas, "TEST PATIENT 0042", (180, row), 0, 0.9, (235, 235, 235), 2)
    mask = anatomy.find(canvas)
    found = np.zeros_like(mask)
    found[270:312, 170:500] = 1
    assert text.remains(canvas, mask, found & mask, text.DOUBTERS, text.AGREED_LEFT)
