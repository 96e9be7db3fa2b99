"""The processes that handle what strangers send: `python -I -m workers.ingest.child read|look SECONDS
PROFILE`.

One decodes bytes into pixels, another looks at pixels and never sees the bytes. Either reads messages
from stdin and writes answers to stdout, both as 4 bytes of length and then the bytes. It ends when its
parent does, because stdin then ends.
"""

import resource
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import msgspec

from workers.ingest import pipeline, specimens, syscalls, text
from workers.ingest.outcome import Pixels
from workers.ingest.sniff import can_read

LENGTH: Final = struct.Struct("<I")
MEMORY_BYTES_MAX: Final = 1_536 * 2**20
"""Address space a photo may take on top of what the loaded libraries took."""

pixels: msgspec.msgpack.Decoder[Pixels] = msgspec.msgpack.Decoder(Pixels)


WITHOUT_GATE: Final = "ingest-2"
"""A profile that the drawing of `warm_up`, no head for the gate, goes through to its last step."""


def read(data: bytes) -> bytes:
    """A photo's bytes to its pixels or a refusal."""
    return msgspec.msgpack.encode(pipeline.read(data))


def look(message: bytes, profile: str) -> bytes:
    """Pixels to an outcome; the first byte says whether before and after are to be drawn."""
    seen = pipeline.look(pixels.decode(message[1:]), message[0] > 0, profile)
    return msgspec.msgpack.encode(seen)


def act_of(name: str, profile: str) -> Callable[[bytes], bytes]:
    """`read`, or `look` by a profile."""
    return read if name == "read" else partial(look, profile=profile)


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


def confine(threads: bool = False) -> None:
    """Gives up, for good, what decoding does not need: files, network, processes, memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES_MAX
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),  # none on top of those that are open
    ):
        resource.setrlimit(limit, (value, value))
    if not threads:  # the kernel counts them as processes
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if syscalls.can_restrict():
        syscalls.restrict(threads)


def warm_up(act: str, profile: str) -> None:
    """Runs every step of the profile once, so that nothing is imported or allocated late."""
    if act == "look":
        rgb = specimens.head()
        height, width = rgb.shape[:2]
        for each in (profile, WITHOUT_GATE):
            pipeline.look(Pixels(height, width, rgb.tobytes(), False, {}), profile=each)
        text.load_doubters()
        return
    for file in specimens.files():
        pipeline.read(file)


def main() -> None:
    """Prepares, confines itself and serves; arguments: act, CPU seconds per photo, profile."""
    act, cpu_seconds_max, profile = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    cv2.setNumThreads(1)
    warm_up(act, profile)
    confine(threads=act == "read" and can_read("heic"))
    serve(act_of(act, profile), sys.stdin.buffer, sys.stdout.buffer, cpu_seconds_max)


if __name__ == "__main__":
    main()
