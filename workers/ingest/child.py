"""The process that decodes what strangers send: `python -I -m workers.ingest.child`.

Reads photos from stdin and writes outcomes to stdout, both as 4 bytes of length and then the bytes.
It ends when its parent does, because stdin then ends.
"""

import resource
import struct
import sys
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import msgspec
import numpy as np

from workers.ingest.pipeline import process

LENGTH: Final = struct.Struct("<I")
MEMORY_BYTES_MAX: Final = 1_536 * 2**20
"""Address space a photo may take on top of what the loaded libraries took."""

FILES_MAX: Final = 16


def serve(requests: BinaryIO, replies: BinaryIO, cpu_seconds_max: int) -> None:
    """Answers one photo after another until the parent closes the pipe."""
    send(replies, b"")
    while data := receive(requests):
        allow_cpu(cpu_seconds_max)
        send(replies, msgspec.msgpack.encode(process(data)))


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
    """Gives up, for good, what decoding does not need: files, core dumps, processes, memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES_MAX
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, FILES_MAX),
    ):
        resource.setrlimit(limit, (value, value))


def warm_up() -> None:
    """Runs every step once, so that nothing is imported or allocated late."""
    scan = np.zeros((512, 512), np.uint8)
    cv2.ellipse(scan, (256, 256), (150, 190), 0, 0, 360, 120, cv2.FILLED)
    scan[::9, ::7] //= 2
    for suffix in (".jpg", ".png", ".webp"):
        process(cv2.imencode(suffix, scan)[1].tobytes())


def main() -> None:
    """Prepares, confines itself and serves; the CPU seconds per photo come as an argument."""
    cv2.setNumThreads(1)
    warm_up()
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))


if __name__ == "__main__":
    main()
