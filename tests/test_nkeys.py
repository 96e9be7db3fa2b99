"""`ictus nkeys`: a seed for every NATS user, in a folder of its own, and the server's include."""

import json
import os
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from adapters.storage.users import ADMIN, USERS
from ictus.kept import write_once
from ictus.nkeys import accounts_file, keep, nkey_file
from ictus.places import Unwritable

EVERYBODY = [ADMIN, *USERS]
SECONDS_MAX = 60


def nkeys(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ictus", "nkeys", "--out", str(folder), *words],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def seeds(folder: Path) -> dict[str, str]:
    return {user: nkey_file(folder, user).read_text() for user in EVERYBODY}


def test_it_says_what_was_made_and_then_what_was_kept(tmp_path: Path) -> None:
    out = tmp_path / "new" / "keys"

    first, second = nkeys(out, "--json"), nkeys(out, "--json")

    made, kept = json.loads(first.stdout), json.loads(second.stdout)
    assert (made["made"], made["kept"], made["changed"]) == (EVERYBODY, [], True)
    assert (kept["made"], kept["kept"], kept["changed"]) == ([], EVERYBODY, False)
    assert made["public"] == kept["public"]
    assert made["accounts"] == str(out / "server" / "accounts.conf")
    assert all(seed.strip() not in first.stdout for seed in seeds(out).values())


def test_it_tells_people_on_stderr_and_when_the_server_reads_it(tmp_path: Path) -> None:
    done, again = nkeys(tmp_path), nkeys(tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    assert "made: admin, inbox" in done.stderr
    assert "or on SIGHUP" in done.stderr
    assert "kept: admin, inbox" in again.stderr
    assert "is as it was" in again.stderr


def test_each_seed_is_private_and_alone_in_a_private_folder(tmp_path: Path) -> None:
    keep(tmp_path / "nkeys")

    found = seeds(tmp_path / "nkeys")
    assert len(set(found.values())) == len(EVERYBODY)
    for user in EVERYBODY:
        file = nkey_file(tmp_path / "nkeys", user)
        assert [S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
        assert list(file.parent.iterdir()) == [file]


def test_the_server_may_read_public_keys_and_learns_no_seed(tmp_path: Path) -> None:
    found = keep(tmp_path)

    file = accounts_file(tmp_path)
    text = file.read_text()
    assert [S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o644, 0o755]
    assert all(key in text for key in found.public.values())
    assert all(seed.strip() not in text for seed in seeds(tmp_path).values())
    assert "password" not in text


def test_a_user_whose_seed_was_removed_gets_a_new_one_and_nobody_else(tmp_path: Path) -> None:
    before = keep(tmp_path)
    nkey_file(tmp_path, "bot").unlink()

    after = keep(tmp_path)

    assert (after.made, after.changed) == (("bot",), True)
    differing = {user for user in EVERYBODY if after.public[user] != before.public[user]}
    assert differing == {"bot"}


def test_a_seed_is_never_replaced_and_a_spoilt_one_is_named(tmp_path: Path) -> None:
    keep(tmp_path)
    file = nkey_file(tmp_path, "bot")
    file.write_text("SU…\n")

    done = nkeys(tmp_path)

    assert done.returncode == 5
    assert f"{file} holds no seed of a NATS user: remove it" in done.stderr
    assert file.read_text() == "SU…\n"


def test_of_two_who_make_a_file_at_once_the_first_stays(tmp_path: Path) -> None:
    file = tmp_path / "seed"

    assert write_once(file, "first")
    assert not write_once(file, "second")

    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_used_exits_5_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unwritable, match="name a folder of your own"):
        keep(tmp_path / "file")
    done = nkeys(tmp_path / "file")

    assert done.returncode == 5
    assert "Traceback" not in done.stderr
