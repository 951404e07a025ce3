"""Chroma subsampling undone at the edges of marks: against pictures that were never subsampled."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.arrays import Floats
from service.pipeline.io.probe import probe
from service.pipeline.picture.chroma import ChromaGrid, Stain, at_full_size, edge_of
from service.pipeline.picture.colour import luma_chroma_matrices
from service.pipeline.video import Limits, PixelFormat, VideoInfo
from tests.video.test_composite import described

HEIGHT, WIDTH = 48, 64
INFO = replace(described(WIDTH, HEIGHT, PixelFormat("gbrp", 8, 0, 0)), container="image", decoded_chroma_shifts=(1, 1))
BLUE = np.array([0.2, 0.1, 0.95], np.float32)


def scene(info: VideoInfo = INFO) -> Floats:
    """A smooth scene, teal to ochre: (3, H, W)."""
    across = np.linspace(0, 1, info.width, dtype=np.float32)
    down = np.linspace(0, 1, info.height, dtype=np.float32)[:, None]
    return np.stack([0.3 + 0.3 * across + 0 * down, 0.55 - 0.1 * across * down, 0.5 - 0.3 * across + 0.1 * down]).astype(np.float32)


def letters(opacity: float, info: VideoInfo = INFO) -> Floats:
    """A ring and a bar with smooth edges: opacity (H, W)."""
    drawn = np.zeros((4 * info.height, 4 * info.width), np.float32)
    cv2.circle(drawn, (90, 96), 50, 1, 22)
    cv2.rectangle(drawn, (170, 41), (189, 150), 1, -1)
    return np.asarray(opacity * cv2.resize(drawn, (info.width, info.height), interpolation=cv2.INTER_AREA), np.float32)


def marked(opacity: Floats) -> Floats:
    clean = scene()
    return clean + opacity * (BLUE[:, None, None] - clean)


def subsampled(picture: Floats, info: VideoInfo = INFO) -> Floats:
    """The picture (3, H, W) as 4:2:0 holds it."""
    to_planes, to_rgb = luma_chroma_matrices(info)
    planes = np.tensordot(to_planes, picture, 1)
    planes[1:] = ChromaGrid.at(0, 0, info).mixed(planes[1:])
    return np.asarray(np.tensordot(to_rgb, planes, 1), np.float32)


def stain(opacity: Floats, info: VideoInfo = INFO) -> Stain:
    colour = np.where(opacity > 0, BLUE[:, None, None], 0).astype(np.float32)
    return Stain(opacity > 0, opacity, np.zeros_like(opacity), colour, edge_of(opacity, info.decoded_chroma_shifts))


def chroma_error(picture: Floats, truth: Floats, where: Floats) -> float:
    """Root mean square, of pixels (h, w)."""
    difference = np.tensordot(luma_chroma_matrices(INFO)[0][1:], picture - truth, 1)
    return float(np.sqrt(np.square(difference[:, where > 0]).mean()))


@pytest.mark.parametrize("opacity", [0.35, 0.7, 1.0])
def test_a_marks_edge_has_the_chroma_of_a_picture_that_was_never_subsampled(opacity: float) -> None:
    alpha = letters(opacity)
    truth, stored = marked(alpha), subsampled(marked(alpha))
    found = at_full_size(stored, stain(alpha), ChromaGrid.at(0, 0, INFO), luma_chroma_matrices(INFO))
    edges = edge_of(alpha, INFO.decoded_chroma_shifts) * (alpha < 0.9)
    assert chroma_error(found, truth, edges) < 0.25 * chroma_error(stored, truth, edges)
    luma = luma_chroma_matrices(INFO)[0][0]
    np.testing.assert_allclose(np.tensordot(luma, found, 1), np.tensordot(luma, stored, 1), atol=2e-3)
    np.testing.assert_array_equal(
        found[:, edge_of(alpha, INFO.decoded_chroma_shifts) == 0], stored[:, edge_of(alpha, INFO.decoded_chroma_shifts) == 0]
    )


def test_what_lies_beside_an_opaque_mark_loses_its_colour() -> None:
    alpha = letters(1.0)
    stored = subsampled(marked(alpha))
    beside = (alpha == 0) & (edge_of(alpha, INFO.decoded_chroma_shifts) > 0)
    found = at_full_size(stored, stain(alpha), ChromaGrid.at(0, 0, INFO), luma_chroma_matrices(INFO))
    assert chroma_error(found, scene(), beside) < 0.2 * chroma_error(stored, scene(), beside)


def test_a_picture_that_is_not_subsampled_stays_as_it_is() -> None:
    whole = replace(INFO, decoded_chroma_shifts=(0, 0))
    alpha = letters(0.5)
    picture = marked(alpha)
    assert not edge_of(alpha, whole.decoded_chroma_shifts).any()
    assert at_full_size(picture, stain(alpha, whole), ChromaGrid.at(0, 0, whole), luma_chroma_matrices(whole)) is picture


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 24), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_samples_lie_where_they_lie_in_the_picture(top: int, left: int, height: int, width: int) -> None:
    values = np.random.default_rng(1).random((2, HEIGHT, WIDTH)).astype(np.float32)
    of_picture = ChromaGrid.at(0, 0, INFO).mixed(values)[:, top : top + height, left : left + width]
    of_crop = ChromaGrid.at(top, left, INFO).mixed(values[:, top : top + height, left : left + width])
    inside = (slice(2, -2), slice(2, -2))  # at its border a crop knows less
    np.testing.assert_allclose(of_crop[(..., *inside)], of_picture[(..., *inside)], atol=1e-6)


def test_an_edge_reaches_one_sample_beside_the_mark_and_no_farther() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[12:20, 14:30] = 0.8
    rows, columns = np.nonzero(edge_of(alpha, INFO.decoded_chroma_shifts))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 21, 12, 31)


@pytest.mark.parametrize(
    ("name", "options", "shifts"),
    [
        ("a.jpg", {"subsampling": "4:2:0"}, (1, 1)),
        ("a.jpg", {"subsampling": "4:2:2"}, (0, 1)),
        ("a.jpg", {"subsampling": "4:4:4"}, (0, 0)),
        ("a.webp", {}, (1, 1)),
        ("a.webp", {"lossless": True}, (0, 0)),
        ("a.avif", {"subsampling": "4:2:0"}, (1, 1)),
        ("a.avif", {"subsampling": "4:4:4"}, (0, 0)),
        ("a.png", {}, (0, 0)),
    ],
)
def test_a_picture_is_described_with_the_subsampling_of_its_file(
    tmp_path: Path, name: str, options: dict[str, object], shifts: tuple[int, int]
) -> None:
    picture = Image.fromarray(np.rint(255 * scene().transpose(1, 2, 0)).astype(np.uint8))
    picture.save(tmp_path / name, **options)
    assert probe(tmp_path / name, Limits()).decoded_chroma_shifts == shifts


def test_a_picture_on_its_side_has_its_samples_on_their_side(tmp_path: Path) -> None:
    picture = Image.fromarray(np.rint(255 * scene().transpose(1, 2, 0)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", subsampling="4:2:2", exif=exif)
    assert probe(tmp_path / "turned.jpg", Limits()).decoded_chroma_shifts == (1, 0)
