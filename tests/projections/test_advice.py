"""Every text that was ever advised comes back, as of any event."""

from uuid import UUID

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.examination import NAME, Added, Retired, Revised, Text, When, examination_id
from projections import PROJECTIONS, advice
from projections.advice import Advised, Retirement
from tests.givens import Given
from tests.projections.following import project

ADVICE = PROJECTIONS["advice"]
WHOM = When(blocks=("base", "young"), af=("unknown",), condition=Text(ru="если", en="if"))
TELEMETRY = "ce.telemetry"


def words(text: str) -> Text:
    return Text(ru=f"{text} по-русски", en=f"{text} in English")


def added(code: str, name: str = "first") -> Added:
    return Added(
        code=code,
        name=words(name),
        why=words("why"),
        when=WHOM,
        priority=1,
        source="a source",
        verified=False,
    )


def revised(name: str, by: UUID | None = None) -> Revised:
    return Revised(
        name=words(name),
        why=words("why not"),
        when=When(blocks=("base",)),
        priority=2,
        source="another",
        verified=True,
        reviewed_by=by,
    )


class Told:
    def __init__(self, ledger: MemoryLedger, database: PostgresDatabase) -> None:
        self.ledger, self.database = ledger, database

    async def texts(self, of: str | None = None, until: int | None = None) -> list[Advised]:
        await project(self.ledger, self.database, ADVICE)
        async with self.database.acquire() as db:
            return await advice.texts(db, until, of)

    async def catalogue(self, until: int | None = None) -> list[Advised]:
        await project(self.ledger, self.database, ADVICE)
        async with self.database.acquire() as db:
            return await advice.catalogue(db, until)


async def test_every_earlier_text_comes_back_with_who_stood_for_it(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    key, clinician = examination_id(TELEMETRY), given.new_id()
    first = await given.happened(NAME, key, added(TELEMETRY))
    await given.happened(NAME, key, revised("second"))
    await given.happened(NAME, key, revised("third", clinician))
    texts = await Told(ledger, database).texts(TELEMETRY)
    assert [text.revision for text in texts] == [1, 2, 3]
    assert [text.name.en.split()[0] for text in texts] == ["first", "second", "third"]
    assert [text.reviewed_by for text in texts] == [None, None, clinician]
    assert texts[0] == Advised(
        examination=key,
        code=TELEMETRY,
        revision=1,
        sequence=first.sequence,
        time=first.envelope.time,
        name=words("first"),
        why=words("why"),
        when=WHOM,
        priority=1,
        source="a source",
        verified=False,
        reviewed_by=None,
    )
    assert texts == await Told(ledger, database).texts(str(key))


async def test_the_catalogue_is_told_as_it_was_known(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    told = Told(ledger, database)
    for code in ("base.ecg", TELEMETRY):
        await given.happened(NAME, examination_id(code), added(code))
    before = (await ledger.head()).sequence
    await given.happened(NAME, examination_id(TELEMETRY), revised("second"))
    assert [(one.code, one.revision) for one in await told.catalogue(before)] == [
        ("base.ecg", 1),
        (TELEMETRY, 1),
    ]
    assert [one.revision for one in await told.catalogue()] == [1, 2]
    assert [one.code for one in await told.catalogue(before - 1)] == ["base.ecg"]


async def test_a_retired_examination_keeps_its_texts_and_says_since_when(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    told, key = Told(ledger, database), examination_id(TELEMETRY)
    await given.happened(NAME, key, added(TELEMETRY))
    gone = await given.happened(NAME, key, Retired(reason="superseded"))
    (now,) = await told.texts(TELEMETRY)
    (then,) = await told.texts(TELEMETRY, gone.sequence - 1)
    assert now.retired == Retirement(gone.sequence, gone.envelope.time, "superseded")
    assert (then.retired, then.name) == (None, now.name)


async def test_what_an_unknown_examination_said_is_nothing(
    ledger: MemoryLedger, database: PostgresDatabase
) -> None:
    assert await Told(ledger, database).texts("no.such") == []
