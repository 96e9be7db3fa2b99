"""The two languages say the same things, completely and harmlessly."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from fluent.runtime import FluentResource
from fluent.syntax import ast
from fluent.syntax.visitor import Visitor

import workers
from domain.case import PredictionDeclined, Reason
from domain.errors import Refused
from domain.stroke import CAUSES, EVIDENCE
from tests.shown import Visible
from workers.card import State
from workers.texts import LANGUAGES, NOTICE, plainly, refusal, say, spoken

ROOT = Path(workers.__file__).parents[1]
DRUGS = re.compile(
    r"aspirin|аспирин|варфарин|warfarin|гепарин|heparin|ксабан|xaban|антикоагул|anticoag|"
    r"статин|statin|тромболи|thromboly",
    re.IGNORECASE,
)


class Variables(Visitor):
    """The names a message asks for, also through the messages it refers to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.messages: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:
        self.names.add(node.id.name)

    def visit_MessageReference(self, node: ast.MessageReference) -> None:
        self.messages.add(node.id.name)


def entries(language: str) -> list[ast.EntryType]:
    source = (ROOT / "workers" / "locales" / f"{language}.ftl").read_text("utf-8")
    return list(FluentResource(source).body)


def messages(language: str) -> dict[str, ast.Message]:
    return {entry.id.name: entry for entry in entries(language) if isinstance(entry, ast.Message)}


def variables(language: str, key: str) -> set[str]:
    found = Variables()
    found.visit(TEXTS[language][key])
    return found.names.union(*(variables(language, other) for other in found.messages))


TEXTS = {language: messages(language) for language in LANGUAGES}
VALUES = {
    "count": [0, 1, 2, 5, 21],
    "n": [0, 1, 7, 10],
    "level": [1, 2, 3],
    "word": ["very", "likely", "slightly"],
}


def rendered(language: str, key: str) -> Iterator[str]:
    """The message with every kind of value."""
    names = sorted(variables(language, key))
    for values in product(*(VALUES.get(name, ["<words> & more"]) for name in names)):
        yield say(language, key, **dict(zip(names, values, strict=True)))


def test_both_languages_have_the_same_keys() -> None:
    assert list(TEXTS["ru"]) == list(TEXTS["en"])
    assert len(TEXTS["en"]) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_broken_or_written_twice(language: str) -> None:
    assert not [entry for entry in entries(language) if isinstance(entry, ast.Junk)]
    keys = [entry.id.name for entry in entries(language) if isinstance(entry, ast.Message)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("key", TEXTS["en"])
def test_both_languages_ask_for_the_same_values(key: str) -> None:
    assert variables("ru", key) == variables("en", key)


@pytest.mark.parametrize(("language", "key"), list(product(LANGUAGES, TEXTS["en"])))
def test_every_text_reads_well_with_every_value(language: str, key: str) -> None:
    for text in rendered(language, key):
        assert text.strip() == text != ""
        assert "{" not in text
        assert "<words>" not in text
        assert len(text) <= 1024
        assert not DRUGS.search(text)
        assert not re.search(r"exclud|исключ", text, re.IGNORECASE)
        Visible(text)


@pytest.mark.parametrize("key", [key for key in TEXTS["en"] if not variables("en", key)])
def test_the_languages_are_not_mixed_up(key: str) -> None:
    assert re.search("[а-яё]", say("ru", key), re.IGNORECASE)
    assert not re.search("[а-яё]", say("en", key), re.IGNORECASE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_buttons_causes_evidence_and_toasts_are_plain(language: str) -> None:
    plain = re.compile(
        r"(button|cause|evidence(?!-question)|state|rejected|refused)-|.*-recorded|old-button"
    )
    for key in filter(plain.match, TEXTS[language]):
        assert not re.search("[<>&]", plainly(language, key)), key


def test_russian_counts_as_russians_do() -> None:
    counted = {count: say("ru", "images", count=count) for count in (1, 2, 5, 11, 21, 22, 25)}
    assert counted == {
        1: "1 снимок",
        2: "2 снимка",
        5: "5 снимков",
        11: "11 снимков",
        21: "21 снимок",
        22: "22 снимка",
        25: "25 снимков",
    }
    assert [say("en", "images", count=count) for count in (1, 2)] == ["1 image", "2 images"]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("ru", "ru"), ("ru-RU", "ru"), ("RU", "ru"), ("en-GB", "en"), ("de", "en"), ("", "en")],
)
def test_a_language_we_do_not_speak_is_answered_in_english(asked: str, answered: str) -> None:
    assert spoken(asked) == answered
    assert say(asked, "button-agree") == say(answered, "button-agree")


def test_a_value_cannot_become_markup() -> None:
    assert say("en", "access-asked", name="<b>x</b> & Co") == (
        "<b>&lt;b&gt;x&lt;/b&gt; &amp; Co</b> asks for access."
    )


def test_a_missing_key_or_value_is_a_bug_and_not_a_text() -> None:
    with pytest.raises(KeyError):
        say("en", "no-such-key")
    with pytest.raises(ValueError, match="code"):
        say("en", "error")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_domain_has_a_text(language: str) -> None:
    declines = get_args(PredictionDeclined.__annotations__["reason"])
    keys = [
        *(f"rejected-{reason}" for reason in get_args(Reason)),
        *(f"declined-{reason}" for reason in declines),
        *(f"cause-{cause}" for cause in CAUSES),
        *(f"evidence-{evidence}" for evidence in EVIDENCE),
        *(f"state-{state}" for state in get_args(State)),
        *(f"priority-{priority}" for priority in (1, 2, 3)),
    ]
    assert [key for key in keys if key not in TEXTS[language]] == []


@pytest.mark.parametrize("kind", [Refused, *Refused.__subclasses__()])
def test_every_refusal_is_told_in_words(kind: type[Refused]) -> None:
    assert refusal("ru", kind()) != refusal("en", kind())


def test_whatever_the_code_says_exists() -> None:
    asked = {
        key
        for folder in ("workers", "adapters")
        for file in (ROOT / folder).rglob("*.py")
        for key in re.findall(
            r"""(?:say|plainly|capital|_button)\(\s*(?:[\w.]+,\s*)?"([a-z][\w-]+)\"""",
            file.read_text("utf-8"),
        )
    }
    assert "answer-ready" in asked
    assert asked - set(TEXTS["en"]) - set(LANGUAGES) == set()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("research prototype", "not a medical device", "de-identified", "restricted")),
        ("ru", ("исследовательский прототип", "Не является медицинским", "обезличиваются")),
    ],
)
def test_the_notice_says_what_people_agree_to(language: str, words: tuple[str, ...]) -> None:
    notice = say(language, "notice", version=NOTICE)
    assert NOTICE in notice
    for word in words:
        assert word in notice
