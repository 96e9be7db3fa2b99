"""What the Bot API refuses about texts, keyboards and parameters, in Telegram's own words."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

TEXT_UNITS_MAX = 4096
CAPTION_UNITS_MAX = 1024
CALLBACK_DATA_BYTES_MAX = 64
COPY_TEXT_UNITS_MAX = 256
BUTTONS_MAX = 100

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


class Refusal(Exception):
    """An answer with `ok: false`: its code, description and `parameters` (such as retry_after)."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(code, description)
        self.code, self.description, self.parameters = code, description, parameters


def bad_request(why: str) -> Refusal:
    return Refusal(400, f"Bad Request: {why}")


@dataclass(frozen=True)
class Upload:
    """One file part of a multipart call."""

    content: bytes
    file_name: str
    mime_type: str


@dataclass(frozen=True)
class Parameters:
    """The parameters of one call, whether they came as JSON, urlencoded or multipart."""

    values: Mapping[str, Any]
    uploads: Mapping[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in {"true", "yes", "1"}

    def structure(self, name: str, what: str) -> Any:
        """A JSON value; form calls send it serialised. None when absent."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            return value or None
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def nested(self, values: Mapping[str, Any]) -> "Parameters":
        """The same uploads, seen from one object inside the call (an item of an album)."""
        return Parameters(values, self.uploads)


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def message_text(params: Parameters) -> Json:
    """`text` and `entities` of a text message."""
    text, entities = _formatted(params, params.text("text"), "entities")
    if not text:
        raise bad_request("message text is empty")
    if units(text) > TEXT_UNITS_MAX:
        raise bad_request("message is too long")
    return {"text": text} | ({"entities": entities} if entities else {})


def message_caption(params: Parameters) -> Json:
    """`caption` and `caption_entities` of a photo or a document; empty without a caption."""
    text, entities = _formatted(params, params.text("caption"), "caption_entities")
    if units(text) > CAPTION_UNITS_MAX:
        raise bad_request("message caption is too long")
    caption: Json = {"caption": text} if text else {}
    return caption | ({"caption_entities": entities} if entities else {})


def _formatted(params: Parameters, source: str, entities_name: str) -> tuple[str, list[Json]]:
    try:
        source.encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    match params.text("parse_mode").lower():
        case "html":
            return parse_html(source)
        case "":
            given = params.structure(entities_name, "entities") or []
            return _trimmed(source, [dict(entity) for entity in given])
        case _:  # Telegram also reads Markdown; the emulator knows the mode that ictus uses
            raise bad_request("unsupported parse_mode")


_ENTITY = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("tg-spoiler", "span"), "spoiler"),
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
}
_PIECE = re.compile(
    r"""</(?P<end>[^>]*)>
    | <(?P<start>[^\s<>/]+)(?P<attributes>(?:\s+[\w-]+(?:=(?:"[^"]*"|'[^']*'|[^\s>"']+))?)*)\s*>
    | <(?P<bad>[^\s>]*)
    | (?P<reference>&(?:lt|gt|amp|quot|\#\d+|\#x[\da-fA-F]+);)
    | (?P<text>[^<&]+|&)""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([\w-]+)(?:=(?:"([^"]*)"|'([^']*)'|([^\s"']+)))?""")


@dataclass
class _Reader:
    """Collects the text and the entities of one HTML source."""

    text: str = ""
    entities: list[Json] = field(default_factory=list)
    open: list[tuple[str, Json]] = field(default_factory=list)

    def start(self, tag: str, attributes: str, at: int) -> None:
        entity: Json = {"type": _ENTITY[tag], "offset": units(self.text), "length": 0}
        given = {name: a or b or c for name, a, b, c in _ATTRIBUTE.findall(attributes)}
        if tag == "span" and given.get("class") != "tg-spoiler":
            raise _unparsed(f'Tag "span" must have class "tg-spoiler" at byte offset {at}')
        if tag == "a":
            entity["url"] = html.unescape(given.get("href", ""))
        if tag == "blockquote" and "expandable" in given:
            entity["type"] = "expandable_blockquote"
        self.open.append((tag, entity))

    def end(self, tag: str, at: int) -> None:
        if not self.open:
            raise _unparsed(f"Unexpected end tag at byte offset {at}")
        expected, entity = self.open.pop()
        if tag and tag != expected:
            raise _unparsed(
                f'Unmatched end tag at byte offset {at}, expected "</{expected}>", found "</{tag}>"'
            )
        self.entities.append(entity | {"length": units(self.text) - entity["offset"]})


def parse_html(source: str) -> tuple[str, list[Json]]:
    """The text and the entities (UTF-16 offsets) of Telegram's HTML.

    Raises Refusal where Telegram does: unknown, unclosed, unmatched or crossing tags, a bare `<`.
    """
    reader = _Reader()
    for piece in _PIECE.finditer(source):
        at = len(source[: piece.start()].encode())
        if (bad := piece["bad"]) is not None:
            if piece.end() == len(source) or bad.lower() in _ENTITY:
                raise _unparsed(f"Unclosed start tag at byte offset {at}")
            raise _unsupported(bad, at)
        elif (start := piece["start"]) is not None:
            if start.lower() not in _ENTITY:
                raise _unsupported(start, at)
            reader.start(start.lower(), piece["attributes"], at)
        elif (end := piece["end"]) is not None:
            reader.end(end.strip().lower(), at)
        else:
            reader.text += html.unescape(piece["reference"] or "") + (piece["text"] or "")
    if reader.open:
        tag = reader.open[-1][0]
        raise _unparsed(f'Can\'t find end tag corresponding to start tag "{tag}"')
    return _trimmed(reader.text, reader.entities)


def _unparsed(why: str) -> Refusal:
    return bad_request(f"can't parse entities: {why}")


def _unsupported(tag: str, at: int) -> Refusal:
    return _unparsed(f'Unsupported start tag "{tag.lower()}" at byte offset {at}')


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Without white space at both ends; entities move along, empty ones vanish."""
    lead, size = units(text) - units(text.lstrip()), units(text.strip())
    kept = []
    for entity in entities:
        start = max(entity["offset"] - lead, 0)
        end = min(entity["offset"] - lead + entity["length"], size)
        if start < end:
            kept.append(entity | {"offset": start, "length": end - start})
    return text.strip(), sorted(kept, key=lambda one: (one["offset"], -one["length"]))


_ACTIONS = {
    *("callback_data", "url", "copy_text", "web_app", "login_url", "pay", "disabled"),
    *("callback_game", "switch_inline_query", "switch_inline_query_current_chat"),
    "switch_inline_query_chosen_chat",
}


def reply_markup(params: Parameters, *, inline_only: bool = False) -> Json | None:
    """The checked keyboard of a call; None when there is none (an empty one counts as none)."""
    markup = params.structure("reply_markup", "reply keyboard markup")
    if not markup:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" not in markup:
        if inline_only:
            raise bad_request("inline keyboard expected")
        return dict(markup)
    given = markup["inline_keyboard"]
    if not isinstance(given, list) or not all(isinstance(row, list) for row in given):
        raise bad_request("can't parse reply keyboard markup JSON object")
    rows = [[_button(button) for button in row] for row in given if row]
    if sum(map(len, rows)) > BUTTONS_MAX:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": rows} if rows else None


def _button(given: Any) -> Json:
    if not isinstance(given, dict):
        raise _bad_button("InlineKeyboardButton must be an Object")
    button: Json = {name: value for name, value in given.items() if value is not None}
    if not button.get("text"):
        raise _bad_button('Field "text" must be of type String')
    if not _ACTIONS & button.keys():
        raise _bad_button("Text buttons are unallowed in the inline keyboard")
    if button.get("style", "primary") not in {"primary", "success", "danger"}:
        raise _bad_button("invalid button style specified")
    data, copied = button.get("callback_data", "-"), button.get("copy_text", {"text": "-"})
    if not 1 <= len(str(data).encode()) <= CALLBACK_DATA_BYTES_MAX:
        raise bad_request("BUTTON_DATA_INVALID")
    if not 1 <= units(copied.get("text", "")) <= COPY_TEXT_UNITS_MAX:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return button


def _bad_button(why: str) -> Refusal:
    return bad_request(f"can't parse inline keyboard button: {why}")
