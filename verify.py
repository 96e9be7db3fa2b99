"""Checks a proof that `ictus audit proof` or `ictus dataset proof` wrote, on any machine, with
nothing but Python 3.8+.

    python verify.py proof.json [--key PUBKEY]...

It trusts nobody who keeps the ledger. Of a case four things are checked:

1. The checkpoint, "the log had so many entries and this head", carries the witness's Ed25519
   signature (RFC 8032; the note format is c2sp.org/signed-note).
2. Each event's SHA-256 is an entry of that log, at its sequence (RFC 6962, section 2.1).
3. All events are of the one case, and each names the SHA-256 of the one before it.
4. The file is written in the one way a proof is written, so that no byte of it is without meaning.

Of a dataset's row, beside 1, 2 and 4:

5. The statement about the dataset carries the signature of whoever built it (DSSE, in-toto).
6. The row is a leaf of the Merkle root in that statement, and the events are those that it names.

Exit code 0: all hold. 4: one does not. 2: called wrongly.
"""

import json
import sys
from base64 import b64decode, b64encode
from hashlib import sha256, sha512
from pathlib import Path

OK, USAGE, REFUSED = 0, 2, 4


class Refuted(Exception):
    """The proof does not hold; the message says why."""


# Ed25519, RFC 8032 section 5.1: points of -x^2 + y^2 = 1 + d x^2 y^2 modulo p, kept as
# (X, Y, Z, T) with x = X/Z, y = Y/Z and x y = T/Z. Slow and not constant-time: it only checks.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(one, two):
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c = 2 * one[3] * two[3] * D % P
    d = 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def decompressed(data):
    """The point whose y, and whose x's lowest bit above it, these 32 bytes hold."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or y >= P or (x == 0 and sign):
        raise Refuted("a public key or signature is not a point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def compressed(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decompressed((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(key, text, signature):
    """Whether `signature` (64 bytes) over `text` was made with the public `key` (32 bytes)."""
    if len(key) != 32 or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    try:
        minus_key = decompressed(key)
    except Refuted:
        return False
    minus_key = (-minus_key[0], minus_key[1], 1, -minus_key[3])
    k = int.from_bytes(sha512(r + key + text).digest(), "little") % ORDER
    return compressed(add(multiply(s, BASE), multiply(k, minus_key))) == r


# The signed checkpoint


def plain(encoded):
    """Base64, and only the one way to write it."""
    data = b64decode(encoded, validate=True)
    require(b64encode(data).decode() == encoded, "base64 with bits to spare")
    return data


def opened_key(verifier_key):
    """Name, id and the 32 bytes of a key as people hand it on: `<name>+<id>+<base64>`."""
    name, key_id, key = verifier_key.split("+", 2)
    key = plain(key)
    expected_id = sha256(name.encode() + b"\n" + key).digest()[:4]
    require(key[:1] == b"\x01" and key_id == expected_id.hex(), "not an Ed25519 verifier key")
    return name, expected_id, key[1:]


def checked_checkpoint(note, verifier_key):
    """The log's name, its size and its head, once the signature has been verified."""
    name, expected_id, key = opened_key(verifier_key)
    text, line = note.rsplit("\n\n", 1)
    text += "\n"
    dash, signer, encoded = line.removesuffix("\n").split(" ")
    signature = plain(encoded)
    require(line == f"{dash} {signer} {encoded}\n", "the signature line is not one line")
    require((dash, signer) == ("\u2014", name), "the checkpoint is not signed by this key's name")
    require(signature[:4] == expected_id, "the checkpoint is signed by another key")
    require(is_signed(key, text.encode(), signature[4:]), "the signature is wrong")

    origin, size, head = text.removesuffix("\n").split("\n")
    require(origin == name, "the checkpoint is of another log")
    return name, int(size), plain(head)


# Merkle inclusion


def head_over(entry, index, size, path):
    """The tree head over `size` entries of which this is number `index`, counted from 0."""
    require(0 <= index < size, "a sequence is outside the log")
    found = sha256(b"\x00" + entry).digest()
    last = size - 1
    for each in path:
        require(last > 0, "an inclusion proof is too long")
        if index & 1 or index == last:
            found = sha256(b"\x01" + each + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + each).digest()
        index, last = index >> 1, last >> 1
    require(last == 0, "an inclusion proof is too short")
    return found


# The proof as a whole


def checked_events(proof, size, head):
    """(sequence, time, type) of each, once it is in the log and follows the one before."""
    events, before, last = [], "0" * 64, 0
    for each in proof["events"]:
        require(set(each) == {"sequence", "payload", "path"}, "an event has other fields")
        sequence, payload = each["sequence"], each["payload"].encode()
        require(type(sequence) is int and sequence > last, "the events are not in order")
        entry = sha256(payload).digest()
        path = [plain(step) for step in each["path"]]
        found = head_over(entry, sequence - 1, size, path)
        require(found == head, f"event {sequence} is not in the signed log")
        event = json.loads(payload)
        require(event["subject"] == f"case/{proof['case']}", f"event {sequence} is not of the case")
        require(event["prevhash"] == before, f"an event before {sequence} is missing or changed")
        before, last = entry.hex(), sequence
        events.append((sequence, event["time"], event["type"]))
    require(events, "the proof has no events")
    return events


def checked_row(proof):
    """(row, statement's predicate, root), once the root is signed and the row is under it."""
    envelope = proof["statement"]
    require(list(envelope) == ["payload", "payloadType", "signatures"], "not a DSSE envelope")
    (signed,) = envelope["signatures"]
    require(signed == {"keyid": proof["key"], "sig": signed["sig"]}, "signed with another key")
    require(list(signed) == ["keyid", "sig"], "a signature has other fields")
    kind, payload = envelope["payloadType"].encode(), plain(envelope["payload"])
    require(kind == b"application/vnd.in-toto+json", "not an in-toto statement")
    text = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    name, _, key = opened_key(proof["key"])
    require(is_signed(key, text, plain(signed["sig"])), "the statement's signature is wrong")

    statement = json.loads(payload)
    require(statement["predicateType"] == "urn:ictus:dataset:v1", "not about a dataset")
    predicate = statement["predicate"]
    require(name == f"ictus/{predicate['ledger']}/datasets", "a key that signs other things")
    (root,) = [e["digest"]["rfc6962Sha256"] for e in statement["subject"] if e["name"] == "dataset"]
    path = [plain(step) for step in proof["path"]]
    require(type(proof["leaf"]) is int, "a leaf is counted")
    found = head_over(proof["row"].encode(), proof["leaf"], predicate["leaves"], path)
    require(found.hex() == root, "the row is not in the dataset")
    return json.loads(proof["row"]), predicate, root


def checked_row_events(proof, row, predicate):
    """(log name, size, sequences) of the row's events, once they are in the log that was signed."""
    log = predicate["log"]
    if log is None:
        require(proof["witness"] == "" and proof["events"] == [], "events of no log")
        return "", 0, []
    require(proof["witness"] == log["key"], "the statement names another witness")
    name, size, head = checked_checkpoint(log["checkpoint"], log["key"])
    require(name == f"ictus/{predicate['ledger']}", "the checkpoint is of another ledger")
    for each in proof["events"]:
        require(list(each) == ["sequence", "sha256", "path"], "an event has other fields")
        entry, path = bytes.fromhex(each["sha256"]), [plain(step) for step in each["path"]]
        require(entry.hex() == each["sha256"], "a hash is written in another way")
        require(type(each["sequence"]) is int, "a sequence is counted")
        found = head_over(entry, each["sequence"] - 1, size, path)
        require(found == head, f"event {each['sequence']} is not in the signed log")
    found = [each["sequence"] for each in proof["events"]]
    require(found == [sequence for sequence, _ in row["events"]], "not the events that it names")
    return name, size, found


FIELDS = {
    "ictus-proof-v1": ["format", "key", "checkpoint", "case", "events"],
    "ictus-row-proof-v1": [
        "format",
        "key",
        "witness",
        "statement",
        "row",
        "leaf",
        "path",
        "events",
    ],
}


def opened(text):
    """The proof in the file, whose format is known and whose every byte is as it must be."""
    proof = json.loads(text)
    rewritten = json.dumps(proof, indent=1, ensure_ascii=False) + "\n"
    require(rewritten.encode() == text, "the file is not written as a proof is")
    require(proof["format"] in FIELDS, "a format that this program does not know")
    require(list(proof) == FIELDS[proof["format"]], "the file has other fields than a proof")
    return proof


def compare(keys, *used):
    """Every key that was given is one that is used."""
    require(set(keys) <= set(used), "the proof names another key than yours")


def refuting(check):
    """Whatever a malformed proof makes Python raise, it is refuted."""

    def checked(*arguments):
        try:
            return check(*arguments)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Refuted(f"not a proof: {error}") from error

    return checked


@refuting
def check(text, *keys):
    """(proof, log name, size, events) of a case's proof; raises Refuted. Without `keys`, the
    proof's own is taken."""
    proof = opened(text)
    require(proof["format"] == "ictus-proof-v1", "not the proof of a case")
    compare(keys, proof["key"])
    name, size, head = checked_checkpoint(proof["checkpoint"], proof["key"])
    return proof, name, size, checked_events(proof, size, head)


@refuting
def check_row(text, *keys):
    """(proof, root, log name, size, sequences) of a row's proof; raises Refuted."""
    proof = opened(text)
    require(proof["format"] == "ictus-row-proof-v1", "not the proof of a row")
    compare(keys, proof["key"], proof["witness"])
    row, predicate, root = checked_row(proof)
    return (proof, root, *checked_row_events(proof, row, predicate))


def require(condition, otherwise):
    if not condition:
        raise Refuted(otherwise)


PROVED = """\
Proved, if the key above is the one you were given by somebody you trust:
  - {count} events of this case stood in log {name} when it had {size} entries,
    each at the sequence shown, and not a byte of them was changed since;
  - none is missing between the first and the last.
Not proved:
  - that what the events say is true, or that their times are: a clock can be wrong;
  - that the case has no later events than entry {size} of the log;
  - what sealed fields hold; their boxes are proved, unopened;
  - that everybody is shown the same log: compare checkpoints with other auditors.
"""


ROW_PROVED = """\
Proved, if the keys above are those you were given by somebody you trust:
  - this row, to the byte, is in the dataset with the root above, which {key} signed;
  - the {count} events it names stood in log {name} when it had {size} entries.
Not proved:
  - that the row says what its events say: `ictus dataset verify` builds it again from the ledger;
    `ictus audit proof CASE` shows the events themselves;
  - that what the events say is true.
"""


def tell_case(text, keys):
    proof, name, size, events = check(text, *keys)
    for sequence, time, kind in events:
        sys.stdout.write(f"{sequence:>8}  {time}  {kind}\n")
    sys.stdout.write(f"\ncase {proof['case']}\n")
    tell_key("key", proof["key"], keys)
    sys.stdout.write("\n" + PROVED.format(count=len(events), name=name, size=size))


def tell_row(text, keys):
    proof, root, name, size, events = check_row(text, *keys)
    sys.stdout.write(f"{proof['row']}\n\nroot {root}\n")
    tell_key("key", proof["key"], keys)
    tell_key("witness", proof["witness"], keys)
    told = {"key": proof["key"].split("+")[0], "count": len(events)}
    sys.stdout.write("\n" + ROW_PROVED.format(**told, name=name or "(none)", size=size))


def tell_key(what, key, keys):
    given = (
        "as you gave it" if key in keys else "TAKEN FROM THE PROOF ITSELF: compare it with yours"
    )
    sys.stdout.write(f"{what} {key}\n    ({given})\n" if key else f"{what}: none\n")


TELL = {"ictus-proof-v1": tell_case, "ictus-row-proof-v1": tell_row}


def main(arguments):
    words, keys = arguments[1::2], arguments[2::2]
    if len(arguments) % 2 != 1 or any(word != "--key" for word in words):
        sys.stderr.write("usage: python verify.py proof.json [--key PUBKEY]...\n")
        return USAGE
    try:
        text = Path(arguments[0]).read_bytes()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    try:
        TELL[refuting(opened)(text)["format"]](text, keys)
    except Refuted as refuted:
        sys.stdout.write(f"REFUSED: {refuted}\n")
        return REFUSED
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
