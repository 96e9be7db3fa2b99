"""Signed notes and checkpoints as C2SP writes them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).

A note is text, an empty line, and `— <name> <base64(key id, signature)>`; the signature is Ed25519
over the text with its last newline. A checkpoint is a note that says a log's name, size and head.
"""

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from commands.ports import Damaged

ED25519 = b"\x01"


class PublicKey(Protocol):
    """An Ed25519 key that checks."""

    @property
    def public(self) -> bytes:
        """32 bytes."""
        ...

    def verify(self, signature: bytes, text: bytes) -> bool: ...


class SigningKey(PublicKey, Protocol):
    def sign(self, text: bytes) -> bytes:
        """64 bytes, always the same for the same text."""
        ...


class Checkpoint(Struct, frozen=True):
    """The head of a log: its name, how many entries it has, and their Merkle tree head."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def log_name(ledger: UUID) -> str:
    """The origin of its checkpoints and the name of the key that signs them."""
    return f"ictus/{ledger}"


def ledger_of(name: str) -> UUID:
    """The ledger whose log has this name; raises Damaged for a name that is none."""
    try:
        return UUID(name.removeprefix("ictus/"))
    except ValueError:
        raise Damaged(f"`{name}` is not the log of a ledger") from None


def verifier_key(name: str, public: bytes) -> str:
    """The public key as people hand it on: `<name>+<key id>+<base64(0x01, key)>`."""
    return f"{name}+{_key_id(name, public).hex()}+{_base64(ED25519 + public)}"


def sign(text: str, name: str, key: SigningKey) -> bytes:
    """The note."""
    signature = _key_id(name, key.public) + key.sign(text.encode())
    return f"{text}\n— {name} {_base64(signature)}\n".encode()


def open_note(note: bytes, name: str, key: PublicKey) -> str:
    """The text; raises Damaged unless it is signed by this key, and by nothing else."""
    try:
        text, line = note.decode().rsplit("\n\n", 1)
        signature = b64decode(line.removeprefix(f"— {name} ").removesuffix("\n"), validate=True)
    except ValueError:
        raise Damaged("not a signed note") from None
    text += "\n"
    rewritten = f"{text}\n— {name} {_base64(signature)}\n".encode()
    if rewritten != note or signature[:4] != _key_id(name, key.public):
        raise Damaged(f"the note is not signed by {name} with this key")
    if not key.verify(signature[4:], text.encode()):
        raise Damaged("the note's signature is wrong: it was changed, or another key signed it")
    return text


def open_checkpoint(note: bytes, name: str, key: PublicKey) -> Checkpoint:
    """Raises Damaged unless it is a checkpoint of the log `name`, signed by its key."""
    text = open_note(note, name, key)
    try:
        origin, size, root = text.removesuffix("\n").split("\n")
        checkpoint = Checkpoint(origin, int(size), b64decode(root, validate=True))
    except ValueError:
        raise Damaged("the signed text is not a checkpoint") from None
    if checkpoint.text() != text or origin != name:
        raise Damaged(f"the signed text is not a checkpoint of {name}")
    return checkpoint


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
