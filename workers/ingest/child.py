"""The processes that handle what strangers send: `python -I -m workers.ingest.child read|look SECONDS`.

One decodes bytes into pixels, another looks at pixels and never sees the bytes. Either reads messages
from stdin and writes answers to stdout, both as 4 bytes of length and then the bytes. It ends when its
parent does, because stdin then ends.
"""

import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import msgspec
import numpy as np

from workers.ingest import pipeline, syscalls
from workers.ingest.outcome import Pixels

LENGTH: Final = struct.Struct("<I")
MEMORY_BYTES_MAX: Final = 1_536 * 2**20
"""Address space a photo may take on top of what the loaded libraries took."""

pixels: msgspec.msgpack.Decoder[Pixels] = msgspec.msgpack.Decoder(Pixels)


WITHOUT_GATE: Final = "ingest-2"
"""A profile that the drawing of `warm_up`, no head for the gate, goes through to its last step."""


def read(data: bytes) -> bytes:
    """A photo's bytes to its pixels or a refusal."""
    return msgspec.msgpack.encode(pipeline.read(data))


def look(message: bytes) -> bytes:
    """Pixels to an outcome; the first byte says whether before and after are to be drawn."""
    return msgspec.msgpack.encode(pipeline.look(pixels.decode(message[1:]), message[0] > 0))


ACTS: Final = {"read": read, "look": look}


def serve(
    act: Callable[[bytes], bytes], requests: BinaryIO, replies: BinaryIO, cpu_seconds_max: int
) -> None:
    """Answers one message after another until the parent closes the pipe."""
    send(replies, b"")
    while data := receive(requests):
        allow_cpu(cpu_seconds_max)
        send(replies, act(data))


def receive(stream: BinaryIO) -> bytes:
    """One message; nothing at the end of the stream."""
    header = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(header)[0]) if len(header) == LENGTH.size else b""


def send(stream: BinaryIO, message: bytes) -> None:
    """Writes one message."""
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()


def allow_cpu(seconds: int) -> None:
    """From now on this process may compute for `seconds` before the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def confine() -> None:
    """Gives up, for good, what decoding does not need: files, network, processes, memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES_MAX
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),  # none on top of those that are open
    ):
        resource.setrlimit(limit, (value, value))
    if syscalls.can_restrict():
        syscalls.restrict()


def warm_up(act: str) -> None:
    """Runs every step once, so that nothing is imported or allocated late."""
    scan = np.zeros((512, 512), np.uint8)
    cv2.ellipse(scan, (256, 256), (150, 190), 0, 0, 360, 120, cv2.FILLED)
    scan[::9, ::7] //= 2
    rgb = np.repeat(scan[..., None], 3, 2)
    if act == "look":
        for profile in (pipeline.CURRENT, WITHOUT_GATE):
            pipeline.look(Pixels(512, 512, rgb.tobytes(), False, {}), profile=profile)
        return
    for suffix in (".jpg", ".png", ".webp"):
        pipeline.read(cv2.imencode(suffix, rgb)[1].tobytes())


def main() -> None:
    """Prepares, confines itself and serves; the act and its CPU seconds per photo are arguments."""
    act, cpu_seconds_max = sys.argv[1], int(sys.argv[2])
    cv2.setNumThreads(1)
    warm_up(act)
    confine()
    serve(ACTS[act], sys.stdin.buffer, sys.stdout.buffer, cpu_seconds_max)


if __name__ == "__main__":
    main()
