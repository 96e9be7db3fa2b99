"""The demo as one HTML page."""

from collections.abc import Sequence
from pathlib import Path

from ictus.demo.clinician import Sent
from ictus.demo.result import Result
from ictus.demo.telegram import Telegram
from ictus.wiring import House


async def write_page(
    house: House, telegram: Telegram, sent: Sequence[Sent], result: Result
) -> Path:
    path = house.settings.folder / "index.html"
    path.write_text("later")
    return path
