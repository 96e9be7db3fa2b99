"""The inference worker's way with a model of the benchmark in the place of a bundle.

python -m benchmarks.serving.ours MODEL --url NATS --objects DIR --batch 8

The queue, the loop, the object store, the batcher and the session are those of the role `inference`;
only what a message names differs: an image instead of the case that has it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop
from nats.aio.client import Client
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from numpy.typing import NDArray

from adapters.storage.blobs import open_blobs
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryVault
from adapters.storage.nats_connection import connect
from adapters.storage.queue import BucketBoard, JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS
from adapters.storage.wire import wire_beside
from adapters.storage.wire_protocol import publishing
from benchmarks.serving.onnx_files import SIDE, images
from commands.ports import Blobs, Message
from commands.transact import Books
from ictus.wiring import SystemClock
from workers.inference.batcher import Batcher
from workers.inference.runtime import Graph, chosen
from workers.letters import Post
from workers.loop import run
from workers.reactor import Done, Outcome, Reaction

STREAM = "ICTUS_BENCH"
ASKED, ANSWERED = "ictus.bench.asked", "ictus.bench.answered"
WANTED = StreamConfig(
    name=STREAM,
    subjects=[f"{ASKED}.>"],
    retention=RetentionPolicy.WORK_QUEUE,
    storage=StorageType.FILE,
)


class Answering:
    """Subjects are `<ASKED>.<asker>.<number>`; the answer goes to the same below ANSWERED."""

    def __init__(self, client: Client, blobs: Blobs, graph: Graph, batcher: Batcher) -> None:
        self._wire = wire_beside(client)
        self._blobs, self._graph, self._batcher = blobs, graph, batcher

    async def react(self, message: Message) -> Outcome:
        data = await self._blobs.get(message.data.decode())
        image = np.frombuffer(data, np.uint8).reshape(1, SIDE, SIDE, 3)
        scores = await self._batcher.run(self._scores, image)
        subject = ANSWERED + message.subject.removeprefix(ASKED)
        (await self._wire.session()).write(publishing(subject, scores.tobytes()))
        return Done()

    def _scores(self, batch: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        return list(self._graph.run({"images": np.concatenate(batch)})[0])


async def serve(model: bytes, url: str, objects: str, batch: int) -> None:
    graph = Graph(model, chosen())
    graph.run({"images": images(1)})
    async with await connect(url, "bench-inference") as client:
        queue = JetStreamQueue(client)
        books = Books(JetStreamLedger(client), MemoryVault(), SystemClock())
        post = Post(books, queue, BucketBoard(client), "", DEAD_LETTERS, "bench")
        means = Answering(client, open_blobs(objects), graph, Batcher(batch))
        reaction = Reaction(
            "inference", STREAM, (f"{ASKED}.>",), means.react, lambda message: message.subject
        )
        await run(reaction, post)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--objects", required=True)
    parser.add_argument("--batch", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.model.read_bytes(), given.url, given.objects, given.batch))
