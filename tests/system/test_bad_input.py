"""What people send by mistake, or on purpose, gets one outcome and one sentence, and stops nobody."""

import io
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from PIL import Image

from adapters.telegram.emulator.world import Message
from adapters.telegram.inbox import SUBJECT_ROOT, keep
from domain.case import (
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImageSubmitted,
    OpinionGiven,
    PredictionProduced,
    Reason,
)
from domain.sealed import additional_data
from tests.system.people import Someone, action, code_of, seen, text_of
from tests.system.stack import BOT_ID, Stack, image, images
from workers import taps
from workers.letters import DeadLetter
from workers.texts import LANGUAGES, plainly, say

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAPTION_CHARACTERS = 4096
FAR_UPDATE_ID = 2_000_000_000


# Files


def pictures(kind: str, count: int) -> bytes:
    """An animation of grey squares."""
    frames = [Image.new("L", (400, 400), 40 * number + 40) for number in range(count)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def landscape() -> bytes:
    """Bright waves to the edges: no head, no scan."""
    y, x = np.mgrid[0:600, 0:800]
    red, green = 120 + 80 * np.sin(x / 90), 90 + 60 * np.cos(y / 70)
    pixels = np.stack([red, green, np.full(x.shape, 140)], -1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def half_a_scan() -> bytes:
    scan = image(200)
    return scan[: len(scan) // 2]


class Bad(NamedTuple):
    """A file, made when its turn comes, and why it is refused."""

    content: Callable[[], bytes]
    name: str
    type_: str
    reason: Reason


BAD = {
    "a text called .jpg": Bad(lambda: b"Dear all,\n" * 40, "a.jpg", "image/jpeg", "not-an-image"),
    "half a JPEG": Bad(half_a_scan, "a.jpg", "image/jpeg", "truncated"),
    "no bytes": Bad(bytes, "a.png", "image/png", "empty"),
    "a GIF": Bad(lambda: pictures("GIF", 3), "a.gif", "image/gif", "unsupported-type"),
    "an animated PNG": Bad(lambda: pictures("PNG", 3), "a.png", "image/png", "animated"),
    "an AVIF": Bad(
        lambda: b"\0\0\0\x18ftypavif" + bytes(200), "a.avif", "image/avif", "unsupported-type"
    ),
    "a HEIC of nothing": Bad(
        lambda: b"\0\0\0\x18ftypheic" + bytes(200), "a.heic", "image/heic", "damaged"
    ),
    "a DICOM file of nothing": Bad(
        lambda: bytes(128) + b"DICM" + bytes(200), "a.dcm", "application/dicom", "unsupported-type"
    ),
    "an untyped PDF": Bad(
        lambda: b"%PDF-1.7\n" + bytes(200), "a.pdf", "application/octet-stream", "unsupported-type"
    ),
    "25 MB": Bad(lambda: b"\xff\xd8\xff" + bytes(25_000_000), "a.jpg", "image/jpeg", "too-large"),
    "a landscape": Bad(landscape, "a.jpg", "image/jpeg", "no-head"),
}


async def test_a_bad_file_gets_one_outcome_and_one_sentence(stack: Stack) -> None:
    senders = {what: await stack.clinician(LANGUAGES[len(what) % 2]) for what in BAD}

    for what, bad in BAD.items():
        await senders[what].user.send_document(bad.content(), bad.name, bad.type_)
    cards = {what: await _coached(senders[what], BAD[what].reason) for what in BAD}
    await stack.settled()

    assert {what: await _reasons(stack, senders[what]) for what in BAD} == {
        what: [bad.reason] for what, bad in BAD.items()
    }
    for what, sender in senders.items():
        [case] = await stack.cases_of(sender)
        assert sender.cards(case) == [cards[what]]
        assert seen(sender.user.person.language_code, "unusable") in text_of(cards[what])
        assert not await stack.told(case, PredictionProduced)


async def _coached(sender: Someone, reason: Reason) -> Message:
    """The card that says, in the sender's language, what to do better."""
    sentence = plainly(sender.user.person.language_code, f"rejected-{reason}")
    return await sender.until(lambda m: sentence in text_of(m), f"what to do about {reason}")


async def _reasons(stack: Stack, sender: Someone) -> list[Reason]:
    """Every outcome in the sender's one case."""
    [case] = await stack.cases_of(sender)
    events = [recorded.event for recorded in await stack.story(case)]
    return [e.reason for e in events if isinstance(e, ImageRejected | ImageQuarantined)]


async def test_a_broken_photo_in_an_album_does_not_spoil_the_others(stack: Stack) -> None:
    clinician = await stack.clinician()
    good = images(210, 2)

    await clinician.album([good[0], half_a_scan(), good[1]])
    case, card = await clinician.answer()
    await stack.settled()

    assert len(await stack.told(case, ImageIngested)) == 2
    assert [e.reason for e in await stack.told(case, ImageRejected)] == ["truncated"]
    assert plainly("en", "rejected-truncated") in text_of(card)
    assert len(await stack.told(case, PredictionProduced)) == 1


@pytest.mark.parametrize(
    ("name", "type_"), [("letter.pdf", "application/pdf"), ("scan.mp4", "video/mp4")]
)
async def test_a_file_that_cannot_be_an_image_is_answered_at_once(
    stack: Stack, name: str, type_: str
) -> None:
    clinician = await stack.clinician("ru")

    await clinician.user.send_document(b"%PDF-1.7", name, type_)
    await stack.settled()

    assert clinician.texts[-1] == seen("ru", "unsupported")
    assert await stack.cases_of(clinician) == []


async def test_a_text_is_answered_with_help(stack: Stack) -> None:
    clinician = await stack.clinician()

    await clinician.user.send_text("<b>What & how?</b>")
    await stack.settled()

    assert clinician.texts[-1] == seen("en", "help")


async def test_a_very_long_caption_is_kept_sealed(stack: Stack) -> None:
    clinician, caption = await stack.clinician(), "ы<&>" * (CAPTION_CHARACTERS // 4)

    await clinician.photo(image(220), caption=caption)
    case, _ = await clinician.answer()

    [recorded] = [r for r in await stack.story(case) if isinstance(r.event, ImageSubmitted)]
    assert isinstance(recorded.event, ImageSubmitted)
    assert recorded.event.caption
    aad = additional_data(recorded.id, "caption")
    assert await stack.house.books.vault.unseal(recorded.event.caption, aad) == caption


# People


async def test_a_stranger_is_shown_the_way_in_and_leaves_no_trace(stack: Stack) -> None:
    stranger = stack.newcomer("ru")

    await stranger.photo(image(221))
    await stranger.user.send_text("hello")
    await stack.settled()

    assert stranger.texts == [seen("ru", "stranger")] * 2
    assert all(action(message, taps.AskAccess) for message in stranger.said)
    id_ = await stack.id_of(stranger)
    assert await stack.house.books.ledger.load("person", id_) == []
    assert await stack.cases_of(stranger) == []


async def test_nobody_touches_another_clinicians_case(stack: Stack) -> None:
    owner, other = await stack.clinician(), await stack.clinician("ru")
    await owner.photo(image(222))
    case, _ = await owner.answer()
    await stack.answered(case, 1)
    await stack.settled()
    before = len(await stack.story(case))
    message = other.said[-1]

    for tap in (
        taps.Agree(case),
        taps.TellAf(case, "yes"),
        taps.ConfirmLabel(case, "cardioembolic", "ecg"),
        taps.Split(case, "0" * taps.ITEM_DIGITS),
        taps.ChooseSamePatient(case, 0),
        taps.OpenCase(case),
        taps.ShowExaminations(case),
    ):
        await other.user.press(message.id, taps.pack(tap))
        assert await other.note() == say("ru", "refused-NotYours")
    await stack.settled()

    assert len(await stack.story(case)) == before
    assert not any(map(code_of, other.said))


async def test_only_an_admin_approves(stack: Stack) -> None:
    clinician, stranger = await stack.clinician(), stack.newcomer()
    await stranger.user.send_text("/start")
    closed = await stranger.until(lambda m: action(m, taps.AskAccess), "a way to ask")
    await stranger.tap(closed, taps.AskAccess)
    await stack.settled()

    approval = taps.pack(taps.Approve(await stack.id_of(stranger)))
    await clinician.user.press(clinician.said[-1].id, approval)
    await stranger.user.press(closed.id, approval)
    await stack.settled()

    assert not any(action(message, taps.Consent) for message in stranger.said)


@pytest.mark.parametrize("data", ["", "ag", "ag:nonsense", "x" * 64, "ag:" + "0" * 32 + ":1"])
async def test_a_button_nobody_made_gets_a_kind_word(stack: Stack, data: str) -> None:
    clinician = await stack.clinician("ru")

    await clinician.user.press(clinician.said[-1].id, data or "?")

    assert await clinician.note() == say("ru", "old-button")


async def test_a_button_of_a_case_that_is_not_there_gets_a_kind_word(stack: Stack) -> None:
    clinician = await stack.clinician()
    nowhere = await stack.id_of(clinician)

    await clinician.user.press(clinician.said[-1].id, taps.pack(taps.Agree(nowhere)))

    assert await clinician.note() == say("en", "refused-NoSuchCase")


async def test_a_press_answered_too_late_still_counts(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(223))
    case, card = await clinician.answer()
    await stack.answered(case, 1)
    await stack.stop("outbox")

    await clinician.tap(card, taps.Agree)
    await stack.until(case, lambda c: c.opinion, "the opinion")
    stack.clock.advance(61)
    await stack.start("outbox")
    await stack.settled()

    assert clinician.user.callbacks[-1].answered_at is None
    assert [o.opinion for o in await stack.told(case, OpinionGiven)] == ["agree"]


# Updates


async def test_an_update_that_comes_three_times_counts_once(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(224))
    photo = stack.emulator.world.updates.last_id
    case, _ = await clinician.answer()
    await clinician.user.send_text("thanks")
    text = stack.emulator.world.updates.last_id
    await stack.settled()
    before = len(await stack.story(case)), clinician.texts

    for _ in range(2):
        assert stack.emulator.world.updates.repeat(photo)
        assert stack.emulator.world.updates.repeat(text)
        await stack.settled()

    assert (len(await stack.story(case)), clinician.texts) == before
    assert await stack.cases_of(clinician) == [case]


async def test_updates_without_a_message_or_a_sender_are_passed_over(stack: Stack) -> None:
    before = await stack.dead_letters()
    nobody = {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}, "text": "hi"}

    await keep(stack.house.queue, BOT_ID, {"update_id": FAR_UPDATE_ID})
    await keep(stack.house.queue, BOT_ID, {"update_id": FAR_UPDATE_ID + 1, "message": nobody})
    await stack.settled()

    assert await stack.dead_letters() == before


async def test_poison_is_set_aside_and_nobody_waits_for_it(stack: Stack) -> None:
    poisoned, other = await stack.clinician("ru"), await stack.clinician()
    letters = len(await stack.dead_letters())
    update_id = FAR_UPDATE_ID + 2
    update = {"update_id": update_id, "message": {"chat": {"id": poisoned.user.id}}}
    subject = f"{SUBJECT_ROOT}.{BOT_ID}.0"

    await keep(stack.house.queue, BOT_ID, update)
    await stack.house.queue.publish(subject, b"\xffnot JSON", message_id="not-json")
    await other.photo(image(225))
    await other.answer()
    sorry = seen("ru", "error", code=f"{update_id % 0xFFFF:04X}")
    await poisoned.until(lambda m: text_of(m) == sorry, "an apology with a code")
    await stack.settled()

    found = [msgspec.json.decode(data, type=DeadLetter) for data in await stack.dead_letters()]
    by_reason = {letter.reason.split(":")[0]: letter for letter in found[letters:]}
    assert set(by_reason) == {"not-understood", "ValidationError"}
    assert by_reason["ValidationError"].attempts == 5
    assert msgspec.json.decode(by_reason["ValidationError"].data) == update


async def test_somebody_who_blocked_the_bot_holds_up_nobody(stack: Stack) -> None:
    leaver, other = await stack.clinician(), await stack.clinician()
    letters = await stack.dead_letters()
    await stack.stop("outbox")
    await leaver.photo(image(226))
    await leaver.user.block()
    await other.photo(image(227))
    await stack.start("outbox")

    await other.answer()
    await stack.settled()
    assert await stack.dead_letters() == letters
    [case] = await stack.cases_of(leaver)
    assert leaver.cards(case) == []

    await leaver.user.unblock()
    await leaver.photo(image(228))
    await stack.answered(case, 2)
    assert len(leaver.cards(case)) == 1
