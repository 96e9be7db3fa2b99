"""`ictus …` and `python -m ictus …`."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from ictus.cli import app
from ictus.cli.errors import exit_code


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line; every failure ends in a sentence and an exit code of its own."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, interrupted)
    try:
        app(words)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  the outermost boundary
        sys.exit(exit_code(error))


def interrupted(_number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does: what was begun is undone, and no process is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
