"""Turns photos into clips with a virtual camera that pans, zooms, rotates and tilts."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Place = tuple[int, int, int, int]  # a window of a photo: top, left, height, width, in pixels

MIN_PAN_PIXELS = 0.8  # per frame; slower motion looks as still as an overlay


@dataclass(frozen=True)
class Camera:
    """Motion per frame. pan: pixels (y, x); zoom: factor minus one; turn: radians; tilt: (y, x) terms of a homography."""

    pan: tuple[float, float] = (0.0, 0.0)
    zoom: float = 0.0
    turn: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)

    def matrix(self, age: int, top: int, left: int, height: int, width: int) -> NDArray[np.float64]:
        """Homography (3, 3) from the window's pixels to the photo's, `age` frames after the frame in which the window is exact."""
        middle_y, middle_x = height / 2, width / 2
        scale, angle = 1 + np.clip(self.zoom * age, -0.4, 0.6), self.turn * age
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        centred = np.array([[1, 0, -middle_x], [0, 1, -middle_y], [0, 0, 1.0]])
        tilted = np.array([[1, 0, 0], [0, 1, 0], [np.clip(self.tilt[1] * age, -6e-4, 6e-4), np.clip(self.tilt[0] * age, -6e-4, 6e-4), 1]])
        turned = np.array([[cos, -sin, middle_x], [sin, cos, middle_y], [0, 0, 1]])
        moved = np.array([[1, 0, left + self.pan[1] * age], [0, 1, top + self.pan[0] * age], [0, 0, 1]])
        result: NDArray[np.float64] = moved @ turned @ tilted @ centred
        return result


STILL = Camera()


def random_camera(rng: Rng, always_moving: bool = False) -> Camera:
    """A random camera: a quarter are still, the others pan and sometimes zoom, rotate and tilt; with `always_moving`, none is still."""
    pan = rng.normal(0, 1.5, 2) * (rng.random() < 0.75 or always_moving)
    if always_moving:
        pan *= max(1.0, MIN_PAN_PIXELS / max(float(np.hypot(*pan)), 1e-3))
    if not pan.any():
        return STILL
    zoom = rng.normal(0, 0.002) * (rng.random() < 0.5)
    turn = rng.normal(0, 0.002) * (rng.random() < 0.3)
    tilt = rng.normal(0, 1e-5, 2) * (rng.random() < 0.3)
    return Camera((float(pan[0]), float(pan[1])), float(zoom), float(turn), (float(tilt[0]), float(tilt[1])))


def filmed(picture: NDArray, camera: Camera, indices: tuple[int, ...], place: Place) -> NDArray:
    """Film the (H, W[, C]) picture: (T, height, width[, C]) at the given frames; the window is exact in the middle one."""
    middle = indices[len(indices) // 2]
    if camera == STILL:
        still = _warped(picture, camera.matrix(0, *place), place)
        return np.repeat(still[None], len(indices), axis=0)
    return np.stack([_warped(picture, camera.matrix(index - middle, *place), place) for index in indices])


def _warped(picture: NDArray, matrix: NDArray[np.float64], place: Place) -> NDArray:
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (place[3], place[2])
    if matrix[2, 0] == matrix[2, 1] == 0:
        return cv2.warpAffine(picture, matrix[:2] / matrix[2, 2], size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return cv2.warpPerspective(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
