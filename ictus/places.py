"""Where results go: proved before work begins, since nobody wants to hear of it at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EISDIR
from pathlib import Path
from tempfile import TemporaryFile


class Unwritable(Exception):
    """Nothing can be written there."""


def prove_folder(out: Path) -> None:
    """Leaves nothing behind. Raises Unwritable unless `out` can be made or written into."""
    with _writing(out):
        TemporaryFile(dir=next(place for place in (out, *out.parents) if place.exists())).close()


def prove_file(out: Path) -> None:
    """Leaves nothing behind, and opens no pipe. Raises Unwritable."""
    with _writing(out):
        if not out.exists():
            TemporaryFile(dir=out.parent).close()
        elif out.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        elif not os.access(out, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{out} cannot be written ({error.strerror}): name another place"
        ) from error
