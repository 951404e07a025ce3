"""Procedural logos: layers of blobs, polygons, rings and stars; faces; symbols; stickers cut from photos."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import art, glyphs
from training.art import Art
from training.glyphs import Coverage

Rng = np.random.Generator
Points = NDArray[np.float64]  # (n, 2) x, y, within the unit circle

SYMBOLS = "★☆♥♦♣♠●◆▲▶☀☂☁☺☻♪♫✓✦✿❄☾⚡✈✂☎⌘"
_SHIFT = 4  # fractional bits of OpenCV's point coordinates


def emblem(rng: Rng, size_pixels: int, fonts: Sequence[Path] = ()) -> Art:
    """A random logo of about size x size pixels: layered shapes, a face, or a symbol from one of the fonts."""
    roll = rng.random()
    if roll < 0.12:
        return face(rng, size_pixels)
    if roll < 0.22 and fonts:
        sign, font = str(rng.choice(list(SYMBOLS))), fonts[rng.integers(len(fonts))]
        if glyphs.covers(font, sign):
            return art.flat(glyphs.text(sign, font, size_pixels), art.ink(rng))
    return layered(rng, size_pixels)


def layered(rng: Rng, size_pixels: int) -> Art:
    """One to three shapes on top of each other, some as outlines, the first perhaps with a hole."""
    base = filled(outline(rng), size_pixels)
    if rng.random() < 0.5:
        base = base * (1 - filled(outline(rng) * rng.uniform(0.3, 0.75), size_pixels))
    drawing = art.flat(base, art.ink(rng))
    if rng.random() < 0.3:
        drawing = art.textured(rng, drawing)
    for _ in range(int(rng.integers(0, 3))):
        points = outline(rng) * rng.uniform(0.2, 0.9) + rng.uniform(-0.3, 0.3, 2)
        layer = filled(points, size_pixels) if rng.random() < 0.6 else stroked(points, size_pixels, rng.uniform(0.04, 0.14))
        drawing = art.over(art.flat(layer, art.ink(rng)), drawing)
    return drawing


def filled(points: Points, size_pixels: int) -> Coverage:
    """Coverage (size, size) of the area inside the outline, anti-aliased."""
    picture = np.zeros((size_pixels, size_pixels), np.uint8)
    cv2.fillPoly(picture, [_on_grid(points, size_pixels)], 255, cv2.LINE_AA, _SHIFT)
    return picture.astype(np.float32) / 255


def stroked(points: Points, size_pixels: int, width: float) -> Coverage:
    """Coverage (size, size) of the outline as a line; `width` is a share of the size."""
    picture = np.zeros((size_pixels, size_pixels), np.uint8)
    cv2.polylines(picture, [_on_grid(points, size_pixels)], True, 255, max(1, round(width * size_pixels)), cv2.LINE_AA, _SHIFT)
    return picture.astype(np.float32) / 255


def _on_grid(points: Points, size_pixels: int) -> NDArray[np.int32]:
    return np.rint(((points * 0.97 + 1) / 2 * (size_pixels - 1)) * 2**_SHIFT).astype(np.int32)


def outline(rng: Rng) -> Points:
    """A random closed curve: disc, blob, polygon, star, box, heart or gear."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    shape, turn, count = int(rng.integers(7)), rng.uniform(0, 2 * np.pi), int(rng.integers(3, 9))
    if shape == 0:
        return disc()
    if shape == 1:
        waves = sum(rng.uniform(0, 0.5 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 7))
        return _polar(angle, (1 + waves) / (1 + waves).max())
    if shape == 2:
        return _polar(np.arange(count) * 2 * np.pi / count + turn, np.ones(count))
    if shape == 3:
        return _polar(np.arange(2 * count) * np.pi / count + turn, np.tile([1.0, rng.uniform(0.3, 0.7)], count))
    if shape == 4:
        power, aspect = rng.uniform(2.5, 12), rng.uniform(0.5, 1)
        box = _polar(angle, (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power))
        return box / np.abs(box).max() * (1, aspect)
    if shape == 5:
        x, y = 16 * np.sin(angle) ** 3, 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
        return np.stack([x, -y], 1) / 17
    return _polar(angle, 0.86 + 0.14 * np.sign(np.cos(count * angle + turn)))


def disc() -> Points:
    """The unit circle."""
    return _polar(np.linspace(0, 2 * np.pi, 96, endpoint=False), np.ones(96))


def _polar(angle: NDArray[np.float64], radius: NDArray[np.float64]) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def face(rng: Rng, size_pixels: int) -> Art:
    """A round face with eyes and a mouth, like an emoji."""
    skin = rng.uniform(0, 1, 3) if rng.random() < 0.3 else np.array([1, rng.uniform(0.7, 0.9), rng.uniform(0.1, 0.4)])
    drawing = art.textured(rng, art.flat(filled(disc(), size_pixels), skin))
    features = np.zeros((size_pixels, size_pixels), np.uint8)
    middle, radius = size_pixels // 2, max(1, round(size_pixels * rng.uniform(0.05, 0.1)))
    for side in (-1, 1):
        eye = (middle + round(side * size_pixels * 0.18), round(size_pixels * rng.uniform(0.34, 0.42)))
        cv2.ellipse(features, eye, (radius, round(radius * rng.uniform(0.6, 1.6))), 0, 0, 360, 255, -1, cv2.LINE_AA)
    bend = round(size_pixels * rng.uniform(0.05, 0.24))
    thick = max(1, size_pixels // 18) if rng.random() < 0.7 else -1
    cv2.ellipse(features, (middle, round(size_pixels * 0.58)), (round(size_pixels * 0.26), bend), 0, 0, 180, 255, thick, cv2.LINE_AA)
    return art.over(art.flat(features.astype(np.float32) / 255, np.full(3, rng.uniform(0, 0.2))), drawing)


def sticker(rng: Rng, size_pixels: int, photos: Sequence[NDArray[np.uint8]]) -> Art:
    """A piece of a photo in a disc, a rounded box or another outline, often with a border; smooth noise without photos."""
    picture = photo_piece(rng, size_pixels, photos)
    roll = rng.random()
    if roll < 0.4:
        coverage = art.rounded_box(size_pixels, size_pixels, round(size_pixels * rng.uniform(0, 0.3)))
    else:
        coverage = filled(disc() if roll < 0.8 else outline(rng), size_pixels)
    drawing = Art(coverage, picture)
    if rng.random() < 0.5:
        border = max(1, round(size_pixels * rng.uniform(0.02, 0.06)))
        inner = cv2.erode(np.pad(coverage, border), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * border + 1, 2 * border + 1)))[
            border:-border, border:-border
        ]
        drawing = art.over(Art(inner, picture), art.flat(coverage, np.full(3, rng.choice([1, 1, 0.1]))))
    return drawing


def photo_piece(rng: Rng, size_pixels: int, photos: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """A random square piece (size, size, 3) in [0, 1] of one of the photos, or smooth noise without photos."""
    if not photos:
        return np.stack([art.cloud(rng, (size_pixels, size_pixels)) for _ in range(3)], 2)
    photo = photos[rng.integers(len(photos))]
    side = int(min(photo.shape[:2]) * rng.uniform(0.3, 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in photo.shape[:2])
    piece = np.ascontiguousarray(photo[top : top + side, left : left + side])
    return cv2.resize(piece, (size_pixels, size_pixels), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
