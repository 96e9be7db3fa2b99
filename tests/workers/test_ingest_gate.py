"""Ingest knows brain MRI by sequence, keeps what it knows but does not use, and refuses all else."""

import json
from hashlib import sha256
from importlib.resources import files
from typing import get_args

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from domain.case import Reason
from domain.model import TASK
from domain.stroke import MODALITIES as DECLARED, Modality
from training.contrasts import CONTRASTS, drawn
from training.gate import calibration, heads, pages, paper
from training.gate.rounds import ROUNDS
from training.gate.strangers import KINDS
from training.gate.struck import STRUCK
from training.gate.unseen import FAR, NEAR
from training.screen import screenshot
from training.synth import case
from workers.ingest import recognise
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import look, named, process
from workers.ingest.session import BadNet
from workers.modalities import MODALITIES, coaching_key, serves
from workers.pixels import heads as heads_in, load
from workers.texts import LANGUAGES, plainly

PROFILE = "ingest-3"
NET_BYTES_MAX = 1_500_000


def seen(canvas: NDArray[np.uint8]) -> Ingested | Refused:
    height, width = canvas.shape[:2]
    pixels = Pixels(height, width, np.ascontiguousarray(canvas).tobytes(), False, {})
    return look(pixels, profile=PROFILE).outcome


def viewed(*modalities: Modality, seed: int = 3) -> Ingested | Refused:
    """A viewer with one pane for each."""
    rng = default_rng([seed, len(modalities)])
    return seen(screenshot([drawn(each, rng) for each in modalities], (), rng)[0])


@pytest.mark.parametrize("modality", recognise.MRI)
def test_the_sequence_of_a_head_is_told(modality: Modality) -> None:
    outcomes = [viewed(modality, seed=seed) for seed in range(5)]
    told = [outcome.sequences for outcome in outcomes if isinstance(outcome, Ingested)]
    assert len(told) == 5
    assert told.count((modality,)) >= 3


def test_what_clinicians_send_passes() -> None:
    images = [image.data for seed in range(700, 706) for image in case(seed).images]
    outcomes = [process(data, PROFILE) for data in images]
    passed = [outcome for outcome in outcomes if isinstance(outcome, Ingested)]
    assert len(passed) >= 0.9 * len(images)
    assert all(len(one.sequences) == len(one.head) for one in passed)


def test_each_head_has_its_own_sequence() -> None:
    outcome = viewed("mri-dwi", "mri-t2", "mri-t1", "mri-adc")
    assert isinstance(outcome, Ingested)
    assert outcome.sequences == ("mri-dwi", "mri-t2", "mri-t1", "mri-adc")


def test_a_ct_is_kept_but_not_used_yet() -> None:
    assert viewed("ct") == Refused("quarantined", "not-used-yet", modality="ct")


def test_a_ct_beside_mri_is_blanked_and_the_mri_goes_on() -> None:
    outcome = viewed("mri-t2", "ct")
    assert isinstance(outcome, Ingested)
    assert outcome.sequences == ("mri-t2",)
    assert heads_in(load(outcome.derivative)) == list(outcome.head)
    assert len(outcome.head) == 1


@pytest.mark.parametrize("kind", ["ecg", "report"])
def test_papers_are_kept_with_what_they_are(kind: str) -> None:
    draw = {"ecg": paper.ecg, "report": paper.report}[kind]
    outcomes = [seen(draw(900, "test", default_rng(seed))) for seed in range(6)]
    assert all(isinstance(one, Refused) and one.outcome == "quarantined" for one in outcomes)
    kept = [one for one in outcomes if isinstance(one, Refused) and one.modality]
    assert len(kept) >= 3
    assert {(one.modality, one.reason) for one in kept} == {(kind, "not-used-yet")}


@pytest.mark.parametrize("kind", [*FAR, *NEAR])
def test_strangers_of_kinds_never_seen_are_refused(kind: str) -> None:
    draw = (FAR | NEAR)[kind]
    outcome = seen(draw(700, default_rng(len(kind))))
    assert isinstance(outcome, Refused)
    assert outcome.outcome == "quarantined"


@pytest.mark.parametrize("kind", [*calibration.FAR, *calibration.NEAR])
def test_strangers_that_its_limits_were_set_on_are_refused(kind: str) -> None:
    draw = (calibration.FAR | calibration.NEAR)[kind]
    assert isinstance(seen(draw(700, default_rng(len(kind)))), Refused)


def test_round_things_are_learnt_as_strangers() -> None:
    for kind, draw in (ROUNDS | STRUCK).items():
        picture = draw(200, default_rng(1))
        assert picture.shape == (200, 200, 3), kind
        assert heads.stranger(picture, default_rng(2)).shape == (96, 96)


def test_what_is_shaped_like_a_head_but_is_none_is_not_recognised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recognise, "sequences_of", lambda kept, found: (None,) * len(found))
    assert viewed("mri-t1") == Refused("quarantined", "not-recognised")


def test_strangeness_alone_is_enough_to_be_nothing() -> None:
    chances = np.array([0.99, *[0.0017] * 6], np.float32)
    assert recognise.named(chances, 0.9) == "mri-dwi"
    assert recognise.named(chances, 1.2) is None


def test_a_head_of_no_certain_sequence_is_mri() -> None:
    assert recognise.named(np.array([0.44, 0.0, 0.46, 0.0, 0.0, 0.05, 0.05]), 0.5) == "mri"


def test_a_head_of_neither_for_certain_is_nothing() -> None:
    assert recognise.named(np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.4, 0.3]), 0.5) is None


def test_a_film_on_a_light_box_is_a_source_of_its_own() -> None:
    said = [recognise.page_of(pages.film(900, "test", default_rng(seed))) for seed in range(8)]
    assert said.count("film") >= 7
    viewers = [recognise.page_of(pages.viewer(900, "test", default_rng(seed))) for seed in range(8)]
    assert viewers.count("film") == 0


def test_a_film_with_large_slices_is_ingested_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pages.FILMS, "test", ((1, 2),))
    outcomes = [seen(pages.film(1280, "test", default_rng(seed))) for seed in range(6)]
    films = [one for one in outcomes if isinstance(one, Ingested) and one.source == "film"]
    assert films
    assert all("film" in one.warnings for one in films)


def test_every_word_of_modality_has_its_row_and_its_text() -> None:
    assert set(MODALITIES) == set(get_args(Modality))
    assert {name for name, row in MODALITIES.items() if row.prepare} == set(DECLARED)
    for name in MODALITIES:
        for language in LANGUAGES:
            assert plainly(language, coaching_key("not-used-yet", name))
    assert coaching_key("not-used-yet", "ecg") == "kept-ecg"
    assert {coaching_key(reason) for reason in get_args(Reason)} >= {"rejected-not-recognised"}


def test_only_what_the_table_says_is_predicted_from() -> None:
    assert serves(("mri-dwi", "mri"), TASK)
    assert serves((), TASK)
    assert not serves(("mri-dwi", "ct"), TASK)


@pytest.mark.parametrize("net", recognise.SHA256)
def test_every_net_is_small_and_comes_with_its_recipe(net: recognise.Net) -> None:
    folder = files("workers.ingest") / "nets"
    model = (folder / f"{net}.onnx").read_bytes()
    recipe = json.loads((folder / f"{net}.json").read_text())
    assert len(model) <= NET_BYTES_MAX
    assert recipe["sha256"] == recognise.SHA256[net] == sha256(model).hexdigest()
    assert recipe["classes"] == list(
        {"page": recognise.PAGES, "sequence": recognise.SEQUENCES}[net]
    )


def test_a_net_that_was_exchanged_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    recognise.session.cache_clear()
    monkeypatch.setitem(recognise.SHA256, "page", "0" * 64)
    with pytest.raises(BadNet, match=r"page\.onnx"):
        recognise.session("page")
    recognise.session.cache_clear()


def test_earlier_profiles_are_still_known_by_their_names() -> None:
    assert named("ingest-1") == "ingest-1:a18d9ebae76f"
    assert named("ingest-2") == "ingest-2:a2d095d070af"


def test_what_trains_and_what_is_scored_share_no_kind() -> None:
    parts = [{*KINDS, *ROUNDS, *STRUCK}, {*calibration.FAR, *calibration.NEAR}, {*FAR, *NEAR}]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert not {*pages.FILMS["tuning"]} & {*pages.FILMS["test"]}
    assert not {*paper.PAPERS["tuning"]} & {*paper.PAPERS["test"]}


def test_the_same_seed_draws_the_same_tiles() -> None:
    first, second = heads.many(6, 4), heads.many(6, 4)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert first[0].shape == (6, 1, 96, 96)
    assert set(CONTRASTS) < {*recognise.SEQUENCES}
    assert set(CONTRASTS) == set(heads.WEIGHTS)
    assert sum(heads.WEIGHTS.values()) == pytest.approx(1)
