"""The Bot API methods of the emulator, one function each, and the table that names them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.telegram.emulator.messages import (
    chat_person,
    delete_message,
    edit_message_caption,
    edit_message_media,
    edit_message_reply_markup,
    edit_message_text,
    reachable,
    send_document,
    send_media_group,
    send_message,
    send_photo,
)
from adapters.telegram.emulator.rules import Json, Parameters, bad_request, units
from adapters.telegram.emulator.updates import Updates, Webhook
from adapters.telegram.emulator.world import World

DOWNLOAD_BYTES_MAX = 20 << 20
CALLBACK_ANSWER_UNITS_MAX = 200

CHAT_ACTIONS = {
    *("typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice"),
    *("record_audio", "upload_audio", "upload_document", "choose_sticker", "find_location"),
    *("record_video_note", "upload_video_note"),
}


Method = Callable[[World, Parameters], Awaitable[Any]]


async def get_me(world: World, params: Parameters) -> Json:
    return world.bot | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


async def get_updates(world: World, params: Parameters) -> list[Json]:
    _allow(world.updates, params)
    limit, seconds = params.integer("limit", 100), params.integer("timeout")
    return await world.updates.poll(params.integer("offset"), limit, seconds)


async def set_webhook(world: World, params: Parameters) -> bool:
    """Unlike Telegram's cloud, and like a Bot API server of one's own, takes http:// as well."""
    url, secret = params.text("url"), params.text("secret_token")
    if not url:
        return await delete_webhook(world, params)
    if not re.match(r"https?://[^/\s]+", url):
        raise bad_request("invalid webhook URL specified")
    if len(secret) > 256:
        raise bad_request("secret token is too long")
    if not re.fullmatch(r"[\w-]*", secret, re.ASCII):
        raise bad_request("secret token contains unallowed characters")
    _allow(world.updates, params)
    if params.flag("drop_pending_updates"):
        world.updates.drop()
    connections = params.integer("max_connections", 40)
    world.updates.set_webhook(Webhook(url, secret, min(max(connections, 1), 100)))
    return True


async def delete_webhook(world: World, params: Parameters) -> bool:
    if params.flag("drop_pending_updates"):
        world.updates.drop()
    world.updates.set_webhook(None)
    return True


async def get_webhook_info(world: World, params: Parameters) -> Json:
    hook = world.updates.webhook
    info: Json = {
        "url": hook.url if hook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates.waiting()),
    }
    if hook:
        info["max_connections"] = hook.max_connections
    if hook and hook.last_error_at:
        failed = int(hook.last_error_at.timestamp())
        info |= {"last_error_date": failed, "last_error_message": hook.last_error}
    if world.updates.allowed is not None:
        info["allowed_updates"] = sorted(world.updates.allowed)
    return info


async def get_file(world: World, params: Parameters) -> Json:
    if not params.text("file_id"):
        raise bad_request("file_id not specified")
    file = world.files.get(params.text("file_id"))
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if len(file.content) > DOWNLOAD_BYTES_MAX:
        raise bad_request("file is too big")
    return file.size | {"file_path": world.link(file)}


async def get_chat(world: World, params: Parameters) -> Json:
    kinds = ("unlimited", "limited", "unique")
    gifts = {f"{kind}_gifts": True for kind in kinds}
    gifts |= {"premium_subscription": True, "gifts_from_channels": True}
    details = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}
    return chat_person(world, params).chat | details


async def answer_callback_query(world: World, params: Parameters) -> bool:
    callback = world.callbacks.get(params.text("callback_query_id"))
    now = world.clock()
    if callback is None or now - callback.at > world.callback_age_max:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if units(params.text("text")) > CALLBACK_ANSWER_UNITS_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    callback.answered_at = now
    callback.answer = {"text": params.text("text"), "show_alert": params.flag("show_alert")}
    world.touch(callback.person)
    return True


async def send_chat_action(world: World, params: Parameters) -> bool:
    person, action = reachable(world, params), params.text("action")
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    world.actions.append((world.clock(), person.id, action))
    return True


async def set_my_commands(world: World, params: Parameters) -> bool:
    commands = params.structure("commands", "commands")
    if not isinstance(commands, list):
        raise bad_request("expected an Array of BotCommand")
    for command in commands:
        if not re.fullmatch(r"/?[a-z0-9_]{1,32}", command.get("command", "")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command.get("description", "")) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands[_command_scope(params)] = commands
    return True


async def get_my_commands(world: World, params: Parameters) -> list[Json]:
    return world.commands.get(_command_scope(params), [])


def _command_scope(params: Parameters) -> str:
    scope = params.structure("scope", "BotCommandScope") or {"type": "default"}
    return f"{sorted(scope.items())} {params.text('language_code')}"


def _allow(updates: Updates, params: Parameters) -> None:
    """Absent: as before; empty: all kinds; otherwise the kinds named, from now on."""
    if "allowed_updates" in params.values:
        kinds = params.structure("allowed_updates", "allowed updates")
        updates.allowed = frozenset(kinds) if kinds else None


METHODS: Mapping[str, Method] = {
    "getMe": get_me,
    "getUpdates": get_updates,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "getFile": get_file,
    "getChat": get_chat,
    "sendMessage": send_message,
    "sendPhoto": send_photo,
    "sendDocument": send_document,
    "sendMediaGroup": send_media_group,
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageMedia": edit_message_media,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "answerCallbackQuery": answer_callback_query,
    "sendChatAction": send_chat_action,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
}
