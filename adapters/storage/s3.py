"""Objects on an S3 server, by plain puts and gets only: no versions, tags, locks or policies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import TypeVar
from urllib.parse import urlsplit

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from adapters.storage.blobs import checked_key, checked_prefix
from commands.ports import Missing, Unavailable

CONNECT_SECONDS_MAX = 3.0
READ_SECONDS_MAX = 20.0
RETRIES_MAX = 2
CONNECTIONS_MAX = 10
LIST_BATCH = 1000

T = TypeVar("T")


class S3Blobs:
    """The objects of `s3://bucket/prefix` on `endpoint` (host:port); makes the bucket if absent.

    The client blocks, so each call runs in a thread.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str = "us-east-1",
        secure: bool = True,
    ) -> None:
        parts = urlsplit(url)
        folder = checked_key(parts.path.strip("/")) + "/" if parts.path.strip("/") else ""
        self._bucket, self._folder, self._region = parts.netloc, folder, region
        self._bucket_is_there = False
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            region=region,
            secure=secure,
            http_client=_http(),
        )

    async def put(self, key: str, data: bytes) -> None:
        name = self._name(key)
        await self._call(
            lambda: self._client.put_object(self._bucket, name, BytesIO(data), len(data))
        )

    async def get(self, key: str) -> bytes:
        name = self._name(key)
        return await self._call(lambda: self._read(name))

    async def exists(self, key: str) -> bool:
        name = self._name(key)
        try:
            await self._call(lambda: self._client.stat_object(self._bucket, name))
        except Missing:
            return False
        return True

    async def delete(self, key: str) -> None:
        name = self._name(key)
        with suppress(Missing):
            await self._call(lambda: self._client.remove_object(self._bucket, name))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        start = self._folder + checked_prefix(prefix)
        found = self._client.list_objects(self._bucket, prefix=start, recursive=True)
        while batch := await self._call(lambda: list(islice(found, LIST_BATCH))):
            for item in batch:
                yield str(item.object_name).removeprefix(self._folder)

    def _name(self, key: str) -> str:
        return self._folder + checked_key(key)

    def _read(self, name: str) -> bytes:
        response = self._client.get_object(self._bucket, name)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    async def _call(self, work: Callable[[], T]) -> T:
        def in_a_thread() -> T:
            self._make_bucket()
            return work()

        try:
            return await asyncio.to_thread(in_a_thread)
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise Missing(error.object_name) from None
            raise Unavailable(f"the object store answered {error.code}") from error
        except (MinioException, HTTPError, OSError) as error:
            raise Unavailable(
                f"the object store does not answer: {type(error).__name__}"
            ) from error

    def _make_bucket(self) -> None:
        if self._bucket_is_there:
            return
        if not self._client.bucket_exists(self._bucket):
            try:
                self._client.make_bucket(self._bucket, self._region)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
        self._bucket_is_there = True


def _http() -> PoolManager:
    return PoolManager(
        maxsize=CONNECTIONS_MAX,
        timeout=Timeout(connect=CONNECT_SECONDS_MAX, read=READ_SECONDS_MAX),
        retries=Retry(RETRIES_MAX, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
    )
