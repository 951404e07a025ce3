"""Synthetic marks: the properties of each kind, on any canvas."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.footage import scene
from tests.material import FONT, small_vocabulary
from training import captions, glyphs
from training.benchmark_marks import BENCHMARK_KINDS
from training.caption_marks import CAPTION_KINDS
from training.generator_marks import GENERATOR_KINDS
from training.overlays import OVERLAY_KINDS
from training.vocabulary import Vocabulary
from training.watermarks import KINDS, Mark, Patch, apply, draw, placed

WIDTH, HEIGHT, FRAMES = 320, 180, 170
VOCABULARY = small_vocabulary()

# frames 10 and 45 of the benchmark's marks with fixed words: left, top, height, width, sum of alpha, sum of alpha x colour
FINGERPRINTS: dict[str, list[tuple[float, ...]]] = {
    "moving": [(238, 90, 17, 66, 122.4, 362.4), (238, 90, 17, 66, 122.2, 361.9)],
    "moving_name": [(238, 90, 30, 66, 170.4, 506.5), (238, 90, 30, 66, 170.2, 506.0)],
    "corner": [(247, 7, 18, 66, 179.4, 422.3)] * 2,
    "faint": [(43, 71, 38, 234, 642.6, 1903.5)] * 2,
    "tiled": [(0, 0, 180, 320, 974.5, 1022.6)] * 2,
    "subtitle": [(124, 154, 15, 73, 469.0, 350.5)] * 2,
    "subtitle_chinese": [(150, 153, 16, 20, 145.2, 96.2)] * 2,
}


def drawn(kind: str, seed: int = 1, frames: int = FRAMES) -> Mark:
    return draw(kind, np.random.default_rng(seed), WIDTH, HEIGHT, frames, VOCABULARY)


def patches(mark: Mark) -> list[Patch]:
    """The distinct patches."""
    return list({id(patch): patch for patch in mark.patches if patch is not None}.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (96, 64), (641, 361)])
def test_alpha_and_colour_are_in_range_and_the_mark_is_visible(kind: str, size: tuple[int, int]) -> None:
    for seed in range(3):
        mark = draw(kind, np.random.default_rng(seed), *size, 40, VOCABULARY)
        assert (mark.kind, len(mark.patches)) == (kind, 40)
        shown = 0.0
        for patch in patches(mark):
            assert patch.colour.shape == (*patch.alpha.shape, 3)
            assert patch.alpha.dtype == patch.colour.dtype == np.float32
            assert 0 <= patch.alpha.min() <= patch.alpha.max() <= 1.0001
            assert 0 <= patch.colour.min() <= patch.colour.max() <= 1.0001
            shown = max(shown, float(placed(patch, size[1], size[0], 0, 0)[0].max()))
        assert shown > 0.01 or kind in ("fading", "scene_text")  # these may be outside or absent


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_mark(kind: str) -> None:
    for one, other in zip(drawn(kind, 5).patches, drawn(kind, 5).patches, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.left, one.top) == (other.left, other.top)
            np.testing.assert_array_equal(one.alpha, other.alpha)
            np.testing.assert_array_equal(one.colour, other.colour)


@pytest.mark.parametrize("kind", FINGERPRINTS)
def test_the_benchmarks_marks_never_change(kind: str) -> None:
    """Otherwise results of different dates could not be compared. Sums, not bytes, as processors round the last bit differently."""
    words = Vocabulary(("Alder", "two words"), ("视频",), ("A line of text", "Another line"), ("字幕",), (FONT,), (FONT,))
    mark = draw(kind, np.random.default_rng(7), WIDTH, HEIGHT, 90, words)
    for index, expected in zip((10, 45), FINGERPRINTS[kind], strict=True):
        patch = mark.patches[index]
        assert patch is not None
        sums = float(patch.alpha.sum()), float((patch.alpha[..., None] * patch.colour).sum())
        assert (patch.left, patch.top, *patch.alpha.shape) == expected[:4]
        assert sums == pytest.approx(expected[4:], rel=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_of_an_interval_show_the_mark_at_one_place(kind: str) -> None:
    for seed in range(4):
        mark = drawn(kind, seed, frames=60)
        assert mark.visible() == [i for i, patch in enumerate(mark.patches) if patch is not None]
        for anchor in mark.visible()[::17]:
            interval = mark.interval_of(anchor)
            assert anchor in interval
            assert set(interval) <= set(mark.visible())
            middles = np.array([_middle(mark.patches[i]) for i in interval])
            room = 20 if kind.startswith("moving") else 4  # its word and name sink and disappear; other marks tremble by a pixel
            assert np.ptp(middles, axis=0).max() <= room or kind in ("several", "clock", "crawl")


def _middle(patch: Patch | None) -> tuple[float, float]:
    assert patch is not None
    return patch.top + patch.alpha.shape[0] / 2, patch.left + patch.alpha.shape[1] / 2


def test_a_frame_has_the_same_patch_by_index_slice_and_iteration() -> None:
    mark = drawn("bouncing", 3)
    alone, listed, sliced = mark.patches[5], list(mark.patches)[5], mark.patches[4:6][1]
    assert alone is not None
    for other in (listed, sliced, mark.patches[5 - FRAMES]):
        assert other is not None
        assert (other.left, other.top) == (alone.left, alone.top)
        np.testing.assert_array_equal(other.alpha, alone.alpha)


@pytest.mark.parametrize("kind", [*OVERLAY_KINDS, *GENERATOR_KINDS, *CAPTION_KINDS])
def test_training_marks_vary_in_opacity_and_lie_in_the_picture(kind: str) -> None:
    peaks, inside = [], []
    for seed in range(12):
        mark = drawn(kind, seed, frames=30)
        patch = mark.patches[mark.visible()[-1]]
        assert patch is not None
        peaks.append(float(patch.alpha.max()))
        inside.append(float(placed(patch, HEIGHT, WIDTH, 0, 0)[0].sum() / max(float(patch.alpha.sum()), 1e-6)))
    assert np.ptp(peaks) > 0.1 or kind in ("crawl", "karaoke")
    assert np.median(inside) > (0.9 if kind == "credits_roll" else 0.95)  # a roll of credits is as long as a page


def test_every_star_can_be_drawn_with_its_small_copy() -> None:
    for seed in range(300):
        assert drawn("star", seed, frames=1).patches[0] is not None


def test_a_bouncing_logo_moves_within_the_picture() -> None:
    for seed in range(5):
        mark = drawn("bouncing", seed)
        places = [(p.left, p.top) for p in mark.patches if p is not None]
        assert len(set(places)) > 20
        assert all(-1 <= left <= WIDTH and -1 <= top <= HEIGHT for left, top in places)
        assert max(abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in pairwise(places)) <= 10


def test_a_crawling_line_moves_left() -> None:
    band = drawn("crawl", 2).patches
    one, other = band[0], band[1]
    assert one is not None
    assert other is not None
    shifts = [np.abs(one.alpha[:, 8:] * one.colour[:, 8:, 0] - _shifted(other, shift)).mean() for shift in range(8)]
    assert 1 <= int(np.argmin(shifts)) <= 7


def _shifted(patch: Patch, shift: int) -> np.ndarray:
    shown = patch.alpha * patch.colour[..., 0]
    return shown[:, 8 - shift : shown.shape[1] - shift]


def test_a_clock_advances_every_second_and_a_frame_counter_every_frame() -> None:
    steps = set()
    for seed in range(20):
        readings = captions.clock(np.random.default_rng(seed), 120)
        steps.add(sum(a != b for a, b in pairwise(readings)))
        assert readings == sorted(readings) or max(readings) > min(readings)
    assert min(steps) in (3, 4)
    assert max(steps) == 119


def test_missing_glyphs_of_a_font_are_detected() -> None:
    assert glyphs.covers(FONT, "Привет Việt")
    assert not glyphs.covers(FONT, "東京")


def test_spacing_widens_a_word_and_small_capitals_change_its_height() -> None:
    plain, wide = glyphs.lettered("Harbor", FONT, 40), glyphs.lettered("Harbor", FONT, 40, spacing_pixels=10)
    assert wide.shape[1] == pytest.approx(plain.shape[1] + 50, abs=2)
    assert wide.sum() == pytest.approx(plain.sum(), rel=0.02)
    capitals, small = glyphs.lettered("xxx", FONT, 40, small_caps=False), glyphs.lettered("xxx", FONT, 40, small_caps=True)
    assert capitals.shape[0] != small.shape[0]


def test_every_kind_is_either_the_benchmarks_or_for_training() -> None:
    assert len({*BENCHMARK_KINDS, *OVERLAY_KINDS, *GENERATOR_KINDS, *CAPTION_KINDS}) == len(KINDS)
    assert (*BENCHMARK_KINDS, *OVERLAY_KINDS, *GENERATOR_KINDS, *CAPTION_KINDS) == KINDS


def test_a_moving_mark_jumps_between_three_places_and_is_absent_for_a_frame() -> None:
    mark = drawn("moving", frames=260)
    spots = {(p.left < WIDTH / 2, round(p.top / HEIGHT * 5)) for p in mark.patches if p is not None}
    assert len(spots) == 3
    absent = [i for i, p in enumerate(mark.patches) if p is None]
    assert 2 <= len(absent) <= 5
    assert all(b - a >= 60 for a, b in pairwise(absent))


@pytest.mark.parametrize("kind", ["corner", "faint", "tiled", "badge"])
def test_a_static_mark_is_one_patch(kind: str) -> None:
    assert len(patches(drawn(kind))) == 1


def test_a_faint_mark_is_faint_and_a_corner_logo_is_opaque_at_the_top_right() -> None:
    (faint,), (corner,) = patches(drawn("faint")), patches(drawn("corner"))
    assert 0.25 < faint.alpha.max() < 0.45
    assert corner.alpha.max() > 0.95
    assert corner.left > WIDTH / 2
    assert corner.top < HEIGHT / 3


def test_a_tiled_mark_covers_every_quarter() -> None:
    (tiled,) = patches(drawn("tiled"))
    alpha, _ = placed(tiled, HEIGHT, WIDTH, 0, 0)
    half_y, half_x = HEIGHT // 2, WIDTH // 2
    assert all(
        part.max() > 0.3 for part in (alpha[:half_y, :half_x], alpha[:half_y, half_x:], alpha[half_y:, :half_x], alpha[half_y:, half_x:])
    )


@pytest.mark.parametrize("kind", ["subtitle", "subtitle_chinese"])
def test_subtitles_lie_at_the_bottom_and_change(kind: str) -> None:
    lines = patches(drawn(kind))
    assert len(lines) >= 2
    assert all(line.top > HEIGHT / 2 and line.alpha.max() > 0.95 for line in lines)


def test_scene_text_drifts() -> None:
    places = {(p.left, p.top) for p in drawn("scene_text").patches if p is not None}
    assert len(places) > 10


@settings(max_examples=30, deadline=None)
@given(st.integers(-60, 130), st.integers(-40, 100), st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60))
def test_a_window_equals_that_part_of_the_whole_picture(left: int, top: int, window_top: int, window_left: int, h: int, w: int) -> None:
    rng = np.random.default_rng(1)
    patch = Patch(left, top, rng.random((20, 30)).astype(np.float32), rng.random((20, 30, 3)).astype(np.float32))
    whole_alpha, whole_colour = placed(patch, 100, 100, 0, 0)
    alpha, colour = placed(patch, h, w, window_top, window_left)
    window = slice(window_top, window_top + h), slice(window_left, window_left + w)
    np.testing.assert_array_equal(alpha, whole_alpha[window])
    np.testing.assert_array_equal(colour, whole_colour[window])


def test_a_patch_is_blended_inside_its_box_only() -> None:
    picture = scene(0, 80, 60)
    patch = Patch(70, 50, np.full((20, 20), 0.5, np.float32), np.ones((20, 20, 3), np.float32))
    before = picture.copy()
    marked = apply(picture, patch)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(marked[50:, 70:], np.rint(0.5 * picture[50:, 70:] + 127.5).astype(np.uint8))
    marked[50:, 70:] = picture[50:, 70:]
    np.testing.assert_array_equal(marked, picture)
    assert apply(picture, None) is picture
    np.testing.assert_array_equal(apply(picture, Patch(200, 0, patch.alpha, patch.colour)), picture)


def test_a_star_is_of_the_size_that_its_class_has_on_small_and_on_large_pictures() -> None:
    for width, height, rest in ((1280, 720, 48), (1920, 1080, 96)):
        sizes = []
        for seed in range(24):
            (patch,) = patches(draw("star", np.random.default_rng(seed), width, height, 1, VOCABULARY))
            sizes.append(patch.alpha.shape[0])
            assert patch.alpha.max() < 0.95
        assert 0.3 * rest <= min(sizes) < 0.9 * rest < 1.1 * rest < max(sizes) <= 2.2 * rest  # a shadow or a second star adds to it


def test_a_drifter_moves_one_to_six_pixels_a_frame_at_720_lines() -> None:
    left, steps = 0, []
    for seed in range(16):
        mark = draw("drifter", np.random.default_rng(seed), 1280, 720, FRAMES, VOCABULARY)
        places = [(p.left, p.top) if p else None for p in mark.patches]
        left += None in places
        steps += [np.hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(places) if a and b]
        assert len({number for number in mark.intervals or () if number is not None}) > 20
    assert 0.9 <= np.percentile(steps, 10) < 3 < np.percentile(steps, 90) <= 6.8
    assert left  # a straight path leaves the picture


def test_the_words_of_karaoke_change_or_appear_one_after_the_other() -> None:
    grown = 0
    for seed in range(6):
        mark = draw("karaoke", np.random.default_rng(seed), WIDTH, HEIGHT, 29, VOCABULARY)
        first, last = (placed(mark.patches[i], HEIGHT, WIDTH, 0, 0) for i in (0, 28))
        assert np.abs(first[0][..., None] * first[1] - last[0][..., None] * last[1]).max() > 0.1
        assert last[0].sum() >= first[0].sum() - 1e-3
        grown += last[0].sum() > 1.05 * first[0].sum()
    assert 0 < grown < 6
