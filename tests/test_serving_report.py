"""The page on serving says what was met, what was missed, and what was not measured; so does what it
is made of."""

from typing import Any

import pytest
from msgspec import json

from benchmarks import endtoend
from benchmarks.serving.report import BARS, page

ROW = {"per_s": 1.5, "p50_ms": 2.5, "p99_ms": 3.5, "cpu_ms": 4.5}


def shown(**figures: Any) -> str:
    inference = dict.fromkeys((bar.name for bar in BARS), 1.1) | figures
    inference |= {"seconds": 2.5, "rounds": 7}
    return "\n".join(page(inference | {"table": {"small_ictus_c1": ROW}}, {"p50_s": 3.1}))


def test_the_page_tells_met_from_missed() -> None:
    said = shown(cpu_overhead_ms=1.9, small_vs_best_peer_c8=1.2)
    assert "| 1.9 | ≤ 2.0 | met |" in said
    assert "| 1.2 | ≥ 1.3 | missed |" in said
    assert "| `small_ictus_c1` | 1.5 | 2.5 | 3.5 | 4.5 |" in said


def test_a_missing_peer_was_not_measured() -> None:
    assert shown(large_vs_best_peer_c8=None).count("not measured") == 1


def test_the_page_says_how_long_it_was_measured_wherever_it_does() -> None:
    said = shown()
    assert "benchmarks.inference --seconds 2.5 --rounds 7 --json" in said
    assert "2.5 s a turn, 7 rounds" in said


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_people_get_a_table_unless_they_ask_for_the_json_line_alone(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def worked(*_: Any) -> tuple[list[endtoend.Waited], float]:
        return [endtoend.Waited(0, is_valid=True, seconds=1.5)], 2.0

    monkeypatch.setattr(endtoend, "worked", worked)
    monkeypatch.setattr(endtoend, "bare_seconds", lambda seed: [0.5])
    endtoend.main(words)
    shown = capsys.readouterr()
    assert json.decode(shown.out)["p50_s"] == 1.5
    assert ("invalid_answered_share" in shown.err, "not measured" in shown.err) == (not words,) * 2
