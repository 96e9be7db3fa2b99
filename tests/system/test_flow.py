"""The way of a photo, from the first /start to the final cause, as people see it."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from msgspec.structs import replace
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from adapters.telegram.desk import JOIN_SECONDS_MAX
from adapters.telegram.inbox import SECRET_HEADER
from adapters.telegram.outbox import SILENT_SECONDS_MAX
from commands import models, objects
from commands.objects import ORIGINALS
from domain.case import (
    ContextGiven,
    ImageIngested,
    ImagesMoved,
    ImageSubmitted,
    LabelConfirmed,
    LabelRevised,
    Linked,
    OpinionGiven,
    PredictionProduced,
)
from domain.errors import NotHere
from domain.identity import case_code
from ictus.embedded import prepare_nats
from ictus.kept import free_port
from ictus.models import register_bundle
from ictus.settings import NatsSettings, Settings
from ictus.wiring import House, furnish, open_house
from tests.bundle1 import BUNDLE_1
from tests.servers import NatsServer
from tests.system.people import Someone, action, case_of, code_of, is_answer, seen, text_of, ticked
from tests.system.stack import Stack, image, images
from training.testing.run import read_report, write_report
from workers import taps
from workers.ingest.specimens import dicom_file
from workers.texts import NOTICE, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


# Coming in


async def test_an_invitation_lets_a_person_in_and_asks_for_consent_once(stack: Stack) -> None:
    newcomer = stack.newcomer()
    await newcomer.join(await stack.invitation())

    await newcomer.user.send_text("/start")
    await stack.settled()

    notices = [text for text in newcomer.texts if NOTICE in text]
    assert len(notices) == 1
    assert newcomer.texts.count(say("en", "welcome")) == 2
    assert not any(action(message, taps.Consent) for message in newcomer.said)


async def test_documents_in_heic_and_dicom_are_taken_as_photos_are(stack: Stack) -> None:
    clinician = await stack.clinician()
    turned = (Path(__file__).parents[1] / "data" / "turned.heic").read_bytes()
    with Image.open(BytesIO(image(11))) as drawn:
        pixels = np.asarray(drawn.convert("L"))
    frame = dicom_file(pixels, ExplicitVRLittleEndian, PatientName="TESTOV^IVAN", Modality="MR")

    await clinician.user.send_document(turned, "IMG_0042.HEIC", "image/heic")
    await clinician.user.send_document(frame, "IM000042", "application/dicom")
    await stack.settled()

    cases = await stack.cases_of(clinician)
    assert sum([len(await stack.told(case, ImageIngested)) for case in cases]) == 2
    assert "TESTOV" not in str([await stack.story(case) for case in cases])


async def test_without_consent_no_image_is_taken(stack: Stack) -> None:
    newcomer = stack.newcomer()
    await newcomer.user.send_text(f"/start {await stack.invitation()}")
    await newcomer.until(lambda m: action(m, taps.Consent), "the notice")

    await newcomer.photo(image(10))
    await stack.settled()

    assert await stack.cases_of(newcomer) == []
    assert action(newcomer.said[-1], taps.Consent)


async def test_a_stranger_is_in_when_an_admin_approves(stack: Stack) -> None:
    admin, stranger = await stack.clinician("ru", "admin"), stack.newcomer("en")
    await stranger.user.send_text("/start")
    closed = await stranger.until(lambda m: action(m, taps.AskAccess), "a way to ask")
    await stranger.tap(closed, taps.AskAccess)

    asked = await admin.until(lambda m: action(m, taps.Approve), "the stranger's request")
    assert stranger.user.person.first_name in text_of(asked)
    await admin.tap(asked, taps.Approve)
    await stranger.consent()
    await stranger.photo(image(11))

    await stranger.answer()
    assert say("ru", "access-approved") in admin.texts
    assert say("en", "access-requested") in stranger.texts


async def test_one_link_serves_a_department_until_it_is_used_up(stack: Stack) -> None:
    link = await stack.invitation(uses_max=2)
    department = [stack.newcomer(), stack.newcomer()]
    await asyncio.gather(*(one.join(link) for one in department))
    late = stack.newcomer("ru")

    await late.user.send_text(f"/start {link}")
    await department[0].user.send_text(f"/start {link}")
    await stack.settled()

    assert late.texts == [say("ru", "refused-Exhausted")]
    assert department[0].texts[-1] == say("en", "welcome")


# From photo to answer


@pytest.mark.parametrize("language", ["ru", "en"])
async def test_an_album_is_one_case_with_one_prediction(stack: Stack, language: str) -> None:
    clinician = await stack.clinician(language)

    await clinician.album(images(20, 4))
    case, card = await clinician.answer()
    await stack.settled()

    assert await stack.cases_of(clinician) == [case]
    [prediction] = await stack.told(case, PredictionProduced)
    assert len(set(prediction.inputs)) == 4
    assert len(clinician.cards(case)) == 1
    assert seen(language, "demo") in text_of(card)
    assert text_of(card).endswith(seen(language, "research"))
    assert len(text_of(card)) <= 1024


async def test_a_second_photo_joins_and_one_tap_makes_it_another_patient(stack: Stack) -> None:
    clinician = await stack.clinician("ru")
    first, second = images(30, 2)
    await clinician.photo(first)
    case, _ = await clinician.answer()
    stack.clock.advance(JOIN_SECONDS_MAX - 1)
    await clinician.photo(second)
    await stack.answered(case, 2)
    card = await clinician.until(lambda m: action(m, taps.Split), "a way to split")

    await clinician.tap(card, taps.Split)
    assert await clinician.note() == say("ru", "split-done")
    other, _ = await clinician.answer(after=card.id)
    await stack.answered(case, 1)
    await stack.settled()

    assert await stack.cases_of(clinician) == [case, other]
    assert len(clinician.cards(case)) == len(clinician.cards(other)) == 1
    assert not action(card, taps.Split)
    assert [m.direction for m in await stack.told(case, ImagesMoved)] == ["out"]
    assert [m.direction for m in await stack.told(other, ImagesMoved)] == ["in"]
    await _was_ingested_anew(stack, case, other)


async def _was_ingested_anew(stack: Stack, case: UUID, other: UUID) -> None:
    """The same picture, encrypted for each case with that case's own key."""
    blobs, vault = stack.house.blobs, stack.house.books.vault
    [stayed], [moved] = (await stack.case(case)).usable, (await stack.case(other)).usable
    _, left = await stack.told(case, ImageIngested)
    assert stayed.derivative != moved.derivative == left.derivative
    boxes = [await blobs.get(objects.object_key(c, moved.derivative)) for c in (case, other)]
    plain = [await objects.fetch(blobs, vault, c, moved.derivative) for c in (case, other)]
    assert boxes[0] != boxes[1]
    assert plain[0] == plain[1]
    assert [key async for key in blobs.keys(f"case/{other}/{ORIGINALS}")]


async def test_a_photo_after_90_seconds_opens_a_new_case(stack: Stack) -> None:
    clinician = await stack.clinician()
    first, second = images(40, 2)
    await clinician.photo(first)
    case, card = await clinician.answer()

    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(second)
    other, _ = await clinician.answer(after=card.id)

    assert await stack.cases_of(clinician) == [case, other]
    assert [len((await stack.case(c)).images) for c in (case, other)] == [1, 1]


async def test_two_cases_become_one_patients_in_three_taps(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(45))
    case, card = await clinician.answer()
    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(image(46))
    other, later = await clinician.answer(after=card.id)

    await clinician.tap(later, taps.ChooseSamePatient)
    await clinician.until(lambda m: action(m, taps.ConfirmSamePatient), "the other cases")
    await clinician.tap(later, taps.ConfirmSamePatient)
    asked = await clinician.until(lambda m: action(m, taps.LinkSamePatient), "the question")
    assert seen("en", "same-confirm", code=case_code(case)) in text_of(asked)
    await clinician.tap(later, taps.LinkSamePatient)
    assert await clinician.note() == say("en", "same-done")

    await clinician.until(lambda m: f"Same patient: {case_code(other)}" in text_of(m), "the link")
    await clinician.until(lambda m: f"Same patient: {case_code(case)}" in text_of(m), "the link")
    [here], [there] = await stack.told(case, Linked), await stack.told(other, Linked)
    assert (here.other, there.other) == (other, case)
    assert (here.suggested, here.by) == ("clinician", await stack.id_of(clinician))


async def test_a_picture_sent_before_suggests_its_case_as_the_same_patients(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(47))
    case, card = await clinician.answer()
    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(image(48))
    _, between = await clinician.answer(after=card.id)
    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(image(47))
    again, later = await clinician.answer(after=between.id)
    await stack.until(again, lambda found: found.suspects(again) == (case,), "the near duplicate")

    await clinician.tap(later, taps.ChooseSamePatient)
    digits = case.hex[: taps.CASE_DIGITS]
    asked = await clinician.until(
        lambda m: action(m, taps.ConfirmSamePatient, case=again), "the other cases"
    )
    first = asked.now.keyboard["inline_keyboard"][0][0]
    assert first["text"].startswith(f"≈ {case_code(case)}")
    await clinician.tap(later, taps.ConfirmSamePatient, other=digits)
    await clinician.until(lambda m: action(m, taps.LinkSamePatient), "the question")
    await clinician.tap(later, taps.LinkSamePatient)
    assert await clinician.note() == say("en", "same-done")
    [link] = await stack.told(again, Linked)
    assert (link.other, link.suggested) == (case, "near-duplicate")


async def test_a_photo_in_reply_to_a_card_joins_that_case(stack: Stack) -> None:
    clinician = await stack.clinician()
    first, second, third = images(50, 3)
    await clinician.photo(first)
    case, card = await clinician.answer()
    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(second)
    other, _ = await clinician.answer(after=card.id)

    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(third, reply_to=card.id)
    await stack.answered(case, 2)
    await stack.settled()

    assert await stack.cases_of(clinician) == [case, other]
    old, new = await stack.told(case, PredictionProduced)
    assert set(old.inputs) < set(new.inputs)
    assert [image.joined for image in await stack.told(case, ImageSubmitted)] == ["first", "reply"]
    assert len(clinician.cards(case)) == 1


async def test_a_known_fibrillation_gives_a_new_answer_on_the_same_card(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(60))
    case, card = await clinician.answer()

    await clinician.tap(card, taps.TellAf, af="yes")
    assert await clinician.note() == say("en", "af-recorded")
    state = await stack.until(case, lambda c: c.prediction and c.prediction.af == "yes", "it")
    await stack.settled()

    assert [len(c.facts) for c in await stack.told(case, ContextGiven)] == [1]
    assert [p.af for p in await stack.told(case, PredictionProduced)] == ["unknown", "yes"]
    assert len(clinician.cards(case)) == 1
    assert ticked(card) == ["✓ " + say("en", "button-af-yes")]
    assert state.opened is not None


async def test_an_opinion_is_noted_and_is_no_label(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(61))
    case, card = await clinician.answer()
    await stack.answered(case, 1)

    await clinician.tap(card, taps.Agree)
    await clinician.until(ticked, "the tick")
    await clinician.tap(card, taps.ChooseOpinion)
    await clinician.until(lambda m: action(m, taps.GiveOpinion), "the causes")
    await clinician.tap(card, taps.GiveOpinion, cause="small-vessel")
    await stack.until(case, lambda c: c.opinion and c.opinion.opinion == "small-vessel", "it")
    await clinician.until(lambda m: action(m, taps.Unsure), "the card again")
    await clinician.tap(card, taps.Unsure)
    assert await clinician.note() == say("en", "opinion-recorded")
    await stack.settled()

    opinions = await stack.told(case, OpinionGiven)
    assert [o.opinion for o in opinions] == ["agree", "small-vessel", "unsure"]
    assert not any(o.before_reveal for o in opinions)
    assert (await stack.case(case)).label is None
    assert say("en", "opinion-unsure") in text_of(card)


async def test_a_final_cause_counts_by_what_confirmed_it(stack: Stack) -> None:
    clinician = await stack.clinician("ru")
    await clinician.photo(image(62))
    case, card = await clinician.answer()
    await stack.answered(case, 1)

    await _confirm(clinician, card.id, "cardioembolic", "clinical")
    await stack.until(case, lambda c: c.label, "the label")
    await clinician.until(lambda m: action(m, taps.ChooseCause), "the card again")
    await _confirm(clinician, card.id, "cardioembolic", "ecg")
    await stack.until(case, lambda c: c.label and c.label.level == 2, "the revised label")
    await stack.settled()

    [confirmed], [revised] = (
        await stack.told(case, LabelConfirmed),
        await stack.told(case, LabelRevised),
    )
    assert (confirmed.level, revised.level) == (1, 2)
    assert not confirmed.blinded
    assert say("ru", "evidence-ecg") in text_of(card)


async def test_the_same_final_cause_again_leaves_the_card_and_the_ledger_as_they_are(
    stack: Stack,
) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(63))
    case, card = await clinician.answer()
    for _ in range(2):
        await _confirm(clinician, card.id, "large-artery", "stenosis")
        assert await clinician.note() == say("en", "label-recorded")
        await clinician.until(lambda m: action(m, taps.ChooseCause), "the card again")
    await stack.settled()

    assert len(await stack.told(case, LabelConfirmed)) == 1
    assert await stack.told(case, LabelRevised) == []
    assert is_answer(card)


async def _confirm(clinician: Someone, message: int, cause: str, evidence: str) -> None:
    """Final cause, then what confirmed it, on this message."""
    card = clinician.user.message(message)
    await clinician.tap(card, taps.ChooseCause)
    await clinician.until(lambda m: m.id == message and action(m, taps.ChooseEvidence), "causes")
    await clinician.tap(card, taps.ChooseEvidence, cause=cause)
    await clinician.until(lambda m: m.id == message and action(m, taps.ConfirmLabel), "evidence")
    await clinician.tap(card, taps.ConfirmLabel, evidence=evidence)


async def test_all_examinations_are_one_tap_away_and_back(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(64))
    _, card = await clinician.answer()
    before = text_of(card)

    await clinician.tap(card, taps.ShowExaminations)
    await clinician.until(lambda m: action(m, taps.BackToCard), "the examinations")
    listed = text_of(card)
    await clinician.tap(card, taps.BackToCard)
    await clinician.until(is_answer, "the card again")

    assert len(listed) > len(before)
    assert text_of(card) == before


async def test_my_cases_open_again_and_take_the_final_cause(stack: Stack) -> None:
    clinician = await stack.clinician()
    await clinician.photo(image(65))
    case, card = await clinician.answer()
    stack.clock.advance(86_400)
    await clinician.user.send_text("/cases")
    listed = await clinician.until(lambda m: action(m, taps.OpenCase), "my cases")

    await clinician.tap(listed, taps.OpenCase)
    copy = await clinician.until(lambda m: m.id > listed.id and code_of(m), "the case")
    await _confirm(clinician, copy.id, "cardioembolic", "echo")
    await stack.until(case, lambda c: c.label, "the label")
    await stack.settled()

    assert case_of(copy) == case
    assert text_of(copy) == text_of(card)
    assert say("en", "evidence-echo") in text_of(card)
    assert action(copy, taps.ChooseCause)


# How the answer comes


@pytest.mark.parametrize(("seconds", "rings"), [(SILENT_SECONDS_MAX, 0), (11, 1)])
async def test_an_answer_that_took_over_10_seconds_rings_once(
    stack: Stack, seconds: int, rings: int
) -> None:
    clinician = await stack.clinician("ru")
    await clinician.album(images(70, 2))
    stack.clock.advance(seconds)
    case, card = await clinician.answer()
    await stack.settled()

    await clinician.tap(card, taps.Agree)
    await clinician.until(ticked, "the tick")
    await stack.settled()

    ringing = [m for m in clinician.said if text_of(m) == say("ru", "answer-ready")]
    assert len(ringing) == rings
    assert all(m.reply_to == card.id for m in ringing)
    assert len(clinician.answers(case)) == 1


async def test_images_that_do_not_tell_are_not_answered_but_worked_up(
    stack: Stack, cautious: None
) -> None:
    clinician = await stack.clinician("ru")

    await clinician.photo(image(80))
    case, card = await clinician.answer()

    prediction = (await stack.case(case)).prediction
    assert isinstance(prediction, PredictionProduced)
    assert len(prediction.chosen) == 2
    assert seen("ru", "abstain") in text_of(card)
    assert not action(card, taps.Agree)
    assert sum(line[1:3] == ". " for line in text_of(card).splitlines()) == 5


@pytest_asyncio.fixture(loop_scope="module")
async def cautious(stack: Stack, tmp_path: Path) -> AsyncIterator[None]:
    """A release of the shipped model that is never sure enough answers for a while."""
    manifest = (BUNDLE_1 / "manifest.json").read_text()
    assert '"abstain_below": ' in manifest
    (tmp_path / "manifest.json").write_text(
        manifest.replace('"abstain_below": ', '"abstain_below": 100')
    )
    (tmp_path / "model.onnx").write_bytes((BUNDLE_1 / "model.onnx").read_bytes())
    report = read_report(BUNDLE_1)
    assert report
    own = sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()
    write_report(replace(report, manifest_sha256=own), tmp_path)
    await stack.collect_only()
    model, _ = await register_bundle(stack.house, tmp_path)
    await models.promote(stack.house.books, stack.house.operator(), model, "demo")
    yield
    await models.retire(stack.house.books, stack.house.operator(), model, "test")
    await stack.serve()


async def test_without_a_model_people_are_thanked_and_a_later_model_answers(stack: Stack) -> None:
    clinician = await stack.clinician()
    await stack.collect_only()
    await clinician.album(images(90, 3))
    thanks = say("en", "collected")
    card = await clinician.until(lambda m: thanks in text_of(m), "thanks")
    case = case_of(card)
    await stack.settled()
    assert len((await stack.case(case)).usable) == 3
    assert (await stack.case(case)).prediction is None
    assert len(clinician.cards(case)) == 1

    await stack.serve()
    answered, shown = await clinician.answer()

    assert (answered, shown.id) == (case, card.id)
    assert thanks not in text_of(card)


# Telegram calls us


async def test_a_webhook_with_its_secret_does_what_polling_does(stack: Stack) -> None:
    clinician = await stack.clinician()
    await stack.stop("inbox")
    webhook = _with_webhook(stack.house, "s3cret-token")
    await stack.start("inbox", house=webhook)

    await clinician.photo(image(95))
    case, card = await clinician.answer()
    url = webhook.settings.telegram.webhook_url
    statuses = [await _posted(url, secret) for secret in (None, "wrong", "wröng", "s3cret-token")]
    await stack.stop("inbox")
    await stack.start("inbox")
    stack.clock.advance(JOIN_SECONDS_MAX + 1)
    await clinician.photo(image(97))
    other, _ = await clinician.answer(after=card.id)

    assert statuses == [401, 401, 401, 400]
    assert await stack.cases_of(clinician) == [case, other]
    assert case_code(case) != case_code(other)


def _with_webhook(house: House, secret: str) -> House:
    """The house of an inbox that Telegram calls."""
    port = free_port()
    telegram = replace(
        house.settings.telegram,
        webhook_url=f"http://127.0.0.1:{port}/updates",
        webhook_secret=secret,
        webhook_host="127.0.0.1",
        webhook_port=port,
    )
    return house._replace(settings=replace(house.settings, telegram=telegram))


async def _posted(url: str, secret: str | None) -> int:
    """The status of a call that is no update."""
    headers = {SECRET_HEADER: secret} if secret else {}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"message": {}}, headers=headers) as answer,
    ):
        return answer.status


# Where it must not be


async def test_the_synthetic_model_refuses_to_serve_real_patients(tmp_path: Path) -> None:
    server = NatsServer(prepare_nats(tmp_path))
    server.restart()
    settings = Settings(
        data=str(tmp_path),
        origin="site",
        nats=NatsSettings(url=server.url, monitor_url=server.monitor_url),
    )
    try:
        async with open_house(settings, "site") as house:
            await furnish(house)
            model, _ = await register_bundle(house, BUNDLE_1)

            with pytest.raises(NotHere):
                await models.promote(house.books, house.operator(), model, "demo")

            assert await models.serving(house.models()) is None
    finally:
        server.stop()
