"""Merkle trees against the words of RFC 6962, read literally."""

from hashlib import sha256
from itertools import pairwise

import pytest

from domain.merkle import (
    Edge,
    Tree,
    consistency,
    inclusion,
    joined,
    leaf_hash,
    perfect_subtrees,
    root,
    verify_consistency,
    verify_inclusion,
)

SIZES = range(1, 20)
# The test tree of Certificate Transparency's own implementations.
KNOWN = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
)]  # fmt: skip
KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


def mth(data: list[bytes]) -> bytes:
    """MTH as section 2.1 defines it."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = max(2**power for power in range(len(data).bit_length()) if 2**power < len(data))
    return sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    """PATH as section 2.1.1 defines it."""
    if len(data) == 1:
        return []
    k = max(2**power for power in range(len(data).bit_length()) if 2**power < len(data))
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF as section 2.1.2 defines it."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = max(2**power for power in range(len(data).bit_length()) if 2**power < len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


@pytest.mark.parametrize("count", [0, *SIZES])
def test_the_head_is_the_one_that_the_standard_defines(count: int) -> None:
    assert root(leaves(count)) == mth(leaves(count))


@pytest.mark.parametrize(("count", "known"), KNOWN_ROOTS.items())
def test_the_heads_of_the_known_test_tree_come_out(count: int, known: str) -> None:
    assert root(KNOWN[:count]).hex() == known


@pytest.mark.parametrize("count", SIZES)
def test_proofs_are_those_that_the_standard_defines(count: int) -> None:
    data = leaves(count)
    for number in range(count):
        assert inclusion(data, number) == path(number, data)
        assert consistency(data, number + 1) == subproof(number + 1, data, True)


@pytest.mark.parametrize("count", SIZES)
def test_an_inclusion_proof_holds_for_its_leaf_at_its_place_only(count: int) -> None:
    data, head = leaves(count), root(leaves(count))
    for number in range(count):
        proof = inclusion(data, number)
        assert verify_inclusion(data[number], number, count, proof, head)
        others = [(number, b"another leaf")] + [
            (other, data[number]) for other in range(-1, count + 1) if other != number
        ]
        assert not any(verify_inclusion(leaf, at, count, proof, head) for at, leaf in others)
        assert not verify_inclusion(data[number], number, count, [*proof, head], head)
        for flipped in one_wrong(proof):
            assert not verify_inclusion(data[number], number, count, flipped, head)


@pytest.mark.parametrize("count", SIZES)
def test_a_consistency_proof_holds_for_its_two_heads_only(count: int) -> None:
    data, head = leaves(count), root(leaves(count))
    for old in range(1, count + 1):
        proof, before = consistency(data, old), root(data[:old])
        assert verify_consistency(old, before, count, head, proof)
        assert not verify_consistency(old, bytes(32), count, head, proof)
        assert not verify_consistency(old, before, count, bytes(32), proof)
        for flipped in one_wrong(proof):
            assert not verify_consistency(old, before, count, head, flipped)
    assert not verify_consistency(0, root([]), count, head, [])
    assert not verify_consistency(count + 1, head, count, head, [])


def test_a_changed_past_has_no_consistency_proof() -> None:
    old, new = leaves(11), [b"changed", *leaves(15)[1:]]
    assert not verify_consistency(11, root(old), 15, root(new), consistency(new, 11))


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 13), (8, 13), (12, 13), (4, 8), (6, 8)])
def test_a_range_is_joined_from_its_perfect_subtrees(first: int, last: int) -> None:
    data = leaves(16)
    parts = perfect_subtrees(first, last)
    heads = [root(data[index << height : (index + 1) << height]) for height, index in parts]
    assert joined(heads) == root(data[first:last])
    assert all(high >= low for (high, _), (low, _) in pairwise(parts))


def test_the_edge_of_a_growing_tree_has_its_head_at_each_size() -> None:
    edge = Edge()
    for count, leaf in enumerate(leaves(40), 1):
        edge.append(leaf_hash(leaf))
        assert edge.root() == root(leaves(count))
        assert len(edge.peaks()) == count.bit_count()


def one_wrong(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with each of its hashes, in turn, changed in one bit."""
    return [
        [bytes([each[0] ^ 1]) + each[1:] if at == wrong else each for at, each in enumerate(proof)]
        for wrong in range(len(proof))
    ]


@pytest.mark.parametrize("size", [0, *SIZES])
def test_a_tree_gives_the_heads_and_proofs_of_its_leaves(size: int) -> None:
    data = leaves(size)
    tree = Tree(b"".join(map(leaf_hash, data)))
    assert tree.root() == mth(data)
    assert [tree.path(index) for index in range(size)] == [path(m, data) for m in range(size)]


@pytest.mark.parametrize("size", SIZES)
def test_of_leaves_further_on_a_tree_needs_only_a_few_heads(size: int) -> None:
    data = leaves(size)
    whole = Tree(b"".join(map(leaf_hash, data)))
    for known in range(size + 1):
        behind = [
            (at << height, (at + 1) << height) for height, at in perfect_subtrees(known, size)
        ]
        rest = [whole.head(each) for each in behind]
        tree = Tree(b"".join(map(leaf_hash, data[:known])), rest, size)
        assert tree.root() == mth(data)
        assert all(tree.path(index) == path(index, data) for index in range(known))
        with pytest.raises(ValueError, match="zip"):
            Tree(b"".join(map(leaf_hash, data[:known])), [*rest, bytes(32)], size)
