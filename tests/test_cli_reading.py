"""What the command line tells of read models, and of the past."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from adapters.storage.postgres import PostgresDatabase
from commands.examinations import catalogue
from domain import examination
from domain.examination import examination_id
from ictus.wiring import House, open_house
from projections import PROJECTIONS, history
from tests.commandline import Ictus
from tests.givens import Given
from tests.projections.following import project

CE, LAA = "cardioembolic", "large-artery"
LATER = datetime(2126, 3, 2, tzinfo=UTC)


async def tell(house: House) -> UUID:
    """Three answered cases, of which two are labelled, one of them as answered; the last of them."""
    given = Given(house.books.ledger)
    for top, label in ((CE, None), (CE, LAA), (CE, CE)):
        case = await given.answered_case(await given.person(), top)
        if label:
            await given.labelled(case, label, ("ecg",))
    return case


@pytest.fixture
async def told(furnished: Ictus) -> UUID:
    async with open_house(furnished.settings, "test") as house:
        case = await tell(house)
        async with PostgresDatabase(house.settings.postgres.dsn) as database:
            await project(house.books.ledger, database, *PROJECTIONS.values())
    return case


# Quality


@pytest.mark.usefixtures("told")
def test_quality_is_told_by_model_and_level(furnished: Ictus) -> None:
    found = furnished.json("quality")
    assert found["by"] == ["model", "level"]
    assert (found["cases"], found["withdrawn"]) == (3, 0)
    instrumental, none = found["groups"]
    assert (instrumental["of"]["level"], none["of"]["level"]) == (2, None)
    (ce, laa) = instrumental["accuracy"]
    assert (ce["sensitivity"]["count"], ce["sensitivity"]["of"]) == (1, 1)
    assert (laa["recall"]["count"], laa["recall"]["of"]) == (0, 1)


@pytest.mark.usefixtures("told")
def test_quality_reads_well_and_says_where_nothing_is_known(furnished: Ictus) -> None:
    furnished.environment["COLUMNS"] = "200"
    done = furnished("quality", "--by", "channel,images")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "3 cases as of event" in words
    assert "1/1, 100 % (21–100)" in words
    assert "—" in words


def test_a_word_that_is_no_dimension_exits_2(alone: Ictus) -> None:
    done = alone("quality", "--by", "model,weather")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'weather'" in done.stderr


# The past


async def test_a_time_is_what_was_known_before_the_first_later_event(
    furnished: Ictus, told: UUID
) -> None:
    """Also where the clocks of those who wrote were apart, so that times go back and forth."""
    async with open_house(furnished.settings, "test") as house:
        given = Given(house.books.ledger, "later")
        for seconds in (100, 300, 200, 400):
            given.now = LATER + timedelta(seconds=seconds)
            await given.context(told, "af", "yes" if seconds % 200 else "no")
        last = (await house.books.ledger.head()).sequence
        async with PostgresDatabase(house.settings.postgres.dsn) as database:
            await project(house.books.ledger, database, PROJECTIONS["history"])
            async with database.acquire() as db:
                asked = [LATER + timedelta(seconds=at) for at in (250, 350, 999)]
                by_model = [await history.sequence_at(db, time) for time in asked]
    by_cli = [as_of(furnished, told, time.isoformat()) for time in asked]
    assert by_model == by_cli == [last - 3, last - 1, last]


def as_of(ictus: Ictus, case: UUID, moment: str) -> int:
    """The sequence of the last event that `case show` tells."""
    found = ictus.json("case", "show", str(case), "--as-of", moment)
    (*_, event) = found["events"]
    assert event["sequence"] == found["as_of"]
    return int(event["sequence"])


async def test_a_case_is_shown_as_it_was_known(furnished: Ictus, told: UUID) -> None:
    shown = furnished.json("case", "show", str(told))
    label = next(e for e in shown["events"] if e["type"] == "ictus.case.label-confirmed.v1")
    before = furnished.json("case", "show", str(told), "--as-of", str(label["sequence"] - 1))
    assert shown["state"]["label"]["cause"] == CE
    assert before["state"]["label"] is None
    assert json.dumps(shown["events"][: len(before["events"])]) == json.dumps(before["events"])


def test_a_case_is_unknown_before_it_began(furnished: Ictus, told: UUID) -> None:
    done = furnished("case", "show", str(told), "--as-of", "2000-01-01T00:00Z")
    assert (done.returncode, done.stdout) == (3, "")
    assert "as of 2000-01-01T00:00Z" in done.stderr


# Advice


def test_the_catalogue_of_advice_is_listed_as_of_any_moment(furnished: Ictus) -> None:
    done = furnished("advice", "list", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [text["code"] for text in found] == sorted(text.code for text in catalogue())
    assert {text["reviewed_by"] for text in found} == {None}
    assert furnished("advice", "list", "--as-of", "2000-01-01T00:00Z", "--json").stdout == ""
    assert "nobody yet" in furnished("advice", "list").stdout


async def test_every_text_of_an_examination_is_shown_by_code_or_id(furnished: Ictus) -> None:
    key = examination_id("ce.telemetry")
    async with open_house(furnished.settings, "test") as house:
        given = Given(house.books.ledger)
        clinician, before = given.new_id(), (await house.books.ledger.head()).sequence
        await given.happened(examination.NAME, key, revision(clinician))
        async with PostgresDatabase(house.settings.postgres.dsn) as database:
            await project(house.books.ledger, database, PROJECTIONS["advice"])
    shown = furnished("advice", "show", "ce.telemetry", "--json").stdout
    assert shown == furnished("advice", "show", str(key).upper(), "--json").stdout
    first, second = [json.loads(line) for line in shown.splitlines()]
    assert (first["reviewed_by"], second["reviewed_by"]) == (None, str(clinician))
    assert second["why"] == {"ru": "Потому", "en": "Because"}
    early = furnished("advice", "show", "ce.telemetry", "--as-of", str(before), "--json").stdout
    assert [json.loads(line) for line in early.splitlines()] == [first]
    table = furnished("advice", "show", "ce.telemetry").stdout
    assert "Потому" in table
    assert "Because" in table


def revision(by: UUID) -> examination.Revised:
    return examination.Revised(
        name=examination.Text(ru="Имя", en="Name"),
        why=examination.Text(ru="Потому", en="Because"),
        when=examination.When(blocks=("base",)),
        priority=1,
        source="a source",
        verified=True,
        reviewed_by=by,
    )


def test_an_unknown_examination_exits_3_and_says_what_tells_all(furnished: Ictus) -> None:
    done = furnished("advice", "show", "no.such")
    assert (done.returncode, done.stdout) == (3, "")
    assert "`ictus advice list`" in done.stderr
