"""A detection in a file is exact to the bit, and one that is not ours is refused."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import RequestError
from service.pipeline.placement import Box, Placement
from service.pipeline.report.detection import Detection
from service.pipeline.video import Timeline
from tests.footage import described, placement

RNG = np.random.default_rng(1)
TIMELINE = Timeline(range(900, 990, 3), described(64, 48).time_base)


def measured(sigma: float | None) -> Placement:
    """A mark with no round number in it."""
    box = Box(4, 5, 24, 15)
    mask, opacity, doubt = RNG.random((3, 10, 20), np.float32)
    colour, kept = RNG.random((3, 10, 20), np.float32), RNG.random()
    plain = replace(
        placement(3, 12, box), mask=mask, opacity=opacity, colour=colour, confidence=kept, kind="user", dilation_pixels=0, path="a path"
    )
    return replace(plain, opacity_sigma=doubt if sigma is None else sigma)


@pytest.mark.parametrize("sigma", [None, 0.1])
def test_every_field_of_every_mark_comes_back(tmp_path: Path, sigma: float | None) -> None:
    stored = Detection((measured(sigma), measured(sigma)), TIMELINE, (64, 48))
    stored.save(tmp_path / "detection.npz")
    found = Detection.load(tmp_path / "detection.npz")
    assert (found.size, list(found.timeline.pts), found.timeline.time_base) == ((64, 48), list(TIMELINE.pts), TIMELINE.time_base)
    for before, after in zip(stored.marks, found.marks, strict=True):
        assert after.id == before.id
        for field in fields(Placement):
            one, other = getattr(before, field.name), getattr(after, field.name)
            assert type(one) is type(other)
            np.testing.assert_array_equal(one, other)


def test_no_mark(tmp_path: Path) -> None:
    Detection((), TIMELINE, (64, 48)).save(tmp_path / "detection.npz")
    assert Detection.load(tmp_path / "detection.npz").marks == ()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY", b"a text"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "detection.npz").write_bytes(content)
    with pytest.raises(RequestError, match="cannot be read"):
        Detection.load(tmp_path / "detection.npz")


def test_another_picture_is_refused() -> None:
    detection = Detection((), TIMELINE, (64, 48))
    detection.check(described(64, 48))
    with pytest.raises(RequestError, match="of a picture of 64x48, not 48x64"):
        detection.check(described(48, 64))
