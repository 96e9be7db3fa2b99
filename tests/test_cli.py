"""The command line as its users meet it: sentences on stderr, data on stdout, exit codes."""

import json
import re
import subprocess
import sys
from hashlib import sha256
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from msgspec.structs import replace

from ictus.cli import COMMANDS
from ictus.kept import free_port
from ictus.roles import ROLES
from ictus.settings import NatsSettings, PostgresSettings, Settings, environment
from ictus.wiring import furnish, open_house
from projections import PROJECTIONS
from tests.projections.following import project
from tests.servers import NatsServer

SECONDS_MAX = 60


class Ictus:
    """`ictus …` in a process of its own, with these settings and nothing else in the environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.environment = environment(settings) | {"PATH": "/usr/bin:/bin", "COLUMNS": "100"}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ictus", *words],
            env=self.environment,
            cwd=self.settings.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )

    def json(self, *words: str) -> dict[str, object]:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        value: dict[str, object] = json.loads(line)
        return value


@pytest.fixture
def alone(tmp_path: Path) -> Ictus:
    """No server anywhere, an empty data directory."""
    return Ictus(Settings(data=str(tmp_path)))


@pytest.fixture
def empty(fresh_nats: NatsServer, fresh_database: str, tmp_path: Path) -> Ictus:
    """Servers with nothing in them."""
    settings = Settings(
        data=str(tmp_path),
        nats=NatsSettings(fresh_nats.url, fresh_nats.monitor_url),
        postgres=PostgresSettings(fresh_database),
    )
    return Ictus(settings)


@pytest.fixture
async def furnished(empty: Ictus) -> Ictus:
    """A new site: streams, the advice catalogue in the ledger, read models that know it."""
    async with open_house(empty.settings, "test") as house:
        await furnish(house)
        await project(house.books.ledger, house.database, *PROJECTIONS.values())
    return empty


# Usage


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "case nonsense",
        "case list --limit many",
        "case list --limit 0",
        "case list --state lost",
        "events --from 0",
        "invite --uses 0",
        "invite --role king",
        "doctor --bogus",
        "dataset build",
        "run",
        "run nonsense",
    ],
)
def test_a_command_that_cannot_be_meant_exits_2_and_says_why_on_stderr(
    alone: Ictus, words: str
) -> None:
    done = alone(*words.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_running_an_unknown_role_names_the_roles_there_are(alone: Ictus) -> None:
    assert ", ".join(ROLES) in alone("run", "nonsense").stderr


def test_an_unknown_setting_exits_2_and_is_named(alone: Ictus) -> None:
    alone.environment["ICTUS_NATS__ADDRESS"] = "nats://127.0.0.1"
    done = alone("doctor")
    assert done.returncode == 2
    assert "address" in done.stderr


def test_the_summary_of_every_command_is_the_first_line_of_its_help() -> None:
    for _, name, function, summary in COMMANDS:
        module, attribute = function.split(":")
        documented = getdoc(getattr(import_module(f"ictus.cli.{module}"), attribute)) or ""
        assert documented.splitlines()[0] == summary, name


# Servers that are not there


@pytest.mark.parametrize("words", ["doctor", "events", "case list", "furnish", "invite"])
def test_without_a_ledger_every_command_exits_6(alone: Ictus, words: str) -> None:
    done = alone(*words.split())
    assert done.returncode == 6
    assert re.match(r"ictus: .+ `ictus up`", done.stderr)


def test_a_nats_server_that_is_away_exits_6(alone: Ictus) -> None:
    settings = replace(
        alone.settings,
        nats=NatsSettings(f"nats://127.0.0.1:{free_port()}"),
        postgres=PostgresSettings(f"postgresql://127.0.0.1:{free_port()}/ictus"),
    )
    done = Ictus(settings)("events")
    assert done.returncode == 6
    assert done.stderr.startswith("ictus: NATS does not answer")


@pytest.mark.parametrize("words", ["events", "case list", "projection status"])
def test_an_unfurnished_server_exits_6_and_says_what_furnishes_it(
    empty: Ictus, words: str
) -> None:
    done = empty(*words.split())
    assert done.returncode == 6, done.stderr
    assert "`ictus furnish`" in done.stderr


def test_an_unfurnished_server_is_found_wrong_and_left_as_it_was(
    empty: Ictus, fresh_nats: NatsServer
) -> None:
    done = empty("doctor", "--json")
    assert done.returncode == 5, done.stderr
    findings = {found["what"]: found for found in json.loads(done.stdout)["findings"]}
    assert findings["durability"]["ok"]
    assert "`ictus furnish`" in findings["streams"]["told"]
