"""Who vouches for a bundle: an Ed25519 signature over its manifest's bytes, which name all else."""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from adapters.storage.signing import load_signing_key, parse_verifier_key
from workers.inference.manifest import MANIFEST_FILE, SIGNATURE_FILE, BundleRefused
from workers.witness.notes import verifier_key

KEY_NAME: Final = "ictus/models"


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """`key` is the signer's public key, as people hand it on; `signature` (base64) is over the bytes
    of manifest.json."""

    key: str
    signature: str


def sign(folder: Path, key_file: Path) -> str:
    """Writes signature.json with the key in `key_file`, which is made when absent; its public half."""
    key = load_signing_key(key_file)
    signature = b64encode(key.sign((folder / MANIFEST_FILE).read_bytes())).decode()
    signed = Signature(verifier_key(KEY_NAME, key.public), signature)
    (folder / SIGNATURE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(signed)) + b"\n")
    return signed.key


def signer(folder: Path) -> str | None:
    """The public key that signed the bundle, None for nobody; raises BundleRefused for a signature that
    does not hold."""
    file = folder / SIGNATURE_FILE
    if not file.exists():
        return None
    try:
        signed = msgspec.json.decode(file.read_bytes(), type=Signature)
        _, key = parse_verifier_key(signed.key)
        signature = b64decode(signed.signature, validate=True)
    except ValueError as error:
        raise BundleRefused(f"{file} is no signature: {error}") from None
    if not key.verify(signature, (folder / MANIFEST_FILE).read_bytes()):
        raise BundleRefused(f"{file} is not of this manifest: it was changed after it was signed.")
    return signed.key


def require_trust(folder: Path, trusted: frozenset[str]) -> None:
    """Raises BundleRefused when a signature does not hold, or when keys are trusted and none signed."""
    by = signer(folder)
    if trusted and by not in trusted:
        who = f"was signed by {by}" if by else "was not signed"
        raise BundleRefused(
            f"{folder} {who}: this site takes bundles of ICTUS_MODELS__TRUSTED_KEYS only."
        )
