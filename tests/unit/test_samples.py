"""Training samples: shapes, exact truth, and reproducibility."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from models.preprocess import SEGMENTER_FRAMES
from models.references import GRID_PIXELS
from models.spec import MATTE_STATISTICS
from tests.footage import texture
from tests.material import moving_picture, small_source
from training import samples, scenes
from training.augment import compressed, with_edge_alpha
from training.clips import Clip
from training.detection import detected_probability
from training.restoration import inpainter_sample
from training.samples import Sample, Source, matte_sample, segmenter_sample

SOURCE = small_source()
SAMPLERS = (segmenter_sample, matte_sample, inpainter_sample)
SIZE = 64
SHAPES = {
    "segmenter_sample": {"frames": (SEGMENTER_FRAMES, 3), "target": (SEGMENTER_FRAMES, 2)},
    "matte_sample": {"statistics": (MATTE_STATISTICS,), "opacity": (1,), "colour": (3,), "clean": (3,)},
    "inpainter_sample": {
        "frames": (5, 3),
        "mask": (5, 1),
        "opacity": (5, 1),
        "colour": (5, 3),
        "doubt": (5, 1),
        "clean": (5, 3),
        "hole": (1,),
    },
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_shapes_and_ranges(sampler: Callable[..., Sample]) -> None:
    for index in range(12):
        sample = sampler(SOURCE, index, size=SIZE)
        shift = sample.pop("shift", np.zeros((5, 2), np.float32))
        assert shift.shape == (5, 2)
        assert np.abs(shift).max() <= GRID_PIXELS // 2
        assert not shift[0].any()
        assert {key: value.shape for key, value in sample.items()} == {k: (*v, SIZE, SIZE) for k, v in SHAPES[sampler.__name__].items()}
        for key, value in sample.items():
            assert value.dtype == np.float32
            assert np.isfinite(value).all()
            if key != "statistics":
                assert 0 <= value.min() <= value.max() <= 1


def test_compression_depends_on_the_pictures_alone() -> None:
    """Not on the previous content of the memory."""
    clip = moving_picture(4, 4, 160, 160)
    encoded = set()
    for seed in range(25):
        for k in range(1, 8):  # fill the memory that is allocated next with other content
            np.random.default_rng(seed).integers(0, 255, k * 12_800).astype(np.uint8)
        encoded.add(compressed(clip, 20).tobytes())
    assert len(encoded) == 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sample_depends_on_its_index_and_the_seed_alone(sampler: Callable[..., Sample]) -> None:
    forward = [sampler(SOURCE, i, size=SIZE) for i in range(4)]
    backward = [sampler(SOURCE, i, size=SIZE) for i in reversed(range(4))][::-1]
    for one, other in zip(forward, backward, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    another = sampler(Source(SOURCE.clips, SOURCE.vocabulary, 2), 0, size=SIZE)
    assert any((another[key] != forward[0][key]).any() for key in another)


def test_compressed_frames_are_close_to_the_originals() -> None:
    clip = moving_picture(5, 6, 96, 128)
    decoded = compressed(clip, 18)
    assert decoded.shape == clip.shape
    assert np.abs(decoded.astype(int) - clip).mean() < 4
    assert np.abs(compressed(clip, 40).astype(int) - clip).mean() > np.abs(decoded.astype(int) - clip).mean()


def test_the_inpainters_frames_are_clean_outside_the_marks() -> None:
    """Up to compression. The hole, where the target's mark is, lies within the target's mask."""
    differences = []
    for index in range(16):
        sample = inpainter_sample(SOURCE, index, size=SIZE)
        unmasked = sample["mask"] == 0
        difference = np.abs(sample["frames"] - sample["clean"]).mean(1, keepdims=True)
        if unmasked.any():
            differences.append(float(difference[unmasked].mean()))
        assert (sample["mask"][0] >= sample["hole"]).all()
    assert np.mean(differences) < 0.03


def test_the_inpainters_references_are_aligned_with_the_target() -> None:
    """On a filmed photo. On purpose, half of them are off by a pixel or two, and one in twelve shows another place."""
    photo = np.rint(255 * texture(1, 320, 240, 3)).astype(np.uint8)
    source = Source((Clip("photo", photo[None]),), SOURCE.vocabulary, 1)
    aligned, elsewhere = [], []
    for index in range(40):
        sample = inpainter_sample(source, index, size=SIZE)
        back = [np.roll(x, (-int(dy), -int(dx)), (1, 2)) for x, (dx, dy) in zip(sample["clean"], sample["shift"], strict=True)]
        clean = np.stack(back)[..., 8:-8, 8:-8]
        aligned += np.abs(clean[1:] - clean[0]).mean((1, 2, 3)).tolist()
        elsewhere.append(float(np.abs(np.roll(clean[0], (6, 6), (1, 2)) - clean[0]).mean()))
    assert np.median(aligned) < 0.25 * np.mean(elsewhere)
    assert np.percentile(aligned, 85) < 0.6 * np.mean(elsewhere) < np.percentile(aligned, 97)


def test_the_opacity_sigma_correlates_with_the_error_of_the_opacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is measured on the marked frame, blended again with the sample's opacity and colour. JPEG would drown it."""
    monkeypatch.setattr(scenes, "AS_PICTURE_SHARE", 0)
    sigmas, errors = [], []
    for index in range(40):
        sample = inpainter_sample(SOURCE, index, size=SIZE)
        hole = sample["hole"][0] > 0
        opacity, colour = sample["opacity"][0], sample["colour"][0]
        error = np.abs((1 - opacity) * sample["clean"][0] + opacity * colour - sample["frames"][0]).mean(0)
        if hole.sum() > 20:
            sigmas.append(float(sample["doubt"][0, 0][hole].mean()))
            errors.append(float(error[hole].mean()))
    assert len(sigmas) > 8
    assert np.corrcoef(sigmas, errors)[0, 1] > 0.3


def test_an_opaque_mark_has_edge_alpha_at_its_edge_only() -> None:
    """Near the truth there, with errors; 1 deep in the mark, and nothing outside the mask."""
    alpha = cv2.GaussianBlur(np.kron(np.eye(3, dtype=np.float32), np.ones((20, 20), np.float32)), (0, 0), 1.0)
    mask = cv2.dilate((alpha > 0.03).astype(np.float32), np.ones((3, 3)))
    deep = cv2.distanceTransform((alpha > 0.15).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > 3
    models = [with_edge_alpha(alpha, np.ones((60, 60, 3), np.float32), mask, np.random.default_rng(k)) for k in range(8)]
    opacity, _, opacity_sigma = (np.stack(values) for values in zip(*models, strict=True))
    assert (opacity[:, deep] == 1).all()
    assert not opacity[:, mask == 0].any()
    assert not opacity_sigma[:, mask == 0].any()
    edge = (mask > 0) & (alpha > 0.1) & (alpha < 0.9)
    assert np.corrcoef(opacity[:, edge].mean(0), alpha[edge])[0, 1] > 0.7
    assert 0.02 < np.abs(opacity - alpha)[:, edge].mean() < 0.3


def test_the_truth_of_a_matte_sample_explains_its_statistics() -> None:
    """mean = (1 - a) * clean + a * w, up to compression."""
    errors = []
    for index in range(24):
        sample = matte_sample(SOURCE, index, size=SIZE)
        mean = sample["statistics"][1:4] + 0.5
        explained = (1 - sample["opacity"]) * sample["clean"] + sample["opacity"] * sample["colour"]
        errors.append(float(np.abs(mean - explained).mean()))
    assert np.median(errors) < 0.03


def test_some_segmenter_samples_have_marks_some_scene_text_and_some_neither() -> None:
    samples = [segmenter_sample(SOURCE, index, size=SIZE) for index in range(40)]
    empty = sum(not sample["target"].any() for sample in samples)
    assert 2 <= empty <= 30
    assert any(sample["target"][:, 1].any() for sample in samples)  # scene text
    assert sum(sample["target"][:, 0].any() for sample in samples) > 10


def test_sources_may_have_only_photos_or_only_videos() -> None:
    for kept in ([c for c in SOURCE.clips if len(c.frames) == 1], [c for c in SOURCE.clips if len(c.frames) > 1]):
        source = Source(tuple(kept), SOURCE.vocabulary, 1)
        for sampler in SAMPLERS:
            for index in range(4):
                sampler(source, index, size=SIZE)


def test_long_exposures_blur_the_scene_and_keep_static_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(share: float) -> list[Sample]:
        monkeypatch.setattr(samples, "LONG_EXPOSURE_SHARE", share)
        return [segmenter_sample(SOURCE, index, size=SIZE) for index in range(80)]

    def detail(drawn: list[Sample]) -> float:
        return float(np.mean([np.abs(np.diff(sample["frames"], axis=-1)).mean() for sample in drawn if not sample["target"].any()]))

    monkeypatch.setattr(scenes, "AS_PICTURE_SHARE", 0)
    single, exposed = drawn(0), drawn(1)
    assert detail(exposed) < 0.95 * detail(single)
    marks = [sample["target"][:, 0] for sample in exposed]
    assert all(set(np.unique(mark)) <= {0, 1} for mark in marks)
    assert sum(mark.any() and (mark == mark[0]).all() for mark in marks) > 5


@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_the_shipped_segmenter_finds_a_static_word(scale: float) -> None:
    crops = moving_picture(7, 12, 96, 160).transpose(0, 3, 1, 2).astype(np.float32) / 255
    word = np.asarray(Image.new("L", (160, 96))).copy()
    cv2.putText(word, "Sample", (14, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 255, 3)
    probability = detected_probability(np.where(word > 127, 0.4 * crops + 0.6, crops).astype(np.float32), scale)
    assert probability.shape == (96, 160)
    assert probability[word > 127].mean() > 0.5 > 5 * probability[cv2.dilate(word, np.ones((9, 9))) == 0].mean()
