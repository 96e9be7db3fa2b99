"""What every object store must do, asked of memory, a directory and a real S3 server."""

import asyncio
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.storage.blobs import DirectoryBlobs, open_blobs
from adapters.storage.memory import MemoryBlobs
from commands.ports import Blobs, Missing, Unavailable
from tests.contracts.swift import Swift


@pytest.fixture(scope="module")
def swift(server_folder: Path) -> Iterator[Swift]:
    swift = Swift(server_folder / "swift")
    swift.start()
    yield swift
    swift.stop()


@pytest.fixture(params=["memory", "directory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    match request.param:
        case "memory":
            return MemoryBlobs()
        case "directory":
            return open_blobs(f"file://{tmp_path}/objects")
        case _:
            return request.getfixturevalue("swift").blobs(f"s3://b-{uuid4().hex}/some/prefix")


async def listed(blobs: Blobs, prefix: str) -> list[str]:
    return [key async for key in blobs.keys(prefix)]


async def test_what_was_put_comes_back(blobs: Blobs) -> None:
    await blobs.put("case/1/abc", b"\x00\xffpixels")

    assert await blobs.get("case/1/abc") == b"\x00\xffpixels"
    assert await blobs.exists("case/1/abc")


async def test_an_empty_and_a_large_object_come_back_whole(blobs: Blobs) -> None:
    large = sha256(b"seed").digest() * 200_000

    await blobs.put("empty", b"")
    await blobs.put("large", large)

    assert await blobs.get("empty") == b""
    assert sha256(await blobs.get("large")).digest() == sha256(large).digest()


async def test_what_is_not_there_is_missing(blobs: Blobs) -> None:
    assert not await blobs.exists("case/1/nothing")
    with pytest.raises(Missing):
        await blobs.get("case/1/nothing")


async def test_a_folder_of_objects_is_not_an_object(blobs: Blobs) -> None:
    await blobs.put("case/1/abc", b"x")

    assert not await blobs.exists("case/1")
    with pytest.raises(Missing):
        await blobs.get("case/1")


async def test_putting_again_replaces(blobs: Blobs) -> None:
    await blobs.put("note", b"a longer first text")
    await blobs.put("note", b"second")

    assert await blobs.get("note") == b"second"
    assert await listed(blobs, "") == ["note"]


async def test_deleting_twice_is_deleting_once(blobs: Blobs) -> None:
    await blobs.put("case/1/abc", b"x")

    await blobs.delete("case/1/abc")
    await blobs.delete("case/1/abc")
    await blobs.delete("never/was")

    assert not await blobs.exists("case/1/abc")
    assert await listed(blobs, "") == []


async def test_keys_are_listed_in_order_by_the_start_of_their_text(blobs: Blobs) -> None:
    for key in ("case/2/b", "case/1/a", "case/10/c", "segment-0001"):
        await blobs.put(key, b"x")

    assert await listed(blobs, "case/1") == ["case/1/a", "case/10/c"]
    assert await listed(blobs, "case/1/") == ["case/1/a"]
    assert await listed(blobs, "nothing/") == []
    assert await listed(blobs, "") == ["case/1/a", "case/10/c", "case/2/b", "segment-0001"]


async def test_many_writers_do_not_disturb_one_another(blobs: Blobs) -> None:
    texts = {f"case/{number % 3}/{number}": str(number).encode() for number in range(24)}

    await asyncio.gather(*(blobs.put(key, text) for key, text in texts.items()))

    assert {key: await blobs.get(key) for key in await listed(blobs, "")} == texts


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/", ".new/x", "a b", "é", "a\n"]
)
async def test_a_key_that_leads_elsewhere_is_refused(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        await blobs.put(key, b"x")
    with pytest.raises(ValueError, match="not an object key"):
        await blobs.get(key)


async def test_a_directory_keeps_objects_from_other_people(tmp_path: Path) -> None:
    await DirectoryBlobs(tmp_path / "objects").put("case/1/abc", b"x")

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "objects").rglob("*")
    }

    assert modes == {".new": 0o700, "case": 0o700, "1": 0o700, "abc": 0o600}


async def test_half_written_objects_are_not_objects(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    (tmp_path / ".new").mkdir()
    (tmp_path / ".new" / "0123").write_bytes(b"hal")

    assert await listed(blobs, "") == []


async def test_a_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"a file where the folder should be")

    with pytest.raises(Unavailable):
        await DirectoryBlobs(tmp_path / "objects").put("case/1/abc", b"x")


async def test_two_prefixes_of_a_bucket_do_not_see_each_other(swift: Swift) -> None:
    bucket = f"b-{uuid4().hex}"
    one, other = swift.blobs(f"s3://{bucket}/one"), swift.blobs(f"s3://{bucket}")

    await one.put("abc", b"x")

    assert await listed(one, "") == ["abc"]
    assert await listed(other, "") == ["one/abc"]


async def test_a_wrong_secret_is_unavailable_and_not_missing(swift: Swift) -> None:
    blobs = swift.blobs(f"s3://b-{uuid4().hex}", secret_key="wrong")

    with pytest.raises(Unavailable, match=r"AccessDenied|SignatureDoesNotMatch"):
        await blobs.get("abc")


async def test_a_store_that_went_away_is_unavailable_until_it_is_back(swift: Swift) -> None:
    blobs = swift.blobs(f"s3://b-{uuid4().hex}")
    await blobs.put("abc", b"x")

    swift.proxy.kill()
    try:
        with pytest.raises(Unavailable):
            await blobs.get("abc")
        with pytest.raises(Unavailable):
            await blobs.exists("abc")
    finally:
        swift.proxy.restart()

    assert await blobs.get("abc") == b"x"


def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(ValueError, match="ftp://"):
        open_blobs("ftp://somewhere")
