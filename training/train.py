"""`ictus train`: from a verified dataset to a bundle, told in full by its spec and repeatable from it."""

import logging
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import lightning
import msgspec
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerStatus
from msgspec import Struct

from training.calibration import Calibration, refuse_too_few
from training.data import CannotTrain, CaseData
from training.finish import Release, finished
from training.module import StrokeModule
from training.spec import spec_of, spec_sha256
from workers.inference.manifest import MANIFEST_FILE, Manifest

SPEC_FILE: Final = "spec.json"
DONE_FILE: Final = "done"
LAST: Final = "last.ckpt"
BEST: Final = "best"

DEFAULTS: Final = {
    "early_stopping.monitor": "watched_loss",
    "early_stopping.patience": 8,
    "checkpoint.monitor": "watched_loss",
    "checkpoint.filename": BEST,
    "checkpoint.save_last": True,
    "checkpoint.save_on_train_epoch_end": True,
    "checkpoint.enable_version_counter": False,
}
TRAINER: Final = {
    "accelerator": "auto",
    "devices": 1,
    "max_epochs": 40,
    "deterministic": True,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "reload_dataloaders_every_n_epochs": 1,
    "use_distributed_sampler": False,
}


class Taken(Exception):
    """Something lies where a run would write."""


class NotConfigured(Exception):
    """A setting is none, is another option's, or names what cannot be made, such as a logger whose
    library is missing."""


class Interrupted(KeyboardInterrupt):
    """A person stopped it; what it had learnt by its last epoch is kept."""


@dataclass
class Asked:
    """`config` is a YAML file of `model`, `data`, `trainer`, …; `settings` are words such as
    `--model.backbone=strided`, which come last."""

    dataset: Path
    out: Path
    config: Path | None = None
    seed: int | None = None
    resume: bool = False
    settings: Sequence[str] = ()

    @property
    def run(self) -> Path:
        """Where checkpoints and curves lie."""
        return self.out.with_name(self.out.name + ".run")


class Trained(Struct, frozen=True, kw_only=True):
    """`figures` and `baselines` are of the validation split, which calibrated and taught nothing."""

    bundle: str
    weights_sha256: str
    spec_sha256: str
    manifest_sha256: str
    dataset_root: str
    epochs: int
    cases: int
    figures: dict[str, int | float]
    baselines: dict[str, dict[str, int | float]]
    notice: str


class Learnt(NamedTuple):
    """The weights of the best epoch, with what they come from; `config` is jsonargparse's."""

    module: StrokeModule
    data: CaseData
    config: Any
    spec: dict[str, Any]
    epochs: int


class Says(NamedTuple):
    """How far it is, for a bar, and lines for people."""

    steps: Callable[[str, int, int], None] = lambda what, done, of: None
    line: Callable[[str], None] = lambda text: None


class RunCli(LightningCLI):
    """Lightning's own command line, asked for its configuration only."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_class_arguments(Calibration, "calibration")
        parser.add_class_arguments(Release, "release")
        parser.add_argument("--threads", type=int, default=2, help="Weights depend on it.")
        parser.set_defaults(DEFAULTS)
        parser.link_arguments("seed_everything", "data.seed")

    def before_instantiate_classes(self) -> None:
        torch.set_num_threads(self.config.threads)
        cv2.setNumThreads(1)


class Progress(Callback):
    """Tells every batch and every epoch."""

    def __init__(self, says: Says) -> None:
        self._says = says

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._says.steps("batches", trainer.global_step, int(trainer.estimated_stepping_batches))

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        self._says.line(
            f"epoch {trainer.current_epoch + 1} of at most {trainer.max_epochs}: {told}"
        )


def train(asked: Asked, says: Says) -> Trained | None:
    """None in all but the first of several processes. Raises DatasetRefused, CannotTrain, Taken."""
    with quiet():
        learnt = learn(asked, says)
        if learnt is None:
            return None
        says.line("calibrating, fitting baselines, writing the bundle")
        config = learnt.config
        manifest = finished(
            learnt.module, learnt.data, config.calibration, config.release, learnt.spec, asked.out
        )
    return _trained(asked, manifest, learnt.epochs)


def learn(asked: Asked, says: Says) -> Learnt | None:
    """Everything up to the best weights, as `train`."""
    cli = configured(asked)
    data, config = cli.datamodule, cli.config_init
    data.told = lambda done, of: says.steps("cases", done, of)
    data.load()
    targets = torch.tensor([case.target for case in data.held_out])
    refuse_too_few(targets, config.calibration.alpha_permille)
    spec = spec_of(cli.config.as_dict(), data.source.manifest.root)
    if cli.trainer.is_global_zero:
        entered(asked, spec)
    fitted(cli, asked, says, spec)
    if not cli.trainer.is_global_zero:
        return None
    return Learnt(best(cli.model, asked.run), data, config, spec, epochs_of(asked.run))


def configured(asked: Asked) -> RunCli:
    """Lightning's model, data and trainer by the file and words given. Raises NotConfigured."""
    ours = {
        "data.dataset": asked.dataset,
        "trainer.default_root_dir": asked.run,
        "checkpoint.dirpath": asked.run,
    }
    words = [
        *([f"--config={asked.config}"] if asked.config else []),
        *(f"--{name}={folder}" for name, folder in ours.items()),
        *([f"--seed_everything={asked.seed}"] if asked.seed is not None else []),
        *asked.settings,
    ]
    try:
        cli = RunCli(
            StrokeModule,
            CaseData,
            args=words,
            run=False,
            seed_everything_default=0,
            save_config_callback=None,
            trainer_defaults=TRAINER,
            parser_kwargs={"exit_on_error": False},
        )
    except (ArgumentError, ValueError) as error:
        raise NotConfigured(f"{error} (settings: docs/models.md)") from error
    for name, folder in ours.items():
        if str(cli.config[name]) != str(folder):
            option = "--dataset" if folder is asked.dataset else "--out"
            raise NotConfigured(f"--{name} is not for you to set: say {option} DIR instead")
    return cli


def entered(asked: Asked, spec: dict[str, Any]) -> None:
    """Takes the run's folder, or finds in it the very run that is to go on. Raises Taken, CannotTrain."""
    data, file = msgspec.json.encode(spec, order="sorted"), asked.run / SPEC_FILE
    if asked.resume:
        if not file.exists():
            raise CannotTrain(f"there is no run in {asked.run} to go on with: leave out --resume")
        if file.read_bytes() != data:
            raise CannotTrain(f"the run in {asked.run} had another spec: see its {SPEC_FILE}")
        return
    for folder in (asked.out, asked.run):
        if folder.exists() and any(folder.iterdir()):
            raise Taken(f"{folder} is not empty: --resume goes on with it, or remove it first")
    asked.run.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def fitted(cli: RunCli, asked: Asked, says: Says, spec: dict[str, Any]) -> None:
    """Leaves checkpoints in the run's folder; nothing is learnt anew that was learnt to the end.
    Curves and mirrors carry the spec."""
    done, last = asked.run / DONE_FILE, asked.run / LAST
    if done.exists():
        return
    cli.trainer.loggers = [*cli.trainer.loggers, *curves(asked.run)]
    for logger in cli.trainer.loggers:
        logger.log_hyperparams({**spec, "spec_sha256": spec_sha256(spec)})
    callbacks: list[Callback] = cli.trainer.callbacks  # type: ignore[attr-defined]
    callbacks.insert(0, Progress(says))
    goes_on = str(last) if asked.resume and last.exists() else None
    try:
        cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=goes_on)
    except SystemExit:
        if cli.trainer.state.status == TrainerStatus.INTERRUPTED:
            raise Interrupted from None
        raise
    if cli.trainer.is_global_zero:
        done.write_text(f"{cli.trainer.current_epoch}\n")


def best(module: StrokeModule, run: Path) -> StrokeModule:
    """With the weights of the epoch that told watched cases best."""
    kept = torch.load(run / f"{BEST}.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(kept["state_dict"])
    return module.cpu().eval()


def epochs_of(run: Path) -> int:
    return int((run / DONE_FILE).read_text())


def curves(run: Path) -> list[Logger]:
    return [CSVLogger(run, "curves"), TensorBoardLogger(run, "tensorboard")]


@contextmanager
def quiet() -> Iterator[None]:
    """Our own words, and nobody else's; what a library prints is no result."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="torch")
        warnings.filterwarnings("ignore", module="tensorboard")
        yield


def _trained(asked: Asked, manifest: Manifest, epochs: int) -> Trained:
    return Trained(
        bundle=str(asked.out),
        weights_sha256=manifest.weights_sha256,
        spec_sha256=manifest.spec_sha256,
        manifest_sha256=sha256((asked.out / MANIFEST_FILE).read_bytes()).hexdigest(),
        dataset_root=manifest.dataset_root,
        epochs=epochs,
        cases=int(manifest.metrics["n"]),
        figures=manifest.metrics,
        baselines=manifest.baselines,
        notice=manifest.notice.get("en", ""),
    )
