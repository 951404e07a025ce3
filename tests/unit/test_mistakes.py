"""False positives of the shipped segmenter in clean clips, and training samples that show them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.material import moving_picture, small_source
from training import mistakes as module
from training import watermarks
from training.clips import Clip
from training.mistakes import Mistake, mistakes
from training.samples import segmenter_sample
from training.scenes import mistaken_scene

HEIGHT, WIDTH, FRAMES = 240, 320, 32
PLAIN = Clip("plain.mp4", moving_picture(4, FRAMES, HEIGHT, WIDTH))
SOURCE = small_source()


@pytest.fixture(scope="module")
def burned_in() -> Clip:
    """A clip that is supposed to be clean but has a logo."""
    mark = watermarks.draw("corner", np.random.default_rng(3), WIDTH, HEIGHT, FRAMES, SOURCE.vocabulary, SOURCE.pictures)
    patch = mark.patches[0]
    assert patch is not None
    return Clip("burned.mp4", np.stack([watermarks.apply(frame, patch) for frame in PLAIN.frames]))


def test_false_positives_are_searched_once_and_cached(burned_in: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = mistakes((PLAIN, burned_in), tmp_path)
    assert {one.clip for one in found} == {"burned.mp4"}
    changed = np.abs(burned_in.frames[0].astype(int) - PLAIN.frames[0]).max(2) > 30
    rows, columns = np.nonzero(changed)
    assert any(one.top <= np.median(rows) < one.top + one.height and one.left <= np.median(columns) < one.left + one.width for one in found)
    monkeypatch.setattr(module, "_find", None)
    assert mistakes((PLAIN, burned_in), tmp_path) == found


def test_samples_show_mistakes_without_a_mark() -> None:
    for clip, frames in (("one", 24), ("photo", 96)):
        source = replace(SOURCE, mistakes=(Mistake(clip, 100, 150, 20, 30),), mistake_share=1)
        scene = mistaken_scene(source, source.rng(0))
        assert (scene.clip.name, scene.frames, scene.mark) == (clip, frames, None)
        for index in range(4):
            sample = segmenter_sample(source, index, 64)
            assert not sample["target"].any()
            assert np.array_equal(sample["frames"], segmenter_sample(source, index, 64)["frames"])
