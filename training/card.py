"""The model card: what CLAIM 2024 and TRIPOD+AI ask to be told. What is not known is said to be missing."""

from collections.abc import Iterable, Mapping
from typing import Final

from workers.inference.manifest import Conformal, Manifest

MISSING: Final = "missing"

ABOUT: Final = {
    True: "Synthetic phantoms only. **Nothing here says anything about patients.**",
    False: "Cases of a ledger; who they are is told by the dataset's own card.",
}


def card(manifest: Manifest) -> str:
    """Markdown."""
    parts = {
        "Title and intended use (CLAIM 1-4, TRIPOD+AI 1-4)": _intended(manifest),
        "Data (CLAIM 7-17, TRIPOD+AI 5-8)": _data(manifest),
        "Reference standard (CLAIM 14-16, TRIPOD+AI 8)": [
            "Cardioembolic or large-artery, confirmed by an instrument (level 2) or adjudicated (3).",
            f"Agreement of readers: {MISSING}.",
        ],
        "Model (CLAIM 22-25, TRIPOD+AI 12)": _model(manifest),
        "Training (CLAIM 26-27, TRIPOD+AI 12)": _training(manifest),
        "Performance (CLAIM 28-38, TRIPOD+AI 23)": _performance(manifest),
        "Fairness (TRIPOD+AI 14)": [
            f"By sex, age and site: {MISSING} here; see the test's slices."
        ],
        "External validation (CLAIM 32)": [f"{MISSING.capitalize()}."],
        "Limits (CLAIM 39-40, TRIPOD+AI 26)": [
            "Tells two causes apart and no other. Research prototype, not a medical device.",
            manifest.notice.get("en", ""),
        ],
        "Registration, funding (CLAIM 41-44, TRIPOD+AI 18)": [f"{MISSING.capitalize()}."],
    }
    sections = (f"## {title}\n\n" + _lines(lines) for title, lines in parts.items())
    return f"# {manifest.name} {manifest.version}\n\n" + "\n".join(sections)


def _intended(manifest: Manifest) -> list[str]:
    return [
        f"Task `{manifest.task}`: the likely cause of an ischaemic stroke from 1-8 pictures of an MRI.",
        f"For the role `{manifest.role}`; help for a clinician who decides, never a diagnosis.",
    ]


def _data(manifest: Manifest) -> list[str]:
    told = (f"{name}: {value}" for name, value in sorted(manifest.dataset.items()))
    return [
        ABOUT[manifest.synthetic],
        f"Dataset root `{manifest.dataset_root}`, ingest profile `{manifest.profile}`,"
        f" pixels `{manifest.pixels}`.",
        *told,
        f"Age, sex and ethnicity of the people: {MISSING}.",
    ]


def _model(manifest: Manifest) -> list[str]:
    net, conformal = manifest.config.get("model", {}), manifest.conformal
    uses = ", ".join((*manifest.context, *(["sequence"] if manifest.sequences else [])))
    return [
        f"Encoder `{net.get('backbone', MISSING)}`, pooling `{net.get('pooling', MISSING)}`,"
        f" context: {uses or 'none'}.",
        f"Temperature {manifest.temperature}; answers from {manifest.abstain_below} permille.",
        f"Class-conditional conformal sets: {_sets(conformal) if conformal else MISSING}.",
        f"Declined beyond distance {manifest.distance_max or MISSING}.",
    ]


def _training(manifest: Manifest) -> list[str]:
    return [
        f"Seed {manifest.seed}, spec `{manifest.spec_sha256 or MISSING}`, weights"
        f" `{manifest.weights_sha256 or MISSING}`.",
        *(f"{name}: {_plain(value)}" for name, value in sorted(manifest.config.items())),
        "Libraries: " + ", ".join(f"{name} {v}" for name, v in manifest.libraries.items()) + ".",
    ]


def _performance(manifest: Manifest) -> list[str]:
    beside = {"this model": manifest.metrics, **manifest.baselines}
    return [
        *(f"{name}: {_figures(figures)}" for name, figures in beside.items()),
        "With intervals, slices and invariances: `report.json`, if it was tested.",
    ]


def _sets(conformal: Conformal) -> str:
    limits = (f"{cause} from {limit} permille" for cause, limit in conformal.limits.items())
    cases = ", ".join(f"{count} of {cause}" for cause, count in conformal.cases.items())
    return f"left open {' and '.join(limits)} (alpha {conformal.alpha_permille} permille; {cases})"


def _plain(value: object) -> str:
    """What was set; most of Lightning's settings are not."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {each}" for name, each in value.items() if each is not None)


def _figures(figures: Mapping[str, int | float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in figures.items()) or MISSING


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines if line)
