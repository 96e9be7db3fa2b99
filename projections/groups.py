"""Who is one patient: cases of the same patient id, joined further by links and by images that are
near duplicates, and their split.

Near duplicates join no cases that a person has told apart, nor do images that have left their case.

A group is decided by one of its cases: its earliest at a held-out site, so that nobody is trained on
who is kept for testing elsewhere, or else its earliest of all. A later link thus moves the later
case. Groups do not depend on the order in which members are given.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from projections.rows import Split
from projections.spec import Spec

TRAIN_PERMILLE, VALIDATION_PERMILLE = 700, 850

Mention = tuple[int, str]
"""An event: its sequence and its id."""


class Likeness(NamedTuple):
    """An image like another one in the case `other`, and the event that said so."""

    item: UUID
    other: UUID
    other_item: UUID
    said: Mention


class Member(NamedTuple):
    """A case as far as groups go; `links` and `apart` are (other case, the event that said so), `left`
    (item, the event that took it away)."""

    case: UUID
    patient: UUID
    site: str
    opened: Mention
    links: tuple[tuple[UUID, Mention], ...] = ()
    alike: tuple[Likeness, ...] = ()
    apart: tuple[tuple[UUID, Mention], ...] = ()
    left: tuple[tuple[UUID, Mention], ...] = ()


class Group(NamedTuple):
    """What a case is told by the case that decides for it: the patient id that stands for the whole
    group, the split, and the events that made it so: the joins between them and its opening. Where
    somebody said that cases which look alike are not one, all that was said of the group counts."""

    patient: UUID
    split: Split
    events: tuple[Mention, ...]


def groups(members: Iterable[Member], spec: Spec) -> dict[UUID, Group]:
    """By case."""
    known = {member.case: member for member in members}
    deciding = _deciding(known.values(), spec)
    joins, parted = _joins(known)
    paths = _paths(joins, deciding, spec)
    said = _said(joins, parted)
    return {
        case: _group(
            member,
            *paths.get(member.patient, (deciding[member.patient], ())),
            spec,
            said.get(member.patient, ()),
        )
        for case, member in known.items()
    }


def not_alone(members: Iterable[Member], spec: Spec) -> dict[UUID, Group]:
    """Those of `groups` that a case does not know by itself, without a word on all the others."""
    known = list(members)
    cases_of = Counter(member.patient for member in known)
    linked = {case for member in known for case in _ends(member)}
    kin = {member.patient for member in known if member.case in linked}
    some = [m for m in known if cases_of[m.patient] > 1 or m.patient in kin]
    found = groups(some, spec)
    return {m.case: found[m.case] for m in some if found[m.case] != alone(m, spec)}


def _ends(member: Member) -> Iterator[UUID]:
    if member.links or member.alike:
        yield member.case
    yield from (other for other, _ in member.links)
    yield from (found.other for found in member.alike)


def alone(member: Member, spec: Spec) -> Group:
    """What is so for a case that no other belongs to."""
    return _group(member, member, (), spec)


def split_of(case: UUID, salt: str) -> Split:
    """By the case that decides for the group, so that more cases move nobody."""
    permille = int.from_bytes(sha256(salt.encode() + case.bytes).digest()) % 1000
    if permille < TRAIN_PERMILLE:
        return "train"
    return "validation" if permille < VALIDATION_PERMILLE else "test"


def _group(
    member: Member,
    decider: Member,
    path: tuple[Mention, ...],
    spec: Spec,
    said: tuple[Mention, ...] = (),
) -> Group:
    held_out = decider.site in spec.hold_out_sites
    split: Split = "external" if held_out else split_of(decider.case, spec.salt)
    opening = () if decider is member else (decider.opened,)
    return Group(decider.patient, split, path + opening + said)


def _rank(member: Member, spec: Spec) -> tuple[bool, int]:
    """The lowest decides."""
    return member.site not in spec.hold_out_sites, member.opened[0]


def _deciding(members: Iterable[Member], spec: Spec) -> dict[UUID, Member]:
    """The case that would decide for each patient id if there were no links."""
    found: dict[UUID, Member] = {}
    for member in members:
        best = found.get(member.patient)
        if best is None or _rank(member, spec) < _rank(best, spec):
            found[member.patient] = member
    return found


Forest = Mapping[UUID, Sequence[tuple[UUID, Mention]]]


class Join(NamedTuple):
    """Two patient ids that are one, by what was said. Joins sort in the order of the ledger."""

    said: Mention
    one: UUID
    two: UUID


class Parted(NamedTuple):
    """Two patient ids that would be one, had not more been said: all of that."""

    said: tuple[Mention, ...]
    one: UUID
    two: UUID


def _joins(known: Mapping[UUID, Member]) -> tuple[list[Join], list[Parted]]:
    """By links, and by likenesses but for those that do not count."""
    joins: list[Join] = []
    parted: list[Parted] = []
    for member in known.values():
        for other, link in member.links:
            if other in known:
                joins.append(Join(link, member.patient, known[other].patient))
        for found in member.alike:
            if other_member := known.get(found.other):
                ends = member.patient, other_member.patient
                if against := _against(member, other_member, found):
                    parted.append(Parted((found.said, *against), *ends))
                else:
                    joins.append(Join(found.said, *ends))
    return sorted(joins), parted


def _against(one: Member, two: Member, found: Likeness) -> tuple[Mention, ...]:
    """Whatever says that a likeness makes no patient."""
    apart = [
        *(said for other, said in one.apart if other == two.case),
        *(said for other, said in two.apart if other == one.case),
        *(said for item, said in one.left if item == found.item),
        *(said for item, said in two.left if item == found.other_item),
    ]
    return tuple(sorted(set(apart)))


def _said(joins: Sequence[Join], parted: Sequence[Parted]) -> dict[UUID, tuple[Mention, ...]]:
    """By patient id, for all that hang together in any way, if any of them were parted: everything
    that was said, since a group without one may be another one by each of these events."""
    roots: dict[UUID, UUID] = {}
    for _, one, two in (*joins, *parted):
        if (root_one := _root(roots, one)) != (root_two := _root(roots, two)):
            roots[root_one] = root_two
    concerned = {_root(roots, part.one) for part in parted}
    said: defaultdict[UUID, set[Mention]] = defaultdict(set)
    patients: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for mentions, one, two in (*(((j.said,), j.one, j.two) for j in joins), *parted):
        root = _root(roots, one)
        if root in concerned:
            said[root].update(mentions)
            patients[root] |= {one, two}
    return {
        patient: tuple(sorted(said[root])) for root, those in patients.items() for patient in those
    }


def _paths(
    joins: Sequence[Join], deciding: Mapping[UUID, Member], spec: Spec
) -> dict[UUID, tuple[Member, tuple[Mention, ...]]]:
    """For each joined patient id the case that decides for it, and the joins that lead there."""
    forest = _forest(joins)
    found: dict[UUID, tuple[Member, tuple[Mention, ...]]] = {}
    for patient in sorted(forest, key=lambda patient: _rank(deciding[patient], spec)):
        if patient not in found:
            found |= _walked(forest, deciding[patient])
    return found


def _walked(forest: Forest, decider: Member) -> dict[UUID, tuple[Member, tuple[Mention, ...]]]:
    found: dict[UUID, tuple[Member, tuple[Mention, ...]]] = {decider.patient: (decider, ())}
    reached = [decider.patient]
    for patient in reached:
        for other, link in forest[patient]:
            if other not in found:
                found[other] = decider, (*found[patient][1], link)
                reached.append(other)
    return found


def _forest(joins: Sequence[Join]) -> Forest:
    """The joins of what was apart, in the order of the ledger: one path between any two."""
    roots: dict[UUID, UUID] = {}
    forest: defaultdict[UUID, list[tuple[UUID, Mention]]] = defaultdict(list)
    for link, one, two in joins:
        root_one, root_two = _root(roots, one), _root(roots, two)
        if root_one != root_two:
            roots[root_one] = root_two
            forest[one].append((two, link))
            forest[two].append((one, link))
    return forest


def _root(roots: dict[UUID, UUID], patient: UUID) -> UUID:
    """Of a union-find forest, halving the way on the way."""
    while (above := roots.get(patient, patient)) != patient:
        roots[patient] = patient = roots.get(above, above)
    return patient
