"""What moves unlike the scene is found by its pixels, and looked at along its motion: compared with how it was drawn."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.inference.batcher import Batcher
from service.pipeline.locate.second_motion import looks_along, own_motions
from service.pipeline.marks.agreement import DETAIL_PIXELS
from tests.footage import Picture, texture
from tests.unit.standing import SeesWhatStands

WIDTH, HEIGHT, COUNT, REACH = 288, 192, 4, 20
WORD = np.kron(np.random.default_rng(3).random((6, 20)) > 0.5, np.ones((3, 3), np.float32)).astype(np.float32)


def scene(seed: int, index: int, pan: tuple[float, float]) -> NDArray[np.float32]:
    """(h, w, 3) of a camera that pans."""
    wide = texture(seed, WIDTH + 160, HEIGHT + 160)
    move = np.array([[1, 0, 80 + index * pan[1]], [0, 1, 80 + index * pan[0]]], np.float64)
    return np.asarray(cv2.warpAffine(wide, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP), np.float32)


def with_word(picture: NDArray[np.float32], top: float, left: float) -> Picture:
    """A half-transparent white word, between pixels."""
    alpha = np.pad(WORD * np.float32(0.5), ((0, HEIGHT - WORD.shape[0]), (0, WIDTH - WORD.shape[1])))
    shifted = cv2.warpAffine(alpha, np.array([[1, 0, left], [0, 1, top]], np.float64), (WIDTH, HEIGHT))[..., None]
    return np.rint(255 * (picture + shifted * (1 - picture))).clip(0, 255).astype(np.uint8)


def plain(picture: NDArray[np.float32]) -> Picture:
    return np.rint(255 * picture).clip(0, 255).astype(np.uint8)


MOTIONS = st.tuples(st.floats(-9, 9), st.floats(-9, 9)).filter(lambda motion: max(map(abs, motion)) > 3)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), MOTIONS, st.sampled_from([(0.0, 0.0), (1.0, -2.0), (-1.4, 0.7)]))
def test_a_words_own_motion_is_the_most_evident_and_exact(seed: int, motion: tuple[float, float], pan: tuple[float, float]) -> None:
    apart = np.abs(np.add(motion, pan)).max()  # a pan shows the scene moving the other way
    top, left = 80.0, 110.0
    pictures = [with_word(scene(seed, i, pan), top + i * motion[0], left + i * motion[1]) for i in range(COUNT)]
    found = own_motions(pictures, REACH)
    if apart > 3:
        (dy, dx), tile = found[0].motion, found[0].tile
        assert max(abs(dy - motion[0]), abs(dx - motion[1])) < 0.5
        near = DETAIL_PIXELS + np.abs(motion)  # fine detail reaches beyond a word, and the difference of two pictures shows it twice
        middle = np.array([top, left]) + motion + np.array(WORD.shape) / 2
        assert (
            np.abs(middle - [(tile.top + tile.bottom) / 2, (tile.left + tile.right) / 2]) <= near + np.add(WORD.shape, (48, 96)) / 2
        ).all()


@pytest.mark.parametrize("pan", [(0.0, 0.0), (3.0, -5.0)])
def test_a_scene_under_a_moving_camera_has_no_motion_of_its_own(pan: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 2 / 255, (COUNT, HEIGHT, WIDTH, 3)).astype(np.float32)  # as that of a codec
    assert own_motions([plain(scene(4, i, pan) + noise[i]) for i in range(COUNT)], REACH) == []


def test_it_is_looked_at_along_its_motion() -> None:
    network = Batcher(SeesWhatStands(), (1,), 1)
    pictures = []
    for index in range(COUNT):
        picture = plain(scene(7, index, (0.0, 0.0)))
        picture[60 + 4 * index : 84 + 4 * index, 90 + 6 * index : 140 + 6 * index] = 255
        pictures.append(picture)
    looks = looks_along(pictures, REACH, network, frozenset({"overlay"}))
    seen = np.zeros((HEIGHT, WIDTH), bool)
    for look in looks:
        assert look.probability.shape == (COUNT, look.box.height, look.box.width)
        seen[look.box.slices] |= look.probability[-1] > 0.5
    truth = np.zeros_like(seen)
    truth[72:96, 108:158] = True
    assert (seen & truth).sum() > 0.8 * truth.sum()
    assert (seen & ~truth).sum() == 0
