"""What a run of training needs of the rest of the house: a vouched dataset, and a signature at the end."""

from collections.abc import Callable
from pathlib import Path

from adapters.datasets.layout import STATEMENT
from adapters.datasets.verifying import verify
from commands.ports import Damaged
from ictus.vouching import sign
from training.train import Asked, Says, Trained, train


def trained(
    asked: Asked,
    sign_key: Path | None,
    told: Callable[[int, int], None],
    line: Callable[[str], None],
) -> Trained | None:
    """Raises Damaged, DatasetRefused, CannotTrain, Taken, NotInstalled."""
    refuse_damaged(asked.dataset)
    done = train(asked, Says(lambda what, done, of: told(done, of), line))
    if done and sign_key:
        line(f"signed by {sign(asked.out, sign_key)}")
    return done


def refuse_damaged(folder: Path) -> None:
    """A folder that somebody signed must be as it was signed."""
    if not (folder / STATEMENT).exists():
        return
    report = verify(folder)
    if not report.whole:
        first = report.problems[0]
        raise Damaged(f"{folder} is not as it was signed: {first}")
