"""People with a Telegram app, and how to read what the bot shows them."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from html import unescape
from uuid import UUID

from adapters.telegram.emulator import Attachment, Emulator, User
from adapters.telegram.emulator.world import Message
from domain.identity import case_code
from ictus.demo.telegram import CODE
from workers import taps
from workers.texts import say

STEP_SECONDS_MAX = 40.0


class Someone:
    """A person in their private chat with the bot."""

    def __init__(self, emulator: Emulator, user: User) -> None:
        self.emulator, self.user = emulator, user

    # Coming in

    async def join(self, token: str) -> None:
        await self.user.send_text(f"/start {token}")
        await self.consent()

    async def consent(self) -> None:
        notice = await self.until(lambda m: action(m, taps.Consent), "the research notice")
        await self.tap(notice, taps.Consent)
        await self.until(lambda m: m.id > notice.id, "the welcome")

    # Sending

    async def photo(self, image: bytes, caption: str = "", reply_to: int | None = None) -> Message:
        return await self.user.send_photo(image, caption, reply_to)

    async def album(self, images: Iterable[bytes]) -> list[Message]:
        return await self.user.send_album([Attachment(image) for image in images])

    async def tap(self, message: Message, kind: type, **words: object) -> None:
        """Presses the button that asks for a tap of this kind, with these values."""
        data = action(message, kind, **words)
        assert data, f"no button {kind.__name__} under {text_of(message)!r}"
        await self.user.press(message.id, data)

    # Reading

    @property
    def said(self) -> list[Message]:
        """What the bot said here, oldest first."""
        return [message for message in self.user.messages if message.by_bot]

    @property
    def texts(self) -> list[str]:
        return [text_of(message) for message in self.said]

    def cards(self, case: UUID) -> list[Message]:
        """The messages that are, or were, this case's card."""
        return [message for message in self.said if code_of(message) == case_code(case)]

    def answers(self, case: UUID) -> list[Message]:
        """The messages of which any version shows this case's prediction."""
        return [m for m in self.cards(case) if any(_shows_answer(v.keyboard) for v in m.versions)]

    async def until(self, found: Callable[[Message], object], what: str) -> Message:
        """The first of the bot's messages that `found` accepts."""
        with suppress(TimeoutError):
            await self.emulator.until(lambda: any(map(found, self.said)), STEP_SECONDS_MAX)
        for message in self.said:
            if found(message):
                return message
        raise AssertionError(f"{what} did not come, but {self.texts}")

    async def answer(self, after: int = 0) -> tuple[UUID, Message]:
        """The case and the card of the first answer in a message later than `after`."""
        card = await self.until(lambda m: m.id > after and is_answer(m), "the answer")
        return case_of(card), card

    async def note(self) -> str:
        """What the bot noted on the button pressed last."""
        pressed = self.user.callbacks[-1]
        with suppress(TimeoutError):
            await self.emulator.until(lambda: pressed.answered_at is not None, STEP_SECONDS_MAX)
        assert pressed.answered_at, "the pressed button was never answered"
        return str(pressed.answer["text"])


def seen(language: str, key: str, **values: str) -> str:
    """A sentence of ours as it looks in a chat: without its markup."""
    return unescape(re.sub(r"</?[bi]>", "", say(language, key, **values)))


def text_of(message: Message) -> str:
    return str(message.now.body.get("text", ""))


def action(message: Message, kind: type, **words: object) -> str | None:
    """The action of the button that asks for this, if there is one."""
    for data in _actions(message.now.keyboard):
        tap = taps.parse(data)
        if isinstance(tap, kind) and all(getattr(tap, k) == v for k, v in words.items()):
            return data
    return None


def code_of(message: Message) -> str | None:
    """The code of the case whose card this is."""
    found = CODE.search(text_of(message).split("\n", 1)[0]) if message.by_bot else None
    return found.group() if found else None


def case_of(card: Message) -> UUID:
    parsed = (taps.parse(data) for data in _actions(card.now.keyboard))
    return next(tap.case for tap in parsed if hasattr(tap, "case"))


def is_answer(message: Message) -> bool:
    return code_of(message) is not None and _shows_answer(message.now.keyboard)


def ticked(message: Message) -> list[str]:
    """The labels of the buttons that are marked as pressed."""
    return [button["text"] for button in _buttons(message.now.keyboard) if "✓" in button["text"]]


Keyboard = dict[str, list[list[dict[str, str]]]] | None


def _shows_answer(keyboard: Keyboard) -> bool:
    return any(data.startswith(("ag:", "un:")) for data in _actions(keyboard))


def _actions(keyboard: Keyboard) -> Iterator[str]:
    return (button["callback_data"] for button in _buttons(keyboard))


def _buttons(keyboard: Keyboard) -> Iterator[dict[str, str]]:
    for row in (keyboard or {}).get("inline_keyboard", []):
        yield from row
