"""`ictus …` and `python -m ictus …`."""

import sys
from collections.abc import Sequence

from ictus.cli import app
from ictus.cli.errors import exit_code


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line; every failure ends in a sentence and an exit code of its own."""
    try:
        app(words)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  the outermost boundary
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
