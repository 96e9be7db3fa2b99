"""The production stack, as far as it can be proven without an engine that runs containers.

`data/compose-spec.json` is the official schema of github.com/compose-spec/compose-spec (commit
170098b, Apache-2.0), unchanged.
"""

import asyncio
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from jsonschema import Draft7Validator

from adapters.storage.streams import SERVER_VERSION_MIN
from adapters.storage.users import ADMIN, USERS
from ictus.kept import free_port
from ictus.nkeys import keep
from ictus.roles import ROLES
from ictus.settings import NatsSettings, TelegramSettings, read
from ictus.telemetry import health
from ictus.wiring import as_user
from tests.production import HEALTH

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]

INFRASTRUCTURE = {"nats", "postgres", "seaweedfs"}
SHORT = {"nkeys", "furnish", "cli", "admin"}
VARIANTS = {"inference-gpu": "inference"}
OURS = {*ROLES, *SHORT, *VARIANTS}
CONNECTED = OURS - {"nkeys"}
SPEAK_TO_TELEGRAM = {"inbox", "ingest", "outbox", "cli"}

USERS_OF = {
    **{role: {role} for role in ROLES},
    "inference-gpu": {"inference"},
    "furnish": {ADMIN},
    "admin": {ADMIN},
    "cli": {"operator", "researcher", "auditor", "projector"},
}
"""The NATS users whose seeds a service sees."""

VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY")
SECONDS = {"s": 1, "m": 60}
FILLED = {
    "ICTUS_TELEGRAM__TOKEN": "42:word",
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


class Mount(NamedTuple):
    """A volume, or the folder `part` of it, as a container sees it."""

    volume: str
    target: str
    writable: bool
    part: str = ""


def mounts(service: str) -> list[Mount]:
    return [mount(one) for one in SERVICES[service].get("volumes", ())]


def mount(volume: str | dict[str, Any]) -> Mount:
    if isinstance(volume, str):
        name, target, *mode = volume.split(":")
        return Mount(name, target, writable=mode != ["ro"])
    assert volume["type"] == "volume"
    options = volume["volume"]
    # Else the engine looks for the part when it makes the container: before anybody made the part.
    assert options["nocopy"] is True
    writable = not volume.get("read_only", False)
    return Mount(volume["source"], volume["target"], writable, options["subpath"])


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
    assert profiles == {
        "seaweedfs": ["s3"],
        "inference-gpu": ["gpu"],
        "dataset-worker": ["datasets"],
        "cli": ["cli"],
        "admin": ["admin"],
    }


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
    used = [mounted for name in SERVICES for mounted in mounts(name)]
    assert all(re.fullmatch(r"[a-z]+", mounted.volume) for mounted in used)
    assert all(mounted.target.startswith("/") for mounted in used)
    assert {mounted.volume for mounted in used} == set(COMPOSE["volumes"])
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
    # The admin restores from object stores that may lie anywhere.
    assert out == {*SPEAK_TO_TELEGRAM, "admin"}
    assert all("inside" in service["networks"] for service in SERVICES.values())


def test_the_token_is_known_to_those_who_need_it() -> None:
    knows = {name for name in CONNECTED if "ICTUS_TELEGRAM__TOKEN" in SERVICES[name]["environment"]}
    assert knows == {*SPEAK_TO_TELEGRAM, "bot"}


def test_only_the_witness_may_write_its_signing_key() -> None:
    assert may_write("witness") == {"witness": True, "cli": False, "admin": False}


def test_only_furnish_may_write_the_master_key() -> None:
    assert may_write("keys") == {name: name == "furnish" for name in CONNECTED}


def may_write(volume: str) -> dict[str, bool]:
    """By service that sees it."""
    return {
        name: mounted.writable
        for name in SERVICES
        for mounted in mounts(name)
        if mounted.volume == volume
    }


def test_every_service_sees_the_seeds_of_its_own_users_and_no_others() -> None:
    assert set(USERS_OF) == CONNECTED
    assert set().union(*USERS_OF.values()) == {ADMIN, *USERS}
    for service in CONNECTED:
        seen = {one for one in mounts(service) if one.volume == "nkeys"}
        assert seen == {
            Mount("nkeys", f"/nkeys/{user}", writable=False, part=user)
            for user in USERS_OF[service]
        }


def test_the_command_line_has_the_seed_of_every_user_that_a_command_is() -> None:
    sources = [path.read_text() for path in (ROOT / "ictus" / "cli").glob("*.py")]
    houses = [name for text in sources for name in re.findall(r'house\(data(?:, "(\w+)")?\)', text)]
    assert {name or "operator" for name in houses} == USERS_OF["cli"]


def test_only_its_maker_sees_all_seeds_and_the_server_sees_none(tmp_path: Path) -> None:
    whole = Mount("nkeys", "/nkeys", writable=True)
    assert {name for name in SERVICES if whole in mounts(name)} == {"nkeys"}
    assert SERVICES["nkeys"]["command"] == ["nkeys", "--out", whole.target]
    (given,) = [one for one in mounts("nats") if one.volume == "nkeys"]
    assert given == Mount("nkeys", "/etc/nats/accounts", writable=False, part="server")
    keep(tmp_path)
    assert [file.name for file in (tmp_path / given.part).iterdir()] == ["accounts.conf"]
    assert 'include "accounts/accounts.conf"' in (ROOT / "deploy" / "nats.conf").read_text()
    (config,) = SERVICES["nats"]["configs"]
    assert config["target"] == "/etc/nats/nats.conf"


def test_the_seeds_lie_where_their_users_look_for_them(tmp_path: Path) -> None:
    keep(tmp_path)
    for service in CONNECTED:
        settings = read(environment_of(service, FILLED))
        for user in USERS_OF[service]:
            seed = Path(as_user(settings, user).nats.nkey)
            assert (tmp_path / seed.relative_to("/nkeys")).is_file()


def test_no_password_lets_anybody_into_nats() -> None:
    for name in ("compose.yaml", "deploy/nats.conf", "deploy/example.env"):
        assert not re.search(r"NATS\w*_PASSWORD|password:|token:", (ROOT / name).read_text()), name


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


def test_nats_waits_for_its_users_and_furnishing_for_both_stores() -> None:
    made = {"condition": "service_completed_successfully"}
    assert SERVICES["nats"]["depends_on"] == {"nkeys": made}
    healthy = {"condition": "service_healthy"}
    assert SERVICES["furnish"]["depends_on"] == {"nats": healthy, "postgres": healthy}


def test_nats_is_asked_what_the_tests_of_its_configuration_ask() -> None:
    assert SERVICES["nats"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:8222{HEALTH}"


def test_objects_are_waited_for_where_used() -> None:
    waited = {"condition": "service_healthy", "required": False}
    for name in ("ingest", "inference", "inference-gpu", "witness", "dataset-worker"):
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
@pytest.mark.parametrize("name", sorted(CONNECTED))
def test_ictus_understands_the_environment_it_is_given(name: str, chosen: dict[str, str]) -> None:
    settings = read(environment_of(name, FILLED | chosen))
    assert settings.origin == "site"
    assert not settings.unsafe_durability
    nkey = "/nkeys/admin/admin.nk" if name == "admin" else ""
    assert settings.nats == NatsSettings(
        "nats://nats:4222", "http://nats:8222", nkey=nkey, nkeys="/nkeys"
    )
    assert "@postgres:5432/ictus" in settings.postgres.dsn
    assert (settings.health.host, settings.health.port) == ("0.0.0.0", 8080)
    assert settings.master_key == Path("/keys/master.key")
    if any(mounted.volume == "objects" for mounted in mounts(name)):
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
    mounted = {one.target for name in OURS for one in mounts(name) if not one.part}
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
