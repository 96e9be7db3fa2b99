"""The shipped catalogue: what it may say, and that publishing it respects what people did."""

import re

import pytest
from msgspec import ValidationError
from msgspec.structs import replace

from commands.examinations import TO_BE_VERIFIED, catalogue, parse
from domain import examination
from domain.examination import Added, Examination, Retired, Revised
from tests.made import an_id

EXPECTED = {
    *("base.ecg", "base.vessels", "base.bloods", "base.adc"),
    *("ce.telemetry", "ce.tte", "ce.tee", "ce.pfo", "ce.ilr", "ce.cardiacCT", "ce.endocarditis"),
    *("laa.duplex", "laa.intracranial", "laa.vwmri", "laa.arch", "laa.hemodynamic"),
    *("multi.other", "young"),
}
READ_BY_US = {
    *("base.ecg", "base.adc", "ce.telemetry", "ce.tte", "ce.ilr", "laa.duplex", "laa.vwmri"),
    *("laa.arch", "laa.hemodynamic", "multi.other"),
}
FORBIDDEN = re.compile(
    r"exclud|rule out|исключ|aspirin|аспирин|клопидогрел|clopidogrel|варфарин|warfarin|гепарин|"
    r"heparin|апиксабан|ривароксабан|дабигатран|\w+xaban|dabigatran|антикоагул|anticoag|антиагрег|"
    r"antiplatelet|statin|статин|тромболи|thromboly|alteplase|альтеплаз|назнач|prescrib|"
    r"лечени|treat|therap|терапи|\bмг\b|\bmg\b",
    re.IGNORECASE,
)
ROW = """
[[examination]]
code = "base.test"
name_ru = "Проба"
name_en = "Test"
why_ru = "проверка"
why_en = "check"
blocks = ["base"]
priority = 1
source = "a source"
verified = true
"""


def words_of(row: Added) -> list[str]:
    condition = [row.when.condition.ru, row.when.condition.en] if row.when.condition else []
    return [row.name.ru, row.name.en, row.why.ru, row.why.en, *condition]


def test_every_examination_of_the_research_is_there_once() -> None:
    assert sorted(row.code for row in catalogue()) == sorted(EXPECTED)


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.code)
def test_a_row_names_no_drug_and_never_says_exclude(row: Added) -> None:
    for text in words_of(row):
        assert not FORBIDDEN.search(text), text


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.code)
def test_a_row_speaks_russian_and_english(row: Added) -> None:
    russian, english = words_of(row)[::2], words_of(row)[1::2]
    assert all(text.strip() for text in russian + english)
    assert not any(re.search("[а-яё]", text, re.IGNORECASE) for text in english)
    assert any(re.search("[а-яё]", text, re.IGNORECASE) for text in russian)


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.code)
def test_thresholds_are_the_same_in_both_languages(row: Added) -> None:
    russian, english = " ".join(words_of(row)[::2]), " ".join(words_of(row)[1::2])
    for number in r"\d+", r"[<≤≥] ?\d+":
        assert sorted(re.findall(number, russian)) == sorted(re.findall(number, english))


def test_only_sources_that_were_read_count_as_verified() -> None:
    assert {row.code for row in catalogue() if row.verified} == READ_BY_US
    for row in catalogue():
        assert row.verified != row.source.startswith(TO_BE_VERIFIED)


def test_only_what_looks_for_af_depends_on_af() -> None:
    dependent = {row.code for row in catalogue() if "yes" not in row.when.af}
    assert dependent == {"ce.telemetry", "ce.ilr"}


def test_a_well_formed_row_is_read() -> None:
    [row] = parse(ROW)
    assert row.when.af == ("yes", "no", "unknown")
    assert row.when.condition is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("priority = 1", "priority = 4"),
        ('source = "a source"', 'source = ""'),
        ('source = "a source"', 'source = "to be verified: a source"'),
        ("verified = true", "verified = false"),
        ('blocks = ["base"]', "blocks = []"),
        ('blocks = ["base"]', 'blocks = ["heart"]'),
        ('name_ru = "Проба"\n', ""),
        ("verified = true", 'verified = true\ncondition_ru = "если"'),
        ("verified = true", "verified = true\ndose = 1"),
        ('code = "base.test"', 'code = "Base test"'),
    ],
)
def test_a_malformed_row_is_refused(wrong: str, right: str) -> None:
    assert wrong in ROW
    with pytest.raises(ValidationError):
        parse(ROW.replace(wrong, right))


def test_the_same_code_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="same code"):
        parse(ROW + ROW)


# Publishing


def published(row: Added) -> Examination:
    return examination.evolve(Examination(), row, an_id("added"))


def test_publishing_adds_what_is_missing_and_then_changes_nothing() -> None:
    for row in catalogue():
        assert examination.publish(Examination(), row) == [row]
        assert examination.publish(published(row), row) == []


def test_a_new_shipped_text_revises_the_old_one_once() -> None:
    row = catalogue()[0]
    newer = replace(row, source="another source")
    [revised] = examination.publish(published(row), newer)
    assert isinstance(revised, Revised)
    state = examination.evolve(published(row), revised, an_id("revised"))
    assert (state.revision, state.code) == (2, row.code)
    assert examination.publish(state, newer) == []


def test_what_a_clinician_revised_is_not_overwritten() -> None:
    row = catalogue()[0]
    [revised] = examination.publish(published(row), replace(row, source="what a clinician read"))
    assert isinstance(revised, Revised)
    reviewed = replace(revised, reviewed_by=an_id("clinician"))
    state = examination.evolve(published(row), reviewed, an_id("reviewed"))
    assert examination.publish(state, row) == []


def test_what_was_retired_is_not_published_again() -> None:
    row = catalogue()[0]
    state = examination.evolve(published(row), Retired(reason="test"), an_id("retired"))
    assert examination.publish(state, replace(row, source="another source")) == []
