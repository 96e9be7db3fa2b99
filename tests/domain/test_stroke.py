"""The table of what may be told beside images."""

import pytest

from domain.stroke import BANDS, CONTEXT, NUMBERS_MAX, band


@pytest.mark.parametrize(
    ("years", "name"),
    [(-1, "<50"), (49.9, "<50"), (50, "50-59"), (64, "60-64"), (74.5, "65-74"), (85, "85+")],
)
def test_age_is_only_ever_a_band(years: float, name: str) -> None:
    assert band("age_band", years) == name


@pytest.mark.parametrize("code", BANDS)
def test_every_number_that_may_be_told_lies_in_a_band_that_is_an_answer(code: str) -> None:
    names = [band(code, number) for number in range(NUMBERS_MAX[code] + 1)]
    assert sorted(set(names), key=names.index) == list(BANDS[code].values())
    assert set(names) < set(CONTEXT[code])


def test_nobody_needs_to_know_an_answer() -> None:
    assert all("unknown" in answers for answers in CONTEXT.values())
