"""The words of stroke medicine that events use; they are stored for ever."""

from typing import Literal

Cause = Literal[
    "large-artery",
    "cardioembolic",
    "small-vessel",
    "other-determined",
    "undetermined-multiple",
    "undetermined-negative",
    "undetermined-incomplete",
    "not-a-stroke",
]
Evidence = Literal["ecg", "echo", "stenosis", "clinical"]
Stage = Literal["admission", "discharge", "follow-up"]
Confidence = Literal["evident", "probable", "possible"]
Answer = Literal["yes", "no", "unknown"]
Modality = Literal["mri", "mri-dwi", "mri-adc", "mri-flair", "mri-t1", "mri-t2"]

CAUSES: tuple[Cause, ...] = (
    "large-artery",
    "cardioembolic",
    "small-vessel",
    "other-determined",
    "undetermined-multiple",
    "undetermined-negative",
    "undetermined-incomplete",
    "not-a-stroke",
)
PREDICTED: tuple[Cause, ...] = ("cardioembolic", "large-artery")
EVIDENCE: tuple[Evidence, ...] = ("ecg", "echo", "stenosis", "clinical")
INSTRUMENTAL: frozenset[Evidence] = frozenset({"ecg", "echo", "stenosis"})

LEVEL_WORKING, LEVEL_INSTRUMENTAL = 1, 2


def label_level(evidence: tuple[Evidence, ...]) -> int:
    """2 when an instrument supports the cause, else 1; agreeing with the model is 0 and no label."""
    return LEVEL_INSTRUMENTAL if INSTRUMENTAL & set(evidence) else LEVEL_WORKING
