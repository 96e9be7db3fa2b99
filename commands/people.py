"""What may be asked by and about people: access, invitations, consent."""

from datetime import timedelta
from uuid import UUID

from commands.transact import Books, Target, transact, transact_all
from domain import person as people
from domain.errors import NoConsent, NotInvited
from domain.events import INVITATION, PERSON, Request, fold
from domain.person import Invitation, Person, Role
from domain.sealed import additional_data, plain


async def ask_access(
    books: Books, request: Request, person: UUID, *, address: str, name: str, language: str
) -> bool:
    asked = people.AccessAsked(address=plain(address), name=plain(name), language=language)
    return await transact(
        books, request, PERSON, person, lambda state: people.ask_access(state, asked)
    )


async def issue_invitation(
    books: Books,
    request: Request,
    token: str,
    *,
    role: Role,
    site: str,
    uses_max: int,
    valid: timedelta,
) -> bool:
    """Makes `token` (a secret of at least 128 bits) an invitation; only its derived id is kept."""
    issued = people.Issued(role=role, site=site, uses_max=uses_max, expires=request.time + valid)
    invitation = await books.vault.derive("invitation", token)
    return await transact(
        books, request, INVITATION, invitation, lambda state: people.issue(state, issued)
    )


async def join(
    books: Books,
    request: Request,
    person: UUID,
    token: str,
    *,
    address: str,
    name: str,
    language: str,
) -> bool:
    """Uses an invitation. Raises Exhausted when there is none, or it is used up or expired."""
    invitation = await books.vault.derive("invitation", token)
    joined = people.Joined(
        address=plain(address), name=plain(name), language=language, invitation=invitation
    )

    def decide(link: Invitation, state: Person) -> tuple[list[object], list[object]]:
        used = people.use(link, person, request.time)
        assert link.issued is not None
        granted = people.RoleGranted(role=link.issued.role, site=link.issued.site)
        return [*used], [*people.join(state, joined, granted)]

    targets = [Target(INVITATION, invitation), Target(PERSON, person)]
    return await transact_all(books, request, targets, decide)  # type: ignore[arg-type]


async def approve(books: Books, request: Request, person: UUID, *, role: Role, by: UUID) -> bool:
    """An admin grants a stranger a role at the admin's own site. Raises NotInvited."""
    admin = await load(books, by)
    if "admin" not in admin.roles:
        raise NotInvited
    granted = people.RoleGranted(role=role, site=admin.site, by=by)
    return await transact(
        books, request, PERSON, person, lambda state: people.approve(state, granted)
    )


async def consent(
    books: Books, request: Request, person: UUID, *, notice: str, language: str, text_sha256: str
) -> bool:
    given = people.Consented(notice=notice, language=language, text_sha256=text_sha256)
    return await transact(
        books, request, PERSON, person, lambda state: people.consent(state, given)
    )


async def load(books: Books, person: UUID) -> Person:
    state: Person = fold(PERSON, await books.ledger.load(PERSON.name, person))
    return state


async def load_consented(books: Books, person: UUID, notice: str) -> Person:
    """A person who may use ictus. Raises NotInvited, NoConsent."""
    state = await load(books, person)
    if not state.roles:
        raise NotInvited
    if notice not in state.consents:
        raise NoConsent
    return state


async def address_of(books: Books, person: UUID, state: Person) -> str:
    """Where to write to a person, such as `telegram:<chat>`. Raises Erased, NotInvited."""
    if state.address is None or state.sealed_in is None:
        raise NotInvited
    return await books.vault.unseal(state.address, additional_data(state.sealed_in, "address"))


async def name_of(books: Books, person: UUID, state: Person) -> str:
    """The name the messenger gave. Raises Erased, NotInvited."""
    if state.name is None or state.sealed_in is None:
        raise NotInvited
    return await books.vault.unseal(state.name, additional_data(state.sealed_in, "name"))
