"""Runs the pipeline in confined child processes, so that a hostile photo harms only one of them."""

import asyncio
import os
import signal
import struct
import sys
from asyncio import IncompleteReadError, Queue, Task, create_subprocess_exec, create_task
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Final, Self

import msgspec

from commands.ports import Unavailable
from workers.ingest.outcome import Ingested, Refused, Stop
from workers.ingest.sniff import sniff

ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_OPENCL_RUNTIME": "disabled",
}
"""All a child knows of the world: none of the parent's variables, so none of its secrets."""

CPU_SECONDS_MAX: Final = 10
WALL_SECONDS_MAX: Final = 60.0
BOOT_SECONDS_MAX: Final = 60.0
REPLY_BYTES_MAX: Final = 32 * 2**20
LENGTH: Final = struct.Struct("<I")
DIED: Final = (BrokenPipeError, ConnectionResetError, IncompleteReadError, msgspec.DecodeError)
"""How a child that died, or that something took over, looks from here."""

TIME_LIMIT: Final = Refused("rejected", "time-limit")
DECODER_FAILED: Final = Refused("rejected", "decoder-failed")
FAILURES: Final = (TIME_LIMIT, DECODER_FAILED)

decoder: msgspec.msgpack.Decoder[Ingested | Refused] = msgspec.msgpack.Decoder(Ingested | Refused)


class Sandbox:
    """A pool of children, each started and warm before its photo comes; use with `async with`."""

    def __init__(
        self,
        children: int = 1,
        *,
        images_max: int = 200,
        cpu_seconds_max: int = CPU_SECONDS_MAX,
        wall_seconds_max: float = WALL_SECONDS_MAX,
    ) -> None:
        """A child is replaced after `images_max` photos; the limits in seconds hold for each."""
        self.children = children
        self.images_max = images_max
        self.cpu_seconds_max = cpu_seconds_max
        self.wall_seconds_max = wall_seconds_max
        self.slots: Queue[Task[Child]] = Queue()

    async def __aenter__(self) -> Self:
        for _ in range(self.children):
            self.slots.put_nowait(create_task(self.start()))
        return self

    async def __aexit__(self, *error: object) -> None:
        for _ in range(self.children):
            await stopped(await self.slots.get())

    async def process(self, data: bytes) -> Ingested | Refused:
        """The pipeline's outcome for one photo; Unavailable if no child can be started."""
        try:
            sniff(data)
        except Stop as stop:
            return stop.refused
        outcome = await self.attempt(data)
        if outcome == DECODER_FAILED:  # perhaps for want of the host's memory: blamed when twice
            return await self.attempt(data)
        return outcome

    async def attempt(self, data: bytes) -> Ingested | Refused:
        """Has one child process the photo; a child that failed, or was left busy, is replaced."""
        slot = await self.slots.get()
        healthy = False
        try:
            child = await asyncio.shield(slot)
            outcome = await child.outcome(data, self.wall_seconds_max)
            healthy = outcome not in FAILURES and child.images < self.images_max
            return outcome
        finally:
            self.slots.put_nowait(slot if healthy else create_task(self.restart(slot)))

    async def start(self) -> "Child":
        """A child that is ready for its first photo."""
        return await Child.start(self.cpu_seconds_max)

    async def restart(self, slot: "Task[Child]") -> "Child":
        """Ends the child of a slot, if it ever started, and starts another."""
        await stopped(slot)
        return await self.start()


async def stopped(slot: "Task[Child]") -> None:
    """Waits until the child of a slot, if it ever started, has ended."""
    (child,) = await asyncio.gather(slot, return_exceptions=True)
    if isinstance(child, Child):
        await child.stop()


class Child:
    """One decoding process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.images = 0

    @classmethod
    async def start(cls, cpu_seconds_max: int) -> Self:
        """Starts a process and waits until it is warm; Unavailable if that fails."""
        command = (sys.executable, "-I", "-m", "workers.ingest.child", str(cpu_seconds_max))
        child = cls(
            await create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # an interrupt from the terminal is the parent's to handle
            )
        )
        try:
            async with asyncio.timeout(BOOT_SECONDS_MAX):
                await child.receive()
        except BaseException as error:
            await child.stop()
            if isinstance(error, (TimeoutError, *DIED)):
                raise Unavailable("the decoding process does not start") from error
            raise
        return child

    async def outcome(self, data: bytes, seconds_max: float) -> Ingested | Refused:
        """Has the child process one photo; what it cannot survive is an outcome too."""
        self.images += 1
        try:
            async with asyncio.timeout(seconds_max):
                return await self.exchange(data)
        except TimeoutError:
            return TIME_LIMIT
        except DIED:
            return TIME_LIMIT if await self.stop() == -signal.SIGXCPU else DECODER_FAILED

    async def exchange(self, data: bytes) -> Ingested | Refused:
        """Sends a photo and reads the answer; one of DIED if there is none."""
        assert self.process.stdin
        self.process.stdin.write(LENGTH.pack(len(data)) + data)
        await self.process.stdin.drain()
        return decoder.decode(await self.receive())

    async def receive(self) -> bytes:
        """One message from the child, of bounded length."""
        assert self.process.stdout
        (length,) = LENGTH.unpack(await self.process.stdout.readexactly(LENGTH.size))
        if length > REPLY_BYTES_MAX:
            raise msgspec.DecodeError("the reply is too long")
        return await self.process.stdout.readexactly(length)

    async def stop(self) -> int:
        """Ends the process if it still runs; its exit code."""
        if self.process.returncode is None:
            # Not `process.kill()`: it polls first, and so may take the exit code from the loop.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.process.communicate()
        return await self.process.wait()
