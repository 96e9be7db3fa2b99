"""Logs as JSON on stderr, with an allow-list of what may appear; and each role's health endpoint."""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

ALLOWED = frozenset(
    {
        "attempt",
        "cause",
        "child",
        "code",
        "events",
        "model",
        "ms",
        "outcome",
        "port",
        "projection",
        "reaction",
        "seconds",
        "sequence",
        "stream",
    }
)
"""Extra fields a log line may carry: ids, enums and numbers; a payload has no way in."""

OURS = frozenset({"adapters", "commands", "ictus", "projections", "workers"})


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, role, logger, message and allowed extras."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage() if _is_ours(record) else record.msg,
        }
        line |= {name: value for name, value in vars(record).items() if name in ALLOWED}
        if record.exc_info and record.exc_info[0]:
            line["cause"] = record.exc_info[0].__name__
        return msgspec.json.encode(line, enc_hook=str).decode()


def _is_ours(record: logging.LogRecord) -> bool:
    """Only our own log calls are known to carry no payload in their arguments."""
    return record.name.split(".", 1)[0] in OURS


def log_json(role: str, level: str = "INFO") -> None:
    """Sends all logs of this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in OURS:
        logging.getLogger(package).setLevel(level)


@asynccontextmanager
async def health(
    host: str, port: int, troubles: Callable[[], Sequence[str]]
) -> AsyncIterator[None]:
    """Serves /livez (the loop turns) and /readyz (no `troubles`, or which) while the body runs."""

    async def live(request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(request: web.Request) -> web.Response:
        told = list(troubles())
        body = {"ready": not told, "troubles": told}
        return web.json_response(body, status=503 if told else 200)

    app = web.Application()
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
