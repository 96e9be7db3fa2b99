"""Who is one patient: checked against a plain search through all links, for any links at all."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from hypothesis import given, strategies as st

from projections.groups import (
    Group,
    Likeness,
    Member,
    Mention,
    alone,
    groups,
    not_alone,
    split_of,
)
from projections.spec import Spec

SPEC = Spec(hold_out_sites=("far",))
HOME = Spec()


def case(number: int) -> UUID:
    return UUID(int=number + 1000)


def patient(number: int) -> UUID:
    return UUID(int=number + 2000)


def link(number: int) -> Mention:
    return 100 + number, f"link {number}"


def member(
    number: int, *links: tuple[int, int], site: str = "near", of: int | None = None
) -> Member:
    """Case `number`, of a patient of its own unless `of` says whose; links are (other, number)."""
    mentions = tuple((case(other), link(said)) for other, said in links)
    whose = patient(number if of is None else of)
    return Member(case(number), whose, site, (number, f"opened {number}"), mentions)


def decided(spec: Spec, *members: Member) -> list[Group]:
    found = groups(members, spec)
    return [found[member.case] for member in members]


def test_a_case_alone_decides_for_itself() -> None:
    assert decided(HOME, member(1)) == [Group(patient(1), split_of(case(1), "ictus"), ())]


def test_the_earliest_case_decides_and_the_links_to_it_are_named() -> None:
    first, second, third = decided(HOME, member(1), member(2, (1, 0)), member(3, (2, 1)))
    assert {first.patient, second.patient, third.patient} == {patient(1)}
    assert {first.split, second.split, third.split} == {split_of(case(1), "ictus")}
    assert first.events == ()
    assert set(second.events) == {link(0), (1, "opened 1")}
    assert set(third.events) == {link(0), link(1), (1, "opened 1")}


def test_a_link_between_who_is_one_already_is_no_cause() -> None:
    chain = decided(HOME, member(1), member(2, (1, 0)), member(3, (2, 1)))
    ring = decided(HOME, member(1), member(2, (1, 0)), member(3, (2, 1), (1, 2)))
    assert ring == chain


def test_cases_with_the_same_patient_id_are_one_without_a_link() -> None:
    one, two = decided(HOME, member(1, of=7), member(2, of=7))
    assert (one.patient, two.patient) == (patient(7), patient(7))
    assert two.events == ((1, "opened 1"),)


def test_a_held_out_case_decides_for_everybody_it_is_linked_to() -> None:
    near, far, alone = decided(SPEC, member(1), member(2, (1, 0), site="far"), member(3))
    assert (near.split, far.split) == ("external", "external")
    assert set(near.events) == {link(0), (2, "opened 2")}
    assert alone.split != "external"


def test_a_link_to_a_case_that_is_not_known_yet_means_nothing() -> None:
    assert decided(HOME, member(1, (9, 0))) == decided(HOME, member(1))


SITES = st.sampled_from(["near", "far"])
EIGHT = st.lists(st.integers(0, 7), min_size=8, max_size=8)
PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12)


@given(
    links=PAIRS,
    sites=st.lists(SITES, min_size=8, max_size=8),
    of=EIGHT,
)
def test_groups_are_what_can_be_reached(
    links: Sequence[tuple[int, int]], sites: Sequence[str], of: Sequence[int]
) -> None:
    members = [
        member(
            number,
            *((two, said) for said, (one, two) in enumerate(links) if one == number),
            site=sites[number],
            of=of[number],
        )
        for number in range(8)
    ]
    found = groups(members, SPEC)
    for number in range(8):
        kin = reached(number, links, of)
        decider = min(kin, key=lambda one: (sites[one] != "far", one))
        told = found[case(number)]
        assert told.patient == patient(of[decider])
        assert (told.split == "external") == (sites[decider] == "far")
        assert set(found) == {case(each) for each in range(8)}
    assert groups(reversed(members), SPEC) == found
    others = not_alone(members, SPEC)
    assert {each.case: others.get(each.case) or alone(each, SPEC) for each in members} == found


@given(links=PAIRS, of=EIGHT)
def test_the_named_links_alone_lead_to_the_case_that_decides(
    links: Sequence[tuple[int, int]], of: Sequence[int]
) -> None:
    def built(kept: Sequence[int]) -> dict[UUID, Group]:
        return groups(
            [
                member(
                    number,
                    *((links[s][1], s) for s in kept if links[s][0] == number),
                    of=of[number],
                )
                for number in range(8)
            ],
            HOME,
        )

    whole = built(range(len(links)))
    for each, group in whole.items():
        named = [sequence - 100 for sequence, _ in group.events if sequence >= 100]
        assert built(named)[each] == group
        for left_out in named:
            assert built([one for one in named if one != left_out])[each] != group


def reached(number: int, links: Sequence[tuple[int, int]], of: Sequence[int]) -> set[int]:
    kin = {number}
    for _ in range(16):
        kin |= {other for other in range(8) for one in kin if of[other] == of[one]}
        kin |= {two for one, two in links if one in kin} | {one for one, two in links if two in kin}
    return kin


def test_a_long_chain_is_one_patient() -> None:
    members = [member(0), *(member(two, (one, one)) for one, two in pairwise(range(3000)))]
    found = groups(members, HOME)
    assert {group.patient for group in found.values()} == {patient(0)}
    assert len(found[case(2999)].events) == 3000


# Near duplicates

Saying = tuple[str, int, int]
"""What was said (`link`, `alike`, `apart`, `left`), of which case, and of which other."""

SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(["link", "alike", "alike", "alike", "apart", "left"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=14,
)


def item(number: int) -> UUID:
    """Every case has one image."""
    return UUID(int=number + 3000)


def said(sayings: Sequence[Saying], sites: Sequence[str] = ("near",) * 6) -> list[Member]:
    """Saying number n is the event `link(n)`."""
    members = []
    for number in range(6):
        own = [(what, two, link(n)) for n, (what, one, two) in enumerate(sayings) if one == number]
        members.append(
            Member(
                case(number),
                patient(number),
                sites[number],
                (number, f"opened {number}"),
                tuple((case(two), event) for what, two, event in own if what == "link"),
                tuple(
                    Likeness(item(number), case(two), item(two), event)
                    for what, two, event in own
                    if what == "alike" and two != number
                ),
                tuple((case(two), event) for what, two, event in own if what == "apart"),
                tuple((item(number), event) for what, _, event in own if what == "left"),
            )
        )
    return members


def counting(sayings: Sequence[Saying]) -> list[tuple[int, int]]:
    """The joins that count."""
    apart = {frozenset((one, two)) for what, one, two in sayings if what == "apart"}
    left = {one for what, one, _ in sayings if what == "left"}
    return [
        (one, two)
        for what, one, two in sayings
        if what == "link"
        or (what == "alike" and frozenset((one, two)) not in apart and not {one, two} & left)
    ]


def test_cases_with_near_duplicates_are_in_one_split_until_a_person_tells_them_apart() -> None:
    alike: list[Saying] = [("alike", 1, 0)]
    joined = groups(said(alike), HOME)
    assert joined[case(1)].patient == patient(0)
    assert set(joined[case(1)].events) == {link(0), (0, "opened 0")}
    parted = groups(said([*alike, ("apart", 0, 1)]), HOME)
    assert parted[case(1)].patient == patient(1)
    assert set(parted[case(1)].events) == {link(0), link(1)}


def test_who_is_linked_stays_one_patient_though_an_image_left() -> None:
    found = groups(said([("alike", 1, 0), ("link", 1, 0), ("left", 1, 1)]), HOME)
    assert found[case(1)].patient == patient(0)


@given(sayings=SAYINGS, sites=st.lists(SITES, min_size=6, max_size=6))
def test_groups_are_what_counts_and_nothing_else(sayings: list[Saying], sites: list[str]) -> None:
    members = said(sayings, sites)
    found = groups(members, SPEC)
    for number in range(6):
        kin = reached(number, counting(sayings), range(8))
        decider = min(kin, key=lambda one: (sites[one] != "far", one))
        assert found[case(number)].patient == patient(decider)
    assert groups(reversed(members), SPEC) == found
    others = not_alone(members, SPEC)
    assert {each.case: others.get(each.case) or alone(each, SPEC) for each in members} == found


@given(sayings=SAYINGS, known=st.integers(0, 14))
def test_every_change_of_a_group_is_explained_by_what_was_said_since(
    sayings: list[Saying], known: int
) -> None:
    before, after = groups(said(sayings[:known]), HOME), groups(said(sayings), HOME)
    news = {link(number) for number in range(known, len(sayings))}
    for each, group in after.items():
        assert group == before[each] or news & set(group.events)
