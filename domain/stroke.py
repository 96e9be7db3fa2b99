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
Modality = Literal[
    "mri", "mri-dwi", "mri-adc", "mri-flair", "mri-t1", "mri-t2", "ct", "ecg", "report"
]

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
ANSWERS: tuple[Answer, ...] = ("yes", "no", "unknown")
MODALITIES: tuple[Modality, ...] = ("mri", "mri-dwi", "mri-adc", "mri-flair", "mri-t1", "mri-t2")
"""What is used so far, and so may be declared; `workers.modalities` says what is done with each."""
STAGES: tuple[Stage, ...] = ("admission", "discharge", "follow-up")
CONFIDENCES: tuple[Confidence, ...] = ("evident", "probable", "possible")
PREDICTED: tuple[Cause, ...] = ("cardioembolic", "large-artery")
EVIDENCE: tuple[Evidence, ...] = ("ecg", "echo", "stenosis", "clinical")
INSTRUMENTAL: frozenset[Evidence] = frozenset({"ecg", "echo", "stenosis"})

LEVEL_OPINION, LEVEL_WORKING, LEVEL_INSTRUMENTAL, LEVEL_ADJUDICATED = LEVELS = (0, 1, 2, 3)

BANDS: dict[str, dict[int, str]] = {
    "age_band": {0: "<50", 50: "50-59", 60: "60-64", 65: "65-74", 75: "75-84", 85: "85+"},
    "nihss": {0: "0", 1: "1-4", 5: "5-15", 16: "16-20", 21: "21-42"},
}
"""Where each band begins. Numbers themselves are never kept: an exact age helps to find a person."""

NUMBERS_MAX = {"age_band": 120, "nihss": 42}

CONTEXT: dict[str, tuple[str, ...]] = {
    "af": ANSWERS,
    "age_band": (*BANDS["age_band"].values(), "unknown"),
    "sex": ("female", "male", "unknown"),
    "nihss": (*BANDS["nihss"].values(), "unknown"),
    "hypertension": ANSWERS,
    "diabetes": ANSWERS,
    "smoking": ANSWERS,
    "heart_failure": ANSWERS,
    "coronary_disease": ANSWERS,
    "earlier_stroke": ANSWERS,
}
"""What may be told beside images: every question by its code, with the answers it has."""


def band(code: str, number: float) -> str:
    """The band of `BANDS[code]` that a number, such as an age in years, lies in."""
    begun = [name for start, name in BANDS[code].items() if start <= max(number, 0)]
    return begun[-1]


def label_level(evidence: tuple[Evidence, ...]) -> int:
    """2 when an instrument supports the cause, else 1; agreeing with the model is 0 and no label."""
    return LEVEL_INSTRUMENTAL if INSTRUMENTAL & set(evidence) else LEVEL_WORKING
