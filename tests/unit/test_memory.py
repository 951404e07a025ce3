"""What a job keeps in memory follows from one setting."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from models.arrays import Mask
from service.inference import fake
from service.pipeline.extent.time_extent import find_extents
from service.pipeline.marks.candidate import Candidate, Tiled
from service.pipeline.marks.mark_model import MarkModel
from service.pipeline.marks.plan import plan_frames
from service.pipeline.measure.measure import MeasuredMark, measure
from service.pipeline.placement import Box
from service.pipeline.video import Limits
from tests.footage import Picture, described, film, scene

MIB = 2**20
WIDTH, HEIGHT, FRAMES = 960, 540, 12
WORD_PIXELS, STEP_PIXELS = (12, 60), (80, 160)
TILED = Tiled(0.5, ((STEP_PIXELS[0], 0.0), (0.0, STEP_PIXELS[1])))


def words(height: int, width: int) -> Mask:
    """(height, width): bars all over the picture."""
    mask = np.zeros((height, width), bool)
    for top in range(10, height - WORD_PIXELS[0], STEP_PIXELS[0]):
        for left in range(10, width - WORD_PIXELS[1], STEP_PIXELS[1]):
            mask[top : top + WORD_PIXELS[0], left : left + WORD_PIXELS[1]] = True
    return mask


def candidate(height: int, width: int, first: int, last: int, slack: int = 2) -> Candidate:
    """A tiled mark that fills the picture."""
    probability = words(height, width).astype(np.float32)
    return Candidate(Box(0, 0, width, height), probability, first, last, 1.0, "overlay", slack, TILED)


def with_words(picture: Picture) -> Picture:
    copy = picture.copy()
    copy[words(*picture.shape[:2])] = 255
    return copy


def test_a_large_mark_is_read_from_fewer_frames_where_memory_is_short() -> None:
    one = candidate(HEIGHT, WIDTH, 0, 99)
    counts = [len(plan_frames(one, [one], 100, Limits(memory_bytes=m * MIB).crop_pixels).marked_frames) for m in (256, 1024, 4096)]
    assert counts == [4, 11, 12]


def test_a_tiled_mark_comes_and_goes_as_a_whole_though_its_middle_alone_is_looked_at() -> None:
    height, width = 660, 800
    bare = [scene(index, width, height) for index in range(20)]
    pictures = [with_words(picture) if 6 <= index <= 13 else picture for index, picture in enumerate(bare)]
    info, mask = described(width, height, frames=20), words(height, width)
    plane, white = mask.astype(np.float32), np.ones((3, height, width), np.float32)
    mark = MeasuredMark(candidate(height, width, 7, 12), MarkModel(plane, plane, white, np.zeros_like(plane)), 1.0, 0)
    (placed,) = find_extents(film(pictures), info, [mark], 20)
    assert (placed.first_frame, placed.last_frame) == (6, 13)
    np.testing.assert_array_equal(placed.mask > 0.5, mask)


def measure_a_tiled_mark(memory_bytes: int) -> None:
    """Write by how many bytes measuring raised the peak memory of this process."""
    import resource

    pictures = film([with_words(scene(index, WIDTH, HEIGHT)) for index in range(FRAMES)])
    one = replace(candidate(HEIGHT, WIDTH, 0, FRAMES - 1), slack_frames=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = described(WIDTH, HEIGHT, frames=FRAMES)
    marks = measure(pictures, info, [one], fake.networks(), FRAMES, limits=Limits(memory_bytes=memory_bytes))
    assert len(marks) == 1
    sys.stdout.write(str(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


@pytest.mark.parametrize("memory_bytes", [512 * MIB])
def test_measuring_a_mark_that_fills_the_picture_keeps_within_the_setting(memory_bytes: int) -> None:
    code = f"from tests.unit.test_memory import measure_a_tiled_mark; measure_a_tiled_mark({memory_bytes})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < memory_bytes
