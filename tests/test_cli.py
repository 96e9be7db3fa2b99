"""The command line as its users meet it: sentences on stderr, data on stdout, exit codes."""

import json
import re
import subprocess
import sys
from hashlib import sha256
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from uuid import UUID, uuid4

import nats
import pytest
from msgspec.structs import replace

from commands import cases, objects
from commands.ports import Erased
from ictus.cli import COMMANDS
from ictus.kept import free_port
from ictus.models import DEMO_BUNDLE
from ictus.roles import ROLES
from ictus.settings import NatsSettings, PostgresSettings
from ictus.wiring import open_house
from projections import PROJECTIONS
from tests.commandline import Ictus
from tests.servers import NatsServer
from tests.workers.serving import released

ROOT = Path(__file__).resolve().parents[1]

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
        "import manifest.csv",
        "doctor --bogus",
        "dataset build",
        "dataset build --out new --shards 0",
        "case withdraw K7-4F2Q",
        "case withdraw K7-4F2Q --reason erasure",
        "case erase K7-4F2Q",
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


@pytest.mark.parametrize(
    "words",
    [
        "synth --cases 1 --out file",
        "synth --cases 1 --out /proc/x",
        "case explain K7-4F2Q --out file/images",
        "model test bundle --dataset data --report nowhere/page.html",
        "model replay bundle --out nowhere/lines",
        "model replay bundle --out .",
    ],
)
def test_a_place_where_nothing_can_be_written_exits_5_before_any_work(
    alone: Ictus, words: str
) -> None:
    (alone.settings.folder / "file").write_text("mine")
    done = alone(*words.split())
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"ictus: {words.split()[-1]} cannot be written")
    assert (alone.settings.folder / "file").read_text() == "mine"


def test_running_an_unknown_role_names_the_roles_there_are(alone: Ictus) -> None:
    assert ", ".join(ROLES) in alone("run", "nonsense").stderr


def test_an_unknown_setting_exits_2_and_is_named(alone: Ictus) -> None:
    alone.environment["ICTUS_NATS__ADDRESS"] = "nats://127.0.0.1"
    done = alone("doctor")
    assert done.returncode == 2
    assert "address" in done.stderr


def test_the_help_of_run_names_every_role(alone: Ictus) -> None:
    told = re.findall(r"[\w-]+", alone("run", "--help").stdout)
    assert set(ROLES) <= set(told)


def test_the_summary_of_every_command_is_the_first_line_of_its_help() -> None:
    for _, name, function, summary in COMMANDS:
        module, attribute = function.split(":")
        documented = getdoc(getattr(import_module(f"ictus.cli.{module}"), attribute)) or ""
        assert documented.splitlines()[0] == summary, name


@pytest.mark.parametrize(
    "document", ["README.md", "README.ru.md", "docs/operations.md", "docs/read-models.md"]
)
def test_the_commands_that_documents_name_exist(document: str) -> None:
    known = {" ".join([*group.name, name]).removeprefix("ictus ") for group, name, _, _ in COMMANDS}
    code = re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", (ROOT / document).read_text(), re.DOTALL)
    named = re.findall(r"\b(?:ictus|cli) ([a-z]+)(?: ([a-z]+))?", "\n".join(map("".join, code)))
    assert named
    for first, second in named:
        assert first in known or f"{first} {second}" in known, f"ictus {first} {second}"


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


@pytest.mark.parametrize("words", ["events", "dataset build --out new", "run answer"])
def test_an_unfurnished_server_exits_6_and_says_what_furnishes_it(empty: Ictus, words: str) -> None:
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


# A furnished site


def test_furnishing_twice_changes_nothing(empty: Ictus) -> None:
    first = empty.json("furnish")
    assert first == empty.json("furnish")
    assert first["origin"] == "site"


def test_a_furnished_site_is_healthy(furnished: Ictus) -> None:
    told = furnished.json("doctor")
    findings = told["findings"]
    assert isinstance(findings, list)
    assert [found["what"] for found in findings if not found["ok"]] == []
    assert told["healthy"]


async def test_a_stream_with_a_wrong_flag_is_found_wrong_with_how_to_mend_it(
    furnished: Ictus, fresh_nats: NatsServer
) -> None:
    async with await nats.connect(fresh_nats.url) as client:
        config = (await client.jetstream().stream_info("ICTUS_OUT")).config
        await client.jetstream().update_stream(config, max_age=7 * 86_400.0)
    done = furnished("doctor", "--json")
    assert done.returncode == 5, done.stderr
    wrong = [found for found in json.loads(done.stdout)["findings"] if not found["ok"]]
    assert [found["what"] for found in wrong] == ["streams"]
    assert "ICTUS_OUT: `max_age`" in wrong[0]["told"]
    assert "`nats stream edit`" in wrong[0]["told"]


def test_an_absent_postgres_is_found_wrong_and_the_rest_is_still_examined(
    furnished: Ictus,
) -> None:
    away = PostgresSettings(f"postgresql://127.0.0.1:{free_port()}/ictus")
    done = Ictus(replace(furnished.settings, postgres=away))("doctor")
    assert done.returncode == 5, done.stderr
    assert "PostgreSQL cannot answer now" in done.stdout
    assert "events read without a gap" in done.stdout


def test_a_master_key_of_another_ledger_is_found_wrong(furnished: Ictus) -> None:
    furnished.json("invite")
    furnished.settings.master_key.write_bytes(bytes(32))
    done = furnished("doctor", "--json")
    assert done.returncode == 5, done.stderr
    wrong = [found for found in json.loads(done.stdout)["findings"] if not found["ok"]]
    assert [found["what"] for found in wrong] == ["master key"]
    assert "backup" in wrong[0]["told"]


def test_events_are_the_stored_bytes_with_their_hashes(furnished: Ictus) -> None:
    done = furnished("events")
    assert done.returncode == 0, done.stderr
    last: dict[str, str] = {}
    for number, line in enumerate(done.stdout.splitlines(), start=1):
        told = json.loads(line)
        payload = line[line.index('"event":') + len('"event":') : -1]
        assert told["sequence"] == number
        assert told["hash"] == sha256(payload.encode()).hexdigest()
        event = told["event"]
        assert event["prevhash"] == last.get(event["subject"], "0" * 64)
        last[event["subject"]] = told["hash"]
    assert last


def test_events_are_chosen_by_sequence_and_type(furnished: Ictus) -> None:
    everything = furnished("events").stdout.splitlines()
    part = furnished("events", "--from", "2", "--to", "4", "--type", "ictus.examination.")
    assert part.stdout.splitlines() == everything[1:4]
    beyond = furnished("events", "--from", str(len(everything) + 10))
    assert (beyond.returncode, beyond.stdout) == (0, "")


@pytest.mark.parametrize("words", ["events", "projection status --json"])
def test_a_reader_that_leaves_early_is_no_error(furnished: Ictus, words: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ictus", *words.split()],
        env=furnished.environment,
        cwd=furnished.settings.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "words", ["case show NO-SUCH1", f"case show {UUID(int=1)}", "case find K7"]
)
def test_an_unknown_case_exits_3(furnished: Ictus, words: str) -> None:
    done = furnished(*words.split())
    assert (done.returncode, done.stdout) == (3, "")
    assert "no case" in done.stderr


async def test_a_case_is_told_apart_linked_withdrawn_and_erased(furnished: Ictus) -> None:
    one, two = [await submitted(furnished) for _ in range(2)]
    assert furnished.json("case", "apart", str(one), str(two))["changed"]
    assert furnished.json("case", "link", str(one), str(two))["changed"]
    assert furnished("case", "apart", str(one), str(two)).returncode == 5
    assert furnished("case", "link", str(one), str(one)).returncode == 5
    assert furnished("case", "link", str(one), str(uuid4())).returncode == 3
    assert furnished.json("case", "withdraw", str(two), "--reason", "consent")["changed"]
    assert not furnished.json("case", "withdraw", str(two), "--reason", "consent")["changed"]
    assert furnished.json("case", "erase", str(one), "--yes")["changed"]
    assert not furnished.json("case", "erase", str(one), "--yes")["changed"]
    async with open_house(furnished.settings, "test") as house:
        assert (await cases.load(house.books, one)).erased
        assert [key async for key in house.blobs.keys(f"case/{one}/")] == []
        with pytest.raises(Erased):
            await house.books.vault.encrypt(f"case/{one}", "anything", b"")


async def submitted(site: Ictus) -> UUID:
    """A new case with one image and an object."""
    case = uuid4()
    async with open_house(site.settings, "test") as house:
        await cases.submit_image(
            house.books,
            house.operator(),
            case,
            item=uuid4(),
            by=uuid4(),
            site="site-1",
            origin="bot",
            channel="photo",
            joined="first",
            sent=house.books.clock.now(),
            address="telegram:1",
        )
        await objects.store(house.blobs, house.books.vault, case, b"derivative")
    return case


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-22T10:00"])
def test_a_moment_that_is_none_exits_2(furnished: Ictus, moment: str) -> None:
    done = furnished("case", "show", str(uuid4()), "--as-of", moment)
    assert done.returncode == 2
    assert f"`{moment}`" in done.stderr


def test_read_models_are_rebuilt_together_and_their_status_is_told(furnished: Ictus) -> None:
    done = furnished("projection", "rebuild", "history", "inbox", "--json")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["name"] for one in told] == ["history", "inbox"]
    assert done.stderr == ""
    done = furnished("projection", "status", "--json")
    lines = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    for one in told:
        line = lines[one["name"]]
        assert (line["version"], line["sequence"]) == (one["version"], one["sequence"])
        assert (line["behind"], line["behind_s"], line["trouble"]) == (0, 0.0, "")


def test_rebuilding_nothing_exits_2(furnished: Ictus) -> None:
    done = furnished("projection", "rebuild")
    assert done.returncode == 2
    assert "history" in done.stderr


def test_an_unknown_read_model_or_model_exits_3(furnished: Ictus) -> None:
    assert furnished("projection", "rebuild", "nonsense").returncode == 3
    assert furnished("model", "promote", "nonsense", "--role", "champion").returncode == 3


def test_an_invitation_is_told_once_and_its_token_is_not_kept(furnished: Ictus) -> None:
    invitation = furnished.json("invite", "--site", "Neurology A", "--uses", "30")
    assert invitation["link"] is None
    assert (invitation["role"], invitation["uses"]) == ("clinician", 30)
    done = furnished("events", "--type", "ictus.invitation.issued")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["event"]["data"]["uses_max"] == 30
    assert str(invitation["token"]) not in done.stdout


def test_every_read_model_says_where_it_stands(furnished: Ictus) -> None:
    done = furnished("projection", "status", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == sorted(PROJECTIONS)
    assert {line["behind"] for line in lines} == {0}


def test_a_model_is_promoted_from_its_folder_listed_and_taken_back(
    furnished: Ictus, tmp_path: Path
) -> None:
    released(tmp_path / "bundle", "7", synthetic=False)
    bundle = str(tmp_path / "bundle")
    first = furnished.json("model", "promote", bundle, "--as", "champion")
    assert (first["role"], first["audience"]) == ("champion", "all")
    (row,) = [json.loads(line) for line in furnished("model", "list", "--json").stdout.splitlines()]
    assert (row["version"], row["role"], row["audience"], row["passed"]) == (
        "7",
        "champion",
        "all",
        True,
    )
    taken_back = furnished.json("model", "rollback")
    assert (taken_back["left"], taken_back["restored"]) == (first["model"], None)
    assert furnished("model", "rollback").returncode == 5
    again = furnished.json(
        "model", "promote", "synthetic-demo", "--role", "shadow", "--audience", "percent:10"
    )
    assert (again["role"], again["audience"]) == ("shadow", "percent:10")
    assert furnished.json("model", "retire", "synthetic-demo")["retired"]


def test_what_a_model_may_not_be_exits_5_and_a_meaningless_audience_2(furnished: Ictus) -> None:
    words = ("--as", "shadow", "--audience", "percent:101")
    assert furnished("model", "promote", "anything", *words).returncode == 2
    assert furnished("model", "promote", str(DEMO_BUNDLE), "--as", "shadow").returncode == 5
