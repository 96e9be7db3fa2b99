"""Who serves: how each is started, and how each is asked."""

import os
import sys
from asyncio import Future, get_running_loop, wait_for
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import aiohttp
import numpy as np
from msgspec import json
from nats.aio.msg import Msg
from numpy.typing import NDArray

from adapters.storage.blobs import open_blobs
from adapters.storage.nats_connection import connect
from adapters.storage.queue import JetStreamQueue
from benchmarks.serving.onnx_files import CLASSES
from benchmarks.serving.ours import ANSWERED, ASKED
from ictus.kept import HOST
from ictus.supervisor import Child

Scores = NDArray[np.float32]
Ask = Callable[[int], Awaitable[Scores]]
"""Asks about the image of that number and gives what the model said."""

READY_SECONDS_MAX = 120.0
ANSWER_SECONDS_MAX = 120.0
OBJECTS = 512
"""More than are ever asked about at once."""
BINARY = "application/octet-stream"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")


class Contender(NamedTuple):
    """`package` must be installed for it; `raw` sends bytes as they are, else base64 in JSON."""

    name: str
    package: str
    raw: bool


PEERS = (
    Contender("litserve", "litserve", False),
    Contender("litserve_raw", "litserve", True),
    Contender("bentoml", "bentoml", False),
    Contender("bentoml_raw", "bentoml", True),
)


def installed() -> tuple[Contender, ...]:
    return tuple(peer for peer in PEERS if find_spec(peer.package))


# Starting


def ours_child(name: str, model: Path, url: str, objects: Path, batch: int, folder: Path) -> Child:
    words = (sys.executable, "-m", "benchmarks.serving.ours", str(model), "--url", url)
    more = ("--objects", str(objects), "--batch", str(batch))
    return Child(name=name, argv=(*words, *more), env=_environment(), log=folder / f"{name}.log")


def peer_child(peer: Contender, model: Path, port: int, batch: int, folder: Path) -> Child:
    words, more = _litserve(peer, model, port, batch)
    if peer.package == "bentoml":
        words, more = _bentoml(model, port, batch, folder)

    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(_url(port, "docs")) as got:
                return got.status < 500
        except (OSError, aiohttp.ClientError):
            return False

    return Child(
        name=peer.name,
        argv=words,
        env=_environment() | more,
        log=folder / f"{peer.name}.log",
        ready=ready,
        ready_seconds_max=READY_SECONDS_MAX,
    )


def _litserve(
    peer: Contender, model: Path, port: int, batch: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    words = (sys.executable, "-m", "benchmarks.serving.litserve_server", str(model))
    more = ("--port", str(port), "--batch", str(batch), *(["--raw"] if peer.raw else []))
    return (*words, *more), {}


def _bentoml(
    model: Path, port: int, batch: int, folder: Path
) -> tuple[tuple[str, ...], dict[str, str]]:
    program = str(Path(sys.executable).with_name("bentoml"))
    service = "benchmarks.serving.bento_service:Scores"
    return (program, "serve", service, "--host", HOST, "--port", str(port)), {
        "BENCH_MODEL": str(model),
        "BENCH_BATCH": str(batch),
        "BENTOML_DO_NOT_TRACK": "1",
        "BENTOML_HOME": str(folder / "bentoml"),
    }


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = os.pathsep.join(filter(None, (root, inherited.get("PYTHONPATH", ""))))
    return inherited | {"PYTHONPATH": path}


def _url(port: int, path: str) -> str:
    return f"http://{HOST}:{port}/{path}"


# Asking


@asynccontextmanager
async def asking_ours(url: str, objects: Path, images: Sequence[bytes]) -> AsyncIterator[Ask]:
    """Image and question are durable before it counts as asked; the answer comes as a message."""
    waiting: dict[str, Future[Scores]] = {}
    asker, numbers, blobs = uuid4().hex, count(), open_blobs(str(objects))

    async def answered(message: Msg) -> None:
        future = waiting.pop(message.subject.rsplit(".", 1)[1], None)
        if future and not future.done():
            future.set_result(np.frombuffer(message.data, np.float32))

    async with await connect(url, "bench-asker") as client:
        queue = JetStreamQueue(client)
        await client.subscribe(f"{ANSWERED}.{asker}.*", cb=answered)

        async def ask(image: int) -> Scores:
            number = next(numbers)
            key = f"bench/{number % OBJECTS}"
            await blobs.put(key, images[image])
            future = waiting[str(number)] = get_running_loop().create_future()
            subject = f"{ASKED}.{asker}.{number}"
            await queue.publish(subject, key.encode(), message_id=f"{asker}/{number}")
            return await wait_for(future, ANSWER_SECONDS_MAX)

        yield ask


@asynccontextmanager
async def asking_peer(peer: Contender, port: int, images: Sequence[bytes]) -> AsyncIterator[Ask]:
    """Bodies are made beforehand but for BentoML's forms, which aiohttp lets be sent only once."""
    limits = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    path = "raw" if peer.name == "bentoml_raw" else "predict"
    bodies = [_body(peer, image) for image in images]
    async with aiohttp.ClientSession(connector=limits, timeout=timeout) as session:

        async def ask(image: int) -> Scores:
            data = _form(images[image]) if path == "raw" else bodies[image]
            headers = {} if path == "raw" else {"content-type": _type(peer)}
            async with session.post(_url(port, path), data=data, headers=headers) as answer:
                answer.raise_for_status()
                return _scores(await answer.read())

        yield ask


def _body(peer: Contender, image: bytes) -> bytes:
    if peer.raw:
        return image
    text = b64encode(image).decode()
    return json.encode({"images": [text]} if peer.package == "bentoml" else {"image": text})


def _type(peer: Contender) -> str:
    return BINARY if peer.raw else "application/json"


def _form(image: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("images", image, filename="image", content_type=BINARY)
    return form


def _scores(answer: bytes) -> Scores:
    told = json.decode(answer)
    found = told["scores"] if isinstance(told, dict) else told
    return np.asarray(found, np.float32).reshape(CLASSES)
