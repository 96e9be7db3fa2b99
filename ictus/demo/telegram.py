"""A person's Telegram app, driven through the emulator's control routes."""

import asyncio
import base64
import re
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
from msgspec import Struct

CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{2}-[0-9A-HJKMNP-TV-Z]{4}\b")
WAIT_SECONDS = 20.0


class Timeout(Exception):
    """What was waited for did not appear in the chat."""


class Message(Struct, frozen=True):
    """A message as the emulator shows it; a version is {at, text, html, media, buttons}."""

    id: int
    by_bot: bool
    versions: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        return str(self.versions[-1]["text"])

    @property
    def code(self) -> str | None:
        """The case's code, which stands in a card's first line."""
        found = CODE.search(self.text.split("\n", 1)[0]) if self.by_bot else None
        return found.group() if found else None

    def actions(self) -> Iterator[str]:
        return actions_of(self.versions[-1])


def actions_of(version: dict[str, Any]) -> Iterator[str]:
    for row in version["buttons"]:
        yield from (button.get("callback_data", "") for button in row)


class Telegram:
    """The emulator at `base`."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def person(self, id_: int, name: str, language: str) -> "Person":
        user = {"id": id_, "first_name": name, "language_code": language}
        await self.post("/emulator/users", user)
        return Person(self, id_, name, language)

    async def post(self, path: str, body: Any) -> Any:
        assert self._session is not None
        async with self._session.post(self.base + path, json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def get(self, path: str) -> Any:
        assert self._session is not None
        async with self._session.get(self.base + path) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def file(self, url: str) -> bytes:
        assert self._session is not None
        async with self._session.get(url) as answer:
            answer.raise_for_status()
            return await answer.read()


class Person:
    """Somebody with a Telegram app and one chat: the one with the bot."""

    def __init__(self, telegram: Telegram, id_: int, name: str, language: str) -> None:
        self.telegram, self.id, self.name, self.language = telegram, id_, name, language
        self._routes = f"/emulator/users/{id_}"

    async def text(self, text: str) -> None:
        await self.telegram.post(f"{self._routes}/text", {"text": text})

    async def photo(self, data: bytes) -> list[dict[str, Any]]:
        return [await self.telegram.post(f"{self._routes}/photo", {"content": _base64(data)})]

    async def document(self, data: bytes, name: str, type_: str) -> list[dict[str, Any]]:
        body = {"content": _base64(data), "file_name": name, "mime_type": type_}
        return [await self.telegram.post(f"{self._routes}/document", body)]

    async def album(self, images: Sequence[bytes]) -> list[dict[str, Any]]:
        items = [{"content": _base64(data)} for data in images]
        sent: list[dict[str, Any]] = await self.telegram.post(
            f"{self._routes}/album", {"items": items}
        )
        return sent

    async def press(self, message: Message, action: str) -> None:
        body = {"message_id": message.id, "data": action}
        await self.telegram.post(f"{self._routes}/press", body)

    async def chat(self) -> list[Message]:
        return (await self._chat(-1, 0))[1]

    async def until(self, found: Callable[[Message], bool], seconds: float, what: str) -> Message:
        """The first message that `found` accepts. Raises Timeout."""
        version = -1
        try:
            async with asyncio.timeout(seconds):
                while True:
                    version, messages = await self._chat(version, WAIT_SECONDS * (version >= 0))
                    for message in messages:
                        if found(message):
                            return message
        except TimeoutError:
            raise Timeout(f"{self.name} waited {seconds:.0f} s for {what}") from None

    async def _chat(self, since: int, wait_s: float) -> tuple[int, list[Message]]:
        query = f"?since={since}&wait_seconds={wait_s}"
        view = await self.telegram.get(f"/emulator/chats/{self.id}{query}")
        return view["version"], [_message(message) for message in view["messages"]]


def _message(view: dict[str, Any]) -> Message:
    now = {name: view[name] for name in ("at", "text", "html", "media", "buttons")}
    versions = (*view["history"], now)
    return Message(id=view["message_id"], by_bot=view["from"] == "bot", versions=versions)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
