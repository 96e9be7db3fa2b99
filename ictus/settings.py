"""Settings: one frozen struct, read once from the environment.

`ICTUS_NATS__URL` sets `nats.url`, and so on for every field below. What is not set is embedded:
without a NATS or Postgres address, ictus runs its own under the data directory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

PREFIX = "ICTUS_"
NKEYS = "nkeys"


class BadSetting(Exception):
    """A setting cannot be used; the message names it."""


class NatsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`monitor_url` is where /varz proves how the server syncs; without it boot cannot prove it. Of a
    cluster it names every node, with commas between, and `replicas` is how many of them keep each
    stream. In the folder `nkeys`, made by `ictus nkeys`, each process finds the seed of its own user;
    `nkey`, a file `<user>.nk`, makes it that user whatever it does. Else `url` may name a user."""

    url: str = ""
    monitor_url: str = ""
    nkey: str = ""
    nkeys: str = ""
    replicas: int = 1


class PostgresSettings(Struct, frozen=True, forbid_unknown_fields=True):
    dsn: str = ""


class BlobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`url` is `s3://bucket/prefix` or a directory; `endpoint` as host:port."""

    url: str = ""
    endpoint: str = ""
    access_key: str = ""
    secret_key: str = ""
    region: str = "us-east-1"
    secure: bool = True


class TelegramSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """With `webhook_url`, updates are received on `webhook_port`; else they are polled."""

    token: str = ""
    api: str = "https://api.telegram.org"
    webhook_url: str = ""
    webhook_secret: str = ""
    webhook_host: str = "0.0.0.0"
    webhook_port: int = 8443


class VaultSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`master_key` is the file that wraps every key; back it up apart from everything else."""

    master_key: str = ""


class HealthSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`/livez` and `/readyz`; port 0 picks a free one."""

    host: str = "127.0.0.1"
    port: int = 0


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """With `trusted_keys` (public keys, with commas between) only bundles that one of them signed are
    registered."""

    trusted_keys: str = ""

    @property
    def trusted(self) -> frozenset[str]:
        return frozenset(filter(None, map(str.strip, self.trusted_keys.split(","))))


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`origin` is what a new ledger is made for: `site`, or `demo` by `ictus demo` only."""

    data: str = ".ictus/site"
    origin: Literal["demo", "site"] = "site"
    unsafe_durability: bool = False
    log_level: str = "INFO"
    nats: NatsSettings = NatsSettings()
    postgres: PostgresSettings = PostgresSettings()
    blobs: BlobSettings = BlobSettings()
    telegram: TelegramSettings = TelegramSettings()
    vault: VaultSettings = VaultSettings()
    health: HealthSettings = HealthSettings()
    models: ModelSettings = ModelSettings()

    @property
    def folder(self) -> Path:
        return Path(self.data).resolve()

    @property
    def master_key(self) -> Path:
        return Path(self.vault.master_key) if self.vault.master_key else self.folder / "master.key"

    @property
    def nkeys(self) -> Path:
        return Path(self.nats.nkeys) if self.nats.nkeys else self.folder / NKEYS

    @property
    def blobs_url(self) -> str:
        return self.blobs.url or str(self.folder / "objects")


def read(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Raises BadSetting for an unknown name or a value of the wrong type."""
    tree: dict[str, Any] = {}
    for name, value in environment.items():
        if name.startswith(PREFIX):
            _put(tree, name.removeprefix(PREFIX).lower().split("__"), value)
    tree |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(f"{error} (settings are ICTUS_… in the environment)") from None


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process the same settings."""
    names: dict[str, str] = {}
    for name, value in msgspec.to_builtins(settings).items():
        if isinstance(value, dict):
            names |= {f"{PREFIX}{name}__{inner}".upper(): str(v) for inner, v in value.items()}
        else:
            names[f"{PREFIX}{name}".upper()] = str(value)
    return names


def _put(tree: dict[str, Any], path: list[str], value: str) -> None:
    for word in path[:-1]:
        tree = tree.setdefault(word, {})
    tree[path[-1]] = value
