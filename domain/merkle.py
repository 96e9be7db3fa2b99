"""Merkle trees of RFC 6962, section 2.1: heads, and proofs that anyone can check.

A leaf is any bytes; its hash is SHA-256 of 0x00 and the leaf, a node's of 0x01 and its two
children. A range `(first, last)` means the leaves from `first` up to, but not including, `last`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

Range = tuple[int, int]
EMPTY = sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Edge:
    """The right edge of a growing tree: the heads of its perfect subtrees, left to right."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, head: bytes) -> None:
        """Adds a leaf's hash (or, throughout, the heads of equally large perfect subtrees)."""
        height = 0
        while self._peaks and self._peaks[-1][0] == height:
            head = node_hash(self._peaks.pop()[1], head)
            height += 1
        self._peaks.append((height, head))

    def peaks(self) -> list[bytes]:
        return [head for _, head in self._peaks]

    def root(self) -> bytes:
        return joined(self.peaks())


class Tree:
    """A tree of `size` leaves (all that are given, if None), for many proofs at little cost.

    `hashes` are the first leaves' hashes, one after the other; `rest` the heads of the perfect
    subtrees over the others, from left to right. Keeps 64 bytes a leaf.
    """

    def __init__(self, hashes: bytes, rest: Sequence[bytes] = (), size: int | None = None) -> None:
        self._known = len(hashes) // HASH_BYTES
        self.size = self._known if size is None else size
        behind = perfect_subtrees(self._known, self.size)
        self._rest = dict(zip(behind, rest, strict=True))
        self._levels = [hashes]
        while len(self._levels[-1]) > HASH_BYTES:
            self._levels.append(_paired(self._levels[-1]))

    def root(self) -> bytes:
        return self.head((0, self.size))

    def path(self, index: int) -> list[bytes]:
        """The proof that one of the known leaves is in the tree."""
        return [self.head(each) for each in inclusion_path(index, self.size)]

    def head(self, leaves: Range) -> bytes:
        return joined([self._subtree(*each) for each in perfect_subtrees(*leaves)])

    def _subtree(self, height: int, index: int) -> bytes:
        if (index + 1) << height <= self._known:
            return self._levels[height][index * HASH_BYTES : (index + 1) * HASH_BYTES]
        if (height, index) in self._rest:
            return self._rest[height, index]
        return node_hash(
            self._subtree(height - 1, 2 * index), self._subtree(height - 1, 2 * index + 1)
        )


def _paired(level: bytes) -> bytes:
    """The heads over each two of a level; the last one alone has none."""
    width = 2 * HASH_BYTES
    return b"".join(
        sha256(b"\x01" + level[at : at + width]).digest()
        for at in range(0, len(level) - width + 1, width)
    )


def root(leaves: Iterable[bytes]) -> bytes:
    """The 32-byte tree head over the leaves' bytes, in the order given; SHA-256 of nothing if empty."""
    return root_of_hashes(leaf_hash(leaf) for leaf in leaves)


def root_of_hashes(hashes: Iterable[bytes]) -> bytes:
    edge = Edge()
    for each in hashes:
        edge.append(each)
    return edge.root()


def joined(peaks: Sequence[bytes]) -> bytes:
    """The head over perfect subtrees of falling size, given from left to right."""
    if not peaks:
        return EMPTY
    *left, head = peaks
    for each in reversed(left):
        head = node_hash(each, head)
    return head


def perfect_subtrees(first: int, last: int) -> list[tuple[int, int]]:
    """The range as perfect subtrees from left to right: each (height, index among its equals)."""
    found = []
    while first < last:
        height = (last - first).bit_length() - 1
        if first:
            height = min(height, (first & -first).bit_length() - 1)
        found.append((height, first >> height))
        first += 1 << height
    return found


# Which subtrees make a proof, from the leaves up


def inclusion_path(index: int, size: int) -> list[Range]:
    """PATH(index, D[size]): what to hash a leaf with, step by step, to reach the tree head."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    first, last, path = 0, size, []
    while last - first > 1:
        middle = first + _half(last - first)
        if index < middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Range]:
    """PROOF(old, D[new]): what shows that the first `old` leaves are still the same."""
    if not 0 < old <= new:
        raise ValueError(f"no proof from a tree of {old} to one of {new}")
    first, last, path = 0, new, []
    while last != old:
        middle = first + _half(last - first)
        if old <= middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first = middle
    if first:
        path.append((first, last))
    return path[::-1]


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that `leaves[index]` is in the tree over `leaves`."""
    return [root(leaves[slice(*each)]) for each in inclusion_path(index, len(leaves))]


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree over `leaves` continues the one over the first `old` of them."""
    return [root(leaves[slice(*each)]) for each in consistency_path(old, len(leaves))]


# Checking one


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], head: bytes
) -> bool:
    """Whether `leaf` is leaf number `index` (from 0) of the tree with this size and head."""
    if not 0 <= index < size:
        return False
    path = inclusion_path(index, size)
    if len(path) != len(proof):
        return False
    found = leaf_hash(leaf)
    for (first, _), sibling in zip(path, proof, strict=True):
        found = node_hash(sibling, found) if first < index else node_hash(found, sibling)
    return found == head


def verify_consistency(
    old: int, old_head: bytes, new: int, new_head: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `new` leaves begins with the very leaves of the tree of `old`."""
    if not 0 < old <= new:
        return False
    path = consistency_path(old, new)
    if len(path) != len(proof):
        return False
    found_old = found_new = old_head
    for (_, last), each in zip(path, proof, strict=True):
        if last == old:
            found_old = found_new = each
        elif last < old:
            found_old, found_new = node_hash(each, found_old), node_hash(each, found_new)
        else:
            found_new = node_hash(found_new, each)
    return (found_old, found_new) == (old_head, new_head)


def _half(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1
