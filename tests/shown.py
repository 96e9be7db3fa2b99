"""What a messenger would show of a card."""

from html.parser import HTMLParser

from msgspec.structs import replace

from commands.ports import Card
from domain.case import Case
from domain.examination import Examination, Text
from tests.made import CASE_ID, ingested, more, opened, produced, shipped, submitted, told
from workers.card import case_card

CATALOGUE = shipped()
THREE: Case = told(opened(), *(submitted(n) for n in range(3)), *(ingested(n) for n in range(3)))
ANSWERED: Case = more(THREE, produced(THREE))


class Visible(HTMLParser):
    """The visible text; refuses any markup but <b> and <i>, properly closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.open = "", list[str]()
        self.feed(text)
        self.close()
        assert not self.open, f"unclosed markup: {text}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"b", "i"}
        assert not attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def units(self) -> int:
        """The length that messengers limit."""
        return len(self.text.encode("utf-16-le")) // 2


def english(case: Case, collecting_only: bool = False) -> Card:
    return case_card(case, CASE_ID, CATALOGUE, "en", collecting_only)


def lines(card: Card) -> list[str]:
    return Visible(card.text).text.split("\n")


def labels(card: Card) -> list[list[str]]:
    return [[button.label for button in row] for row in card.rows]


def actions(card: Card) -> list[str]:
    return [button.action for row in card.rows for button in row]


def longer(row: Examination) -> Examination:
    """The row after somebody wrote an essay into it."""
    assert row.text is not None
    essay = Text(ru="<b>Ж & 𝕏</b> " * 60, en="<b>W & 𝕏</b> " * 60)
    return replace(row, text=replace(row.text, name=essay, why=essay))
