"""Bit rot, in short: `python -m benchmarks.bitrot` shows it at length."""

from benchmarks.bitrot import is_right, run


async def test_a_few_damaged_stores_are_all_found_and_mended() -> None:
    result = await run(trials=6, seed=5, events=900)
    assert is_right(result), result
    assert result["trials"] == 6
    assert result["repaired"] > 0


def test_a_damage_nobody_saw_or_nobody_mended_fails_the_measurement() -> None:
    right = {"trials": 9, "harmless": 4, "detected": 5, "repaired": 5, "silent": 0}
    assert is_right(right)
    assert not is_right(right | {"repaired": 4})
    assert not is_right(right | {"detected": 4, "repaired": 4, "silent": 1})
