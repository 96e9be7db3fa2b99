"""The emulator's HTTP server: the Bot API, file downloads, and the faults between them."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from adapters.telegram.emulator.control import Control
from adapters.telegram.emulator.faults import Fault, Faults
from adapters.telegram.emulator.methods import METHODS
from adapters.telegram.emulator.people import User
from adapters.telegram.emulator.rules import Json, Parameters, Refusal, Upload
from adapters.telegram.emulator.updates import Clock
from adapters.telegram.emulator.world import Call, Person, World, utc_now

REQUEST_BYTES_MAX = 64 << 20  # a bot uploads at most 50 MB; base64 in control routes needs more
SHUTDOWN_SECONDS_MAX = 2.0
STATUS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
_CANONICAL = {name.lower(): name for name in METHODS}


class Emulator:
    """A Bot API server on loopback: `async with Emulator("7000000001:demo") as emulator`.

    Everything lives in memory; the same seed gives the same ids and the same faults. `clock`
    decides dates, the 24 hours of update retention, the hour of a download link and the age at
    which a pressed button can no longer be answered.
    """

    def __init__(
        self,
        token: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Clock = utc_now,
        callback_age_max: timedelta = timedelta(seconds=60),
        webhook_retry_seconds: float = 1.0,
    ) -> None:
        self.token, self._host, self._port = token, host, port
        self.world = World(token, seed, clock, callback_age_max, webhook_retry_seconds)
        self.faults = Faults(seed)
        self.stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_route("*", "/bot{token}/{method}", self._serve_method)
        app.router.add_get("/file/bot{token}/{path:.+}", self._serve_file)
        app.add_routes(Control(self).routes())
        app.on_shutdown.append(self._on_shutdown)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS_MAX)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        self._pusher = asyncio.create_task(self.world.updates.push())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pusher.cancel()
        with suppress(asyncio.CancelledError):
            await self._pusher
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        """What stands for https://api.telegram.org."""
        return f"http://{self._host}:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """The log of every Bot API call and file download, oldest first."""
        return list(self.world.calls)

    @property
    def users(self) -> list[User]:
        return [self.existing_user(person_id) for person_id in self.world.people]

    def user(
        self, user_id: int, first_name: str, language_code: str = "ru", username: str | None = None
    ) -> User:
        """The client of this person, who is created the first time."""
        person = Person(user_id, first_name, language_code, username)
        self.world.people.setdefault(user_id, person)
        return self.existing_user(user_id)

    def existing_user(self, user_id: int) -> User:
        """Raises LookupError for a person never created."""
        return User(self.world.people[user_id], self.world)

    async def until(self, condition: Callable[[], bool], seconds_max: float = 10.0) -> None:
        """Waits until `condition` holds; it is judged after every change. Raises TimeoutError."""
        await self.world.until(condition, seconds_max)

    async def _on_shutdown(self, app: web.Application) -> None:
        self.stopping.set()
        self.world.updates.close()
        self.world.touch()

    async def _serve_method(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return refused(Refusal(401, "Unauthorized"))
        name = _CANONICAL.get(request.match_info["method"].lower())
        if name is None:
            return refused(Refusal(404, "Not Found: method not found"))
        try:
            params = await read_parameters(request)
        except web.HTTPRequestEntityTooLarge:
            return refused(Refusal(413, "Request Entity Too Large"))
        except ValueError:
            return refused(Refusal(400, "Bad Request: can't parse JSON in the request"))
        call = Call(self.world.clock(), name, loggable(params))

        async def act() -> web.StreamResponse:
            result = await METHODS[name](self.world, params)
            call.message_ids = message_ids(result)
            return web.json_response({"ok": True, "result": result})

        return await self._serve(request, call, params.integer("chat_id") or None, act)

    async def _serve_file(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return refused(Refusal(401, "Unauthorized"))
        path = request.match_info["path"]

        async def act() -> web.StreamResponse:
            file = self.world.linked(path)
            if file is None:
                raise Refusal(404, "Not Found")
            return web.Response(body=file.content, content_type="application/octet-stream")

        call = Call(self.world.clock(), "download", {"file_path": path})
        return await self._serve(request, call, None, act)

    async def _serve(
        self,
        request: web.Request,
        call: Call,
        chat_id: int | None,
        act: Callable[[], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Logs the call, lets it take effect, and lets a fault strike before or after that."""
        fault = self.faults.draw(call.method, chat_id)
        call.fault = fault.kind if fault else None
        self.world.log(call)
        if fault and not fault.after:
            call.outcome = fault.kind
            return await self._strike(request, fault)
        try:
            response = await act()
            call.outcome = "ok"
        except Refusal as refusal:
            response, call.outcome = refused(refusal), refusal.description
        self.world.touch()
        return await self._strike(request, fault) if fault else response

    async def _strike(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "flood":
            wait = fault.retry_after
            why = f"Too Many Requests: retry after {wait}"
            return refused(Refusal(429, why, retry_after=wait))
        if fault.kind == "server_error":
            return refused(Refusal(fault.status, STATUS.get(fault.status, "Server Error")))
        if fault.kind in {"timeout_before", "timeout_after"}:
            with suppress(TimeoutError):
                async with asyncio.timeout(fault.hold_seconds):
                    await self.stopping.wait()
        drop_connection(request, reset=fault.kind.startswith("reset"))
        return web.Response()


def drop_connection(request: web.Request, *, reset: bool) -> None:
    """Ends the connection without an answer; `reset` by RST instead of FIN."""
    transport = request.transport
    if transport is None:  # the client left first
        return
    connection = transport.get_extra_info("socket")
    if reset and connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def refused(refusal: Refusal) -> web.Response:
    body: Json = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return web.json_response(body, status=refusal.code)


async def read_parameters(request: web.Request) -> Parameters:
    """Query string and body (JSON, urlencoded or multipart) as one. Raises ValueError."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.json() if request.can_read_body else {}
        if not isinstance(body, dict):
            raise ValueError("a JSON object is expected")
        return Parameters(values | {name: one for name, one in body.items() if one is not None})
    uploads = {}
    for name, part in (await request.post()).items():
        if isinstance(part, web.FileField):
            uploads[name] = Upload(part.file.read(), part.filename, part.content_type)
        else:
            values[name] = part.decode() if isinstance(part, (bytes, bytearray)) else part
    return Parameters(values, uploads)


def loggable(params: Parameters) -> Json:
    """The parameters without the bytes of files."""
    files = {
        name: {
            "file_name": upload.file_name,
            "bytes": len(upload.content),
            "sha256": sha256(upload.content).hexdigest(),
        }
        for name, upload in params.uploads.items()
    }
    return {**params.values, **({"files": files} if files else {})}


def message_ids(result: Any) -> list[int]:
    """The ids of the messages a call made or changed."""
    items = result if isinstance(result, list) else [result]
    return [item["message_id"] for item in items if isinstance(item, dict) and "message_id" in item]
