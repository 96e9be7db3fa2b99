"""A line of dead letters: who is tried, who waits, and when it is open again."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from domain import dead_letter
from domain.dead_letter import DeadLetterEvent, Line, Parked
from domain.errors import Refused

EVENT_ID = UUID(int=0)


def parked(sequence: int, letter: UUID | None = None) -> Parked:
    return Parked(
        letter=letter or UUID(int=sequence),
        consumer="answer",
        stream="ICTUS_EV",
        sequence=sequence,
        cause="failed",
        error="ZeroDivisionError",
        fingerprint="0123456789abcdef",
        attempts=5,
        version="0.1.0",
    )


def after(line: Line, *events: DeadLetterEvent) -> Line:
    for event in events:
        line = dead_letter.evolve(line, event, EVENT_ID)
    return line


def line_of(*sequences: int) -> Line:
    """The first failed, the others wait."""
    line = after(Line(), *dead_letter.park(Line(), parked(sequences[0])))
    for sequence in sequences[1:]:
        line = after(line, *dead_letter.wait(line, parked(sequence)))
    return line


def ready_sequence(line: Line) -> int | None:
    return line.ready.parked.sequence if line.ready else None


def standings(line: Line) -> dict[int, str]:
    return {letter.parked.sequence: letter.standing for letter in line.letters.values()}


def test_what_failed_is_stuck_and_what_comes_later_waits_behind_it() -> None:
    line = line_of(3, 5, 8)

    assert standings(line) == {3: "stuck", 5: "waiting", 8: "waiting"}
    assert [letter.parked.behind for letter in line.letters.values()] == [
        None,
        UUID(int=3),
        UUID(int=3),
    ]
    assert line.letters[UUID(int=5)].parked.cause == "behind"
    assert line.ready is None


def test_an_open_line_makes_nobody_wait() -> None:
    assert dead_letter.wait(Line(), parked(3)) == []


def test_what_is_earlier_than_the_line_does_not_wait() -> None:
    assert dead_letter.wait(line_of(5), parked(3)) == []
    line = after(line_of(5), *dead_letter.park(line_of(5), parked(3)))
    assert list(standings(line)) == [3, 5]


def test_setting_aside_twice_changes_nothing() -> None:
    line = line_of(3, 5)

    assert dead_letter.park(line, parked(3)) == []
    assert dead_letter.wait(line, parked(5)) == []


def test_only_the_first_in_line_is_tried_again() -> None:
    line = line_of(3, 5)

    with pytest.raises(Refused, match=str(UUID(int=3))):
        dead_letter.retry(line, UUID(int=5))
    line = after(line, *dead_letter.retry(line, UUID(int=3)))
    assert dead_letter.retry(line, UUID(int=3)) == []
    assert line.ready is line.head


def test_when_the_first_is_handled_the_next_follows_until_the_line_is_open() -> None:
    line = line_of(3, 5)
    line = after(line, *dead_letter.retry(line, UUID(int=3)))
    line = after(line, *dead_letter.handle(line, UUID(int=3)))

    assert ready_sequence(line) == 5
    assert line.blocks(6)
    line = after(line, *dead_letter.handle(line, UUID(int=5)))
    assert line.head is None
    assert not line.blocks(6)


def test_a_retry_that_fails_is_stuck_again_and_counts_its_parkings() -> None:
    line = line_of(3, 5)
    line = after(line, *dead_letter.retry(line, UUID(int=3)))
    line = after(line, *dead_letter.park(line, parked(3)))

    assert standings(line) == {3: "stuck", 5: "waiting"}
    assert line.letters[UUID(int=3)].parkings == 2


def test_a_discarded_letter_is_skipped_and_never_set_aside_again() -> None:
    line = line_of(3, 5)
    line = after(line, *dead_letter.discard(line, UUID(int=3), "not-needed"))

    assert ready_sequence(line) == 5
    assert dead_letter.park(line, parked(3)) == []
    with pytest.raises(Refused, match="handled or discarded"):
        dead_letter.discard(line, UUID(int=3), "other")


def test_a_letter_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused):
        dead_letter.retry(Line(), uuid4())


acts = st.lists(
    st.tuples(st.sampled_from(["park", "wait", "retry", "discard", "handle"]), st.integers(1, 6)),
    max_size=40,
)


@given(acts)
def test_whatever_happens_the_line_is_in_order_and_only_its_head_is_tried(
    told: list[tuple[str, int]],
) -> None:
    line = Line()
    for act, sequence in told:
        letter = UUID(int=sequence)
        try:
            match act:
                case "park":
                    events = dead_letter.park(line, parked(sequence))
                case "wait":
                    events = dead_letter.wait(line, parked(sequence))
                case "retry":
                    events = dead_letter.retry(line, letter)
                case "discard":
                    events = dead_letter.discard(line, letter, "other")
                case _:
                    events = dead_letter.handle(line, letter)
        except Refused:
            continue
        line = after(line, *events)
        assert list(standings(line)) == sorted(standings(line))
        assert not set(line.letters) & line.closed
        if line.ready:
            assert not line.blocks(line.ready.parked.sequence)


def test_it_waits_for_the_first_of_its_line() -> None:
    line = line_of(3, 5)

    [failed] = dead_letter.park(line, parked(7))

    assert failed == replace(parked(7), behind=UUID(int=3))
