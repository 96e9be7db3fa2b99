"""Runs the emulator: python -m adapters.telegram.emulator --port 8081 --token 7000000001:demo."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from adapters.telegram.emulator.server import Emulator


async def run(args: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT; says on stdout, in one JSON line, when it listens."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Emulator(args.token, host=args.host, port=args.port, seed=args.seed) as emulator:
        ready = {"ready": True, "port": emulator.port, "base_url": emulator.base_url}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()
        sys.stderr.write(json.dumps({"event": "stopped", "calls": len(emulator.calls)}) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m adapters.telegram.emulator")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token", required=True, help="BOT_ID:ANYTHING, the only token accepted")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(run(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
