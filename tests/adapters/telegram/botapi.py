"""What a bot's tests need around the emulated Bot API: a caller, a clock, a picture."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientSession
from PIL import Image

from adapters.telegram.emulator import Emulator

TOKEN = "7000000001:test"
KEYBOARD = {"inline_keyboard": [[{"text": "Agree", "callback_data": "c:1:ok"}]]}


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Api:
    """Calls the Bot API over HTTP, as any bot would."""

    emulator: Emulator
    session: ClientSession

    async def answer(self, method: str, **params: Any) -> dict[str, Any]:
        url = f"{self.emulator.base_url}/bot{TOKEN}/{method}"
        async with self.session.post(url, json=params) as response:
            body: dict[str, Any] = await response.json()
        assert response.status == body.get("error_code", 200)
        return body

    async def __call__(self, method: str, **params: Any) -> Any:
        body = await self.answer(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **params: Any) -> str:
        body = await self.answer(method, **params)
        assert not body["ok"]
        return str(body["description"])

    async def updates(self, offset: int = 0, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self("getUpdates", offset=offset, **params)
        return found


def picture(width: int = 1600, height: int = 1200, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(out, kind)
    return out.getvalue()


async def download(api: Api, file_id: str) -> bytes:
    path = (await api("getFile", file_id=file_id))["file_path"]
    async with api.session.get(f"{api.emulator.base_url}/file/bot{TOKEN}/{path}") as response:
        assert response.status == 200
        return await response.read()
