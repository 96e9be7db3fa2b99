"""The seeds of all NATS users, in a folder each, and what nats-server is told of them.

    bot/bot.nk, admin/admin.nk, …   one seed each, for its user only (0700, 0600)
    server/accounts.conf            public keys and permissions, for the server (0755, 0644)

So each can be given its own folder and nothing else. A seed that is there is never replaced.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from adapters.storage.nkeys import load_nkey, new_seed
from adapters.storage.users import ADMIN, USERS, accounts
from ictus.kept import make_private, make_public, write_once, write_public
from ictus.places import Unwritable

EVERYBODY = (ADMIN, *USERS)
ACCOUNTS_CONF = "# Made by `ictus nkeys`: who may log in, and who may do what.\naccounts: {}\n"


class Nkeys(Struct, frozen=True):
    """What lies in a folder: the public key of every user, who got a seed just now and who had one,
    the server's include, and whether that was written anew."""

    folder: str
    made: tuple[str, ...]
    kept: tuple[str, ...]
    public: dict[str, str]
    accounts: str
    changed: bool


def keep(folder: Path) -> Nkeys:
    """Makes what is missing. Raises Unwritable, BadSeed for a file that holds no seed."""
    with _writing():
        made = make_seeds(folder)
    public = public_keys(folder)
    with _writing():
        changed = _write_accounts(folder, public)
    kept = tuple(user for user in EVERYBODY if user not in made)
    return Nkeys(str(folder), made, kept, public, str(accounts_file(folder)), changed)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{error.filename} cannot be used ({error.strerror}): name a folder of your own"
        ) from error


def make_seeds(folder: Path) -> tuple[str, ...]:
    """One for every user who has none; returns whom."""
    made = []
    for user in EVERYBODY:
        file = nkey_file(folder, user)
        make_private(file.parent)
        if write_once(file, new_seed() + "\n"):
            made.append(user)
    return tuple(made)


def public_keys(folder: Path) -> dict[str, str]:
    return {user: load_nkey(nkey_file(folder, user)).public for user in EVERYBODY}


def nkey_file(folder: Path, user: str) -> Path:
    return folder / user / f"{user}.nk"


def accounts_file(folder: Path) -> Path:
    return folder / "server" / "accounts.conf"


def _write_accounts(folder: Path, public: Mapping[str, str]) -> bool:
    file = accounts_file(folder)
    text = ACCOUNTS_CONF.format(json.dumps(accounts(public), indent=2))
    make_public(file.parent)
    if file.exists() and file.read_text() == text:
        return False
    write_public(file, text)
    return True
