"""What had happened before a test begins: stories appended to a ledger as they would have been.

Ids, times and pictures depend only on the seed and the order of calls, so two ledgers told the same
story hold the same bytes. Nothing is really sealed: the boxes hold words that say so.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from io import BytesIO
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec.structs import replace
from PIL import Image

from commands.ports import Commit, Ledger
from domain import case as cases, examination, person as people
from domain.case import Case, CaseEvent
from domain.events import CASE, NO_HASH, Event, Recorded, Request, fold
from domain.identity import Instant, case_code, event_id
from domain.person import Role
from domain.sealed import Sealed
from domain.stroke import Answer, Cause, Evidence

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STEP = timedelta(seconds=1)
PROFILE = "ingest@1"
NOTICE = "2026-1"
MODEL = uuid5(NAMESPACE_URL, "model")


class Given:
    """Tells stories to `ledger`; every append is one second after the one before."""

    def __init__(self, ledger: Ledger, seed: str = "given") -> None:
        self.ledger = ledger
        self.now: Instant = START
        self.objects: dict[tuple[str, str], bytes] = {}
        self._seed = seed
        self._made = 0

    def new_id(self) -> UUID:
        self._made += 1
        return uuid5(NAMESPACE_URL, f"{self._seed}/{self._made}")

    async def happened(self, aggregate: str, aggregate_id: UUID, *events: Event) -> Recorded:
        """Appends the events in one commit and returns the last as it was recorded."""
        past = await self.ledger.load(aggregate, aggregate_id)
        expected, prevhash = (past[-1].sequence, past[-1].hash) if past else (0, NO_HASH)
        self.now += STEP
        request_id = self.new_id()
        request = Request(
            id=request_id,
            actor="system",
            source="/ictus/test",
            time=self.now,
            correlation=request_id,
        )
        commit = Commit(aggregate, aggregate_id, events, expected, prevhash)
        await self.ledger.append(request, [commit])
        last = event_id(request_id, aggregate, aggregate_id, len(events) - 1)
        return next(
            found for found in await self.ledger.load(aggregate, aggregate_id) if found.id == last
        )

    # People

    async def stranger(self, language: str = "en") -> UUID:
        """Somebody who asks for access."""
        person = self.new_id()
        asked = people.AccessAsked(address=sealed(), name=sealed(), language=language)
        await self.happened(people.NAME, person, asked)
        return person

    async def person(
        self, role: Role = "clinician", site: str = "demo-1", language: str = "en"
    ) -> UUID:
        """Somebody who joined with a role and accepted the notice."""
        person = self.new_id()
        await self.happened(
            people.NAME,
            person,
            people.Joined(address=sealed(), name=sealed(), language=language),
            people.RoleGranted(role=role, site=site),
            people.Consented(notice=NOTICE, language=language, text_sha256=NO_HASH),
        )
        return person

    async def advice(self) -> None:
        """Two examinations: one whose text a clinician revised, and one that was retired."""
        text = examination.Text(ru="текст", en="text")
        when = examination.When(blocks=("base",))
        for code in ("base.kept", "base.retired"):
            added = examination.Added(code, text, text, when, 1, "a source", verified=False)
            await self.happened(examination.NAME, examination.examination_id(code), added)
        revised = examination.Revised(text, text, when, 2, "another", True, self.new_id())
        kept, retired = map(examination.examination_id, ("base.kept", "base.retired"))
        await self.happened(examination.NAME, kept, revised)
        await self.happened(examination.NAME, retired, examination.Retired(reason="superseded"))

    # Cases

    async def case(
        self,
        by: UUID,
        site: str = "demo-1",
        origin: cases.Origin = "demo",
        sent: Instant | None = None,
        channel: cases.Channel = "photo",
    ) -> UUID:
        """A case opened by its first image, which awaits ingest."""
        case = self.new_id()
        opened = cases.Opened(
            code=case_code(case), site=site, patient=self.new_id(), origin=origin, by=by
        )
        await self.on(case, opened, self._submitted(sent, channel))
        return case

    async def image(
        self, case: UUID, sent: Instant | None = None, channel: cases.Channel = "photo"
    ) -> UUID:
        """One more image, which awaits ingest."""
        submitted = self._submitted(sent, channel)
        await self.on(case, submitted)
        return submitted.item

    async def ingested(self, case: UUID, **said: Any) -> None:
        """Every waiting image turns out usable; `said` of it instead of what is usual."""
        for item in (await self.state(case)).waiting:
            await self.on(case, replace(self._ingested(case, item), **said))

    async def rejected(self, case: UUID, reason: cases.Reason = "truncated") -> None:
        """Every waiting image turns out unusable."""
        for item in (await self.state(case)).waiting:
            await self.on(case, cases.ImageRejected(item=item, reason=reason, profile=PROFILE))

    async def quarantined(self, case: UUID) -> None:
        """Of every waiting image the anatomy could not be isolated."""
        for item in (await self.state(case)).waiting:
            outcome = cases.ImageQuarantined(
                item=item, reason="no-head", profile=PROFILE, original=sealed()
            )
            await self.on(case, outcome)

    async def split(self, case: UUID, item: UUID) -> UUID:
        """The image leaves for a new case of another patient."""
        state = await self.state(case)
        assert state.opened is not None
        other, by = self.new_id(), state.opened.by
        opened = cases.Opened(
            code=case_code(other),
            site=state.opened.site,
            patient=self.new_id(),
            origin=state.opened.origin,
            by=by,
        )
        out = cases.ImagesMoved(items=(item,), direction="out", other=other, by=by)
        come = cases.ImagesMoved(items=(item,), direction="in", other=case, by=by)
        await self.on(case, out)
        await self.on(other, opened, come, state.images[item].submitted)
        return other

    async def context(self, case: UUID, code: str = "af", value: Answer = "yes") -> None:
        by = await self._owner(case)
        await self.on(case, cases.ContextGiven(facts=(cases.Fact(code, value),), by=by))

    async def predicted(
        self,
        case: UUID,
        top: Cause = "cardioembolic",
        permille: int = 700,
        abstains: bool = False,
        model: UUID = MODEL,
    ) -> UUID:
        """The model speaks; the prediction's id."""
        state = await self.state(case)
        second: Cause = "large-artery" if top == "cardioembolic" else "cardioembolic"
        produced = cases.PredictionProduced(
            task="ce-vs-laa",
            inputs=state.inputs,
            af=state.af,
            ranked=((top, permille), (second, 1000 - permille)),
            chosen=(top, second) if abstains else (top,),
            interval=(permille - 80, permille + 80),
            attention=tuple(1000 // len(state.inputs) for _ in state.inputs),
            model=model,
            model_sha256=NO_HASH,
            role="demo",
            runtime="test",
        )
        return (await self.on(case, produced)).id

    async def declined(self, case: UUID) -> UUID:
        """The question does not apply, says the model; the prediction's id."""
        state = await self.state(case)
        declined = cases.PredictionDeclined(
            task="ce-vs-laa",
            inputs=state.inputs,
            af=state.af,
            reason="not-applicable",
            model=MODEL,
        )
        return (await self.on(case, declined)).id

    async def composed(self, case: UUID) -> UUID:
        """An answer to the present prediction; its id."""
        state = await self.state(case)
        assert state.prediction_id is not None
        composed = cases.AnswerComposed(
            prediction=state.prediction_id,
            advice=(),
            language="en",
            notice="demo",
            text_sha256=NO_HASH,
        )
        return (await self.on(case, composed)).id

    async def delivered(self, case: UUID) -> None:
        """The composed answer is on the clinician's screen."""
        state = await self.state(case)
        assert state.answer_id is not None
        to = await self._owner(case)
        await self.on(
            case, cases.AnswerDelivered(answer=state.answer_id, to=to, channel="telegram")
        )

    async def card(self, case: UUID) -> UUID:
        """The case's message exists; its id."""
        placed = cases.CardPlaced(
            card=self.new_id(), channel="telegram", to=await self._owner(case), message=sealed()
        )
        await self.on(case, placed)
        return placed.card

    async def opinion(self, case: UUID, opinion: cases.Opinion = "agree") -> None:
        state = await self.state(case)
        given = cases.OpinionGiven(
            opinion=opinion,
            by=await self._owner(case),
            prediction=state.prediction_id if state.delivered else None,
            before_reveal=not state.delivered,
        )
        await self.on(case, given)

    async def labelled(
        self, case: UUID, cause: Cause = "cardioembolic", evidence: tuple[Evidence, ...] = ("ecg",)
    ) -> None:
        """The final cause, or a revision of it."""
        state = await self.state(case)
        await self.on(case, *cases.confirm_label(state, cause, evidence, await self._owner(case)))

    async def linked(self, case: UUID, other: UUID) -> Recorded:
        """Both cases say that they are one patient's; the event of the second."""
        by = await self._owner(case)
        await self.on(case, cases.Linked(other=other, suggested="clinician", by=by))
        return await self.on(other, cases.Linked(other=case, suggested="clinician", by=by))

    async def alike(self, case: UUID, other: UUID) -> Recorded:
        """The case's first image looks like the other's."""
        one, two = [next(iter((await self.state(each)).images)) for each in (case, other)]
        alike = cases.Alike(case=other, item=two, bits=2)
        return await self.on(case, cases.NearDuplicatesFound(item=one, alike=(alike,)))

    async def apart(self, case: UUID, other: UUID) -> Recorded:
        """Both cases say that they are of two patients; the event of the second."""
        by = await self._owner(case)
        await self.on(case, cases.ToldApart(other=other, by=by))
        return await self.on(other, cases.ToldApart(other=case, by=by))

    async def reingested(self, case: UUID, profile: str) -> None:
        """Every usable image is ingested anew, and comes out otherwise."""
        for image in (await self.state(case)).usable:
            made = self._ingested(case, self.new_id())
            await self.on(case, replace(made, item=image.item, profile=profile))

    async def withdrawn(self, case: UUID, reason: cases.Withdrawal = "consent") -> Recorded:
        return await self.on(case, cases.Withdrawn(reason=reason))

    async def erased(self, case: UUID) -> Recorded:
        """Asked for and done; the case's objects are gone."""
        asked = await self.withdrawn(case, "erasure")
        for key in [key for key in self.objects if key[0] == str(case)]:
            del self.objects[key]
        return await self.on(case, cases.Erased(withdrawal=asked.id))

    async def answered_case(
        self, by: UUID, top: Cause = "cardioembolic", images: int = 1, abstains: bool = False
    ) -> UUID:
        """A case from its first photo to the delivered answer."""
        case = await self.case(by)
        for _ in range(images - 1):
            await self.image(case)
        await self.ingested(case)
        await self.card(case)
        await self.predicted(case, top, abstains=abstains)
        await self.composed(case)
        await self.delivered(case)
        return case

    async def ward(self, cases_count: int = 6) -> list[UUID]:
        """Two clinicians and cases of every kind; the same every time."""
        people = [await self.person(site="demo-1"), await self.person(site="demo-2")]
        await self.stranger()
        told = [await self._varied(people[number % 2], number) for number in range(cases_count)]
        return told

    async def _varied(self, by: UUID, number: int) -> UUID:
        """Images that failed, context, abstention, labels, revisions: each in some of the cases."""
        top: Cause = "cardioembolic" if number % 3 else "large-artery"
        case = await self.answered_case(by, top, images=1 + number % 3, abstains=number % 5 == 4)
        if number % 4 == 1:
            await self.image(case)
            await self.rejected(case)
        if number % 4 == 2:
            await self.split(case, await self.image(case))
            await self.context(case)
            await self.predicted(case, top, 810)
        if number % 2 == 0:
            await self.opinion(case)
            await self.labelled(case, "large-artery", ("clinical",))
        if number % 3 == 0:
            await self.labelled(case, "cardioembolic", ("ecg", "echo"))
        return case

    async def on(self, case: UUID, *events: CaseEvent) -> Recorded:
        return await self.happened(cases.NAME, case, *events)

    async def state(self, case: UUID) -> Case:
        state: Case = fold(CASE, await self.ledger.load(cases.NAME, case))
        return state

    async def object(self, case: str, sha256: str) -> bytes:
        """The derivative's file bytes, as the object store would give them."""
        return self.objects[case, sha256]

    async def _owner(self, case: UUID) -> UUID:
        opened = (await self.state(case)).opened
        assert opened is not None
        return opened.by

    def _submitted(self, sent: Instant | None, channel: cases.Channel) -> cases.ImageSubmitted:
        return cases.ImageSubmitted(
            item=self.new_id(),
            channel=channel,
            modality="mri",
            joined="first",
            sent=sent or self.now,
            file=sealed(),
        )

    def _ingested(self, case: UUID, item: UUID) -> cases.ImageIngested:
        data = picture(item)
        digest = sha256(data).hexdigest()
        self.objects[str(case), digest] = data
        return cases.ImageIngested(
            item=item,
            modality="mri",
            derivative=digest,
            pixels=digest,
            original=sealed(),
            width=8,
            height=8,
            source="screenshot",
            profile=PROFILE,
            phash="0" * 16,
            heads=((0, 0, 8, 8),),
            masked_permille=100,
            quality={"sharpness": 100},
        )


def sealed(words: str = "sealed words") -> Sealed:
    return Sealed(key="test", nonce="none", box=words)


@cache
def picture(item: UUID) -> bytes:
    """An 8 x 8 PNG that looks different for every item."""
    pixels = (sha256(item.bytes).digest() * 2)[:64]
    file = BytesIO()
    Image.frombytes("L", (8, 8), pixels).save(file, "PNG")
    return file.getvalue()
