"""Checks a proof that `ictus audit proof` wrote, on any machine, with nothing but Python 3.8+.

    python verify.py proof.json [--key PUBKEY]

It trusts nobody who keeps the ledger. Four things are checked:

1. The checkpoint, "the log had so many entries and this head", carries the witness's Ed25519
   signature (RFC 8032; the note format is c2sp.org/signed-note).
2. Each event's SHA-256 is an entry of that log, at its sequence (RFC 6962, section 2.1).
3. All events are of the one case, and each names the SHA-256 of the one before it.
4. The file is written in the one way a proof is written, so that no byte of it is without meaning.

Exit code 0: all four hold. 4: one does not. 2: called wrongly.
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


def checked_checkpoint(note, verifier_key):
    """The log's name, its size and its head, once the signature has been verified."""
    name, key_id, key = verifier_key.split("+", 2)
    key = plain(key)
    expected_id = sha256(name.encode() + b"\n" + key).digest()[:4]
    require(key[:1] == b"\x01" and key_id == expected_id.hex(), "not an Ed25519 verifier key")

    text, line = note.rsplit("\n\n", 1)
    text += "\n"
    dash, signer, encoded = line.removesuffix("\n").split(" ")
    signature = plain(encoded)
    require(line == f"{dash} {signer} {encoded}\n", "the signature line is not one line")
    require((dash, signer) == ("\u2014", name), "the checkpoint is not signed by this key's name")
    require(signature[:4] == expected_id, "the checkpoint is signed by another key")
    require(is_signed(key[1:], text.encode(), signature[4:]), "the signature is wrong")

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


def check(text, verifier_key=None):
    """(proof, log name, size, events); raises Refuted. `verifier_key` None takes the proof's own."""
    try:
        proof = json.loads(text)
        rewritten = json.dumps(proof, indent=1, ensure_ascii=False) + "\n"
        require(rewritten.encode() == text, "the file is not written as a proof is")
        fields = ["format", "key", "checkpoint", "case", "events"]
        require(list(proof) == fields, "the file has other fields than a proof")
        require(proof["format"] == "ictus-proof-v1", "a format that this program does not know")
        require(verifier_key in (None, proof["key"]), "the proof names another key than yours")
        name, size, head = checked_checkpoint(proof["checkpoint"], proof["key"])
        return proof, name, size, checked_events(proof, size, head)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refuted(f"not a proof: {error}") from error


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


def main(arguments):
    keyed = len(arguments) == 3 and arguments[1] == "--key"
    if len(arguments) != 1 and not keyed:
        sys.stderr.write("usage: python verify.py proof.json [--key PUBKEY]\n")
        return USAGE
    try:
        text = Path(arguments[0]).read_bytes()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    try:
        proof, name, size, events = check(text, arguments[2] if keyed else None)
    except Refuted as refuted:
        sys.stdout.write(f"REFUSED: {refuted}\n")
        return REFUSED
    for sequence, time, kind in events:
        sys.stdout.write(f"{sequence:>8}  {time}  {kind}\n")
    origin = "as you gave it" if keyed else "TAKEN FROM THE PROOF ITSELF: compare it with yours"
    sys.stdout.write(f"\ncase {proof['case']}\nkey  {proof['key']}\n     ({origin})\n\n")
    sys.stdout.write(PROVED.format(count=len(events), name=name, size=size))
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
