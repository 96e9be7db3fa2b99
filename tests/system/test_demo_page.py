"""The demo's page, from a small run: the real emulator, ingest and vault, with a ledger in memory."""

import asyncio
import re
from base64 import b64decode, b64encode
from datetime import datetime
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from PIL import Image

from adapters.storage.memory import (
    MemoryBlobs,
    MemoryBoard,
    MemoryLedger,
    MemoryQueue,
    MemorySlots,
    MemoryVault,
)
from adapters.storage.postgres import PostgresDatabase
from adapters.telegram.api import BotApi
from adapters.telegram.emulator.server import Emulator
from adapters.telegram.photos import TelegramPhotos
from commands import cases
from commands.transact import Books, from_outside
from domain.case import PredictionProduced
from domain.events import CASE
from domain.identity import case_code
from ictus.demo.clinician import Sent
from ictus.demo.page import STORIES_MAX, write_page
from ictus.demo.result import Result
from ictus.demo.telegram import Person, Telegram
from ictus.settings import Settings
from ictus.wiring import House, SystemClock
from training.synth import case as synthetic_case
from workers.ingest import pipeline
from workers.ingest.worker import Ingest

TOKEN = "7000000001:page"
ADDRESS = "https://example.org/x"
HOSTILE_NAME = f'"><script src={ADDRESS}>Demo Clinician 1</script>'
HOSTILE_CAPTION = f"</div><img src={ADDRESS} onerror=alert(1)>"
PLACEHOLDER = "Received: 1 image"
CASES = STORIES_MAX + 2
PAGE_BYTES_MAX = 6_000_000
VOID = {"meta", "link", "img"}
RESULT = Result(
    refused=0,
    cases=CASES,
    images=CASES,
    answered=CASES - 1,
    lost=1,
    answered_twice=0,
    labels_confirmed=1,
    dataset_rows=CASES,
    dataset_root="0123456789abcdef" * 4,
    replay_identical=True,
    p50_s=1.5,
    p95_s=2.25,
)


class Page(NamedTuple):
    html: str
    sent: list[Sent]
    file_ids: list[str]


class Ward(NamedTuple):
    """A clinician's phone, and a bot that records, masks, predicts and answers every photo."""

    house: House
    api: BotApi
    person: Person

    async def treat(self, data: bytes, *, labelled: bool = False) -> tuple[Sent, str]:
        """What came of one photo, and its Telegram file id."""
        content = {"content": b64encode(data).decode("ascii"), "caption": HOSTILE_CAPTION}
        posted = await self.person.telegram.post(f"/emulator/users/{self.person.id}/photo", content)
        file, case, by = posted["media"]["url"].rsplit("/", 1)[-1], uuid4(), uuid4()
        await self._submit(case, by, file, datetime.fromisoformat(posted["at"]))
        card = await self._show(case)
        if labelled:
            books = self.house.books
            request = from_outside(books, uuid4(), f"person:{by}", "bot")
            await cases.confirm_label(books, request, case, "large-artery", ("stenosis",), by)
        await self._answer(case, card)
        sent = Sent(person=self.person, truth="", photos=1, case_id=case, code=case_code(case))
        return sent, file

    async def _submit(self, case: UUID, by: UUID, file: str, sent: datetime) -> None:
        books = self.house.books
        await cases.submit_image(
            books,
            from_outside(books, uuid4(), f"person:{by}", "bot"),
            case,
            item=uuid4(),
            by=by,
            site="demo",
            origin="demo",
            channel="photo",
            joined="first",
            sent=sent,
            address=f"telegram:{file}",
            caption=HOSTILE_CAPTION,
        )
        ingest = Ingest(books, self.house.blobs, TelegramPhotos(self.api), _process)
        await ingest.react((await books.ledger.load(CASE.name, case))[-1])

    async def _show(self, case: UUID) -> int:
        text = f"{case_code(case)}\n{PLACEHOLDER}"
        card = await self.api.call("sendMessage", {"chat_id": self.person.id, "text": text})
        return int(card["message_id"])

    async def _answer(self, case: UUID, card: int) -> None:
        books, state = self.house.books, await cases.load(self.house.books, case)
        if state.usable:
            said = PredictionProduced(
                task="ce-vs-laa",
                inputs=state.inputs,
                af=state.af,
                ranked=(("large-artery", 740), ("cardioembolic", 260)),
                chosen=("large-artery",),
                interval=(620, 830),
                attention=(1000,),
                model=uuid4(),
                model_sha256="0" * 64,
                role="demo",
                runtime="test",
            )
            request = from_outside(books, uuid4(), "worker:inference", "inference")
            await cases.record_prediction(books, request, case, said)
        edited = {
            "chat_id": self.person.id,
            "message_id": card,
            "text": f"{case_code(case)}\nLarge-artery: 7 of 10 similar cases",
            "reply_markup": {"inline_keyboard": [[{"text": "Agree", "callback_data": "ag"}]]},
        }
        await self.api.call("editMessageText", edited)


async def _process(data: bytes) -> pipeline.Ingested | pipeline.Refused:
    return await asyncio.to_thread(pipeline.process, data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return asyncio.run(_written(tmp_path_factory.mktemp("demo")))


async def _written(folder: Path) -> Page:
    """A photo of something else, a labelled case, many alike, and one that never got a card."""
    house = House(
        settings=Settings(data=str(folder), origin="demo"),
        client=Client(),
        books=Books(MemoryLedger(), MemoryVault(), SystemClock()),
        queue=MemoryQueue(),
        slots=MemorySlots(),
        board=MemoryBoard(),
        blobs=MemoryBlobs(),
        database=PostgresDatabase(""),
        troubles={},
    )
    async with (
        Emulator(TOKEN) as emulator,
        Telegram(emulator.base_url) as telegram,
        BotApi(TOKEN, emulator.base_url) as api,
    ):
        person = await telegram.person(5_000_000_001, HOSTILE_NAME, "en")
        await person.text("/start")
        ward = Ward(house, api, person)
        photo = synthetic_case(1).images[0].data
        treated = [await ward.treat(_wallpaper()), await ward.treat(photo, labelled=True)]
        treated += [await ward.treat(photo) for _ in range(CASES - 3)]
        sent = [one for one, _ in treated]
        sent.append(Sent(person=person, truth="", photos=1))
        path = await write_page(house, telegram, sent, RESULT)
    assert path == folder / "index.html"
    return Page(path.read_text("utf-8"), sent, [file for _, file in treated])


def _wallpaper() -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize((600, 400)).save(file, "JPEG")
    return file.getvalue()


class Tree(HTMLParser):
    """All start tags with their attributes, and the texts, of well-nested HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


@pytest.fixture(scope="module")
def tree(page: Page) -> Tree:
    return Tree(page.html)


def test_every_tag_is_closed_and_every_id_is_one(tree: Tree) -> None:
    ids = tree.attributes("id")
    assert tree.open == []
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in tree.attributes("href")} - set(ids) == {"data:,"}


def test_the_page_asks_for_nothing_outside_itself(page: Page, tree: Tree) -> None:
    assert all(source.startswith("data:image/jpeg;base64,") for source in tree.attributes("src"))
    assert all(link.startswith(("#", "data:")) for link in tree.attributes("href"))
    assert "default-src 'none'" in "".join(tree.attributes("content"))
    styles = page.html.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|expression", styles + " ".join(tree.attributes("style")))


def test_what_people_typed_stays_text(tree: Tree) -> None:
    assert HOSTILE_NAME in tree.text
    assert HOSTILE_CAPTION in tree.text
    assert "script" not in {tag for tag, _ in tree.tags}
    assert not [name for _, attrs in tree.tags for name in attrs if name.startswith("on")]


def test_every_sent_case_is_on_the_page(page: Page, tree: Tree) -> None:
    codes = [one.code for one in page.sent if one.code]
    assert len(codes) == CASES - 1
    assert all(code in tree.text for code in codes)
    assert sum(tag == "article" for tag, _ in tree.tags) == STORIES_MAX
    assert "no card" in tree.text


def test_the_newest_case_of_every_kind_is_told_in_full(page: Page, tree: Tree) -> None:
    refused, labelled, *alike = (one.code for one in page.sent if one.code)
    told = tree.attributes("id")
    assert {refused, labelled, alike[-1]} <= set(told)
    assert alike[0] not in told


def test_the_masked_image_stands_beside_the_original(page: Page) -> None:
    pictures = _pictures(_article(page, 1))
    assert list(pictures) == ["photo", "As sent", "As kept"]
    assert max(pictures["As kept"].size) <= 480
    sent, kept = pictures["As sent"], pictures["As kept"]
    assert sent.width / sent.height != pytest.approx(kept.width / kept.height, rel=0.05)
    assert kept.getpixel((0, 0)) == 0


def test_a_refused_photo_is_shown_with_its_reason_and_nothing_kept(page: Page) -> None:
    article = _article(page, 0)
    assert "As kept" not in _pictures(article)
    assert "refused: no-head" in article


def test_an_edited_card_shows_what_it_was(page: Page) -> None:
    text = Tree(_article(page, 1)).text
    assert text.index("7 of 10 similar cases") < text.index("edited once")
    assert text.index("edited once") < text.index(PLACEHOLDER)
    assert "Agree" in text


def test_the_timeline_names_sealed_fields_and_opens_none(page: Page, tree: Tree) -> None:
    events = _article(page, 1).split('aria-label="Events"')[1]
    text = " ".join(Tree(f"<i>{events.split('>', 1)[1].split('</section>')[0]}</i>").text.split())
    assert "caption sealed" in text
    assert "file sealed" in text
    assert "onerror" not in text
    assert not [file for file in page.file_ids if file in page.html]
    for name in ("opened", "image-submitted", "image-ingested", "prediction-produced"):
        assert name in text


def test_prediction_interval_and_final_cause_are_told(page: Page) -> None:
    text = " ".join(Tree(_article(page, 1)).text.split())
    assert "large-artery 74 % 62–83 % cardioembolic 26 %" in text
    assert "stenosis ≥ 50 %; level 2" in text


def test_the_result_and_the_dataset_root_stand_at_the_top(tree: Tree) -> None:
    head = tree.text.split("Dataset root")
    assert "2.25" in head[0]
    assert RESULT.dataset_root in head[1]
    assert "byte-identical" in head[1]


def test_the_page_is_small(page: Page) -> None:
    assert len(page.html.encode()) < PAGE_BYTES_MAX


def _article(page: Page, number: int) -> str:
    """The full story of the case that was sent as number `number`."""
    start = page.html.index(f'<article id="{page.sent[number].code}"')
    return page.html[start : page.html.index("</article>", start) + len("</article>")]


def _pictures(article: str) -> dict[str, Image.Image]:
    """By their alternative texts."""
    found: dict[str, Image.Image] = {}
    for tag, attrs in Tree(article).tags:
        if tag == "img":
            data = b64decode((attrs["src"] or "").split(",", 1)[1])
            found[attrs["alt"] or ""] = Image.open(BytesIO(data))
    return found
