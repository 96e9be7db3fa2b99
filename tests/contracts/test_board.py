"""What every board of shared notes must do, in memory and on a real NATS server."""

import asyncio

import pytest
from nats.aio.client import Client

from adapters.storage.memory import MemoryBoard, MemoryQueue
from adapters.storage.queue import BucketBoard, JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS
from commands.ports import Board, Queue
from tests.contracts.lossy import LossyLine


@pytest.fixture(params=["memory", "bucket"])
def board(request: pytest.FixtureRequest) -> Board:
    if request.param == "memory":
        return MemoryBoard()
    return BucketBoard(request.getfixturevalue("nats_client"))


@pytest.fixture(params=["memory", "jetstream"])
def queue(request: pytest.FixtureRequest) -> Queue:
    if request.param == "memory":
        return MemoryQueue()
    return JetStreamQueue(request.getfixturevalue("nats_client"))


async def test_a_note_is_changed_by_whoever_knows_it(board: Board) -> None:
    assert await board.read("line") == (b"", 0)

    assert await board.write("line", b"first", 0)
    assert not await board.write("line", b"stale", 0)
    _, version = await board.read("line")
    assert await board.write("line", b"second", version)
    assert not await board.write("line", b"stale", version)

    assert (await board.read("line"))[0] == b"second"
    assert await board.read("other") == (b"", 0)


async def test_of_many_who_change_a_note_at_once_one_wins(board: Board) -> None:
    won = await asyncio.gather(*(board.write("line", b"%d" % n, 0) for n in range(8)))

    assert won.count(True) == 1
    assert (await board.read("line"))[0] == b"%d" % won.index(True)


async def test_a_note_whose_answer_was_lost_is_written(lossy: tuple[LossyLine, Client]) -> None:
    line, client = lossy
    line.armed = True

    assert await BucketBoard(client).write("line", b"mine", 0)


async def test_the_last_message_under_a_subject_is_found_again(queue: Queue) -> None:
    for number in range(2):
        await queue.publish("ictus.dlq.bot.x", b"%d" % number, message_id=str(number))

    assert await queue.latest(DEAD_LETTERS, "ictus.dlq.bot.x") == b"1"
    assert await queue.latest(DEAD_LETTERS, "ictus.dlq.bot.y") is None
