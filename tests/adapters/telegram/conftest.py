"""A running Bot API emulator, one who calls it, and one clinician who has written to the bot."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, ClientTimeout

from adapters.telegram.emulator import Emulator, User
from tests.adapters.telegram.botapi import TOKEN, Api, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[Emulator]:
    async with Emulator(TOKEN, seed=5, clock=clock, webhook_retry_seconds=0.01) as running:
        yield running


@pytest.fixture
async def api(emulator: Emulator) -> AsyncIterator[Api]:
    async with ClientSession(timeout=ClientTimeout(total=20)) as session:
        yield Api(emulator, session)


@pytest.fixture
async def user(emulator: Emulator) -> User:
    """A clinician who has written /start, with that update already taken by the bot."""
    person = emulator.user(501, "Demo Clinician 1")
    await person.send_text("/start")
    emulator.world.updates.drop()
    return person
