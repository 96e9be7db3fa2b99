"""The methods that send, edit and delete messages, with all that Telegram refuses there."""

import asyncio
from datetime import timedelta
from typing import Any

from adapters.telegram.emulator.photos import Size, image_size, photo_sizes
from adapters.telegram.emulator.rules import (
    NOT_MODIFIED,
    Json,
    Parameters,
    Refusal,
    bad_request,
    message_caption,
    message_text,
    reply_markup,
)
from adapters.telegram.emulator.world import (
    MediaKind,
    Message,
    Person,
    Version,
    World,
)

PHOTO_BYTES_MAX = 10 << 20
PHOTO_SIDES_PX_MAX = 10_000  # width and height together
PHOTO_RATIO_MAX = 20
ALBUM_ITEMS = range(2, 11)
DELETE_AGE_MAX = timedelta(hours=48)
_MEDIA = {"photo", "document"}


async def send_message(world: World, params: Parameters) -> Json:
    person = reachable(world, params)
    return _send(world, person, params, message_text(params))


async def send_photo(world: World, params: Parameters) -> Json:
    return await _send_media(world, params, "photo")


async def send_document(world: World, params: Parameters) -> Json:
    return await _send_media(world, params, "document")


async def send_media_group(world: World, params: Parameters) -> list[Json]:
    person = reachable(world, params)
    items = params.structure("media", "media") or []
    if not isinstance(items, list) or len(items) not in ALBUM_ITEMS:
        raise bad_request("media group must include 2-10 items")
    if params.text("reply_markup"):  # Telegram drops it silently: louder here, a lost keyboard
        raise bad_request("reply markup can't be used in a media group")
    reply_to = _reply_to(world, person, params)
    bodies = [await _input_media(world, params, item) for item in items]
    group, post = world.number(), world.post
    sent = [
        post(person, body, by_bot=True, reply_to=reply_to, media_group_id=group) for body in bodies
    ]
    return [world.shown(message) for message in sent]


async def edit_message_text(world: World, params: Parameters) -> Json:
    message = _editable(world, params)
    body = message_text(params)
    if "text" not in message.now.body:
        raise bad_request("there is no text in the message to edit")
    return _edit(world, message, body, reply_markup(params, inline_only=True))


async def edit_message_caption(world: World, params: Parameters) -> Json:
    message = _editable(world, params)
    caption = message_caption(params)
    if "text" in message.now.body:
        raise bad_request("there is no caption in the message to edit")
    return _edit(
        world, message, _media_of(message) | caption, reply_markup(params, inline_only=True)
    )


async def edit_message_media(world: World, params: Parameters) -> Json:
    message = _editable(world, params)
    item = params.structure("media", "input media")
    if not isinstance(item, dict):
        raise bad_request("input media is not specified")
    body = await _input_media(world, params, item)
    return _edit(world, message, body, reply_markup(params, inline_only=True))


async def edit_message_reply_markup(world: World, params: Parameters) -> Json:
    message = _editable(world, params)
    return _edit(world, message, message.now.body, reply_markup(params, inline_only=True))


async def delete_message(world: World, params: Parameters) -> bool:
    message = _message(world, params, "message to delete")
    if world.clock() - message.versions[0].at > DELETE_AGE_MAX:
        raise bad_request("message can't be deleted for everyone")
    message.deleted_at = world.clock()
    world.touch(message.person)
    return True


def chat_person(world: World, params: Parameters) -> Person:
    if not params.text("chat_id"):
        raise bad_request("chat_id is empty")
    person = world.people.get(params.integer("chat_id"))
    if person is None or not person.started:
        raise bad_request("chat not found")
    return person


def reachable(world: World, params: Parameters) -> Person:
    person = chat_person(world, params)
    if person.blocked:
        raise Refusal(403, "Forbidden: bot was blocked by the user")
    return person


def _message(world: World, params: Parameters, what: str) -> Message:
    person = chat_person(world, params)
    if not params.text("message_id"):
        raise bad_request("message identifier is not specified")
    message = world.find(person.id, params.integer("message_id"))
    if message is None:
        raise bad_request(f"{what} not found")
    return message


def _editable(world: World, params: Parameters) -> Message:
    message = _message(world, params, "message to edit")
    if not message.by_bot:
        raise bad_request("message can't be edited")
    return message


def _edit(world: World, message: Message, body: Json, keyboard: Json | None) -> Json:
    """A new version; an edit without a keyboard takes the keyboard away, as at Telegram."""
    if (body, keyboard) == (message.now.body, message.now.keyboard):
        raise bad_request(NOT_MODIFIED)
    message.versions.append(Version(world.clock(), body, keyboard))
    world.touch(message.person)
    return world.shown(message)


def _reply_to(world: World, person: Person, params: Parameters) -> int | None:
    """The message to reply to, from `reply_parameters` or the older `reply_to_message_id`."""
    given = params.structure("reply_parameters", "reply parameters") or {
        "message_id": params.integer("reply_to_message_id"),
        "allow_sending_without_reply": params.flag("allow_sending_without_reply"),
    }
    message_id = int(given.get("message_id") or 0)
    if not message_id or world.find(person.id, message_id):
        return message_id or None
    if not given.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return None


def _send(world: World, person: Person, params: Parameters, body: Json) -> Json:
    keyboard, reply_to = reply_markup(params), _reply_to(world, person, params)
    message = world.post(person, body, by_bot=True, keyboard=keyboard, reply_to=reply_to)
    return world.shown(message)


async def _send_media(world: World, params: Parameters, kind: MediaKind) -> Json:
    person, caption = reachable(world, params), message_caption(params)
    media = await _media(world, params, kind, params.values.get(kind), kind)
    return _send(world, person, params, media | caption)


async def _input_media(world: World, params: Parameters, item: Any) -> Json:
    """The body of an `InputMediaPhoto` or an `InputMediaDocument`."""
    if not isinstance(item, dict):
        raise bad_request("can't parse InputMedia: expected an Object")
    kind = item.get("type")
    if kind != "photo" and kind != "document":
        raise bad_request("can't parse InputMedia: type is not supported by the emulator")
    caption = message_caption(params.nested(item))
    return await _media(world, params, kind, item.get("media"), "media") | caption


async def _media(world: World, params: Parameters, kind: MediaKind, given: Any, part: str) -> Json:
    """A {"photo": ...} or {"document": ...} fragment, from an upload or a known file_id."""
    name = str(given or "").removeprefix("attach://")
    upload = params.uploads.get(name) or (None if given else params.uploads.get(part))
    if upload is None:
        return _known_media(world, kind, name)
    if kind == "document":
        return world.keep_document(upload.content, upload.file_name, upload.mime_type)
    return world.keep_photo(await _accepted_photo(upload.content))


async def _accepted_photo(content: bytes) -> list[Size]:
    if len(content) > PHOTO_BYTES_MAX:
        limit = f"the maximum size is {PHOTO_BYTES_MAX} bytes"
        raise bad_request(f"file of size {len(content)} bytes is too big for a photo; {limit}")
    sides = image_size(content)
    if sum(sides) > PHOTO_SIDES_PX_MAX or max(sides) > PHOTO_RATIO_MAX * min(sides):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    sizes = await asyncio.to_thread(photo_sizes, content)
    if not sizes:
        raise bad_request("IMAGE_PROCESS_FAILED")
    return sizes


def _known_media(world: World, kind: MediaKind, file_id: str) -> Json:
    if not file_id:
        raise bad_request(f"there is no {kind} in the request")
    if file_id.startswith(("http://", "https://")):  # the emulator reaches no other host
        raise bad_request("failed to get HTTP URL content")
    fragment = world.media.get(file_id)
    if fragment is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    if kind not in fragment:
        raise bad_request(f"can't use file of another type as {kind.title()}")
    return fragment


def _media_of(message: Message) -> Json:
    return {kind: value for kind, value in message.now.body.items() if kind in _MEDIA}
