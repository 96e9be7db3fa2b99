"""Work that takes longer than the server waits for its acknowledgement is given to nobody else."""

import asyncio
import time
from uuid import uuid4

import pytest

from adapters.storage.nats_connection import connect
from adapters.storage.streams import INBOX, provision
from commands.ports import Message
from tests.servers import NatsServer
from tests.workers.reacting import World, eventually
from workers import loop
from workers.reactor import Done, Outcome, Reaction

ACK_WAIT_SECONDS, WORK_SECONDS = 3.0, 8.0


@pytest.mark.long
async def test_a_long_prediction_is_made_once(
    fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "HEARTBEAT_SECONDS", 0.3)
    begun: list[int] = []
    ended: list[int] = []

    async def react(message: Message) -> Outcome:
        begun.append(message.sequence)
        await asyncio.to_thread(time.sleep, WORK_SECONDS)
        ended.append(message.sequence)
        return Done()

    async with await connect(fresh_nats.url, "test") as client:
        await provision(client, "demo")
        world = World.on(client, ACK_WAIT_SECONDS)
        reaction = Reaction("bot", INBOX, ("ictus.in.>",), react, lambda message: message.subject)
        workers = [asyncio.create_task(loop.run(reaction, world.post)) for _ in range(2)]
        await world.post.queue.publish("ictus.in.test.1", b"due", message_id=str(uuid4()))

        async def settled() -> bool:
            return bool(ended) and not await world.post.queue.backlog(INBOX, "bot")

        await eventually(settled, "the long work")
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    assert begun == ended == [1]
