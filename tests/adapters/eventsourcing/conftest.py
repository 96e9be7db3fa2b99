"""Every test has streams of its own on the real server."""

from uuid import uuid4

import pytest

from tests.servers import NatsServer


@pytest.fixture
def es_env(nats_server: NatsServer) -> dict[str, str]:
    """What an application on JetStream needs to know."""
    return {
        "PERSISTENCE_MODULE": "adapters.eventsourcing",
        "NATS_URL": nats_server.url,
        "NATS_STREAM": f"T{uuid4().hex[:12]}",
    }
