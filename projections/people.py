"""Who may do what, where and in which language; names and addresses stay in the ledger, sealed."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from msgspec import Struct

from commands.ports import Db
from domain.events import Recorded
from domain.person import AccessAsked, Consented, Joined, Role, RoleGranted
from projections.projection import Change, execute

DDL = """
CREATE TABLE people (
    person uuid PRIMARY KEY,
    language text NOT NULL,
    asked boolean NOT NULL DEFAULT false,
    joined boolean NOT NULL DEFAULT false,
    roles text[] NOT NULL DEFAULT '{}',
    site text NOT NULL DEFAULT '',
    consents text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX people_roles ON people USING gin (roles);
"""
ASK = """
INSERT INTO people (person, language, asked) VALUES ($1, $2, true)
ON CONFLICT (person) DO UPDATE SET language = excluded.language, asked = true
"""
JOIN = """
INSERT INTO people (person, language, joined) VALUES ($1, $2, true)
ON CONFLICT (person) DO UPDATE SET language = excluded.language, joined = true
"""
GRANT = """
UPDATE people SET site = $3, roles = array_append(array_remove(roles, $2), $2) WHERE person = $1
"""
CONSENT = """
UPDATE people SET consents = array_append(array_remove(consents, $2), $2) WHERE person = $1
"""


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await execute(db, batch, changes)


def changes(recorded: Recorded) -> Iterator[Change]:
    person = recorded.aggregate_id
    match recorded.event:
        case AccessAsked() as asked:
            yield Change(ASK, (person, asked.language))
        case Joined() as joined:
            yield Change(JOIN, (person, joined.language))
        case RoleGranted() as granted:
            yield Change(GRANT, (person, granted.role, granted.site))
        case Consented() as consented:
            yield Change(CONSENT, (person, consented.notice))


# Queries


class Profile(Struct, frozen=True):
    """`asked` for access, `joined`, or both; `consents` are the versions of the notice accepted."""

    person: UUID
    language: str
    asked: bool
    joined: bool
    roles: list[Role]
    site: str
    consents: list[str]


async def profile(db: Db, person: UUID) -> Profile | None:
    found = await db.fetchrow("SELECT * FROM people.people WHERE person = $1", person)
    return Profile(**found) if found else None


async def with_role(db: Db, role: Role) -> list[UUID]:
    query = "SELECT person FROM people.people WHERE roles @> ARRAY[$1::text] ORDER BY person"
    return [found["person"] for found in await db.fetch(query, role)]
