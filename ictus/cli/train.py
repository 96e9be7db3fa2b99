"""`ictus train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.options import Json, put_json, put_table, tell
from ictus.cli.progress import progress
from ictus.places import prove_folder

if TYPE_CHECKING:
    from training.train import Trained


def train(
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True)],
    dataset: Path,
    out: Path,
    config: Path | None = None,
    seed: int | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    sign_key: Path | None = None,
    json: Json = False,
) -> None:
    """Trains a model on a verified dataset and writes a bundle.

    The same spec gives the same weights on the same machine, interrupted or not.

    Parameters
    ----------
    settings
        Single settings such as --model.backbone=resnet18 or --trainer.max_epochs=60, after `--`.
    dataset
        A folder as `ictus dataset build` or `ictus synth --as-dataset` writes it.
    out
        A new folder for the bundle; checkpoints and curves go beside it, to OUT.run.
    config
        YAML with `model`, `data`, `trainer`, `calibration`, `release` (docs/models.md).
    seed
        Of first weights, order and variations; 0 unless the file says otherwise.
    resume
        Goes on with a run that was interrupted.
    sign_key
        A file with an Ed25519 key; made when absent.
    """
    from ictus.embedded import NotInstalled

    try:
        from ictus.train import trained
        from training.train import Asked
    except ModuleNotFoundError as missing:
        raise NotInstalled(f"{missing.name} is missing: pip install 'ictus[train]'") from None

    prove_folder(out)
    asked = Asked(dataset, out, config, seed, resume, settings)
    with progress("training") as told:
        done = trained(asked, sign_key, told, tell)
    if done is None:
        return
    put_json(done) if json else _put(done)


def _put(done: "Trained") -> None:
    beside = {"this model": done.figures, **done.baselines}
    names = ("auroc", "accuracy", "ece", "log_loss")
    rows = [(who, *(figures[name] for name in names)) for who, figures in beside.items()]
    put_table(f"{done.cases} cases of split validation", ("", *names), rows)
    tell(done.notice)
    tell(f"{done.bundle} after {done.epochs} epochs, weights {done.weights_sha256[:12]}")
    tell(f"next: ictus model test {done.bundle} --dataset DIR")
