"""Ed25519 keys: the witness's own, in a file, and anybody's public one."""

from base64 import b64decode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.storage.vault import load_master_key
from commands.ports import Missing
from workers.witness.notes import ED25519, verifier_key


class VerifyingKey:
    """Implements `workers.witness.notes.PublicKey`."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._public = key
        self.public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def verify(self, signature: bytes, text: bytes) -> bool:
        try:
            self._public.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class FileSigningKey(VerifyingKey):
    """Implements `workers.witness.notes.SigningKey`; `seed` is RFC 8032's 32 secret bytes."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        super().__init__(self._private.public_key())

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)


def load_signing_key(path: Path) -> FileSigningKey:
    """From a file of 32 random bytes; made (mode 0600) when absent, by one process only."""
    return FileSigningKey(load_master_key(path))


def existing_signing_key(path: Path) -> FileSigningKey:
    """Raises Missing rather than making one: a new key has signed nothing."""
    if not path.exists():
        raise Missing(f"there is no witness key at {path}: give its public key with --key")
    return load_signing_key(path)


def parse_verifier_key(text: str) -> tuple[str, VerifyingKey]:
    """The name and the key of `<name>+<key id>+<base64>`; raises ValueError."""
    name, _, encoded = text.split("+", 2)
    data = b64decode(encoded, validate=True)
    if data[:1] != ED25519 or verifier_key(name, data[1:]) != text:
        raise ValueError(f"not a verifier key: {text}")
    return name, VerifyingKey(Ed25519PublicKey.from_public_bytes(data[1:]))
