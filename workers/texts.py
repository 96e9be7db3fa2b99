"""Every sentence a person reads, from the Fluent files in `locales/`."""

from functools import cache
from html import escape
from importlib.resources import files

from fluent.runtime import FluentBundle, FluentResource

from domain.errors import Refused

LANGUAGES = ("ru", "en")
NOTICE = "2026-11"
"""The version of the research notice people accept; a new text (key `notice`) needs a new version."""

Value = str | int


def spoken(language: str) -> str:
    """The language we answer in: `ru-RU` is Russian, what we do not speak is English."""
    base = language.lower().split("-")[0]
    return base if base in LANGUAGES else "en"


def say(language: str, key: str, /, **values: Value) -> str:
    """The text of `key` for a message: markup is ours alone, never what the values say.

    Raises KeyError for an unknown key and ValueError for a missing value: both are bugs.
    """
    return plainly(language, key, **{name: _harmless(value) for name, value in values.items()})


def plainly(language: str, key: str, /, **values: Value) -> str:
    """Like `say`, for what shows no markup (labels of buttons) or is a value of another text."""
    bundle = _bundle(spoken(language))
    pattern = bundle.get_message(key).value
    if pattern is None:
        raise KeyError(key)
    text, errors = bundle.format_pattern(pattern, values)
    if errors:
        raise ValueError(f"{key}: {errors[0]}") from errors[0]
    return str(text)


def refusal(language: str, refused: Refused) -> str:
    """What a person is told when they may not do something."""
    return say(language, f"refused-{type(refused).__name__}")


def _harmless(value: Value) -> Value:
    return escape(value, quote=False) if isinstance(value, str) else value


@cache
def _bundle(language: str) -> FluentBundle:
    source = (files("workers") / "locales" / f"{language}.ftl").read_text("utf-8")
    bundle = FluentBundle([language], use_isolating=False)
    bundle.add_resource(FluentResource(source))
    return bundle
