"""From a bundle's folder to a registered model."""

from asyncio import to_thread
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from commands import models
from domain.model import Registered, Tested
from ictus.vouching import require_trust
from ictus.wiring import House
from training.testing.run import REPORT_FILE, Report, held_to, read_report
from workers.inference.classifier import Classifier
from workers.inference.manifest import MANIFEST_FILE, SIGNATURE_FILE, BundleRefused, files_of

DEMO_BUNDLE = Path(__file__).resolve().parents[1] / "training" / "bundles" / "demo"

FIGURES_TOLD = (
    *("auroc", "auroc_low", "auroc_high", "rule_auroc", "oracle_auroc", "sensitivity_at_80"),
    *("ece", "coverage", "answered_rate", "accuracy_answered", "worst_slice_gap"),
)
"""What the ledger says of a test; all else is in the report."""


async def register_bundle(house: House, folder: Path) -> tuple[UUID, Registered]:
    """Loads the bundle to prove that it works, stores its files, registers it; repeatable.

    Raises BundleRefused.
    """
    manifest = (await to_thread(Classifier.load, folder)).manifest
    await to_thread(require_trust, folder, house.settings.models.trusted)
    report = await to_thread(read_report, folder)
    vouching = [name for name in (REPORT_FILE, SIGNATURE_FILE) if (folder / name).exists()]
    names = (MANIFEST_FILE, *files_of(manifest), *vouching)
    files = {name: await to_thread((folder / name).read_bytes) for name in names}
    registered = Registered(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        sha256=manifest.sha256,
        manifest_sha256=sha256(files[MANIFEST_FILE]).hexdigest(),
        dataset_root=manifest.dataset_root,
        profile=manifest.profile,
        synthetic=manifest.synthetic,
    )
    tested = _tested(report, files[REPORT_FILE], registered) if report else None
    request = house.operator()
    await models.register(house.books, house.blobs, request, registered, files, tested)
    return models.model_id(registered.manifest_sha256), registered


def _tested(report: Report, data: bytes, registered: Registered) -> Tested:
    """It passed if the report says so and what it shows agrees."""
    if report.manifest_sha256 != registered.manifest_sha256:
        raise BundleRefused(f"its {REPORT_FILE} is about another bundle: test this one")
    return Tested(
        dataset_root=report.dataset_root,
        split=report.split,
        acceptance_sha256=report.acceptance_sha256,
        report_sha256=sha256(data).hexdigest(),
        passed=report.passed and held_to(report.verdicts, report.alarms),
        figures={
            name: round(1000 * figure)
            for name in FIGURES_TOLD
            if (figure := report.figures.get(name)) is not None
        },
    )
