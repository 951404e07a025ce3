"""Coverage maps of the shapes of marks: text, a face, procedural logos."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Coverage = NDArray[np.float32]  # (h, w) in [0, 1]

SUPERSAMPLING = 3  # shapes are drawn at this scale and averaged down


@lru_cache(maxsize=512)
def _font(path: Path, size_pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size_pixels)


def text(words: str, font: Path, size_pixels: int, outline_pixels: int = 0) -> Coverage:
    """Coverage (h, w) of one line of text, with a margin of two pixels."""
    face = _font(font, size_pixels)
    left, top, right, bottom = face.getbbox(words, stroke_width=outline_pixels)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), words, fill=255, font=face, stroke_width=outline_pixels)
    return np.asarray(image, np.float32) / 255


def fitted_text(words: str, font: Path, width_pixels: float) -> Coverage:
    """Coverage (h, w) of a line of text about `width_pixels` wide."""
    probe = _font(font, 100).getlength(words)
    return text(words, font, max(8, int(100 * width_pixels / max(probe, 1))))


@lru_cache(maxsize=4096)
def covers(font: Path, words: str) -> bool:
    """Whether the font has a glyph for every letter, that is, none is drawn as the box for missing glyphs."""
    face = _font(font, 24)
    missing_glyph = bytes(face.getmask("\uffff"))
    return all(letter.isspace() or bytes(face.getmask(letter)) != missing_glyph for letter in words)


def lettered(words: str, font: Path, size_pixels: int, spacing_pixels: float = 0.0, small_caps: bool = False) -> Coverage:
    """Coverage (h, w) of one line set letter by letter, with extra spacing, or with small capitals for lower-case letters."""
    small = _font(font, max(6, round(size_pixels * 0.78)))
    faces = [small if small_caps and letter.islower() else _font(font, size_pixels) for letter in words]
    letters = words.upper() if small_caps and len(words.upper()) == len(words) else words
    starts = np.cumsum([0.0] + [face.getlength(letter) + spacing_pixels for letter, face in zip(letters, faces, strict=True)])
    ascent, descent = _font(font, size_pixels).getmetrics()
    image = Image.new("L", (int(starts[-1]) + size_pixels, ascent + descent + 8))
    pen = ImageDraw.Draw(image)
    for letter, face, start in zip(letters, faces, starts[:-1], strict=True):
        pen.text((start + size_pixels // 4, ascent + 4), letter, fill=255, font=face, anchor="ls")
    return cropped(np.asarray(image, np.float32) / 255)


def stacked(words: str, font: Path, size_pixels: int) -> Coverage:
    """Coverage (h, w) of the letters one below another, centred, `size_pixels` apart or as far as the tallest needs."""
    letters = [text(letter, font, size_pixels) for letter in words if not letter.isspace()] or [text(words, font, size_pixels)]
    pitch, width = max(size_pixels, *(letter.shape[0] for letter in letters)), max(letter.shape[1] for letter in letters)
    column = np.zeros((pitch * len(letters), width), np.float32)
    for place, letter in enumerate(letters):
        top, left = place * pitch + (pitch - letter.shape[0]) // 2, (width - letter.shape[1]) // 2
        column[top : top + letter.shape[0], left : left + letter.shape[1]] = letter
    return column


def slanted(coverage: Coverage, slope: float) -> Coverage:
    """Slant (h, w) to the right by `slope` pixels per pixel of height."""
    height, width = coverage.shape
    lean = np.array([[1, -slope, slope * height], [0, 1, 0]])
    return cv2.warpAffine(coverage, lean, (width + int(slope * height) + 2, height))


def cropped(coverage: Coverage) -> Coverage:
    """Crop empty rows and columns, leaving a margin of two pixels; at least one pixel remains."""
    rows, columns = np.nonzero(coverage.max(1) > 0)[0], np.nonzero(coverage.max(0) > 0)[0]
    if len(rows) == 0:
        return coverage[:1, :1]
    return np.pad(coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)


def _polar(size_pixels: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """(radius, angle, y, x), each over a supersampled square of half-width 1.15."""
    axis = np.linspace(-1.15, 1.15, size_pixels * SUPERSAMPLING, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.hypot(x, y), np.arctan2(y, x), y, x


def _averaged(shape: NDArray[np.bool_], size_pixels: int) -> Coverage:
    return cv2.resize(shape.astype(np.float32), (size_pixels, size_pixels), interpolation=cv2.INTER_AREA)


def face(
    size_pixels: int, lobes: int, depth: float, turn_radians: float, eyes_open: float, eye_width: float, eye_gap: float
) -> tuple[Coverage, Coverage]:
    """A lobed disc with two oval eyes: coverage of the body with its glints, and of the eyes, (size, size) each."""
    radius, angle, y, x = _polar(size_pixels)
    body = radius < 1 - depth + depth * np.cos(lobes * (angle - turn_radians))
    eyes, glints = np.zeros_like(body), np.zeros_like(body)
    for side in (-1, 1):
        eyes |= ((x - side * eye_gap) / eye_width) ** 2 + ((y + 0.05) / (0.32 * max(eyes_open, 0.06))) ** 2 < 1
        glints |= np.hypot(x - side * eye_gap - 0.04, y + 0.17) < 0.06 * eyes_open
    return _averaged((body & ~eyes) | (glints & eyes), size_pixels), _averaged(body & eyes & ~glints, size_pixels)


def logo(rng: np.random.Generator, size_pixels: int) -> Coverage:
    """Coverage (size, size) of a random emblem: disc, ring, polygon, flower or box, often with a shape cut out."""
    radius, angle, y, x = _polar(size_pixels)
    solid = _solid(rng, radius, angle, y, x)
    if rng.random() < 0.7:
        shift_y, shift_x = rng.uniform(-0.25, 0.25, 2)
        inner = _solid(rng, np.hypot(x - shift_x, y - shift_y) * rng.uniform(1.6, 2.6), angle, y * 2, x * 2)
        solid &= ~inner
    return _averaged(solid, size_pixels)


def _solid(
    rng: np.random.Generator, radius: NDArray[np.float32], angle: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]
) -> NDArray[np.bool_]:
    shape = rng.integers(5)
    if shape == 0:
        return radius < 1
    if shape == 1:
        return (radius < 1) & (radius > rng.uniform(0.5, 0.85))
    if shape == 2:
        sides, turn = int(rng.integers(3, 8)), rng.uniform(0, 6.3)
        sector = (angle + turn) % (2 * np.pi / sides) - np.pi / sides
        return radius * np.cos(sector) < np.cos(np.pi / sides)
    if shape == 3:
        return radius < 0.75 + 0.25 * np.cos(int(rng.integers(3, 9)) * angle + rng.uniform(0, 6.3))
    return np.maximum(np.abs(x) / rng.uniform(0.6, 1), np.abs(y) / rng.uniform(0.6, 1)) < 1


def rotated(coverage: Coverage, degrees: float) -> Coverage:
    """Rotate (h, w) about its centre, on a canvas that holds all of it."""
    image = Image.fromarray((coverage * 255).astype(np.uint8)).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(image, np.float32) / 255


def beside(left: Coverage, right: Coverage, gap_pixels: int, right_sinks_pixels: int = 0) -> tuple[Coverage, Coverage]:
    """Place both coverages side by side, vertically centred, on two canvases of one size: (left alone, right alone)."""
    height = max(left.shape[0], right.shape[0] + 2 * right_sinks_pixels)
    width = left.shape[1] + gap_pixels + right.shape[1]
    canvases = np.zeros((2, height, width), np.float32)
    top = (height - left.shape[0]) // 2
    canvases[0, top : top + left.shape[0], : left.shape[1]] = left
    top = (height - right.shape[0]) // 2 + right_sinks_pixels
    canvases[1, top : top + right.shape[0], width - right.shape[1] :] = right
    return canvases[0], canvases[1]
