"""Training as far as the best weights, in this process."""

from pathlib import Path

from training.train import Asked, Learnt, Says, learn, quiet

SMALL = (
    "--model.backbone=strided",
    "--data.batch_cases=8",
    "--trainer.max_epochs=6",
    "--calibration.alpha_permille=200",
    "--threads=1",
)


def learnt(dataset: Path, out: Path, *settings: str, seed: int = 3, resume: bool = False) -> Learnt:
    with quiet():
        done = learn(Asked(dataset, out, None, seed, resume, (*SMALL, *settings)), Says())
    assert done
    return done
