"""The auditor's program: right about signatures and trees, and no byte of a proof may differ."""

import ast
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import cache
from hashlib import sha256, sha512
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

import verify
from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.signing import FileSigningKey
from adapters.storage.streams import provision
from commands.ports import Damaged, Missing
from domain.events import CASE
from domain.merkle import inclusion, root
from tests.givens import Given
from tests.servers import NatsServer
from tests.workers.witnessing import KEY, flip, means_of, witness, write
from workers.witness.notes import Checkpoint, log_name, sign, verifier_key
from workers.witness.proof import prove
from workers.witness.worker import Means

PROGRAM = Path(verify.__file__)
ABC = sha512(b"abc").hexdigest()

# RFC 8032, section 7.1: secret, message, signature of tests 1, 2, 3 and SHA(abc).
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
        "4dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        ABC,
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c664"
        "31e0303dca179c138ac17ad9bef1177331a704",
    ),
)


# Ed25519


@pytest.mark.parametrize(("secret", "message", "signature"), VECTORS)
def test_the_standard_s_own_signatures_hold(secret: str, message: str, signature: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).public_key()
    public, text = key.public_bytes_raw(), bytes.fromhex(message)
    assert verify.is_signed(public, text, bytes.fromhex(signature))
    assert not verify.is_signed(public, text + b"\0", bytes.fromhex(signature))


def test_it_agrees_with_the_library_about_signatures_right_and_wrong() -> None:
    chance = Random(1)
    for _ in range(40):
        key = FileSigningKey(chance.randbytes(32))
        text = chance.randbytes(chance.randrange(200))
        signature = key.sign(text)
        assert verify.is_signed(key.public, text, signature)
        for _ in range(4):
            wrong = bytearray(signature)
            wrong[chance.randrange(64)] ^= 1 << chance.randrange(8)
            assert not verify.is_signed(key.public, text, bytes(wrong))
            assert not key.verify(bytes(wrong), text)


def test_a_signature_has_only_one_way_to_be_written() -> None:
    signature = KEY.sign(b"text")
    s = int.from_bytes(signature[32:], "little") + verify.ORDER
    again = signature[:32] + s.to_bytes(32, "little")
    assert not verify.is_signed(KEY.public, b"text", again)
    assert not KEY.verify(again, b"text")


@pytest.mark.parametrize("key", [b"", bytes(31), b"\xff" * 32, (2).to_bytes(32, "little")])
def test_what_is_no_point_of_the_curve_has_signed_nothing(key: bytes) -> None:
    assert not verify.is_signed(key, b"text", KEY.sign(b"text"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21])
def test_it_hashes_the_tree_as_the_log_does(size: int) -> None:
    entries = [b"%032d" % number for number in range(size)]
    for index, entry in enumerate(entries):
        proof = inclusion(entries, index)
        assert verify.head_over(entry, index, size, proof) == root(entries)
        with pytest.raises(verify.Refuted, match="too long"):
            verify.head_over(entry, index, size, [*proof, *([bytes(32)] * 8)])
        if proof:
            with pytest.raises(verify.Refuted, match="too short"):
                verify.head_over(entry, index, size, proof[:-1])


# Proofs


@pytest.fixture
async def client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "verify") as client:
        await provision(client, "demo")
        yield client


@pytest.fixture
async def means(client: Client, fresh_database: str, tmp_path: Path) -> AsyncIterator[Means]:
    async with PostgresDatabase(fresh_database) as database:
        yield means_of(client, DirectoryBlobs(tmp_path / "objects"), database)


@pytest.fixture
async def cases(client: Client, means: Means) -> list[UUID]:
    """Six cases among other events, all witnessed."""
    await write(client, 300)
    cases = await Given(JetStreamLedger(client)).ward()
    await write(client, 5)
    await witness(means)
    return cases


async def proved(client: Client, means: Means, case: UUID) -> bytes:
    ledger = JetStreamLedger(client)
    events = await ledger.load(CASE.name, case)
    head = await ledger.head()
    proof = await prove(means.blobs, means.key, head.ledger, case, events)
    assert len(proof.events) == len(events)
    return proof.text().encode()


async def test_a_proof_of_each_case_is_accepted(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    for case in cases:
        text = await proved(client, means, case)
        _, name, size, events = verify.check(text)
        head = await means.stream.head()
        assert (name, size) == (log_name(head.ledger), head.sequence)
        stored = await JetStreamLedger(client).load(CASE.name, case)
        assert [sequence for sequence, _, _ in events] == [each.sequence for each in stored]
        assert [kind for _, _, kind in events] == [each.envelope.type for each in stored]


async def test_no_byte_of_a_proof_may_differ(
    client: Client, means: Means, cases: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte is tried, with one bit of it changed; the signature is worked out once per text."""
    monkeypatch.setattr(verify, "is_signed", cache(verify.is_signed))
    text = await proved(client, means, cases[0])
    verify.check(text)
    chance = Random(2)
    for at in range(len(text)):
        wrong = bytearray(text)
        wrong[at] ^= 1 << chance.randrange(8)
        with pytest.raises(verify.Refuted):
            verify.check(bytes(wrong))


async def test_a_proof_may_not_be_cut_or_lengthened(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    text = await proved(client, means, cases[0])
    for wrong in (b"", text[:-1], text[: len(text) // 2], text + b"\n", b"\xef\xbb\xbf" + text):
        with pytest.raises(verify.Refuted):
            verify.check(wrong)


async def test_an_event_left_out_is_noticed(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    proof = json.loads(await proved(client, means, cases[0]))
    for left_out in range(len(proof["events"]) - 1):
        events = [each for at, each in enumerate(proof["events"]) if at != left_out]
        with pytest.raises(verify.Refuted, match="missing or changed"):
            verify.check(written(proof | {"events": events}))
    with pytest.raises(verify.Refuted, match="no events"):
        verify.check(written(proof | {"events": []}))


async def test_another_case_s_events_prove_nothing_about_this_one(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    mine, theirs = [json.loads(await proved(client, means, case)) for case in cases[:2]]
    with pytest.raises(verify.Refuted, match="not of the case"):
        verify.check(written(mine | {"events": theirs["events"]}))


async def test_an_event_at_another_s_sequence_is_refused(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    proof = json.loads(await proved(client, means, cases[0]))
    proof["events"][0]["sequence"] -= 1
    with pytest.raises(verify.Refuted, match="not in the signed log"):
        verify.check(written(proof))


async def test_a_checkpoint_that_a_stranger_signed_is_refused(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    text = await proved(client, means, cases[0])
    proof = json.loads(text)
    name = log_name((await means.stream.head()).ledger)
    entry = sha_of(proof["events"][0]["payload"])
    stranger = FileSigningKey(bytes(32))
    forged = sign(Checkpoint(name, 1, root([entry])).text(), name, stranger).decode()
    with pytest.raises(verify.Refuted, match="another key"):
        verify.check(written(proof | {"checkpoint": forged}))
    theirs = verifier_key(name, stranger.public)
    with pytest.raises(verify.Refuted, match="another key than yours"):
        verify.check(written(proof | {"checkpoint": forged, "key": theirs}), proof["key"])


async def test_events_that_are_not_witnessed_yet_are_not_proved(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    given = Given(JetStreamLedger(client), seed="later")
    case = await given.case(await given.person())
    ledger = JetStreamLedger(client)
    events = await ledger.load(CASE.name, case)
    proof = await prove(means.blobs, KEY, (await ledger.head()).ledger, case, events)
    assert proof.events == []


async def test_without_a_checkpoint_nothing_is_proved(client: Client, means: Means) -> None:
    head = await means.stream.head()
    with pytest.raises(Missing, match="nothing was witnessed yet"):
        await prove(means.blobs, KEY, head.ledger, UUID(int=0), [])


async def test_no_proof_is_made_from_damaged_tiles(
    client: Client, means: Means, cases: list[UUID]
) -> None:
    (edge,) = [key async for key in means.blobs.keys("witness/tile/0/001.p/")]
    await flip(means.blobs, edge, 32 * 44)
    with pytest.raises(Damaged, match="not the one that was witnessed"):
        await proved(client, means, cases[0])


# The program


async def test_the_program_says_what_it_proved_and_what_not(
    client: Client, means: Means, cases: list[UUID], tmp_path: Path
) -> None:
    text = await proved(client, means, cases[0])
    key = json.loads(text)["key"]
    file = tmp_path / "proof.json"
    file.write_bytes(text)

    alone, keyed = run(str(file)), run(str(file), "--key", key)
    assert (alone.returncode, keyed.returncode) == (0, 0)
    assert "TAKEN FROM THE PROOF ITSELF" in alone.stdout
    assert "as you gave it" in keyed.stdout
    assert "ictus.case.opened.v1" in keyed.stdout
    assert "Not proved:" in keyed.stdout

    stranger = verifier_key(key.split("+")[0], FileSigningKey(bytes(32)).public)
    assert run(str(file), "--key", stranger).returncode == 4
    file.write_bytes(text.replace(b"cardioembolic", b"large-artery ", 1).replace(b"demo", b"dem0"))
    refused = run(str(file))
    assert refused.returncode == 4
    assert refused.stdout.startswith("REFUSED: ")


@pytest.mark.parametrize("words", [[], ["a", "b"], ["a", "--key"], ["no-such-file.json"]])
def test_the_program_called_wrongly_exits_2(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_program_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(PROGRAM.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """As an auditor runs it, without any of our packages in reach."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *words], capture_output=True, text=True
    )


def written(proof: dict[str, object]) -> bytes:
    return (json.dumps(proof, indent=1, ensure_ascii=False) + "\n").encode()


def sha_of(payload: str) -> bytes:
    return sha256(payload.encode()).digest()
