"""Chats as a page shows them: messages with their edits, keyboards, media and safe HTML."""

import html
from itertools import pairwise

from adapters.telegram.emulator.people import User
from adapters.telegram.emulator.rules import Json
from adapters.telegram.emulator.world import Call, Callback, Message, Version

_MARKS = {
    "bold": "b",
    "italic": "i",
    "underline": "u",
    "strikethrough": "s",
    "spoiler": "span",
    "code": "code",
    "pre": "pre",
    "text_link": "a",
    "blockquote": "blockquote",
    "expandable_blockquote": "blockquote",
}


def chat_view(user: User, base_url: str) -> Json:
    """The chat as the person saw it, with the whole history of edits; media as URLs."""
    actions = [(at, action) for at, chat_id, action in user.world.actions if chat_id == user.id]
    return {
        "chat_id": user.id,
        "version": user.person.version,
        "person": user.person.user | {"blocked": user.person.blocked},
        "messages": [message_view(message, base_url) for message in user.messages],
        "callbacks": [callback_view(callback) for callback in user.callbacks],
        "actions": [{"at": at.isoformat(), "action": action} for at, action in actions],
    }


def message_view(message: Message, base_url: str) -> Json:
    """The message as it stands, and `history`: the versions before, oldest first."""
    *before, now = message.versions
    return {
        "message_id": message.id,
        "from": "bot" if message.by_bot else "person",
        "sent_at": message.versions[0].at.isoformat(),
        "edited": bool(before),
        "deleted_at": message.deleted_at.isoformat() if message.deleted_at else None,
        "reply_to": message.reply_to,
        "media_group_id": message.media_group_id,
        **_version_view(now, base_url),
        "history": [_version_view(version, base_url) for version in before],
    }


def callback_view(callback: Callback) -> Json:
    answered = callback.answered_at
    return {
        "callback_query_id": callback.id,
        "message_id": callback.message_id,
        "data": callback.data,
        "at": callback.at.isoformat(),
        "answered_at": answered.isoformat() if answered else None,
        "answer": callback.answer or None,
    }


def _version_view(version: Version, base_url: str) -> Json:
    body, keyboard = version.body, version.keyboard or {}
    text = body.get("text") or body.get("caption") or ""
    entities = body.get("entities") or body.get("caption_entities") or []
    return {
        "at": version.at.isoformat(),
        "text": text,
        "html": rendered(text, entities),
        "media": _media_view(body, base_url),
        "buttons": keyboard.get("inline_keyboard") or keyboard.get("keyboard") or [],
    }


def _media_view(body: Json, base_url: str) -> Json | None:
    if "photo" in body:
        largest = body["photo"][-1]
        size = {"width": largest["width"], "height": largest["height"]}
        shown = {"kind": "photo", "mime_type": "image/jpeg", **size, "file": largest}
    elif "document" in body:
        document = body["document"]
        named = {name: document[name] for name in ("file_name", "mime_type")}
        shown = {"kind": "document", **named, "file": document}
    else:
        return None
    file = shown.pop("file")
    url = f"{base_url}/emulator/files/{file['file_id']}"
    return {**shown, "url": url, "bytes": file["file_size"], "unique_id": file["file_unique_id"]}


def rendered(text: str, entities: list[Json]) -> str:
    """Safe HTML of a text with its nested entities; links lead to http(s) only."""
    opens: dict[int, list[str]] = {}
    closes: dict[int, list[str]] = {}
    for entity in reversed(entities):  # inner ones first: their tags open last and close first
        if tag := _MARKS.get(entity["type"]):
            opens.setdefault(entity["offset"], []).insert(0, _opening(tag, entity))
            closes.setdefault(entity["offset"] + entity["length"], []).append(f"</{tag}>")
    wide = text.encode("utf-16-le")
    cuts = sorted({0, *opens, *closes, len(wide) // 2})
    shown = ""
    for start, end in pairwise([*cuts, len(wide) // 2]):
        piece = wide[2 * start : 2 * end].decode("utf-16-le")
        shown += "".join([*closes.get(start, []), *opens.get(start, [])]) + html.escape(piece)
    return shown


def _opening(tag: str, entity: Json) -> str:
    match tag:
        case "a" if str(entity.get("url", "")).startswith(("http://", "https://")):
            return f'<a href="{html.escape(entity["url"])}">'
        case "span":
            return '<span class="spoiler">'
        case _:
            return f"<{tag}>"


def call_view(call: Call) -> Json:
    return {
        "at": call.at.isoformat(),
        "method": call.method,
        "parameters": call.parameters,
        "outcome": call.outcome,
        "fault": call.fault,
        "message_ids": call.message_ids,
    }
