"""A person: how they came, what they may do, what they agreed to; and the invitations that let them in."""

from typing import Literal, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import Exhausted, NotInvited
from domain.happened import Happened
from domain.identity import Instant
from domain.sealed import Sealed

NAME = "person"

Role = Literal["clinician", "researcher", "auditor", "admin"]
ROLES: tuple[Role, ...] = ("clinician", "researcher", "auditor", "admin")


# Events


class AccessAsked(Happened, frozen=True, tag="person.access-asked.v1"):
    """A stranger asks. `address` (sealed) is where to answer, such as `telegram:<chat>`."""

    address: Sealed
    name: Sealed
    language: str


class Joined(Happened, frozen=True, tag="person.joined.v1"):
    address: Sealed
    name: Sealed
    language: str
    invitation: UUID | None = None


class RoleGranted(Happened, frozen=True, tag="person.role-granted.v1"):
    """`by` is the admin who approved, or None when an invitation did."""

    role: Role
    site: str
    by: UUID | None = None


class Consented(Happened, frozen=True, tag="person.consented.v1"):
    """Accepted the research notice of this version; `text_sha256` is of the text as shown."""

    notice: str
    language: str
    text_sha256: str


PersonEvent = AccessAsked | Joined | RoleGranted | Consented


# State


class Person(Struct, frozen=True):
    """The fold of a person's events; `address` and `name` carry the event id that seals them."""

    joined: bool = False
    asked: bool = False
    language: str = "en"
    site: str = ""
    roles: frozenset[Role] = frozenset()
    consents: frozenset[str] = frozenset()
    address: Sealed | None = None
    name: Sealed | None = None
    sealed_in: UUID | None = None


def evolve(person: Person, event: PersonEvent, event_id: UUID) -> Person:
    match event:
        case AccessAsked():
            return replace(
                person,
                asked=True,
                language=event.language,
                address=event.address,
                name=event.name,
                sealed_in=event_id,
            )
        case Joined():
            return replace(
                person,
                joined=True,
                language=event.language,
                address=event.address,
                name=event.name,
                sealed_in=event_id,
            )
        case RoleGranted():
            return replace(person, roles=person.roles | {event.role}, site=event.site)
        case Consented():
            return replace(person, consents=person.consents | {event.notice})
        case _:
            assert_never(event)


# Decisions


def ask_access(person: Person, asked: AccessAsked) -> list[PersonEvent]:
    return [] if person.asked or person.roles else [asked]


def join(person: Person, joined: Joined, granted: RoleGranted) -> list[PersonEvent]:
    """Joining twice is joining once; a further role is added."""
    if granted.role in person.roles and granted.site == person.site:
        return []
    return [granted] if person.joined else [joined, granted]


def approve(person: Person, granted: RoleGranted) -> list[PersonEvent]:
    """An admin lets in a stranger who asked."""
    if not person.asked and not person.joined:
        raise NotInvited
    return [] if granted.role in person.roles else [granted]


def consent(person: Person, consented: Consented) -> list[PersonEvent]:
    if not person.roles:
        raise NotInvited
    return [] if consented.notice in person.consents else [consented]


# Invitations: one link may serve a whole department

INVITATION = "invitation"


class Issued(Happened, frozen=True, tag="invitation.issued.v1"):
    """The link's secret is not stored: the aggregate's id is derived from it."""

    role: Role
    site: str
    uses_max: int
    expires: Instant


class Used(Happened, frozen=True, tag="invitation.used.v1"):
    by: UUID


InvitationEvent = Issued | Used


class Invitation(Struct, frozen=True):
    issued: Issued | None = None
    used_by: frozenset[UUID] = frozenset()


def evolve_invitation(invitation: Invitation, event: InvitationEvent, event_id: UUID) -> Invitation:
    match event:
        case Issued():
            return replace(invitation, issued=event)
        case Used():
            return replace(invitation, used_by=invitation.used_by | {event.by})
        case _:
            assert_never(event)


def issue(invitation: Invitation, issued: Issued) -> list[InvitationEvent]:
    return [] if invitation.issued else [issued]


def use(invitation: Invitation, by: UUID, now: Instant) -> list[InvitationEvent]:
    if by in invitation.used_by:
        return []
    issued = invitation.issued
    if issued is None or now >= issued.expires or len(invitation.used_by) >= issued.uses_max:
        raise Exhausted
    return [Used(by=by)]
