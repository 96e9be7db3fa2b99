"""The emulator's control routes: what people do, what they see, faults, updates, calls.

Bodies and answers are JSON, bytes are base64, `?` marks what may be left out; a wrong request is
answered by 400 or 404 with {error}.

    POST   /emulator/users                {id, first_name, language_code?, username?} -> user
    GET    /emulator/users                -> [user]
    POST   /emulator/users/ID/text        {text, reply_to?} -> message
    POST   /emulator/users/ID/photo       {content, caption?, reply_to?} -> message
    POST   /emulator/users/ID/document    {content, file_name?, mime_type?, caption?, reply_to?}
    POST   /emulator/users/ID/album       {items: [{content, caption?, file_name?, mime_type?}],
                                           reply_to?} -> [message]; with file_name it is a document
    POST   /emulator/users/ID/edit        {message_id, text} -> message
    POST   /emulator/users/ID/press       {message_id, data? | text?} -> callback
    POST   /emulator/users/ID/block, /unblock  -> user
    GET    /emulator/chats/ID?since=&wait_seconds=
                                          -> {version, person, messages, callbacks, actions}
    GET    /emulator/files/FILE_ID        -> the bytes
    GET    /emulator/calls?method=        -> [call]
    GET    /emulator/faults               -> [fault]; POST adds one, PUT sets a list, DELETE clears
    GET    /emulator/updates              -> {pending, pending_ids, last_id, webhook}
    POST   /emulator/updates/ID/repeat    delivers a confirmed update again -> as above
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.telegram.emulator.faults import Fault
from adapters.telegram.emulator.people import Attachment, User
from adapters.telegram.emulator.rules import Json
from adapters.telegram.emulator.views import call_view, callback_view, chat_view, message_view

if TYPE_CHECKING:
    from adapters.telegram.emulator.server import Emulator

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WAIT_SECONDS_MAX = 60.0


class Control:
    """One method per route; a body is a JSON object, bytes in it are base64."""

    def __init__(self, emulator: "Emulator") -> None:
        self._emulator = emulator

    def routes(self) -> list[web.RouteDef]:
        user = "/emulator/users/{user_id:\\d+}"
        return [
            web.post("/emulator/users", guarded(self.create_user)),
            web.get("/emulator/users", guarded(self.list_users)),
            web.post(f"{user}/text", guarded(self.send_text)),
            web.post(f"{user}/photo", guarded(self.send_photo)),
            web.post(f"{user}/document", guarded(self.send_document)),
            web.post(f"{user}/album", guarded(self.send_album)),
            web.post(f"{user}/edit", guarded(self.edit_text)),
            web.post(f"{user}/press", guarded(self.press)),
            web.post(f"{user}/block", guarded(self.block)),
            web.post(f"{user}/unblock", guarded(self.unblock)),
            web.get("/emulator/chats/{user_id:\\d+}", guarded(self.show_chat)),
            web.get("/emulator/files/{file_id}", guarded(self.show_file)),
            web.get("/emulator/calls", guarded(self.list_calls)),
            web.get("/emulator/faults", guarded(self.list_faults)),
            web.put("/emulator/faults", guarded(self.set_faults)),
            web.post("/emulator/faults", guarded(self.add_fault)),
            web.delete("/emulator/faults", guarded(self.clear_faults)),
            web.get("/emulator/updates", guarded(self.list_updates)),
            web.post("/emulator/updates/{update_id:\\d+}/repeat", guarded(self.repeat_update)),
        ]

    async def create_user(self, request: web.Request) -> web.Response:
        body = await request.json()
        known = {name: body[name] for name in ("language_code", "username") if name in body}
        user = self._emulator.user(int(body["id"]), str(body["first_name"]), **known)
        return web.json_response(_user_view(user))

    async def list_users(self, request: web.Request) -> web.Response:
        return web.json_response([_user_view(user) for user in self._emulator.users])

    async def send_text(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        message = await user.send_text(str(body["text"]), body.get("reply_to"))
        return web.json_response(message_view(message, self._emulator.base_url))

    async def send_photo(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        item = _attachment(body)
        message = await user.send_photo(item.content, item.caption, body.get("reply_to"))
        return web.json_response(message_view(message, self._emulator.base_url))

    async def send_document(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        item = _attachment({"file_name": "file.bin"} | body)
        message = await user.send_document(
            item.content,
            item.file_name or "",
            item.mime_type,
            item.caption,
            body.get("reply_to"),
        )
        return web.json_response(message_view(message, self._emulator.base_url))

    async def send_album(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        items = [_attachment(item) for item in body["items"]]
        messages = await user.send_album(items, body.get("reply_to"))
        return web.json_response([message_view(one, self._emulator.base_url) for one in messages])

    async def edit_text(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        message = await user.edit_text(int(body["message_id"]), str(body["text"]))
        return web.json_response(message_view(message, self._emulator.base_url))

    async def press(self, request: web.Request) -> web.Response:
        user, body = await self._asked(request)
        message_id = int(body["message_id"])
        pressed = await user.press(message_id, body.get("data"), text=body.get("text"))
        return web.json_response(callback_view(pressed))

    async def block(self, request: web.Request) -> web.Response:
        user = self._user(request)
        await user.block()
        return web.json_response(_user_view(user))

    async def unblock(self, request: web.Request) -> web.Response:
        user = self._user(request)
        await user.unblock()
        return web.json_response(_user_view(user))

    async def show_chat(self, request: web.Request) -> web.Response:
        """With ?since=VERSION&wait_seconds=S waits for a change in the chat after VERSION."""
        user = self._user(request)
        since = int(request.query.get("since", -1))
        seconds = min(float(request.query.get("wait_seconds", 0)), WAIT_SECONDS_MAX)
        with suppress(TimeoutError):
            await self._emulator.until(
                lambda: user.person.version > since or self._emulator.stopping.is_set(), seconds
            )
        return web.json_response(chat_view(user, self._emulator.base_url))

    async def show_file(self, request: web.Request) -> web.Response:
        file = self._emulator.world.files[request.match_info["file_id"]]
        return web.Response(body=file.content, content_type=file.mime_type)

    async def list_calls(self, request: web.Request) -> web.Response:
        method, calls = request.query.get("method"), self._emulator.calls
        return web.json_response([call_view(one) for one in calls if method in {None, one.method}])

    async def list_faults(self, request: web.Request) -> web.Response:
        return web.json_response([_fault_view(rule) for rule in self._emulator.faults.rules])

    async def set_faults(self, request: web.Request) -> web.Response:
        self._emulator.faults.set(_fault(rule) for rule in await request.json())
        return await self.list_faults(request)

    async def add_fault(self, request: web.Request) -> web.Response:
        self._emulator.faults.rules.append(_fault(await request.json()))
        return await self.list_faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._emulator.faults.set([])
        return await self.list_faults(request)

    async def list_updates(self, request: web.Request) -> web.Response:
        updates = self._emulator.world.updates
        waiting = updates.waiting()
        return web.json_response(
            {
                "pending": len(waiting),
                "pending_ids": [update.id for update in waiting],
                "last_id": updates.last_id,
                "webhook": updates.webhook.url if updates.webhook else None,
            }
        )

    async def repeat_update(self, request: web.Request) -> web.Response:
        update_id = int(request.match_info["update_id"])
        if not self._emulator.world.updates.repeat(update_id):
            raise LookupError(f"update {update_id} was never confirmed")
        return await self.list_updates(request)

    def _user(self, request: web.Request) -> User:
        return self._emulator.existing_user(int(request.match_info["user_id"]))

    async def _asked(self, request: web.Request) -> tuple[User, Json]:
        return self._user(request), await request.json()


def guarded(handler: Handler) -> Handler:
    """Answers {"error": ...} with 404 for what is not there and 400 for a body that is wrong."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except LookupError as error:
            return web.json_response({"error": f"not found: {error}"}, status=404)
        except (ValueError, TypeError, binascii.Error) as error:
            return web.json_response({"error": str(error)}, status=400)

    return answer


def _attachment(body: Json) -> Attachment:
    content = base64.b64decode(body["content"], validate=True)
    names = ("caption", "file_name", "mime_type")
    given: dict[str, Any] = {name: body[name] for name in names if body.get(name) is not None}
    return Attachment(content, **given)


def _fault(rule: Json) -> Fault:
    return Fault(**rule | {"methods": frozenset(rule.get("methods", ()))})


def _fault_view(rule: Fault) -> Json:
    return asdict(rule) | {"methods": sorted(rule.methods)}


def _user_view(user: User) -> Json:
    return user.person.user | {"started": user.person.started, "blocked": user.person.blocked}
