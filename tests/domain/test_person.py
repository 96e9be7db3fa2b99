"""A person and the invitations that let them in: given events, when decided, then events."""

from datetime import timedelta

import pytest
from hypothesis import given, settings, strategies as st

from domain import person as people
from domain.errors import Exhausted, NotInvited
from domain.person import Invitation, Person, PersonEvent, RoleGranted
from tests.made import NOON, SEALED, an_id

ADMIN = an_id("admin")
ASKED = people.AccessAsked(address=SEALED, name=SEALED, language="ru")
JOINED = people.Joined(address=SEALED, name=SEALED, language="en", invitation=an_id("link"))
CLINICIAN_HERE = RoleGranted(role="clinician", site="demo-1")
APPROVED = RoleGranted(role="clinician", site="demo-1", by=ADMIN)
CONSENTED = people.Consented(notice="2026-11", language="en", text_sha256="0" * 64)


def person(*events: PersonEvent) -> Person:
    state = Person()
    for number, event in enumerate(events):
        state = people.evolve(state, event, an_id(number))
    return state


def test_a_stranger_asks_once() -> None:
    assert people.ask_access(Person(), ASKED) == [ASKED]
    assert people.ask_access(person(ASKED), ASKED) == []


def test_who_has_a_role_need_not_ask() -> None:
    assert people.ask_access(person(JOINED, CLINICIAN_HERE), ASKED) == []


def test_an_admin_lets_a_stranger_in_once() -> None:
    assert people.approve(person(ASKED), APPROVED) == [APPROVED]
    assert people.approve(person(ASKED, APPROVED), APPROVED) == []


def test_nobody_is_let_in_who_did_not_ask() -> None:
    with pytest.raises(NotInvited):
        people.approve(Person(), APPROVED)


def test_an_invitation_joins_and_grants_in_one_step() -> None:
    assert people.join(Person(), JOINED, CLINICIAN_HERE) == [JOINED, CLINICIAN_HERE]


def test_joining_twice_is_joining_once() -> None:
    assert people.join(person(JOINED, CLINICIAN_HERE), JOINED, CLINICIAN_HERE) == []


def test_a_further_role_is_added_to_the_first() -> None:
    auditor = RoleGranted(role="auditor", site="demo-1")
    state = person(JOINED, CLINICIAN_HERE)
    assert people.join(state, JOINED, auditor) == [auditor]
    assert person(JOINED, CLINICIAN_HERE, auditor).roles == {"clinician", "auditor"}


def test_a_stranger_who_asked_may_still_use_an_invitation() -> None:
    assert people.join(person(ASKED), JOINED, CLINICIAN_HERE) == [JOINED, CLINICIAN_HERE]


def test_a_consent_is_given_once_for_each_notice() -> None:
    state = person(JOINED, CLINICIAN_HERE)
    newer = people.Consented(notice="2027-01", language="en", text_sha256="1" * 64)
    assert people.consent(state, CONSENTED) == [CONSENTED]
    state = person(JOINED, CLINICIAN_HERE, CONSENTED)
    assert people.consent(state, CONSENTED) == []
    assert people.consent(state, newer) == [newer]


def test_a_stranger_cannot_consent() -> None:
    for stranger in (Person(), person(ASKED)):
        with pytest.raises(NotInvited):
            people.consent(stranger, CONSENTED)


def test_the_last_address_counts_and_names_the_event_that_seals_it() -> None:
    state = person(ASKED, JOINED, CLINICIAN_HERE)
    assert state.sealed_in == an_id(1)
    assert state.language == "en"


# Invitations

ISSUED = people.Issued(
    role="clinician", site="demo-1", uses_max=2, expires=NOON + timedelta(days=14)
)


def invitation(*used_by: object) -> Invitation:
    state = people.evolve_invitation(Invitation(), ISSUED, an_id("issued"))
    for somebody in used_by:
        state = people.evolve_invitation(state, people.Used(an_id(somebody)), an_id("used"))
    return state


def test_an_invitation_is_issued_once() -> None:
    assert people.issue(Invitation(), ISSUED) == [ISSUED]
    assert people.issue(invitation(), ISSUED) == []


def test_one_link_serves_a_department_but_no_more() -> None:
    assert people.use(invitation(1), an_id(2), NOON) == [people.Used(an_id(2))]
    with pytest.raises(Exhausted):
        people.use(invitation(1, 2), an_id(3), NOON)


def test_using_a_link_twice_uses_it_once_even_after_it_expired() -> None:
    assert people.use(invitation(1, 2), an_id(2), NOON) == []
    assert people.use(invitation(1), an_id(1), ISSUED.expires) == []


def test_a_link_ends_at_the_moment_it_expires() -> None:
    last = ISSUED.expires - timedelta(microseconds=1)
    assert people.use(invitation(), an_id(1), last) == [people.Used(an_id(1))]
    with pytest.raises(Exhausted):
        people.use(invitation(), an_id(1), ISSUED.expires)


def test_a_link_that_was_never_issued_lets_nobody_in() -> None:
    with pytest.raises(Exhausted):
        people.use(Invitation(), an_id(1), NOON)


@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_a_link_never_serves_more_people_than_it_may(visits: list[int], uses_max: int) -> None:
    issued = people.Issued(role="clinician", site="demo-1", uses_max=uses_max, expires=NOON)
    state = people.evolve_invitation(Invitation(), issued, an_id("issued"))
    for visitor in visits:
        try:
            used = people.use(state, an_id(visitor), NOON - timedelta(days=1))
        except Exhausted:
            assert len(state.used_by) == uses_max
            continue
        for event in used:
            state = people.evolve_invitation(state, event, an_id("used"))
        assert people.use(state, an_id(visitor), NOON - timedelta(days=1)) == []
    assert state.used_by == set(map(an_id, list(dict.fromkeys(visits))[:uses_max]))
