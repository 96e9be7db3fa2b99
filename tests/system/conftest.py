"""One standing stack per file of tests; a test that stops, kills or breaks a part mends it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ictus.roles import ROLES
from tests.servers import NatsServer, PostgresServer
from tests.system.stack import Stack, standing


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    nats_server: NatsServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """All roles run and the synthetic model answers."""
    folder = tmp_path_factory.mktemp("stack")
    async with standing(nats_server, postgres_server, folder) as stack:
        await stack.serve()
        await stack.start(*ROLES)
        yield stack
