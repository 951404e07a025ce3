"""Samples as the service makes them: what its network would get, beside what is true."""

from pathlib import Path

import numpy as np
import pytest

from models.references import REFERENCES
from service.inference import fake
from service.pipeline.placement import Box
from tests.footage import described, film, marked, pan, placement
from tests.material import small_source
from training import recording, store
from training.recording import Footage, Recorder, scene_samples
from training.rendering import Rendered
from training.samples import Sample
from training.stored import LAYOUTS, StoredSamples

SIZE = 64
MARK = Box(60, 40, 92, 52)


def panned(found: Box) -> list[Sample]:
    """The samples of a scene that pans by whole pixels, with a white mark, of which the service found `found`."""
    pictures = pan(3, 12, (1, 2), 160, 120)
    alpha = np.zeros((len(pictures), 120, 160), np.float32)
    alpha[:, MARK.top : MARK.bottom, MARK.left : MARK.right] = 1
    clean = np.stack(pictures)
    drawn = Rendered(clean, clean, alpha, np.ones((*alpha.shape, 3), np.float32), np.zeros_like(alpha))
    footage = Footage(described(160, 120), dict(enumerate(film([marked(picture, MARK) for picture in pictures]))), drawn)
    recorder = Recorder(fake.networks(), (placement(0, 11, found),), footage)
    return list(recorder.window(SIZE, np.random.default_rng(1)))


def test_a_sample_shows_what_the_service_found_and_what_is_true() -> None:
    samples = panned(MARK)
    assert len(samples) > 3
    for sample in samples:
        assert {name: array.shape for name, array in sample.items()} == {
            name: (1 + REFERENCES, channels, SIZE, SIZE)
            for name, channels in (("frames", 3), ("mask", 1), ("opacity", 1), ("colour", 3), ("doubt", 1), ("clean", 3))
        } | {"hole": (1, SIZE, SIZE)}
        marked_pixels = sample["hole"][0] > 0
        assert marked_pixels.sum() > 50
        assert (sample["frames"][0][:, marked_pixels] > 0.99).all()  # white
        assert (sample["clean"][0][:, marked_pixels] < 0.9).all()  # the scene
        shown = np.broadcast_to(sample["mask"] < 0.5, sample["frames"].shape)
        np.testing.assert_allclose(sample["frames"][shown], sample["clean"][shown], atol=1 / 255)


def test_references_show_the_same_piece_of_the_scene() -> None:
    for sample in panned(MARK):
        for reference in sample["clean"][1:]:
            np.testing.assert_allclose(reference[:, 8:-8, 8:-8], sample["clean"][0][:, 8:-8, 8:-8], atol=1 / 255)


def test_what_the_service_missed_of_a_mark_is_no_hole_but_the_rest_is() -> None:
    half = Box(MARK.left, MARK.top, MARK.left + MARK.width // 2, MARK.bottom)
    for sample in panned(half):
        assert (sample["mask"][0][sample["hole"] > 0] == 1).all()
        assert 0 < sample["hole"].sum() < 0.7 * MARK.width * MARK.height


def test_where_there_is_no_mark_all_that_is_replaced_counts() -> None:
    samples = panned(Box(20, 70, 40, 90))
    assert samples
    for sample in samples:
        np.testing.assert_array_equal(sample["hole"], sample["mask"][0])


def test_scenes_are_drawn_found_and_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From drawing to a store that training reads, with networks that find what is white."""
    monkeypatch.setattr(recording, "_networks", fake.networks)
    monkeypatch.setattr(store, "SHARD_SAMPLES", 4)
    source = small_source()
    index = store.draw(tmp_path, "inpainter", source, 4, size=SIZE - LAYOUTS["inpainter"].margin, recorded=True)
    assert index.recorded
    read = StoredSamples(tmp_path, "inpainter", seed=1)
    first = next(sample for number in range(100) for sample in scene_samples(source, number, fake.networks(), SIZE))
    for name, array in first.items():
        np.testing.assert_allclose(read.drawn(0)[name], array, atol=1 / 255)
