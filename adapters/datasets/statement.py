"""Who vouches for a dataset: an in-toto statement (v1) in a DSSE envelope, signed with Ed25519.

Its subjects are the Merkle root and every file but the images, which the rows name by their hash; its
predicate says what the dataset was made from. The signing key's public half, as people hand it on,
is the envelope's `keyid`. See github.com/in-toto/attestation and github.com/secure-systems-lab/dsse.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from adapters.datasets.layout import Images, Manifest, pretty
from adapters.storage.signing import parse_verifier_key
from commands.ports import Damaged
from workers.witness.notes import PublicKey, SigningKey, verifier_key
from workers.witness.prefix import Prefix

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:ictus:dataset:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
DATASET, MERKLE = "dataset", "rfc6962Sha256"


class Subject(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    digest: dict[str, str]


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """The last event read: its sequence, and the SHA-256 (hex) of its payload."""

    sequence: int
    sha256: str


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """How the witness's signed checkpoint covers the file `log.entries`: `rest` are the heads
    (base64) of the perfect subtrees over what the log has behind it; `key` is the witness's."""

    key: str
    checkpoint: str
    rest: tuple[str, ...]


class Writer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the files were rendered; nothing of it changes the root."""

    images: Images
    webdataset: bool
    pyarrow: str
    parquet: dict[str, str]


class Predicate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`log` is null when no witness had seen the last event; `leaves` counts the root's."""

    ledger: UUID
    stream: Head
    spec_sha256: str
    projector: str
    rows: int
    leaves: int
    writer: Writer
    log: Log | None


class Statement(Struct, frozen=True, forbid_unknown_fields=True, rename={"type_": "_type"}):
    type_: str
    subject: tuple[Subject, ...]
    predicateType: str
    predicate: Predicate

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 (hex) by path."""
        named = {each.name: each.digest for each in self.subject}
        return {name: digest["sha256"] for name, digest in named.items() if name != DATASET}

    @property
    def root(self) -> str:
        return next(each.digest[MERKLE] for each in self.subject if each.name == DATASET)


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    payloadType: str
    signatures: tuple[Signature, ...]


class Signed(NamedTuple):
    """`key` is the signer's public key, as people hand it on."""

    statement: Statement
    key: str


def key_name(ledger: UUID) -> str:
    """The name of the key that signs a ledger's datasets; the witness's is another."""
    return f"ictus/{ledger}/datasets"


def state(
    manifest: Manifest, files: Mapping[str, str], writer: Writer, log: Log | None
) -> Statement:
    subjects = (Subject(name, {"sha256": files[name]}) for name in sorted(files))
    predicate = Predicate(
        ledger=manifest.ledger,
        stream=Head(manifest.as_of, manifest.head_sha256),
        spec_sha256=manifest.spec_sha256,
        projector=manifest.projector,
        rows=manifest.rows,
        leaves=manifest.rows + len(manifest.erased),
        writer=writer,
        log=log,
    )
    root = Subject(DATASET, {MERKLE: manifest.root})
    return Statement(STATEMENT_TYPE, (root, *subjects), PREDICATE_TYPE, predicate)


def log_of(prefix: Prefix) -> Log:
    rest = tuple(b64encode(head).decode() for head in prefix.rest)
    return Log(prefix.key, prefix.checkpoint.decode(), rest)


def sign(statement: Statement, key: SigningKey) -> bytes:
    payload = msgspec.json.encode(statement, order="sorted")
    keyid = verifier_key(key_name(statement.predicate.ledger), key.public)
    signature = Signature(keyid, b64encode(key.sign(_authenticated(payload))).decode())
    return pretty(Envelope(b64encode(payload).decode(), PAYLOAD_TYPE, (signature,)))


def open_statement(data: bytes, key: PublicKey | None = None) -> Signed:
    """Raises Damaged unless it is signed by `key` (None takes the one it names), written in the one
    way such a file is written, and about a dataset."""
    try:
        envelope = msgspec.json.decode(data, type=Envelope)
        (signature,) = envelope.signatures
        name, named = parse_verifier_key(signature.keyid)
        payload = b64decode(envelope.payload, validate=True)
        signed = b64decode(signature.sig, validate=True)
    except ValueError as error:
        raise Damaged(f"not a signed statement: {error}") from None
    again = Envelope(b64encode(payload).decode(), PAYLOAD_TYPE, envelope.signatures)
    if pretty(again) != data or b64encode(signed).decode() != signature.sig:
        raise Damaged("not written as a signed statement is")
    if key and key.public != named.public:
        raise Damaged("signed by another key than the one given")
    if not named.verify(signed, _authenticated(payload)):
        raise Damaged("the signature is wrong: it was changed, or another key signed it")
    return Signed(_statement(payload, name), signature.keyid)


def _statement(payload: bytes, signer: str) -> Statement:
    try:
        statement = msgspec.json.decode(payload, type=Statement)
        found = (statement.type_, statement.predicateType, len(statement.root) > 0)
        complete = len(statement.files) == len(statement.subject) - 1
    except (ValueError, KeyError, StopIteration) as error:
        raise Damaged(f"what was signed is no statement about a dataset: {error}") from None
    if found != (STATEMENT_TYPE, PREDICATE_TYPE, True) or not complete:
        raise Damaged("what was signed is no statement about a dataset")
    if signer != key_name(statement.predicate.ledger):
        raise Damaged(f"{signer} does not sign datasets of ledger {statement.predicate.ledger}")
    return statement


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
