"""A synthetic clinician: joins, sends cases one after the other, reads the answers, reports causes."""

from asyncio import sleep
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.case import Case
from ictus.demo.telegram import Message, Person, Timeout, actions_of
from training.synthetic.truth import Parcel
from workers import taps

ANSWER_SECONDS_MAX = 240.0
STEP_SECONDS_MAX = 60.0
REMIND_SECONDS = 25.0

Load = Callable[[UUID], Awaitable[Case]]


class Sent(Struct, frozen=True, kw_only=True):
    """A case as its clinician saw it. `case_id` and `code` are read off the card; `waited_s` is
    from the last photo to the first sight of its final text."""

    person: Person
    truth: str
    photos: int
    case_id: UUID | None = None
    code: str | None = None
    waited_s: float | None = None


class Clinician:
    """`final` tells a card's last look from a placeholder; `load` reads a case from the ledger."""

    def __init__(self, person: Person, final: Callable[[Message], bool], load: Load) -> None:
        self.person, self.final, self._load = person, final, load
        self._seen: set[str] = set()

    async def join(self, token: str) -> None:
        """Follows the invitation link and accepts the research notice."""
        notice = await self._insist(f"/start {token}", _consent)
        await self.person.press(notice, _consent(notice) or "")
        await self.person.until(
            lambda m: m.by_bot and m.id > notice.id, STEP_SECONDS_MAX * 3, "the welcome"
        )

    async def ask_access(self) -> None:
        """A stranger's way: asks, is approved, then accepts the notice."""
        closed = await self._insist("/start", lambda message: _action(message, "ask"))
        await self.person.press(closed, "ask")
        notice = await self.person.until(
            lambda m: _consent(m) is not None, STEP_SECONDS_MAX * 3, "the approval"
        )
        await self.person.press(notice, _consent(notice) or "")
        await self.person.until(
            lambda m: m.by_bot and m.id > notice.id, STEP_SECONDS_MAX * 3, "the welcome"
        )

    async def send(self, case: Parcel, *, single: bool) -> Sent:
        """Sends one photo, or the case's pictures as an album, and waits for the answer."""
        pictures = case.pictures[:1] if single else case.pictures
        return await self.send_pictures(pictures, case.truth.cause)

    async def send_pictures(self, pictures: Sequence[tuple[bytes, str]], truth: str) -> Sent:
        """Sends (bytes, photo or document) as an album, or one as what it is; waits for the answer."""
        if len(pictures) > 1:
            sent = await self.person.album([data for data, _ in pictures])
            return await self.wait(sent, truth)
        (data, kind), *_ = pictures
        if kind == "document":
            return await self.send_file(
                "scan.png" if data.startswith(b"\x89PNG") else "scan", data, truth
            )
        return await self.wait(await self.person.photo(data), truth)

    async def send_file(self, name: str, data: bytes, truth: str = "") -> Sent:
        type_ = "image/png" if name.lower().endswith("png") else "image/jpeg"
        return await self.wait(await self.person.document(data, name, type_), truth)

    async def wait(self, sent: list[dict[str, object]], truth: str) -> Sent:
        outcome = Sent(person=self.person, truth=truth, photos=len(sent))
        try:
            card = await self.person.until(self._is_new, ANSWER_SECONDS_MAX, "the answer")
        except Timeout:
            return outcome
        assert card.code is not None
        self._seen.add(card.code)
        shown = next(v for v in card.versions if self._final_version(card, v))
        waited = datetime.fromisoformat(str(shown["at"])) - datetime.fromisoformat(
            str(sent[-1]["sent_at"])
        )
        return Sent(
            person=self.person,
            truth=truth,
            photos=len(sent),
            case_id=case_of(card),
            code=card.code,
            waited_s=waited.total_seconds(),
        )

    async def is_refused(self, sent: Sent) -> bool:
        """Whether none of the case's images can be used: its card then asks for others."""
        return sent.case_id is None or not (await self._load(sent.case_id)).usable

    async def tell_af(self, sent: Sent, af: str) -> None:
        await self._press_on_card(sent, lambda tap: isinstance(tap, taps.TellAf) and tap.af == af)

    async def agree(self, sent: Sent) -> None:
        await self._press_on_card(sent, lambda tap: isinstance(tap, taps.Agree | taps.Unsure))

    async def confirm(self, sent: Sent, evidence: str) -> None:
        """The final cause, found out by other means: cause, then what confirmed it."""
        await self._press_on_card(sent, lambda tap: isinstance(tap, taps.ChooseCause))
        await self._press_on_card(
            sent, lambda tap: isinstance(tap, taps.ChooseEvidence) and tap.cause == sent.truth
        )
        await self._press_on_card(
            sent, lambda tap: isinstance(tap, taps.ConfirmLabel) and tap.evidence == evidence
        )
        await self._until(sent, lambda case: case.label is not None)

    async def _press_on_card(self, sent: Sent, wanted: Callable[[taps.Tap], bool]) -> None:
        def button(message: Message) -> str | None:
            if message.code != sent.code:
                return None
            return next((a for a in message.actions() if wanted(taps.parse(a))), None)

        card = await self.person.until(
            lambda m: button(m) is not None, STEP_SECONDS_MAX * 3, "a button"
        )
        await self.person.press(card, button(card) or "")

    async def _until(self, sent: Sent, reached: Callable[[Case], bool]) -> None:
        assert sent.case_id is not None
        for _ in range(int(STEP_SECONDS_MAX * 3)):
            if reached(await self._load(sent.case_id)):
                return
            await sleep(1)
        raise Timeout(f"{self.person.name} waited for the ledger")

    async def _insist(self, text: str, found: Callable[[Message], str | None]) -> Message:
        """Says it again when nothing comes back, as people do."""
        for _ in range(int(ANSWER_SECONDS_MAX / REMIND_SECONDS)):
            await self.person.text(text)
            try:
                return await self.person.until(
                    lambda m: found(m) is not None, REMIND_SECONDS, "an answer to /start"
                )
            except Timeout:
                continue
        raise Timeout(f"{self.person.name} was not let in")

    def _is_new(self, message: Message) -> bool:
        return message.code is not None and message.code not in self._seen and self.final(message)

    def _final_version(self, card: Message, version: dict[str, object]) -> bool:
        return self.final(Message(id=card.id, by_bot=True, versions=(version,)))


def case_of(card: Message) -> UUID | None:
    """The case a card is about, from its buttons; where no image can be used it has none."""
    tapped = (taps.parse(action) for action in card.actions())
    return next((tap.case for tap in tapped if hasattr(tap, "case")), None)


def answers(message: Message) -> bool:
    """Does any of its versions show a prediction?"""
    return any(
        action.startswith(("ag:", "un:"))
        for version in message.versions
        for action in actions_of(version)
    )


def _consent(message: Message) -> str | None:
    return _action(message, "co:")


def _action(message: Message, prefix: str) -> str | None:
    return next((a for a in message.actions() if a.startswith(prefix)), None)
