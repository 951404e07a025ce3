"""Files that are stored turned: seen, pointed at and reported as they are shown, and stored again as they were."""

from dataclasses import astuple
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from service.inference import fake
from service.pipeline.io.decode import decode
from service.pipeline.io.probe import probe
from service.pipeline.io.smear import mask_from_smear
from service.pipeline.placement import Box
from service.pipeline.report.report import Report
from service.pipeline.request import Request
from service.pipeline.run import clean
from service.pipeline.video import Frame, Limits
from service.timed_box import parse_box
from tests.footage import Picture, marked, scene
from tests.turned import ORIENTATIONS, samples_of, shown, write_photo, write_turned_film
from tests.video.clips import read_first_frame

LIMITS = Limits()
NETWORKS = fake.networks()
WIDTH, HEIGHT = 128, 96
MARK, BOX, PAINTED = Box(40, 16, 72, 40), Box(4, 60, 28, 84), Box(96, 66, 122, 90)  # no orientation maps one of them to itself
TURNED = [orientation for orientation in ORIENTATIONS if orientation > 1]


def story(frames: int) -> list[Picture]:
    return [marked(scene(i, WIDTH, HEIGHT), MARK) for i in range(frames)]


def cleaned(source: Path, orientation: int) -> tuple[Report, Path]:
    """What a person asks who sees the picture upright: a mark is found, there is a box, and strokes are painted.

    The strokes are stored turned too, as by a program that keeps the tag.
    """
    painted = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    painted[PAINTED.slices] = 128
    smear, mask = write_photo(source.with_name("smear.png"), painted, orientation), source.with_name("strokes.png")
    mask_from_smear(smear, mask, (WIDTH, HEIGHT), LIMITS)
    request = Request(boxes=(parse_box(",".join(map(str, astuple(BOX)))),), mask=mask)
    target = source.with_name(f"clean{source.suffix}")
    return clean(source, target, request, NETWORKS), target


def places(report: Report) -> list[tuple[object, ...]]:
    return [(p.kind, p.first_frame, p.last_frame, p.box, p.mask.tobytes()) for p in report.placements]


@pytest.fixture(scope="module")
def upright_photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Picture]:
    """The report and the clean picture of the photo that is stored upright."""
    report, target = cleaned(write_photo(tmp_path_factory.mktemp("photo") / "upright.png", story(1)[0], 1), 1)
    with Image.open(target) as image:
        return report, np.asarray(image)


@pytest.mark.parametrize("orientation", TURNED)
def test_a_turned_photo(tmp_path: Path, orientation: int, upright_photo: tuple[Report, Picture]) -> None:
    """The same marks, and pixel by pixel the same picture, stored as the source was."""
    source = write_photo(tmp_path / "turned.png", story(1)[0], orientation)
    report, target = cleaned(source, orientation)
    assert sorted(p.kind for p in report.placements) == ["overlay", "user", "user"]
    assert places(report) == places(upright_photo[0])
    with Image.open(target) as after, Image.open(source) as before:
        assert after.getexif()[ExifTags.Base.Orientation] == orientation
        assert after.size == before.size
        np.testing.assert_array_equal(shown(np.asarray(after), orientation), upright_photo[1])
        changed = (shown(np.asarray(after), orientation) != shown(np.asarray(before), orientation)).any(2)
    assert all(changed[box.slices].mean() > 0.9 for box in (MARK, BOX, PAINTED))
    for box in (MARK, BOX, PAINTED):
        changed[box.expanded(4, WIDTH, HEIGHT).slices] = False
    assert not changed.any()


@pytest.fixture(scope="module")
def upright_film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Picture]:
    """The report and the clean pictures (frames, h, w, 3) of the film that is stored upright."""
    report, target = cleaned(write_turned_film(tmp_path_factory.mktemp("film") / "upright.mp4", story(8), 1), 1)
    return report, rgb(target)


@pytest.mark.parametrize("orientation", TURNED)
def test_a_turned_video(tmp_path: Path, orientation: int, upright_film: tuple[Report, Picture]) -> None:
    """The same marks; the same pictures, as far as the encoder keeps them; the same size and tag."""
    source = write_turned_film(tmp_path / "turned.mp4", story(8), orientation)
    report, target = cleaned(source, orientation)
    assert places(report) == places(upright_film[0])
    before, after = read_first_frame(source), read_first_frame(target)
    assert (after.width, after.height) == (before.width, before.height)
    assert probe(target, LIMITS).display_matrix == probe(source, LIMITS).display_matrix != ()
    truth, pictures = np.stack([scene(i, WIDTH, HEIGHT) for i in range(8)]), rgb(target)
    assert len(report.placements) == 3
    for placement in report.placements:
        where = (slice(None), *placement.box.slices)
        assert psnr(pictures[where], truth[where]) == pytest.approx(psnr(upright_film[1][where], truth[where]), abs=0.1)
    assert np.abs(pictures.astype(int) - upright_film[1]).mean() < 2


def frames_of(path: Path) -> list[Frame]:
    with decode(path, probe(path, LIMITS), LIMITS) as frames:
        return list(frames)


def rgb(path: Path) -> Picture:
    """(frames, h, w, 3), as shown; the films are stored as RGB."""
    return np.stack([np.stack([red, green, blue], -1) for green, blue, red in (frame.planes for frame in frames_of(path))]).astype(np.uint8)


def psnr(pictures: Picture, truth: Picture) -> float:
    """In dB."""
    return float(10 * np.log10(255**2 / ((pictures.astype(float) - truth) ** 2).mean()))


@pytest.mark.parametrize(("orientation", "form"), [(3, "yuv420p"), (6, "yuv420p"), (2, "yuv422p"), (5, "yuv422p"), (7, "yuv444p")])
def test_planes_are_turned_without_loss(tmp_path: Path, orientation: int, form: str) -> None:
    """Chroma that is halved across in the file is halved down in the upright picture, if that is stored lying."""
    pictures = story(3)
    turned = frames_of(write_turned_film(tmp_path / "turned.mp4", pictures, orientation, form))
    shown_form = "yuv440p" if form == "yuv422p" and orientation > 4 else form
    for frame, picture in zip(turned, pictures, strict=True):
        expected = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=shown_form)
        for ours, theirs in zip(frame.planes, expected.planes, strict=True):
            np.testing.assert_array_equal(ours, samples_of(theirs))
            assert ours.flags.c_contiguous


def test_chroma_of_a_lying_picture(tmp_path: Path) -> None:
    """A 4:2:2 file comes back as 4:2:2, with the mark removed where it was seen."""
    source = write_turned_film(tmp_path / "turned.mp4", story(8), 6, "yuv422p")
    report, target = cleaned(source, 6)
    (found,) = (placement for placement in report.placements if placement.kind == "overlay")
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[found.box.slices] = found.mask > 0.5
    assert mask[MARK.slices].mean() > 0.9
    assert mask.sum() < 1.2 * MARK.width * MARK.height
    before, after = probe(source, LIMITS), probe(target, LIMITS)
    assert (after.orientation, after.width, after.height, after.pixel_format) == (6, WIDTH, HEIGHT, before.pixel_format)
    for marked_frame, clean_frame in zip(frames_of(source), frames_of(target), strict=True):
        inner = clean_frame.planes[0][MARK.top + 2 : MARK.bottom - 2, MARK.left + 2 : MARK.right - 2]
        assert np.abs(inner.astype(int) - 126).max() < 8  # the fake network's grey
        assert np.abs(clean_frame.planes[0][:12].astype(int) - marked_frame.planes[0][:12]).mean() < 2
