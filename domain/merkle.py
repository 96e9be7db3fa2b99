"""Merkle tree hash of RFC 6962, section 2.1: the identity of a dataset."""

from collections.abc import Iterable
from hashlib import sha256


def root(leaves: Iterable[bytes]) -> bytes:
    """The 32-byte tree head over the leaves' bytes, in the order given; SHA-256 of nothing if empty."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        stack.append((0, sha256(b"\x00" + leaf).digest()))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            (height, right), (_, left) = stack.pop(), stack.pop()
            stack.append((height + 1, _node(left, right)))
    if not stack:
        return sha256(b"").digest()
    _, head = stack.pop()
    while stack:
        _, left = stack.pop()
        head = _node(left, head)
    return head


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
