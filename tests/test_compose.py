"""The production stack, as far as it can be proven without an engine that runs containers.

`data/compose-spec.json` is the official schema of github.com/compose-spec/compose-spec (commit
170098b, Apache-2.0), unchanged.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
import yaml
from jsonschema import Draft7Validator
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from adapters.storage.nats_connection import connect
from adapters.storage.streams import LEDGER, SERVER_VERSION_MIN
from ictus.embedded import answers_ok
from ictus.kept import free_port
from ictus.roles import ROLES
from ictus.settings import NatsSettings, Settings, TelegramSettings, read
from ictus.supervisor import Child
from ictus.telemetry import health
from ictus.wiring import furnish, open_house
from tests.servers import Server

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]

INFRASTRUCTURE = {"nats", "postgres", "seaweedfs"}
SHORT = {"furnish", "cli"}
VARIANTS = {"inference-gpu": "inference"}
OURS = {*ROLES, *SHORT, *VARIANTS}
SPEAK_TO_TELEGRAM = {"inbox", "ingest", "outbox", "cli"}

STREAMS, KEYS = "jetstream/$G/streams", "KV_ICTUS_KEYS"

VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY")
SECONDS = {"s": 1, "m": 60}
FILLED = {
    "ICTUS_TELEGRAM__TOKEN": "42:word",
    "NATS_PASSWORD": "12e4",
    "NATS_OPERATOR_PASSWORD": "5k",
    "POSTGRES_PASSWORD": "word",
}
ON_S3 = {
    "ICTUS_BLOBS__URL": "s3://ictus",
    "ICTUS_BLOBS__ENDPOINT": "seaweedfs:8333",
    "ICTUS_BLOBS__SECURE": "false",
    "ICTUS_BLOBS__ACCESS_KEY": "name",
    "ICTUS_BLOBS__SECRET_KEY": "word",
}


def environment_of(service: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What the container sees, by Compose's rules for `${NAME}`, `:-default` and `:?needed`."""

    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if variables.get(name):
            return variables[name]
        assert kind != "?", f"{name}: {text}"
        return text or ""

    given = SERVICES[service].get("environment", {})
    return {name: VARIABLE.sub(value, text) for name, text in given.items()}


def example() -> dict[str, str]:
    """The example's assignments, also those that are commented out."""
    lines = (ROOT / "deploy" / "example.env").read_text().splitlines()
    found = (re.fullmatch(r"#?([A-Z_]+)=(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def seconds(text: str) -> int:
    return int(text[:-1]) * SECONDS[text[-1]]


# The file


def test_it_fits_the_official_schema() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text())
    problems = [
        f"{'.'.join(map(str, error.path))}: {error.message}"
        for error in Draft7Validator(schema).iter_errors(COMPOSE)
    ]
    assert problems == []


def test_every_role_is_a_service_that_runs_it() -> None:
    assert set(SERVICES) == {*INFRASTRUCTURE, *OURS}
    for role in ROLES:
        assert SERVICES[role]["command"] == ["run", role]
    for service, role in VARIANTS.items():
        assert SERVICES[service]["command"] == ["run", role]


def test_what_is_not_for_everybody_has_a_profile() -> None:
    profiles = {name: one["profiles"] for name, one in SERVICES.items() if "profiles" in one}
    assert profiles == {"seaweedfs": ["s3"], "inference-gpu": ["gpu"], "cli": ["cli"]}


def test_images_are_pinned_to_a_release() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), name
    version = SERVICES["nats"]["image"].split(":")[1].removesuffix("-alpine")
    assert tuple(map(int, version.split("."))) >= SERVER_VERSION_MIN
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")
    ours = {SERVICES[name]["image"] for name in OURS}
    release = PROJECT["project"]["version"]
    assert ours == {f"ictus:{release}", f"ictus:{release}-gpu"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_nothing_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["restart"] == ("no" if name in SHORT else "unless-stopped")
    assert seconds(service["stop_grace_period"]) >= 20
    assert service["logging"]["options"]["max-size"]


def test_nothing_of_the_host_is_mounted() -> None:
    used = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            name, target = volume.split(":")[:2]
            assert re.fullmatch(r"[a-z]+", name)
            assert target.startswith("/")
            used.add(name)
    assert used == set(COMPOSE["volumes"])
    for config in COMPOSE["configs"].values():
        assert (ROOT / config["file"]).is_file()


def test_only_the_inbox_can_be_reached_from_outside_and_only_at_its_webhook() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"inbox"}
    (published,) = SERVICES["inbox"]["ports"]
    port = TelegramSettings().webhook_port
    assert published == f"${{WEBHOOK_BIND:-127.0.0.1}}:{port}:{port}"


def test_only_those_that_speak_to_telegram_have_a_way_out() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    out = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert out == SPEAK_TO_TELEGRAM
    assert all("inside" in service["networks"] for service in SERVICES.values())


def test_the_token_is_known_to_those_who_need_it() -> None:
    knows = {name for name in OURS if "ICTUS_TELEGRAM__TOKEN" in SERVICES[name]["environment"]}
    assert knows == {*SPEAK_TO_TELEGRAM, "bot"}


def test_only_the_witness_may_write_its_signing_key() -> None:
    holds = {
        name: volume
        for name, service in SERVICES.items()
        for volume in service.get("volumes", ())
        if volume.startswith("witness:")
    }
    assert holds == {"witness": "witness:/data/witness", "cli": "witness:/data/witness:ro"}


def test_only_furnish_may_write_the_master_key() -> None:
    for name in OURS:
        assert ("keys:/keys" if name == "furnish" else "keys:/keys:ro") in SERVICES[name]["volumes"]


# Health and order


@pytest.mark.parametrize("name", [*ROLES, *VARIANTS])
def test_a_role_starts_on_a_furnished_house_and_is_asked_whether_it_is_ready(name: str) -> None:
    service = SERVICES[name]
    assert service["depends_on"]["furnish"]["condition"] == "service_completed_successfully"
    assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
    check = service["healthcheck"]
    port = environment_of(name, FILLED)["ICTUS_HEALTH__PORT"]
    assert f"http://127.0.0.1:{port}/readyz" in check["test"][-1]
    assert seconds(check["start_period"]) >= 60
    assert seconds(check["timeout"]) < seconds(check["interval"])


def test_furnishing_waits_for_nats_and_objects_are_waited_for_where_used() -> None:
    assert SERVICES["furnish"]["depends_on"] == {"nats": {"condition": "service_healthy"}}
    waited = {"condition": "service_healthy", "required": False}
    for name in ("ingest", "inference", "inference-gpu", "witness"):
        assert SERVICES[name]["depends_on"]["seaweedfs"] == waited
    for name in INFRASTRUCTURE:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("is_ready", [True, False])
async def test_the_health_check_tells_ready_from_not_ready(is_ready: bool) -> None:
    port = free_port()
    python, *words = SERVICES["bot"]["healthcheck"]["test"][1:]
    assert python == "python"
    async with health("127.0.0.1", port, lambda: [] if is_ready else ["stopped"]):
        words = [word.replace("8080", str(port)) for word in words]
        check = await asyncio.create_subprocess_exec(
            sys.executable, *words, stderr=asyncio.subprocess.DEVNULL
        )
        assert (await check.wait() == 0) is is_ready


# Settings and secrets


@pytest.mark.parametrize("chosen", [{}, ON_S3], ids=["volume", "s3"])
@pytest.mark.parametrize("name", sorted(OURS))
def test_ictus_understands_the_environment_it_is_given(name: str, chosen: dict[str, str]) -> None:
    settings = read(environment_of(name, FILLED | chosen))
    assert settings.origin == "site"
    assert not settings.unsafe_durability
    assert settings.nats == NatsSettings("nats://ictus:12e4@nats:4222", "http://nats:8222")
    assert "@postgres:5432/ictus" in settings.postgres.dsn
    assert (settings.health.host, settings.health.port) == ("0.0.0.0", 8080)
    assert settings.master_key == Path("/keys/master.key")
    if "objects:/data/objects" in " ".join(SERVICES[name]["volumes"]):
        assert settings.blobs_url == chosen.get("ICTUS_BLOBS__URL", "/data/objects")


def test_seaweedfs_gets_the_keys_that_ictus_uses() -> None:
    given = environment_of("seaweedfs", FILLED | ON_S3)
    assert given == {"AWS_ACCESS_KEY_ID": "name", "AWS_SECRET_ACCESS_KEY": "word"}


def test_the_example_names_every_variable_and_no_other() -> None:
    used = {match[1] for match in VARIABLE.finditer((ROOT / "compose.yaml").read_text())}
    assert set(example()) == used | {"COMPOSE_PROFILES"}


def test_every_setting_of_the_example_is_one() -> None:
    read({name: value for name, value in example().items() if name.startswith("ICTUS_")})


def test_what_must_be_filled_in_stops_compose_until_it_is() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert {match[1] for match in VARIABLE.finditer(text) if match[2] == "?"} == set(FILLED)
    for needed in FILLED:
        assert example()[needed] == ""


def test_there_is_no_secret_in_the_files() -> None:
    for name, value in example().items():
        assert not (SECRET.search(name) and value), name
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            fixed = VARIABLE.sub("", value).strip('"')
            assert not (SECRET.search(name) and fixed), name
            assert not re.search(r"//\w*:[^@/]+@", fixed), name


# The event store's configuration, on a real nats-server


class Production(Server):
    """nats-server with deploy/nats.conf, but for its ports and folder, and compose's environment."""

    def __init__(self, folder: Path) -> None:
        self.port, self.monitor, self.data = free_port(), free_port(), folder / "data"
        text = (ROOT / "deploy" / "nats.conf").read_text()
        for old, new in (
            ("0.0.0.0:4222", f"127.0.0.1:{self.port}"),
            ("0.0.0.0:8222", f"127.0.0.1:{self.monitor}"),
            ("store_dir: /data", f"store_dir: {json.dumps(str(self.data))}"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        config = folder / "nats.conf"
        config.write_text(text)
        super().__init__(
            Child(
                name="nats",
                argv=(str(Path(sys.executable).with_name("nats-server")), "--config", str(config)),
                env={"PATH": os.defpath} | environment_of("nats", FILLED),
                log=folder / "nats.log",
                ready=partial(asyncio.to_thread, answers_ok, f"{self.monitor_url}/healthz"),
            )
        )

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.monitor}"

    def url(self, user: str, password: str) -> str:
        return f"nats://{user}:{password}@127.0.0.1:{self.port}"

    def settings(self, folder: Path) -> Settings:
        url = self.url("ictus", FILLED["NATS_PASSWORD"])
        return Settings(data=str(folder), nats=NatsSettings(url, self.monitor_url))


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    server = Production(tmp_path)
    server.restart()
    yield server
    server.stop()


async def test_a_house_is_furnished_on_it_with_durability_proven(
    production: Production, tmp_path: Path
) -> None:
    async with open_house(production.settings(tmp_path), "test") as house:
        await furnish(house)
        assert (await house.books.ledger.head()).sequence > 0
        await house.books.vault.encrypt("case/test", "test", b"word")
        await house.books.vault.destroy("case/test")


async def test_the_roles_user_cannot_take_a_stream_away(
    production: Production, tmp_path: Path
) -> None:
    async with open_house(production.settings(tmp_path), "test") as house:
        await furnish(house)
        verbs = ("DELETE", "PURGE", "UPDATE", "RESTORE", "MSG.DELETE")
        attempts = [
            house.client.request(f"$JS.API.STREAM.{verb}.{LEDGER}", b"{}", timeout=1)
            for verb in verbs
        ]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {PermissionError}
        assert (await house.books.ledger.head()).sequence > 0


async def test_the_operator_can_mend_a_stream_and_nobody_else_is_let_in(
    production: Production,
) -> None:
    async with await connect(production.url("operator", "5k"), "test") as client:
        await client.jetstream().add_stream(name="OLD", subjects=["old"])
        await client.jetstream().delete_stream("OLD")
        with pytest.raises(NotFoundError):
            await client.jetstream().stream_info("OLD")
    stranger = Client()
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await stranger.connect(production.url("ictus", "120000"), allow_reconnect=False)
    await stranger.close()


async def test_a_cold_copy_with_the_keys_apart_is_the_same_ledger(
    production: Production, tmp_path: Path
) -> None:
    async with open_house(production.settings(tmp_path), "test") as house:
        await furnish(house)
        before = [recorded.payload async for recorded in house.books.ledger.read()]
        head = await house.books.ledger.head()
        sealed = await house.books.vault.seal("case/test", "test", "words")
    production.stop()
    copied = tmp_path / "copied"
    shutil.copytree(production.data, copied / "data", ignore=shutil.ignore_patterns(KEYS))
    assert not list(copied.rglob(KEYS))
    shutil.copytree(production.data / STREAMS / KEYS, copied / "data" / STREAMS / KEYS)
    restored = Production(copied)
    restored.restart()
    try:
        async with open_house(restored.settings(tmp_path), "test") as house:
            await furnish(house)
            assert await house.books.ledger.head() == head
            assert [recorded.payload async for recorded in house.books.ledger.read()] == before
            assert await house.books.vault.unseal(sealed, "test") == "words"
    finally:
        restored.stop()


# The image


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_is_built_in_two_stages_of_one_pinned_python() -> None:
    bases = [words.split()[0] for word, words in instructions() if word == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_the_image_runs_as_nobody_special_and_starts_ictus() -> None:
    told = dict(instructions())
    words = [word for word, _ in instructions()]
    assert int(told["USER"].split(":")[0]) >= 10_000
    assert f"--uid {told['USER'].split(':')[0]} " in " ".join(one for _, one in instructions())
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert json.loads(told["ENTRYPOINT"]) == ["ictus"]
    assert "ictus" in PROJECT["project"]["scripts"]


def test_the_image_says_its_release_and_reports_to_nobody() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert f"ARG VERSION={PROJECT['project']['version']}\n" in text
    # ONNX Runtime's packages for Linux send usage reports unless told not to.
    assert "ORT_DISABLE_TELEMETRY=1" in dict(instructions())["ENV"].split()


def test_the_image_has_the_folders_that_volumes_are_mounted_on() -> None:
    (made,) = [words for word, words in instructions() if word == "RUN" and "useradd" in words]
    folders = {word for word in shlex.split(made) if word.startswith("/")}
    mounted = {volume.split(":")[1] for name in OURS for volume in SERVICES[name]["volumes"]}
    assert mounted <= folders


def test_the_extras_that_images_are_built_with_exist_and_hold_no_torch() -> None:
    extras = {SERVICES[name]["build"]["args"]["EXTRA"] for name in OURS}
    assert extras == {"cpu", "gpu"}
    for extra in extras:
        packages = " ".join(PROJECT["project"]["optional-dependencies"][extra])
        assert "onnxruntime" in packages
        assert "torch" not in packages
    assert 'pip install ".[${EXTRA}]"' in (ROOT / "Dockerfile").read_text()


def test_all_that_is_installed_is_copied_and_nothing_else_reaches_the_build() -> None:
    copied = {
        source
        for word, words in instructions()
        if word == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    }
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert copied == {*packages, "pyproject.toml", "README.md", "LICENSE"}
    assert all((ROOT / source).exists() for source in copied)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
