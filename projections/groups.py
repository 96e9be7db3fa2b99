"""Who is one patient: cases of the same patient id, joined further by links, and their split.

A group is decided by one of its cases: its earliest at a held-out site, so that nobody is trained on
who is kept for testing elsewhere, or else its earliest of all. A later link thus moves the later
case. Groups do not depend on the order in which members are given.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from projections.rows import Split
from projections.spec import Spec

TRAIN_PERMILLE, VALIDATION_PERMILLE = 700, 850

Mention = tuple[int, str]
"""An event: its sequence and its id."""


class Member(NamedTuple):
    """A case as far as groups go; `links` are (other case, the event that said so)."""

    case: UUID
    patient: UUID
    site: str
    opened: Mention
    links: tuple[tuple[UUID, Mention], ...] = ()


class Group(NamedTuple):
    """What a case is told by the case that decides for it: the patient id that stands for the whole
    group, the split, and the events that made it so: the links between them and its opening."""

    patient: UUID
    split: Split
    events: tuple[Mention, ...]


def groups(members: Iterable[Member], spec: Spec) -> dict[UUID, Group]:
    """By case."""
    known = {member.case: member for member in members}
    deciding = _deciding(known.values(), spec)
    paths = _paths(known, deciding, spec)
    return {
        case: _group(member, *paths.get(member.patient, (deciding[member.patient], ())), spec)
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
    if member.links:
        yield member.case
    yield from (other for other, _ in member.links)


def alone(member: Member, spec: Spec) -> Group:
    """What is so for a case that no other belongs to."""
    return _group(member, member, (), spec)


def split_of(case: UUID, salt: str) -> Split:
    """By the case that decides for the group, so that more cases move nobody."""
    permille = int.from_bytes(sha256(salt.encode() + case.bytes).digest()) % 1000
    if permille < TRAIN_PERMILLE:
        return "train"
    return "validation" if permille < VALIDATION_PERMILLE else "test"


def _group(member: Member, decider: Member, path: tuple[Mention, ...], spec: Spec) -> Group:
    held_out = decider.site in spec.hold_out_sites
    split: Split = "external" if held_out else split_of(decider.case, spec.salt)
    opening = () if decider is member else (decider.opened,)
    return Group(decider.patient, split, path + opening)


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


def _paths(
    known: Mapping[UUID, Member], deciding: Mapping[UUID, Member], spec: Spec
) -> dict[UUID, tuple[Member, tuple[Mention, ...]]]:
    """For each linked patient id the case that decides for it, and the links that lead there."""
    forest = _forest(known)
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


def _forest(known: Mapping[UUID, Member]) -> Forest:
    """The links that joined what was apart, in the order of the ledger: one path between any two."""
    links = chain.from_iterable(
        (
            (link, member.patient, known[other].patient)
            for other, link in member.links
            if other in known
        )
        for member in known.values()
        if member.links
    )
    roots: dict[UUID, UUID] = {}
    forest: defaultdict[UUID, list[tuple[UUID, Mention]]] = defaultdict(list)
    for link, one, two in sorted(links):
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
