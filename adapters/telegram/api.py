"""A thin Bot API client on aiohttp, which says of every failure whether the call may be repeated.

ApiError
├── TooMany      429: wait `retry_after_s`, then repeat
├── Away         nothing was done: no connection, 5xx, or it does not know the token (yet); repeat
├── Ambiguous    the connection broke or timed out after the request was sent: perhaps it was done
└── Rejected     4xx: Telegram understood and refused; repeating is useless
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

CALL_SECONDS_MAX = 15.0
CONNECT_SECONDS_MAX = 5.0
DOWNLOAD_SECONDS_MAX = 60.0
DOWNLOAD_BYTES_MAX = 20 * 1024 * 1024


class ApiError(Exception):
    """The Bot API did not do what was asked."""


class TooMany(ApiError):
    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many requests, retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Away(ApiError):
    """Telegram does not answer."""


class Ambiguous(ApiError):
    """The call was sent, its answer was lost."""


class Rejected(ApiError):
    """`code` is the HTTP status, `description` Telegram's words."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{code} {description}")
        self.code, self.description = code, description


class BotApi:
    """Calls one bot's methods. `base` is `https://api.telegram.org` or any other Bot API server."""

    def __init__(self, token: str, base: str) -> None:
        self._calls = f"{base.rstrip('/')}/bot{token}"
        self._files = f"{base.rstrip('/')}/file/bot{token}"
        self._session: aiohttp.ClientSession | None = None
        self.bot_id = int(token.split(":", 1)[0])

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, parameters: Mapping[str, Any], wait_s: float = 0) -> Any:
        """The method's result. `wait_s` is how long the server itself may take (long polling)."""
        limit = aiohttp.ClientTimeout(
            total=CALL_SECONDS_MAX + wait_s, sock_connect=CONNECT_SECONDS_MAX
        )
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            async with self._open.post(
                f"{self._calls}/{method}", json=given, timeout=limit
            ) as response:
                return _result(response.status, await response.read())
        except aiohttp.ClientConnectorError as error:
            raise Away(type(error).__name__) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Ambiguous(type(error).__name__) from error

    async def download(self, path: str) -> bytes:
        """The bytes of a file path that getFile gave. Raises Away, Rejected."""
        limit = aiohttp.ClientTimeout(total=DOWNLOAD_SECONDS_MAX, sock_connect=CONNECT_SECONDS_MAX)
        try:
            async with self._open.get(f"{self._files}/{path}", timeout=limit) as response:
                if response.status in (401, 429) or response.status >= 500:
                    raise Away(str(response.status))
                if response.status != 200:
                    raise Rejected(response.status, "file")
                return await _read_bounded(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Away(type(error).__name__) from error

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use `async with`"
        return self._session


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > DOWNLOAD_BYTES_MAX:
            raise Rejected(413, "file is too big")
    return bytes(data)


def _result(status: int, body: bytes) -> Any:
    if status == 401 or status >= 500:
        raise Away(str(status))
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Away(f"{status}, not JSON") from error
    if answer.get("ok"):
        return answer["result"]
    if status == 429:
        raise TooMany(float(answer.get("parameters", {}).get("retry_after", 1)))
    raise Rejected(status, str(answer.get("description", "")))
