"""Crops at the size of the video go to the inpainter, and its answers become patches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.references import GRID_PIXELS, REFERENCES
from models.spec import INPAINTER_MULTIPLE
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, Session
from service.inference.fake import FakeEncoder, FakeInpainter
from service.pipeline.picture.tiles import tiles
from service.pipeline.placement import Box, Placement
from service.pipeline.remove.inpaint import Inpainter, feather
from service.pipeline.remove.mark_windows import dilated_hole
from service.pipeline.video import VideoInfo
from tests.footage import BlendOfReferences, EncoderOfEverything, described, film, marked, pan, placement, scene

WIDTH, HEIGHT, TOTAL, DILATION_PIXELS = 128, 96, 20, 2
INFO = described(WIDTH, HEIGHT, frames=TOTAL)
FRAMES = dict(enumerate(film([marked(scene(i), Box(40, 30, 70, 50)) for i in range(TOTAL)])))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 900), st.integers(1, 500), st.integers(40, 208), st.integers(0, 16))
def test_the_weights_of_tiles_add_up_to_one(left: int, top: int, width: int, height: int, size: int, context: int) -> None:
    box = Box(left, top, left + width, top + height)
    total = np.zeros((height, width), np.float32)
    found = tiles(box, size, context)
    assert len({(tile.seen.width, tile.seen.height) for tile in found}) == 1
    for tile in found:
        seen = tile.seen
        total[seen.top - top : seen.bottom - top, seen.left - left : seen.right - left] += tile.weight
        assert tile.weight.min() > 0
        assert box.left <= seen.left < seen.right <= box.right
        assert box.top <= seen.top < seen.bottom <= box.bottom
        assert seen.width <= min(width, size)
        assert seen.height <= min(height, size)
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_tile_fades_into_its_neighbour_and_counts_little_at_its_own_edge() -> None:
    one, other = (tile.weight[0] for tile in tiles(Box(0, 0, 260, 80), size=256, context=24))
    assert (np.diff(one) <= 0).all()
    assert np.abs(np.diff(one)).max() < 1.2 / 48  # nothing changes at once
    assert one[0] == other[-1] == 1
    assert one[-1] < 0.05


def test_tiles_are_as_small_as_their_number_allows() -> None:
    """A box a little too large for one tile becomes two halves with their context, not two full tiles."""
    widths = [tile.seen.width for tile in tiles(Box(0, 0, 260, 80), size=256, context=24)]
    assert widths == [154, 154]


def test_a_small_box_is_one_tile() -> None:
    box = Box(3, 4, 100, 90)
    (tile,) = tiles(box)
    assert tile.seen == box
    assert (tile.weight == 1).all()


@given(st.integers(0, 2**32 - 1))
def test_the_hole_contains_the_mask_and_alpha_stays_inside_the_hole(seed: int) -> None:
    mask = np.random.default_rng(seed).random((24, 30)).astype(np.float32) ** 3
    hole = dilated_hole(mask, DILATION_PIXELS)
    assert set(np.unique(hole)) <= {0.0, 1.0}
    assert (hole[mask > 0.5] == 1).all()
    alpha = feather(hole)
    assert (alpha[hole == 0] == 0).all()
    assert (alpha[hole == 1] > 0).all()
    assert alpha.max() <= 1


def test_the_mask_is_dilated_by_that_many_pixels_and_alpha_is_one_inside() -> None:
    mask = np.zeros((30, 30), np.float32)
    mask[10:20, 10:20] = 1
    rows, columns = np.nonzero(dilated_hole(mask, DILATION_PIXELS))
    first, last = 10 - DILATION_PIXELS, 19 + DILATION_PIXELS
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (first, last, first, last)
    assert (feather(dilated_hole(mask, DILATION_PIXELS))[10:20, 10:20] == 1).all()


def inpainter(marks: Sequence[Placement], session: Session, info: VideoInfo = INFO, encoder: Session | None = None) -> Inpainter:
    return Inpainter(Batcher(encoder or EncoderOfEverything(), BATCH_SIZES), Batcher(session, BATCH_SIZES), marks, info)


def test_patches_are_those_of_the_placements_that_cover_the_frame() -> None:
    early, late = placement(0, 9, Box(40, 30, 70, 50)), placement(8, 19, Box(10, 60, 50, 90))
    patches = inpainter([early, late], FakeInpainter()).patches([7, 8, 12], FRAMES)
    boxes = {index: [patch.box for patch in of_frame] for index, of_frame in patches.items()}
    assert boxes == {7: [early.box], 8: [early.box, late.box], 12: [late.box]}
    for patch in patches[8]:
        assert patch.rgb.shape == (3, patch.box.height, patch.box.width)
        np.testing.assert_allclose(patch.rgb[:, patch.alpha > 0], 0.5)


def test_windows_fit_the_network_and_hold_the_target_and_four_references() -> None:
    session = BlendOfReferences()
    inpainter([placement(0, 19, Box(33, 21, 70, 50))], session).patches([3, 4, 5], FRAMES)
    for shape in session.shapes:
        assert shape[1:3] == (1 + REFERENCES, 1)
        assert shape[3] % INPAINTER_MULTIPLE == shape[4] % INPAINTER_MULTIPLE == 0
    assert sum(shape[0] for shape in session.shapes) == 3


def test_a_black_bar_stays_black_and_is_no_scene_for_the_picture() -> None:
    """A mark that lies half in a bar: black there, restored above, where the bar counts as unknown and not as black scene."""
    pictures = [scene(i) for i in range(6)]
    for picture in pictures:
        picture[70:] = 0
    frames = dict(enumerate(film([marked(picture, Box(40, 60, 80, 80)) for picture in pictures])))
    session = BlendOfReferences()
    ((patch,),) = inpainter([placement(0, 5, Box(36, 56, 84, 84))], session).patches([3], frames).values()
    in_bar = np.arange(patch.box.top, patch.box.bottom) >= 70
    assert (patch.rgb[:, in_bar] == 0).all()
    assert patch.rgb[:, ~in_bar].min() > 0.1


def test_tiles_without_a_marked_pixel_are_skipped() -> None:
    width = 700
    mask = np.zeros((HEIGHT, width), np.float32)
    mask[20:40, 10:60] = 1
    session = BlendOfReferences()
    frames = dict(enumerate(film([scene(i, width, HEIGHT) for i in range(3)])))
    mark = placement(0, 2, Box(0, 0, width, HEIGHT), mask)
    ((patch,),) = inpainter([mark], session, described(width, HEIGHT, frames=3)).patches([1], frames).values()
    assert [shape[0] for shape in session.shapes] == [1]
    assert (patch.rgb[:, patch.alpha > 0] > 0).any()


def test_frames_restored_together_equal_frames_restored_one_after_the_other() -> None:
    marks = [placement(0, 19, Box(40, 30, 70, 50)), placement(4, 15, Box(60, 20, 90, 60))]
    together = inpainter(marks, BlendOfReferences()).patches(range(TOTAL), FRAMES)
    one_by_one = inpainter(marks, BlendOfReferences())
    for index in range(TOTAL):
        alone = one_by_one.patches([index], FRAMES)
        for one, other in zip(together[index], alone[index], strict=True):
            np.testing.assert_allclose(one.rgb, other.rgb, atol=1e-6)
            np.testing.assert_array_equal(one.alpha, other.alpha)


def test_parts_of_one_mark_are_restored_together() -> None:
    box, session = Box(40, 30, 70, 50), BlendOfReferences()
    left, right = np.zeros((2, box.height, box.width), np.float32)
    left[5:15, 3:10], right[5:15, 20:27] = 1, 1
    ((patch,),) = inpainter([placement(0, 9, box, left), placement(4, 19, box, right)], session).patches([6], FRAMES).values()
    assert session.shapes[0][0] == 1
    np.testing.assert_array_equal(patch.alpha > 0, dilated_hole(left + right, DILATION_PIXELS) > 0)


@dataclass
class PieceRecorder(FakeEncoder):
    """An encoder that records the pieces of frames that it sees."""

    pieces: list[Arrays] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        self.pieces += [{name: value[i] for name, value in inputs.items()} for i in range(len(inputs["frame"]))]
        return super().run(inputs)


@pytest.mark.parametrize("mark_box", [Box(40, 30, 70, 50), Box(0, 0, 128, 96)])
def test_a_frame_of_a_still_scene_is_encoded_once(mark_box: Box) -> None:
    frames = dict(enumerate(film([marked(scene(0), mark_box)] * TOTAL)))
    encoder = PieceRecorder()
    whole = inpainter([placement(0, TOTAL - 1, mark_box)], FakeInpainter(), encoder=encoder)
    for start in range(0, TOTAL, 4):
        whole.patches(range(start, start + 4), frames)
    assert len(encoder.pieces) == TOTAL


def test_a_panning_camera_shares_encodings_too() -> None:
    frames, box = dict(enumerate(film(pan(3, 60, (1, 2))))), Box(40, 30, 70, 50)
    encoder, blend = PieceRecorder(), BlendOfReferences()
    inpainter([placement(0, 59, box)], blend, described(WIDTH, HEIGHT, frames=60), encoder).patches(range(20, 40), frames)
    used = sum(shape[0] * shape[1] for shape in blend.shapes)
    assert used == 20 * (1 + REFERENCES)
    assert len(encoder.pieces) < 0.9 * used


@pytest.mark.parametrize("jump", [10, 3])
def test_an_uncovered_frame_across_a_jump_is_chosen(jump: int) -> None:
    """Before the jump the mark was elsewhere. Nothing moves, so a frame from before shows what the mark hides now."""
    before, after, target, total = Box(120, 84, 184, 132), Box(16, 16, 80, 64), 30, 60
    still = pan(1, 1, (0, 0), 192, 144)[0]
    mask = np.zeros((after.height, after.width), np.float32)
    mask[16:-16, 16:-16] = 1
    inner = [Box(box.left + 16, box.top + 16, box.right - 16, box.bottom - 16) for box in (before, after)]
    frames = dict(enumerate(film([marked(still, inner[i >= jump]) for i in range(total)])))
    marks, encoder = [placement(0, jump - 1, before, mask), placement(jump, total - 1, after, mask)], PieceRecorder()
    inpainter(marks, FakeInpainter(), described(192, 144, frames=total), encoder).patches([target], frames)
    uncovered = [piece for piece in encoder.pieces if not piece["mask"].any()]
    assert uncovered
    for piece in uncovered:
        np.testing.assert_allclose(piece["frame"] * 255, still[after.slices].transpose(2, 0, 1), atol=0.01)


def test_marked_pixels_of_a_reference_are_always_in_its_mask() -> None:
    """Also where the scene is followed beyond the edge of the picture."""
    box, encoder = Box(0, 8, 48, 40), PieceRecorder()
    frames = dict(enumerate(film([marked(picture, box) for picture in pan(1, 60, (0, 2))])))
    marks, info = [placement(0, 59, box)], described(WIDTH, HEIGHT, frames=60)
    inpainter(marks, FakeInpainter(), info, encoder).patches(range(20, 40, 5), frames)
    assert encoder.pieces
    for piece in encoder.pieces:
        white = piece["frame"].min(0, keepdims=True) > 0.99
        assert white.any()
        assert (piece["mask"][white] == 1).all()
        assert (piece["opacity"][white] == 1).all()


@dataclass
class ShiftedLuma(Session):
    """An inpainter that answers with the target and records how well each reference, moved by its shift, agrees with it."""

    errors: list[float] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        inner = slice(16, -16), slice(16, -16)
        for window, shift in zip(inputs["luma"][:, :, 0], inputs["shift"], strict=True):
            for luma, (dx, dy) in zip(window[1:], np.rint(shift[1:]).astype(int), strict=True):
                assert max(abs(dx), abs(dy)) <= GRID_PIXELS // 2
                self.errors.append(float(np.abs(np.roll(luma, (-dy, -dx), (0, 1)) - window[0])[inner].mean()))
        return {"clean": inputs["frame"]}


@pytest.mark.parametrize("step", [(0, 0), (1, 0), (0, -3), (2, 5)])
def test_the_shift_leads_from_the_target_to_the_same_content_in_each_reference(step: tuple[int, int]) -> None:
    frames, box, network = dict(enumerate(film(pan(5, 50, step, 192, 160)))), Box(48, 40, 144, 120), ShiftedLuma()
    mask = np.zeros((box.height, box.width), np.float32)
    mask[36:44, 44:52] = 1
    inpainter([placement(0, 49, box, mask)], network, described(192, 160, frames=50), FakeEncoder()).patches([25], frames)
    assert len(network.errors) == REFERENCES
    assert max(network.errors) < 0.01


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_videos_have_references(total: int) -> None:
    mark = placement(0, total - 1, Box(40, 30, 70, 50))
    frames, info = {i: FRAMES[i] for i in range(total)}, described(WIDTH, HEIGHT, frames=total)
    patches = inpainter([mark], BlendOfReferences(), info).patches(range(total), frames)
    assert all(np.isfinite(patch.rgb).all() for (patch,) in patches.values())


@given(st.sampled_from([1, 2]), st.integers(0, 10**6))
def test_the_feathered_edge_lies_outside_the_mark(dilation_pixels: int, seed: int) -> None:
    """Whatever the shape of the mark, all of its pixels are replaced completely."""
    mask = (np.random.default_rng(seed).random((24, 24)) > 0.9).astype(np.float32)
    mask = np.pad(mask, 4)
    assert (feather(dilated_hole(mask, dilation_pixels))[mask > 0] > 0.999).all()
