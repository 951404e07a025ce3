"""Scenes: distractors are not overlays, marks are exactly where the truth has them, and photos are filmed as specified."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.material import moving_picture, small_source
from training import augment, camera, distractors, rendering, scenes
from training.benchmark_marks import BENCHMARK_KINDS
from training.camera import STILL, Camera, filmed, random_camera
from training.clips import Clip, Window, cut
from training.patches import Canvas
from training.rendering import Rendered, blended
from training.samples import INPAINTER_KINDS, SEGMENTER_KINDS, segmenter_sample
from training.scenes import VISIBLE, Scene, Source, random_scene
from training.watermarks import KINDS, apply

SOURCE = small_source()
INDICES = [3, 6, 9, 12]
SIZE = 96


def plain(seed: int, photo: bool = True) -> Scene:
    """A scene without a mark, a cut or passing objects."""
    made = random_scene(SOURCE, np.random.default_rng(seed), None, photo_share=float(photo))
    return replace(made, other=None, passing_object=None)


def rendered(made: Scene, seed: int = 1) -> Rendered:
    indices = [min(index, made.frames - 1) for index in INDICES]  # a single picture has one frame
    return rendering.render(made, indices, 10, 20, SIZE, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [*distractors.OBJECT_KINDS])
def test_an_object_of_the_scene_is_in_range_and_visible(kind: str) -> None:
    canvas = Canvas(320, 180, 1, SOURCE.vocabulary, SOURCE.pictures)
    grey = np.full((180, 320, 3), 128, np.uint8)
    for seed in range(6):
        item = distractors.scene_object(np.random.default_rng(seed), canvas, kind)
        assert 0 <= item.patch.alpha.min() <= item.patch.alpha.max() <= 1.0001
        assert 0 <= item.patch.colour.min() <= item.patch.colour.max() <= 1.0001
        assert item.text == (kind in distractors.TEXTS)
        assert (apply(grey, item.patch) != grey).any()


@pytest.mark.parametrize("photo", [True, False])
def test_distractors_painted_marks_and_bars_are_not_overlays(photo: bool) -> None:
    texts = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        made = scenes.with_objects(plain(seed, photo), rng, SOURCE)
        made = scenes.with_framing(scenes.with_painted_marks(made, rng, SOURCE), rng, SOURCE)
        shown = rendered(made)
        assert not shown.alpha.any()
        np.testing.assert_array_equal(shown.marked, shown.clean)
        assert 0 <= shown.text.min() <= shown.text.max() <= 1
        texts += bool((shown.text > 0.3).any())
    assert texts > 1


def test_painted_text_is_where_the_coverage_says() -> None:
    """The photo differs there from the photo without it."""
    differing = []
    for seed in range(12):
        bare = replace(plain(seed), camera=STILL)
        made = scenes.with_objects(bare, np.random.default_rng(seed), SOURCE)
        assert made.text is not None
        changed = (made.clip.frames[0] != bare.clip.frames[0]).any(2)
        differing += changed[made.text > 0.5].tolist()
    assert np.mean(differing) > 0.97


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scene_text"])
def test_the_marked_picture_differs_exactly_where_the_opacity_is_positive(kind: str) -> None:
    for seed in range(3):
        made = random_scene(SOURCE, np.random.default_rng(seed), {kind: 1.0}, photo_share=0.5)
        shown = rendered(made)
        changed = (shown.marked != shown.clean).any(3)
        assert not changed[shown.alpha == 0].any()
        push = shown.alpha * np.abs(shown.colour * 255 - shown.clean).max(3)  # levels by which the mark changes a pixel
        assert changed[(shown.alpha > VISIBLE) & (push > 1)].all()


def test_a_passing_object_is_behind_the_mark() -> None:
    made = random_scene(SOURCE, np.random.default_rng(5), {"tiled": 1.0}, photo_share=1.0)
    made = replace(made, camera=STILL, other=None, passing_object=SOURCE.pictures[0])
    with_it, without = rendered(made), rendered(replace(made, passing_object=None))
    assert (with_it.clean != without.clean).any()
    np.testing.assert_array_equal(with_it.alpha, without.alpha)
    np.testing.assert_array_equal(with_it.marked, blended(with_it.clean, with_it.alpha, with_it.colour))


def test_a_cut_changes_the_scene_and_leaves_the_mark() -> None:
    made = replace(random_scene(SOURCE, np.random.default_rng(5), {"tiled": 1.0}, photo_share=1.0), camera=STILL, passing_object=None)
    with_cut, without = rendered(replace(made, other=SOURCE.clips[0]), 4), rendered(replace(made, other=None), 4)
    np.testing.assert_array_equal(with_cut.alpha, without.alpha)
    assert np.abs(with_cut.clean[-1].astype(int) - without.clean[-1]).mean() > 10


def test_the_motion_of_a_clip_is_found() -> None:
    """The window glides down by two and right by three pixels per frame, so the scene moves the opposite way."""
    clip = moving_picture(1, 13, 144, 192)[::4]
    found = np.array(rendering.motion(clip, (0, 4, 8, 12), np.random.default_rng(1)))
    np.testing.assert_allclose(found, [[-8 * i, -12 * i] for i in range(4)], atol=3)


def test_a_still_camera_shows_one_picture_and_a_panning_one_moves_it_by_its_speed() -> None:
    picture = moving_picture(1, 1, 200, 300)[0]
    still = filmed(picture, STILL, (0, 5, 10), (20, 30, 64, 96))
    assert all((frame == picture[20:84, 30:126]).all() for frame in still)
    panned = filmed(picture, Camera(pan=(2.0, 3.0)), (0, 5, 10), (20, 30, 64, 96))
    for age, frame in zip((-5, 0, 5), panned, strict=True):
        np.testing.assert_array_equal(frame, picture[20 + 2 * age : 84 + 2 * age, 30 + 3 * age : 126 + 3 * age])


def test_cameras_are_often_still_unless_they_must_move() -> None:
    moving = [random_camera(np.random.default_rng(seed), always_moving=True) for seed in range(40)]
    assert min(np.hypot(*one.pan) for one in moving) >= camera.MIN_PAN_PIXELS - 1e-6
    assert 4 <= sum(random_camera(np.random.default_rng(seed)) == STILL for seed in range(40)) <= 18


def test_text_is_filmed_with_its_photo() -> None:
    tilted = Camera(pan=(1.0, -2.0), zoom=0.002, turn=0.003, tilt=(1e-5, -1e-5))
    picture = moving_picture(2, 1, 200, 300)[0]
    lit = (picture[..., 0] > 128).astype(np.float32)
    both = filmed(np.dstack([picture[..., 0].astype(np.float32), lit]), tilted, (0, 6, 12), (20, 30, 64, 96))
    apart = filmed(lit, tilted, (0, 6, 12), (20, 30, 64, 96))
    np.testing.assert_allclose(both[..., 1], apart, atol=0.04)  # OpenCV rounds the weights of two channels more coarsely


def test_nearly_half_of_the_sampled_marks_are_of_the_benchmarks_kinds() -> None:
    for shares in (SEGMENTER_KINDS, INPAINTER_KINDS):
        assert set(shares) <= set(KINDS)
        old = sum(share for kind, share in shares.items() if kind in BENCHMARK_KINDS)
        assert 0.4 <= old / sum(shares.values()) <= 0.6


def test_some_of_the_segmenters_samples_are_still_pictures() -> None:
    """Up to compression."""
    still = 0
    for index in range(60):
        frames = segmenter_sample(SOURCE, index, size=64)["frames"]
        still += float(np.abs(frames[1:] - frames[:1]).mean()) < 0.004
    assert 2 <= still <= 25


@pytest.mark.skipif(not augment.has_codec("h265"), reason="this FFmpeg has no x265")
def test_h265_depends_on_the_pictures_alone() -> None:
    clip = moving_picture(4, 4, 160, 160)
    encoded = {augment.compressed(clip, 24, "ultrafast", "h265").tobytes() for _ in range(6)}
    assert len(encoded) == 1
    decoded = augment.compressed(clip, 20, "ultrafast", "h265")
    assert np.abs(decoded.astype(int) - clip).mean() < 4


def test_grain_differs_between_frames_and_depends_on_the_seed_alone() -> None:
    grey = np.full((3, 200, 210, 3), 128, np.uint8)
    grainy = augment.with_grain(grey, np.random.default_rng(3))
    assert (grainy[0] != grainy[1]).any()
    assert abs(float(grainy.mean()) - 128) < 1
    assert 0.5 < grainy.std() < 25
    np.testing.assert_array_equal(grainy, augment.with_grain(grey, np.random.default_rng(3)))


def test_a_rescaled_clip_has_less_detail() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (2, 64, 80, 3)).astype(np.uint8)
    soft = augment.rescaled(noise, 0.5)
    assert soft.shape == noise.shape
    assert cv2.Laplacian(soft[0], cv2.CV_32F).std() < 0.6 * cv2.Laplacian(noise[0], cv2.CV_32F).std()


@pytest.mark.parametrize("lines", [72, 180])
def test_a_clip_at_other_lines_shows_the_same_scene(lines: int) -> None:
    clip = Clip("one", moving_picture(1, 5))
    scaled, photo = clip.at_lines(lines), Clip("photo", clip.frames[:1]).at_lines(lines)
    assert scaled.size == photo.size == (lines, lines * 4 // 3)
    window = Window((0, 3), 8, 12, 40, 60)
    expected = np.stack([cv2.resize(clip.frames[i], scaled.size[::-1], interpolation=cv2.INTER_AREA) for i in window.indices])[
        :, 8:48, 12:72
    ]
    assert np.abs(cut(scaled, window, STILL).astype(int) - expected).mean() < 3
    assert np.abs(cut(photo, window, STILL).astype(int)[0] - expected[0]).mean() < 3


def test_scenes_are_shown_at_360_to_1080_lines() -> None:
    large, small = (Clip(name, np.zeros((2, lines, lines * 4 // 3, 3), np.uint8)) for name, lines in (("large", 1080), ("small", 300)))
    source = Source((large, small), SOURCE.vocabulary, 1)
    made = [random_scene(source, np.random.default_rng(seed), None, photo_share=0) for seed in range(40)]
    assert {scene.height for scene in made if scene.clip.name == "large"} == set(scenes.LINES)
    assert {scene.height for scene in made if scene.clip.name == "small"} == {360}


def test_half_of_the_photos_are_single_pictures_compressed_as_such_with_a_mark_in_them() -> None:
    source = Source(SOURCE.clips[2:], SOURCE.vocabulary, 1)
    made = [random_scene(source, np.random.default_rng(seed), {"fading": 0.5, "drifter": 0.5}, photo_share=1) for seed in range(30)]
    pictures = [scene for scene in made if scene.is_picture]
    assert 8 < len(pictures) < 22
    for scene in pictures:
        assert scene.mark is not None
        assert scene.mark.visible() == [0]
        assert (scene.camera, scene.other, scene.passing_object) == (STILL, None, None)
    sample = next(s for s in (segmenter_sample(source, index, size=64) for index in range(20)) if (s["frames"] == s["frames"][:1]).all())
    assert not (sample["target"] != sample["target"][:1]).any()


def test_a_picture_is_compressed_with_the_loss_of_its_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = moving_picture(1, 1, 128, 160)[0]
    grain = np.clip(frame + np.random.default_rng(1).normal(0, 12, frame.shape), 0, 255).astype(np.uint8)
    losses = {}
    for quality in (60, 95):
        monkeypatch.setattr(augment, "PICTURE_QUALITY", (quality, quality))
        coded = [augment.as_picture(grain, np.random.default_rng(seed)) for seed in range(12)]
        assert all(picture.shape == grain.shape for picture in coded)
        losses[quality] = float(np.mean([np.abs(picture.astype(int) - grain).mean() for picture in coded]))
    assert 0 < losses[95] < 0.8 * losses[60] < 20
