"""What buttons carry: every request survives the way there and back, nothing else gets in."""

from typing import get_args
from uuid import UUID

import pytest
from hypothesis import example, given, settings, strategies as st

from domain.stroke import CAUSES, EVIDENCE
from workers import taps
from workers.taps import Tap, pack, parse

CASE = UUID("0123456789abcdef0123456789abcdef")
HEX = CASE.hex

EXACT: list[tuple[str, Tap]] = [
    (f"ag:{HEX}", taps.Agree(CASE)),
    (f"un:{HEX}", taps.Unsure(CASE)),
    (f"ot:{HEX}", taps.ChooseOpinion(CASE)),  # codespell:ignore
    (f"op:{HEX}:1", taps.GiveOpinion(CASE, "cardioembolic")),
    (f"af:{HEX}:y", taps.TellAf(CASE, "yes")),
    (f"af:{HEX}:n", taps.TellAf(CASE, "no")),
    (f"af:{HEX}:u", taps.TellAf(CASE, "unknown")),
    (f"ex:{HEX}", taps.ShowExaminations(CASE)),
    (f"fc:{HEX}", taps.ChooseCause(CASE)),
    (f"ca:{HEX}:0", taps.ChooseEvidence(CASE, "large-artery")),
    (f"lb:{HEX}:7:3", taps.ConfirmLabel(CASE, "not-a-stroke", "clinical")),
    (f"sp:{HEX}:01234567", taps.Split(CASE, "01234567")),
    (f"sa:{HEX}:0", taps.ChooseSamePatient(CASE, 0)),
    (f"sq:{HEX}:0123456789abcdef", taps.ConfirmSamePatient(CASE, HEX[:16])),
    (f"sy:{HEX}:0123456789abcdef", taps.LinkSamePatient(CASE, HEX[:16])),
    (f"bk:{HEX}", taps.BackToCard(CASE)),
    ("my:0", taps.ListCases(0)),
    ("my:12", taps.ListCases(12)),
    (f"cs:{HEX}", taps.OpenCase(CASE)),
    ("ask", taps.AskAccess()),
    (f"ok:{HEX}", taps.Approve(CASE)),
    ("co:2026-11", taps.Consent("2026-11")),
]


@pytest.mark.parametrize(("action", "tap"), EXACT)
def test_an_action_says_exactly_this(action: str, tap: Tap) -> None:
    assert parse(action) == tap
    assert type(parse(action)) is type(tap)
    assert pack(tap) == action


def test_every_request_has_an_action() -> None:
    assert {type(tap) for _, tap in EXACT} == set(get_args(Tap)) == set(taps.VERBS.values())


IDS = st.uuids()
FIELDS = {
    "case": IDS,
    "person": IDS,
    "cause": st.sampled_from(CAUSES),
    "evidence": st.sampled_from(EVIDENCE),
    "af": st.sampled_from(["yes", "no", "unknown"]),
    "item": IDS.map(lambda id_: id_.hex[: taps.ITEM_DIGITS]),
    "other": IDS.map(lambda id_: id_.hex[: taps.CASE_DIGITS]),
    "page": st.integers(0, 9999),
    "notice": st.from_regex(r"[0-9a-z-]{1,32}", fullmatch=True),
}
TAPS = st.sampled_from(list(taps.VERBS.values())).flatmap(
    lambda kind: st.builds(kind, *(FIELDS[name] for name in kind.__struct_fields__))
)


@given(TAPS)
@settings(max_examples=300, deadline=None)
def test_every_request_comes_back_and_fits_a_button(tap: Tap) -> None:
    assert parse(pack(tap)) == tap
    assert len(pack(tap).encode()) <= taps.ACTION_BYTES_MAX


@given(st.text(max_size=80))
@example("")
@example(":")
@example("ag:")
@example(f"ag:{HEX}:")
@example(f"ag:{HEX.upper()}")
@example(f"ag:{CASE}")
@example(f"ag:{{{HEX}}}")
@example(f"op:{HEX}:-1")
@example(f"op:{HEX}:8")
@example(f"op:{HEX}:01")
@example(f"op:{HEX}:١")
@example(f"op:{HEX}:1:1")
@example(f"lb:{HEX}:1")
@example(f"af:{HEX}:yes")
@example(f"sp:{HEX}:0123456G")
@example("my:-1")
@example("my:99999")
@example("my:٣")
@example("co:")
@example("co:2026-11\n")
@example("ask:")
@settings(max_examples=300, deadline=None)
def test_anything_else_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="not an action"):
        parse(action)


@given(TAPS, st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_action_is_refused_or_is_another_request(tap: Tap, data: st.DataObject) -> None:
    """There is exactly one way to write a request."""
    action = pack(tap)
    place = data.draw(st.integers(0, len(action)))
    changed = action[:place] + data.draw(st.characters()) + action[place + 1 :]
    try:
        found = parse(changed)
    except ValueError:
        return
    assert pack(found) == changed
