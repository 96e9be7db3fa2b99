"""What a person does in a Telegram client: write, send pictures, press buttons, block the bot."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.telegram.emulator.photos import photo_sizes
from adapters.telegram.emulator.rules import Json, units
from adapters.telegram.emulator.world import (
    Callback,
    Message,
    Person,
    Version,
    World,
)

_COMMAND = re.compile(r"(?<!\S)/\w{1,32}(?:@\w+)?", re.ASCII)


@dataclass(frozen=True)
class Attachment:
    """One item of an album: a photo that Telegram recompresses, or (with a name) a file as is."""

    content: bytes
    caption: str = ""
    file_name: str | None = None
    mime_type: str = "application/octet-stream"


@dataclass(frozen=True)
class User:
    """The Telegram client of one person, in their private chat with the bot.

    Sending returns the new Message; the update is in the bot's queue at that moment. Raises
    ValueError for what a client cannot do (write while the bot is blocked) and LookupError for a
    message or a button that is not there.
    """

    person: Person
    world: World

    @property
    def id(self) -> int:
        """Of the person and, in a private chat, of the chat."""
        return self.person.id

    @property
    def messages(self) -> list[Message]:
        """The chat, oldest first, deleted messages included."""
        return list(self.world.messages.get(self.id, {}).values())

    @property
    def callbacks(self) -> list[Callback]:
        """Every button this person pressed, with the bot's answers."""
        return [one for one in self.world.callbacks.values() if one.person is self.person]

    async def send_text(self, text: str, reply_to: int | None = None) -> Message:
        """A text or a /command."""
        commands = [
            {"type": "bot_command", "offset": units(text[: found.start()]), "length": len(found[0])}
            for found in _COMMAND.finditer(text)
        ]
        return self._send({"text": text} | ({"entities": commands} if commands else {}), reply_to)

    async def send_photo(
        self, content: bytes, caption: str = "", reply_to: int | None = None
    ) -> Message:
        """An image sent as a photo: recompressed to at most 1280 px, as clients do."""
        return self._send(await self._body(Attachment(content, caption)), reply_to)

    async def send_document(
        self,
        content: bytes,
        file_name: str,
        mime_type: str = "application/octet-stream",
        caption: str = "",
        reply_to: int | None = None,
    ) -> Message:
        """A file with its original bytes."""
        attachment = Attachment(content, caption, file_name, mime_type)
        return self._send(await self._body(attachment), reply_to)

    async def send_album(
        self, items: Sequence[Attachment], reply_to: int | None = None
    ) -> list[Message]:
        """2-10 items under one media_group_id, each an update of its own."""
        if not 2 <= len(items) <= 10:
            raise ValueError("an album has 2-10 items")
        bodies = [await self._body(item) for item in items]
        group = self.world.number()
        return [self._send(body, reply_to, group) for body in bodies]

    async def edit_text(self, message_id: int, text: str) -> Message:
        """Corrects the text, or the caption, of one of the person's own messages."""
        message = self.message(message_id)
        if message.by_bot:
            raise ValueError("a person edits only their own messages")
        name = "text" if "text" in message.now.body else "caption"
        message.versions.append(Version(self.world.clock(), message.now.body | {name: text}, None))
        self.world.updates.add("edited_message", self.world.shown(message))
        self.world.touch(self.person)
        return message

    async def press(
        self, message_id: int, data: str | None = None, *, text: str | None = None
    ) -> Callback:
        """Presses an inline button, found by its label `text` or given as callback `data`.

        `data` need not be on the keyboard (any more): an out-of-date client may send it.
        """
        message = self.message(message_id)
        if data is None:
            data = _button_data(message, text or "")
        callback = Callback(self.world.number(), self.person, message_id, data, self.world.clock())
        self.world.callbacks[callback.id] = callback
        query = {
            "id": callback.id,
            "from": self.person.user,
            "message": self.world.shown(message),
            "chat_instance": str(-(10**18) - self.id * 7919),
            "data": data,
        }
        self.world.updates.add("callback_query", query)
        self.world.touch(self.person)
        return callback

    async def block(self) -> None:
        """Blocks the bot: its sends answer 403 from now on."""
        self._set_blocked(True)

    async def unblock(self) -> None:
        self._set_blocked(False)

    def message(self, message_id: int) -> Message:
        message = self.world.find(self.id, message_id)
        if message is None:
            raise LookupError(f"no message {message_id} in chat {self.id}")
        return message

    async def _body(self, item: Attachment) -> Json:
        caption = {"caption": item.caption} if item.caption else {}
        if item.file_name is not None:
            document = self.world.keep_document(item.content, item.file_name, item.mime_type)
            return document | caption
        sizes = await asyncio.to_thread(photo_sizes, item.content)
        # what Pillow cannot decode is kept as it is, so that the bot meets broken photos
        return self.world.keep_photo(sizes or [(90, 90, item.content)]) | caption

    def _send(self, body: Json, reply_to: int | None, group: str | None = None) -> Message:
        if self.person.blocked:
            raise ValueError("the person has blocked the bot")
        if reply_to is not None:
            self.message(reply_to)
        self.person.started = True
        message = self.world.post(
            self.person, body, by_bot=False, reply_to=reply_to, media_group_id=group
        )
        self.world.updates.add("message", self.world.shown(message))
        return message

    def _set_blocked(self, blocked: bool) -> None:
        if blocked == self.person.blocked:
            return
        self.person.blocked = blocked
        member = {"status": "member", "user": self.world.bot}
        kicked = {"status": "kicked", "user": self.world.bot, "until_date": 0}
        change = {
            "chat": self.person.chat,
            "from": self.person.user,
            "date": int(self.world.clock().timestamp()),
            "old_chat_member": member if blocked else kicked,
            "new_chat_member": kicked if blocked else member,
        }
        self.world.updates.add("my_chat_member", change)
        self.world.touch(self.person)


def _button_data(message: Message, label: str) -> str:
    for row in (message.now.keyboard or {}).get("inline_keyboard", []):
        for button in row:
            if button["text"] == label and "callback_data" in button:
                return str(button["callback_data"])
    raise LookupError(f"no button {label!r} under message {message.id}")
