"""The people, chats, messages and files of the emulated Telegram, in memory."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Literal

from adapters.telegram.emulator.photos import Size
from adapters.telegram.emulator.rules import Json
from adapters.telegram.emulator.updates import Clock, Updates

CALLS_MAX = 100_000
LINK_LIFE = timedelta(hours=1)

MediaKind = Literal["photo", "document"]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Person:
    """A Telegram account; its private chat with the bot exists from the first message on."""

    id: int
    first_name: str
    language_code: str
    username: str | None = None
    started: bool = False
    blocked: bool = False
    version: int = 0  # grows with every change in the chat

    @property
    def user(self) -> Json:
        """Bot API `User`."""
        return {
            "id": self.id,
            "is_bot": False,
            "first_name": self.first_name,
            "language_code": self.language_code,
        } | self._name

    @property
    def chat(self) -> Json:
        """Bot API `Chat`."""
        return {"id": self.id, "type": "private", "first_name": self.first_name} | self._name

    @property
    def _name(self) -> Json:
        return {"username": self.username} if self.username else {}


@dataclass(frozen=True)
class Version:
    """A message as it stood from an instant on: the fields of `Message` that an edit can change."""

    at: datetime
    body: Json
    keyboard: Json | None  # as sent; Telegram echoes only inline keyboards


@dataclass
class Message:
    """One message of a private chat with every version it had."""

    id: int
    person: Person
    by_bot: bool
    versions: list[Version]
    media_group_id: str | None = None
    reply_to: int | None = None
    deleted_at: datetime | None = None

    @property
    def now(self) -> Version:
        return self.versions[-1]


@dataclass(frozen=True)
class StoredFile:
    """A file on Telegram's servers, with the fragment of `Message` that shows it."""

    id: str
    unique_id: str
    path: str
    content: bytes
    mime_type: str
    kind: MediaKind

    @property
    def size(self) -> Json:
        """What every Bot API object about a file says about it."""
        ids = {"file_id": self.id, "file_unique_id": self.unique_id}
        return ids | {"file_size": len(self.content)}


@dataclass
class Callback:
    """A pressed button and, once given, the bot's answer."""

    id: str
    person: Person
    message_id: int
    data: str
    at: datetime
    answered_at: datetime | None = None
    answer: Json = field(default_factory=dict)


@dataclass
class Call:
    """One line of the call log; `outcome` is "ok", a refusal's text or a fault's kind."""

    at: datetime
    method: str
    parameters: Json
    outcome: str = "running"
    fault: str | None = None
    message_ids: list[int] = field(default_factory=list)


@dataclass(repr=False)
class World:
    """All state behind the Bot API; the same seed gives the same ids."""

    token: str
    seed: int = 0
    clock: Clock = utc_now
    callback_age_max: timedelta = timedelta(seconds=60)
    webhook_retry_seconds: float = 1.0
    people: dict[int, Person] = field(default_factory=dict)
    messages: dict[int, dict[int, Message]] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    media: dict[str, Json] = field(default_factory=dict)
    links: dict[str, tuple[StoredFile, datetime]] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    actions: list[tuple[datetime, int, str]] = field(default_factory=list)
    commands: dict[str, list[Json]] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_MAX))
    version: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        first_update_id = self.random.randrange(10**8, 9 * 10**8)
        self.updates = Updates(self.clock, first_update_id, self.touch, self.webhook_retry_seconds)
        self._last_message_id = self.random.randrange(10, 1000)
        self._changed = asyncio.Event()

    @property
    def bot(self) -> Json:
        """Bot API `User` of the bot; its id is the first part of the token."""
        bot_id = int(self.token.split(":")[0])
        names = {"first_name": "ictus", "username": "ictus_demo_bot"}
        return {"id": bot_id, "is_bot": True} | names

    def touch(self, person: Person | None = None) -> None:
        """Wakes all who wait for a change, in this person's chat or anywhere."""
        self.version += 1
        if person:
            person.version = self.version
        self._changed.set()
        self._changed = asyncio.Event()

    def log(self, call: Call) -> None:
        self.calls.append(call)
        self.touch()

    async def until(self, condition: Callable[[], bool], seconds_max: float) -> None:
        """Waits until `condition` holds; it is judged after every change. Raises TimeoutError."""
        async with asyncio.timeout(seconds_max):
            while not condition():
                await self._changed.wait()

    def number(self) -> str:
        return str(self.random.randrange(10**17, 10**18))

    def post(
        self,
        person: Person,
        body: Json,
        *,
        by_bot: bool,
        keyboard: Json | None = None,
        reply_to: int | None = None,
        media_group_id: str | None = None,
    ) -> Message:
        """Adds a message to the person's chat."""
        self._last_message_id += 1
        message = Message(
            self._last_message_id,
            person,
            by_bot,
            [Version(self.clock(), body, keyboard)],
            media_group_id,
            reply_to,
        )
        self.messages.setdefault(person.id, {})[message.id] = message
        self.touch(person)
        return message

    def find(self, chat_id: int, message_id: int) -> Message | None:
        """The message unless it is missing or deleted."""
        message = self.messages.get(chat_id, {}).get(message_id)
        return None if message is None or message.deleted_at else message

    def keep(self, content: bytes, name: str, mime_type: str, kind: MediaKind) -> StoredFile:
        """Stores bytes under a new file_id; equal bytes share the file_unique_id."""
        file_id = f"BQAC{self.random.randbytes(24).hex()}"
        folder, suffix = f"{kind}s", name.rpartition(".")[2] if "." in name else "bin"
        path = f"{folder}/file_{len(self.files)}.{suffix}"
        unique_id = f"AQAD{sha256(content).hexdigest()[:12]}"
        stored = StoredFile(file_id, unique_id, path, content, mime_type, kind)
        self.files[file_id] = stored
        return stored

    def keep_document(self, content: bytes, name: str, mime_type: str) -> Json:
        """Bot API `Message` fragment {"document": ...} of the original bytes."""
        stored = self.keep(content, name, mime_type, "document")
        shown = {"file_name": name, "mime_type": mime_type} | stored.size
        self.media[stored.id] = {"document": shown}
        return self.media[stored.id]

    def keep_photo(self, sizes: list[Size]) -> Json:
        """Bot API `Message` fragment {"photo": [...]}, in the order of `sizes`."""
        shown = []
        for width, height, jpeg in sizes:
            stored = self.keep(jpeg, "photo.jpg", "image/jpeg", "photo")
            shown.append(stored.size | {"width": width, "height": height})
        fragment: Json = {"photo": shown}
        self.media.update({size["file_id"]: fragment for size in shown})
        return fragment

    def link(self, file: StoredFile) -> str:
        """A download path, good for an hour."""
        self.links[file.path] = (file, self.clock() + LINK_LIFE)
        return file.path

    def linked(self, path: str) -> StoredFile | None:
        file, until = self.links.get(path, (None, self.clock()))
        return file if self.clock() < until else None

    def shown(self, message: Message, *, nested: bool = False) -> Json:
        """Bot API `Message`; a replied-to message is shown without its own reply."""
        version = message.now
        shown: Json = {
            "message_id": message.id,
            "from": self.bot if message.by_bot else message.person.user,
            "chat": message.person.chat,
            "date": int(message.versions[0].at.timestamp()),
        } | version.body
        if len(message.versions) > 1:
            shown["edit_date"] = int(version.at.timestamp())
        if message.media_group_id:
            shown["media_group_id"] = message.media_group_id
        if version.keyboard and "inline_keyboard" in version.keyboard:
            shown["reply_markup"] = version.keyboard
        if not nested and message.reply_to is not None:
            replied = self.find(message.person.id, message.reply_to)
            shown |= {"reply_to_message": self.shown(replied, nested=True)} if replied else {}
        return shown
