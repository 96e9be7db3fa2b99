"""The lines of a case's card: what was received, predicted, advised and told."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import assert_never
from uuid import UUID

from domain import advice
from domain.case import (
    Case,
    ImageQuarantined,
    ImageRejected,
    Label,
    Opinion,
    PredictionDeclined,
    PredictionProduced,
)
from domain.examination import Examination, Text
from domain.identity import case_code
from workers.modalities import coaching_key
from workers.texts import plainly, say, spoken

Catalogue = Mapping[UUID, Examination]

NAME_UNITS_MAX = 72
TOP_EXAMINATIONS = 3
WORK_UP_EXAMINATIONS = 5
PROBLEMS_MAX = 4
PROBLEMS_BESIDE_AN_ANSWER_MAX = 1
NUMBERS_MAX = 5
VERY_LIKELY_PERMILLE, LIKELY_PERMILLE = 850, 650
BAR_DOTS = 10


def card_lines(
    case: Case, catalogue: Catalogue, language: str, collecting_only: bool
) -> Iterator[str]:
    """Top to bottom; `collecting_only` says that no model answers here today."""
    if case.prediction is None:
        yield from _progress(case, language, collecting_only)
    else:
        yield from _answered(case, catalogue, language)
        if not collecting_only and _overtaken(case):
            yield say(language, "updating", count=len(case.images), ready=len(case.usable))
        else:
            yield from _problems(case, language, PROBLEMS_BESIDE_AN_ANSWER_MAX)
    yield from _told(case, language)
    if case.prediction is not None:
        yield say(language, "research")


def _progress(case: Case, language: str, collecting_only: bool) -> Iterator[str]:
    yield say(language, "header", code=code_of(case))
    yield say(language, "progress", count=len(case.images), ready=len(case.usable))
    yield from _problems(case, language, PROBLEMS_MAX)
    if not case.usable and not case.waiting:
        yield say(language, "unusable")
    elif not collecting_only:
        yield say(language, "analysing")
    elif not case.waiting:
        yield say(language, "collected")


# What the model said


def _answered(case: Case, catalogue: Catalogue, language: str) -> Iterator[str]:
    prediction = case.prediction
    match prediction:
        case None:
            return
        case PredictionProduced() if advice.abstains(prediction):
            yield from _header(case, prediction, language)
            yield say(language, "abstain")
            yield from _examinations(case, catalogue, language, WORK_UP_EXAMINATIONS)
        case PredictionProduced():
            yield from _header(case, prediction, language)
            yield from _causes(prediction, language)
            yield say(language, "next")
            yield from _examinations(case, catalogue, language, TOP_EXAMINATIONS)
        case PredictionDeclined():
            yield say(language, "header", code=code_of(case))
            yield say(language, f"declined-{prediction.reason}")
            yield from _examinations(case, catalogue, language, WORK_UP_EXAMINATIONS)
        case _:
            assert_never(prediction)


def _header(case: Case, prediction: PredictionProduced, language: str) -> Iterator[str]:
    """Which case, and what answered it: a synthetic model says so first of all."""
    model, count = prediction.model_sha256[:8], len(prediction.inputs)
    yield say(language, "header-answer", code=code_of(case), model=model, count=count)
    if prediction.role == "demo":
        yield say(language, "demo")


def _causes(prediction: PredictionProduced, language: str) -> Iterator[str]:
    """The likely cause as a word and as a frequency with its interval, and the cause behind it."""
    tell = partial(say, language)
    (cause, permille), *others = prediction.ranked
    dots = min(_out_of_ten(permille), BAR_DOTS - 1)
    bar = "▮" * dots + "▯" * (BAR_DOTS - dots)
    low, high = (round(bound / 10) for bound in prediction.interval)
    yield tell("likely", word=_likelihood(permille), cause=plainly(language, f"cause-{cause}"))
    yield tell("frequency", bar=bar, n=_out_of_ten(permille), low=low, high=high)
    for other, share in others[:1]:
        yield tell("second", cause=capital(language, f"cause-{other}"), n=_out_of_ten(share))


def _examinations(case: Case, catalogue: Catalogue, language: str, count: int) -> Iterator[str]:
    chosen = advice.choose(catalogue, case.prediction, case.af)
    for number, row in enumerate(chosen[:count], 1):
        if (text := catalogue[row.id].text) is not None:
            name = _cut(within(language, text.name))
            yield say(language, "examination-short", number=number, name=name)


def _overtaken(case: Case) -> bool:
    """The answer was given for other images, or before atrial fibrillation was told about."""
    said = case.prediction
    if said is None or not case.usable:
        return False
    return bool(case.waiting) or (said.inputs, said.af) != (case.inputs, case.af)


def _out_of_ten(permille: int) -> int:
    return round(permille / 100)


def _likelihood(permille: int) -> str:
    if permille >= VERY_LIKELY_PERMILLE:
        return "very"
    return "likely" if permille >= LIKELY_PERMILLE else "slightly"


# What is wrong with images


def _problems(case: Case, language: str, lines_max: int) -> Iterator[str]:
    """One line per reason, naming the images it concerns and what to do better."""
    by_advice = _numbers_by_advice(case)
    for advice_key, numbers in islice(by_advice.items(), lines_max):
        listed = ", ".join(map(str, numbers[:NUMBERS_MAX]))
        if len(numbers) > NUMBERS_MAX:
            listed += "…"
        coaching = plainly(language, advice_key)
        yield say(language, "problem", count=len(numbers), numbers=listed, coaching=coaching)
    unnamed = sum(len(numbers) for numbers in islice(by_advice.values(), lines_max, None))
    if unnamed:
        yield say(language, "problems-more", count=unnamed)


def _numbers_by_advice(case: Case) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, image in enumerate(case.images.values(), 1):
        match image.outcome:
            case ImageRejected(reason=reason):
                found.setdefault(coaching_key(reason), []).append(number)
            case ImageQuarantined(reason=reason, modality=modality):
                found.setdefault(coaching_key(reason, modality), []).append(number)
    return found


# What the clinician told


def _told(case: Case, language: str) -> Iterator[str]:
    """The final cause once it is known, until then what is thought; other cases of the patient."""
    if case.label is not None:
        yield _final_cause(case.label, language)
    elif case.opinion is not None:
        yield say(language, "your-opinion", opinion=_opinion(case.opinion.opinion, language))
    if case.linked:
        codes = ", ".join(case_code(other) for other in case.linked[:NUMBERS_MAX])
        more = "…" if len(case.linked) > NUMBERS_MAX else ""
        yield say(language, "same-patient", codes=codes + more)


def _opinion(opinion: Opinion, language: str) -> str:
    match opinion:
        case "agree" | "unsure":
            return plainly(language, f"opinion-{opinion}")
        case _:
            return plainly(language, f"cause-{opinion}")


def _final_cause(label: Label, language: str) -> str:
    cause = plainly(language, f"cause-{label.cause}")
    evidence = ", ".join(plainly(language, f"evidence-{found}") for found in label.evidence)
    return say(language, "final-cause", cause=cause, evidence=evidence, level=label.level)


# Words


def capital(language: str, key: str) -> str:
    text = plainly(language, key)
    return text[:1].upper() + text[1:]


def within(language: str, text: Text) -> str:
    """A catalogue text in the reader's language."""
    return text.ru if spoken(language) == "ru" else text.en


def code_of(case: Case) -> str:
    return case.opened.code if case.opened else ""


def _cut(name: str) -> str:
    """At most `NAME_UNITS_MAX` UTF-16 units, the measure of messengers."""
    units = name.encode("utf-16-le")
    if len(units) <= 2 * NAME_UNITS_MAX:
        return name
    return units[: 2 * NAME_UNITS_MAX - 2].decode("utf-16-le", errors="ignore") + "…"
