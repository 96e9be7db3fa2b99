"""Runs the pipeline in confined child processes, so that a hostile photo harms only one of them."""

import asyncio
import os
import signal
import struct
import sys
from asyncio import IncompleteReadError, Queue, Task, create_subprocess_exec, create_task
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Final, Literal, Self

import msgspec

from commands.ports import Unavailable
from workers.ingest.outcome import Examined, Ingested, Pixels, Refused, Stop
from workers.ingest.pipeline import CURRENT
from workers.ingest.sniff import sniff

ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_OPENCL_RUNTIME": "disabled",
    "ORT_DISABLE_TELEMETRY": "1",
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
FAILURES: Final = (Examined(TIME_LIMIT), Examined(DECODER_FAILED))

Act = Literal["read", "look"]
WORKS: Final[dict[Act, str]] = {"read": "decodes photos", "look": "looks at photos"}

Answer = Pixels | Examined
decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Pixels | Examined)


class Sandbox:
    """Two pools: children that see a stranger's bytes, and children that see only pixels.

    Use with `async with`.
    """

    def __init__(
        self,
        children: int = 1,
        *,
        profile: str = CURRENT,
        images_max: int = 200,
        cpu_seconds_max: int = CPU_SECONDS_MAX,
        wall_seconds_max: float = WALL_SECONDS_MAX,
    ) -> None:
        """So many `children` in each pool; the limits hold for every photo in each."""
        limits = (profile, images_max, cpu_seconds_max, wall_seconds_max)
        self.readers = Pool("read", children, *limits)
        self.lookers = Pool("look", children, *limits)

    async def __aenter__(self) -> Self:
        self.readers.start()
        self.lookers.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.readers.stop()
        await self.lookers.stop()

    async def process(self, data: bytes) -> Ingested | Refused:
        """The pipeline's outcome for one photo; Unavailable if no child can be started."""
        return (await self.examine(data)).outcome

    async def examine(self, data: bytes, *, beside: bool = False) -> Examined:
        """The outcome and what it was made of; `beside` adds a picture of before and after."""
        try:
            sniff(data)
        except Stop as stop:
            return Examined(stop.refused)
        read = await self.readers.ask(data)
        if isinstance(read, Examined):
            return read
        seen = await self.lookers.ask(bytes([beside]) + msgspec.msgpack.encode(read))
        return seen if isinstance(seen, Examined) else Examined(DECODER_FAILED)


class Pool:
    """Children for one act, each started and warm before its photo comes."""

    def __init__(
        self,
        act: Act,
        children: int,
        profile: str,
        images_max: int,
        cpu_seconds_max: int,
        wall_seconds_max: float,
    ) -> None:
        """A child is replaced after `images_max` photos; the limits in seconds hold for each."""
        self.act: Act = act
        self.children = children
        self.profile = profile
        self.images_max = images_max
        self.cpu_seconds_max = cpu_seconds_max
        self.wall_seconds_max = wall_seconds_max
        self.slots: Queue[Task[Child]] = Queue()
        self.ending: set[Task[None]] = set()

    def start(self) -> None:
        """Begins to start all children."""
        for _ in range(self.children):
            self.slots.put_nowait(create_task(self.child()))

    async def stop(self) -> None:
        """Ends all children at once, whether they are warm or not."""
        slots = [await self.slots.get() for _ in range(self.children)]
        await asyncio.gather(*map(stopped, slots), *self.ending)

    async def ask(self, message: bytes) -> Answer:
        """A child's answer, or the refusal that its failure means."""
        answer = await self.attempt(message)
        if answer == Examined(DECODER_FAILED):  # perhaps for want of memory: blamed when twice
            return await self.attempt(message)
        return answer

    async def attempt(self, message: bytes) -> Answer:
        """Has one child answer; a child that failed, or was left busy, is replaced."""
        slot = await self.slots.get()
        healthy = False
        try:
            child = await asyncio.shield(slot)
            answer = await child.answer(message, self.wall_seconds_max)
            healthy = answer not in FAILURES and child.images < self.images_max
            return answer
        finally:
            self.slots.put_nowait(slot if healthy else self.replaced(slot))

    def replaced(self, slot: "Task[Child]") -> "Task[Child]":
        """Ends the child of a slot, if it ever started, and then starts another."""
        ended = create_task(stopped(slot))
        self.ending.add(ended)
        ended.add_done_callback(self.ending.discard)
        return create_task(self.child(ended))

    async def child(self, *before: Task[None]) -> "Child":
        """A child that is ready for its first photo, begun when all `before` it is done."""
        if before:
            await asyncio.wait(before)  # which, unlike awaiting them, never cancels them
        return await Child.start(self.act, self.cpu_seconds_max, self.profile)


async def stopped(slot: "Task[Child]") -> None:
    """Ends the child of a slot, warm or not, and waits for its end."""
    slot.cancel()
    (child,) = await asyncio.gather(slot, return_exceptions=True)
    if isinstance(child, Child):
        await child.stop()


class Child:
    """One confined process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.images = 0

    @classmethod
    async def start(cls, act: Act, cpu_seconds_max: int, profile: str = CURRENT) -> Self:
        """Starts a process and waits until it is warm; Unavailable if that fails."""
        words = ("-I", "-m", "workers.ingest.child", act, str(cpu_seconds_max), profile)
        child = cls(
            await create_subprocess_exec(
                sys.executable,
                *words,
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
                by_hand = " ".join(("python", *words))
                told = f"the process that {WORKS[act]} does not start; `{by_hand} < /dev/null` says why"
                raise Unavailable(told) from error
            raise
        return child

    async def answer(self, message: bytes, seconds_max: float) -> Answer:
        """Has the child handle one photo; what it cannot survive is an answer too."""
        self.images += 1
        try:
            async with asyncio.timeout(seconds_max):
                return await self.exchange(message)
        except TimeoutError:
            return Examined(TIME_LIMIT)
        except DIED:
            timed_out = await self.stop() == -signal.SIGXCPU
            return Examined(TIME_LIMIT if timed_out else DECODER_FAILED)

    async def exchange(self, message: bytes) -> Answer:
        """Sends a message and reads the answer; one of DIED if there is none."""
        assert self.process.stdin
        self.process.stdin.write(LENGTH.pack(len(message)) + message)
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
