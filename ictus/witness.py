"""The witness's means in this house: where its key lies, and what it and its auditors work with."""

from pathlib import Path

from adapters.storage.messages import JetStreamMessages
from adapters.storage.signing import (
    existing_signing_key,
    load_signing_key,
    parse_verifier_key,
)
from ictus.settings import BadSetting, Settings
from ictus.wiring import House
from workers.witness import audit, worker
from workers.witness.notes import PublicKey


def key_file(settings: Settings) -> Path:
    """On the witness's machine only: whoever has it can sign another history."""
    return settings.folder / "witness" / "signing.key"


def witness_means(house: House) -> worker.Means:
    """The key is made when this ledger is witnessed for the first time."""
    return worker.Means(
        stream=JetStreamMessages(house.client),
        blobs=house.blobs,
        database=house.database,
        key=load_signing_key(key_file(house.settings)),
    )


def audit_means(house: House, key: str | None) -> audit.Means:
    """Raises Missing without a key, BadSetting for text that is none."""
    return audit.Means(
        stream=JetStreamMessages(house.client),
        blobs=house.blobs,
        database=house.database,
        key=public_key(house.settings, key),
    )


def public_key(settings: Settings, key: str | None) -> PublicKey:
    """The one given as `<name>+<key id>+<base64>`, else this machine's witness's own."""
    if key is None:
        return existing_signing_key(key_file(settings))
    try:
        return parse_verifier_key(key)[1]
    except ValueError:
        raise BadSetting(f"`{key}` is not a witness's public key") from None
