"""How a NATS user proves who it is: an Ed25519 key, whose seed lies in a file `<user>.nk`.

Seeds and public keys are written as NATS does: a prefix, the 32 bytes and a CRC-16 of both, in
base32 (RFC 4648) without padding. The server never learns the seed; it is shown a signature.
"""

from base64 import b32decode, b32encode, b64encode
from binascii import crc_hqx
from pathlib import Path
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from commands.ports import Missing

SEED_BYTES = 32
USER = bytes([20 << 3])
# A seed's letter, S, and the letter of what it is the seed of, U for a user: five bits each.
USER_SEED = bytes([18 << 3 | 20 >> 2, (20 & 3) << 6])


class BadSeed(ValueError):
    """A file holds no seed of a NATS user."""


class Nkey:
    """One user's key pair; raises ValueError for what is not a user's seed."""

    def __init__(self, user: str, seed: str) -> None:
        self.user = user
        self._private = Ed25519PrivateKey.from_private_bytes(_decoded(USER_SEED, seed))

    @property
    def public(self) -> str:
        """What the server knows the user by, such as `UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZ…`."""
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _encoded(USER, raw)

    def sign(self, nonce: str) -> bytes:
        """The answer to a server's challenge, in base64."""
        return b64encode(self._private.sign(nonce.encode()))


def new_seed() -> str:
    return _encoded(USER_SEED, token_bytes(SEED_BYTES))


def inbox_prefix(user: str) -> str:
    """Below it the user, and nobody else, may listen for answers."""
    return f"_INBOX_{user}"


def load_nkey(path: Path) -> Nkey:
    """The user is called as the file is. Raises Missing, BadSeed, PermissionError."""
    try:
        return Nkey(path.stem, path.read_text().strip())
    except FileNotFoundError:
        raise Missing(
            f"there is no NATS user's seed at {path}: `ictus nkeys --out` makes one for every user"
        ) from None
    except PermissionError:
        raise PermissionError(f"{path} cannot be read: who runs ictus must own it") from None
    except ValueError as error:
        raise BadSeed(
            f"{path} holds no seed of a NATS user: remove it, and `ictus nkeys` makes a new one"
        ) from error


def _encoded(prefix: bytes, key: bytes) -> str:
    data = prefix + key
    return b32encode(data + _checksum(data)).rstrip(b"=").decode()


def _decoded(prefix: bytes, text: str) -> bytes:
    data = b32decode(text + "=" * (-len(text) % 8))
    key = data[len(prefix) : -2]
    if text != _encoded(prefix, key) or len(key) != SEED_BYTES:
        raise ValueError("wrong letters, length or checksum")
    return key


def _checksum(data: bytes) -> bytes:
    return crc_hqx(data, 0).to_bytes(2, "little")
