"""Windows of native crops for the inpainter, and its answers as patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import BATCH_SIZES, Batcher
from service.inference.fake import FakeInpainter
from service.pipeline.bound import Measured
from service.pipeline.inpaint import HOLE_MARGIN_PIXELS, Inpainter, feathered, hole, tiles
from service.pipeline.placement import Box
from tests.footage import BlendOfReferences, described, film, marked, placement, scene

WIDTH, HEIGHT, TOTAL = 128, 96, 20
INFO = described(WIDTH, HEIGHT, frames=TOTAL)
FRAMES = dict(enumerate(film([marked(scene(i), Box(40, 30, 70, 50)) for i in range(TOTAL)])))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 900), st.integers(1, 500), st.integers(40, 208), st.integers(0, 16))
def test_the_kept_parts_of_tiles_partition_the_box(left: int, top: int, width: int, height: int, size: int, context: int) -> None:
    box = Box(left, top, left + width, top + height)
    covered = np.zeros((height, width), int)
    for tile in tiles(box, size, context):
        kept, seen = tile.kept, tile.seen
        covered[kept.top - top : kept.bottom - top, kept.left - left : kept.right - left] += 1
        assert box.left <= seen.left <= kept.left < kept.right <= seen.right <= box.right
        assert box.top <= seen.top <= kept.top < kept.bottom <= seen.bottom <= box.bottom
        assert seen.width == min(width, size)
        assert seen.height == min(height, size)
        assert kept.left == box.left or kept.left - seen.left >= context - 1
        assert kept.right == box.right or seen.right - kept.right >= context - 1
    assert (covered == 1).all()


def test_a_small_box_is_one_tile() -> None:
    box = Box(3, 4, 100, 90)
    (tile,) = tiles(box)
    assert tile.seen == tile.kept == box


@given(st.integers(0, 2**32 - 1))
def test_the_hole_holds_the_mask_and_a_margin_and_alpha_stays_in_it(seed: int) -> None:
    mask = np.random.default_rng(seed).random((24, 30)).astype(np.float32) ** 3
    made_anew = hole(mask)
    assert set(np.unique(made_anew)) <= {0.0, 1.0}
    assert (made_anew[mask > 0.5] == 1).all()
    alpha = feathered(made_anew)
    assert (alpha[made_anew == 0] == 0).all()
    assert (alpha[made_anew == 1] > 0).all()
    assert alpha.max() <= 1


def test_the_margin_is_that_wide_and_alpha_is_one_inside() -> None:
    mask = np.zeros((30, 30), np.float32)
    mask[10:20, 10:20] = 1
    rows, columns = np.nonzero(hole(mask))
    margin = HOLE_MARGIN_PIXELS
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10 - margin, 19 + margin, 10 - margin, 19 + margin)
    assert (feathered(hole(mask))[10:20, 10:20] == 1).all()


def test_patches_are_those_of_the_placements_that_cover_the_frame() -> None:
    early, late = Measured(placement(0, 9, Box(40, 30, 70, 50)), {}), Measured(placement(8, 19, Box(10, 60, 50, 90)), {})
    patches = Inpainter(Batcher(FakeInpainter(), BATCH_SIZES), [early, late], INFO, TOTAL).patches([7, 8, 12], FRAMES)
    boxes = {index: [patch.box for patch in of_frame] for index, of_frame in patches.items()}
    assert boxes == {7: [early.placement.box], 8: [early.placement.box, late.placement.box], 12: [late.placement.box]}
    for patch in patches[8]:
        assert patch.rgb.shape == (3, patch.box.height, patch.box.width)
        np.testing.assert_allclose(patch.rgb[:, patch.alpha > 0], 0.5)


def test_windows_fit_the_network_and_hold_the_target_and_four_references() -> None:
    session = BlendOfReferences()
    Inpainter(Batcher(session, BATCH_SIZES), [Measured(placement(0, 19, Box(33, 21, 70, 50)), {})], INFO, TOTAL).patches([3, 4, 5], FRAMES)
    for shape in session.shapes:
        assert shape[1:3] == (5, 3)
        assert shape[3] % INPAINTER_MULTIPLE == shape[4] % INPAINTER_MULTIPLE == 0
    assert sum(shape[0] for shape in session.shapes) == 3


def test_tiles_without_a_marked_pixel_are_left_out() -> None:
    width = 700
    info = described(width, HEIGHT, frames=3)
    mask = np.zeros((HEIGHT, width), np.float32)
    mask[20:40, 10:60] = 1
    session = BlendOfReferences()
    frames = dict(enumerate(film([scene(i, width, HEIGHT) for i in range(3)])))
    mark = Measured(placement(0, 2, Box(0, 0, width, HEIGHT), mask), {})
    ((patch,),) = Inpainter(Batcher(session, BATCH_SIZES), [mark], info, 3).patches([1], frames).values()
    assert [shape[0] for shape in session.shapes] == [1]
    assert (patch.rgb[:, patch.alpha > 0] > 0).any()


def test_frames_restored_together_equal_frames_restored_alone() -> None:
    marks = [Measured(placement(0, 19, Box(40, 30, 70, 50)), {}), Measured(placement(4, 15, Box(60, 20, 90, 60)), {})]
    together = Inpainter(Batcher(BlendOfReferences(), BATCH_SIZES), marks, INFO, TOTAL).patches(range(TOTAL), FRAMES)
    for index in range(TOTAL):
        alone = Inpainter(Batcher(BlendOfReferences(), BATCH_SIZES), marks, INFO, TOTAL).patches([index], FRAMES)
        for one, other in zip(together[index], alone[index], strict=True):
            np.testing.assert_allclose(one.rgb, other.rgb, atol=1e-6)
            np.testing.assert_array_equal(one.alpha, other.alpha)


def test_a_kept_crop_stands_in_for_a_reference_that_is_far_away() -> None:
    """A stay of 40 frames: its uncovered frame just before lies beyond the frames at hand, and what was kept of it is used."""
    box, total = Box(40, 30, 70, 50), 60
    info = described(WIDTH, HEIGHT, frames=total)
    pictures = [scene(i) if i < 10 else marked(scene(i), box) for i in range(total)]
    frames = dict(enumerate(film(pictures)))
    mark = placement(10, 59, box)
    near = {i: frames[i] for i in range(30 - 12, 30 + 13)}
    kept = {8: pictures[8][box.slices].transpose(2, 0, 1)}

    class LastButOne:
        def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            assert inputs["mask"][:, 3].max() == 0  # the reference before the stay is uncovered
            return {"clean": inputs["frames"][:, 3]}

    ((patch,),) = Inpainter(Batcher(LastButOne()), [Measured(mark, kept)], info, total).patches([30], near).values()
    np.testing.assert_allclose(patch.rgb * 255, kept[8], atol=1e-3)


def test_a_marked_reference_is_never_shown_as_an_uncovered_one() -> None:
    """Where nothing was kept of the frame before the stay, a frame at hand serves, and its mask says that it is marked."""
    box, total = Box(40, 30, 70, 50), 60
    frames = dict(enumerate(film([scene(i) if i < 10 else marked(scene(i), box) for i in range(total)])))

    class Honest:
        def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            white = inputs["frames"].min(2, keepdims=True) > 0.99
            assert not (white & (inputs["mask"] == 0)).any()
            return {"clean": inputs["frames"][:, 0]}

    mark = Measured(placement(10, 59, box), {})
    near = {i: frames[i] for i in range(30 - 12, 30 + 13)}
    Inpainter(Batcher(Honest()), [mark], described(WIDTH, HEIGHT, frames=total), total).patches([30], near)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_videos_have_references(total: int) -> None:
    mark = Measured(placement(0, total - 1, Box(40, 30, 70, 50)), {})
    frames = {i: FRAMES[i] for i in range(total)}
    patches = Inpainter(Batcher(BlendOfReferences(), BATCH_SIZES), [mark], described(WIDTH, HEIGHT, frames=total), total).patches(
        range(total), frames
    )
    assert all(np.isfinite(patch.rgb).all() for (patch,) in patches.values())
