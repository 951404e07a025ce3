"""From a scene to frames: the camera's look, things that move along, cuts, passing objects, grain, and the mark over all of it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training import art, augment, camera, emblems, watermarks
from training.clips import Clip, Frames, Window, cut
from training.distractors import Thing
from training.scenes import Scene

Array = NDArray[np.float32]
Rng = np.random.Generator

SURE = 0.15  # the peak of a phase correlation above which its shift is believed
STILL_PIXELS = 3  # a scene that goes less far than this stands still: nothing tells a thing in it from a mark but that it is writing


@dataclass(frozen=True)
class Rendered:
    """clean, marked: (T, H, W, 3) uint8; alpha (T, H, W) and colour (T, H, W, 3) of the mark, text (T, H, W) of the scene: float32."""

    clean: Frames
    marked: Frames
    alpha: Array
    colour: Array
    text: Array


def render(plain: Scene, indices: list[int], top: int, left: int, size: int, rng: Rng) -> Rendered:
    """The scene's frames in a window, before any compression: `marked` is exactly `clean` under the mark."""
    height, width = min(size, plain.height) // 2 * 2, min(size, plain.width) // 2 * 2
    window = Window(tuple(indices), top, left, height, width)
    clean = augment.recoloured(cut(plain.clip, window, plain.camera), rng)
    text = np.zeros(clean.shape[:3], np.float32)
    if plain.text is not None:
        text = camera.filmed(plain.text, plain.camera, window.indices, (top, left, height, width))
    if plain.things and not plain.filmed:
        clean, text = _carried(clean, plain.things, window, rng)
    if plain.other is not None:
        clean, text = _cut_to(plain.other, clean, text, window, rng)
    if plain.passer is not None:
        clean, text = _passed_by(clean, text, plain.passer, window, rng)
    if plain.framing is not None:
        bars = replace(plain.framing, top=-top, left=-left)
        clean = np.stack([watermarks.apply(frame, bars) for frame in clean])
        text = text * (1 - watermarks.placed(bars, height, width, 0, 0)[0])
    clean = augment.weathered(clean, rng)
    patches = [plain.mark.patches[i] if plain.mark else None for i in indices]
    drawn = [watermarks.placed(patch, height, width, top, left) for patch in patches]
    alpha, colour = np.stack([a for a, _ in drawn]), np.stack([c for _, c in drawn])
    return Rendered(clean, blended(clean, alpha, colour), alpha, colour, text * (1 - alpha))


def blended(clean: Frames, alpha: Array, colour: Array) -> Frames:
    """`(1 - alpha) * clean + alpha * colour`, computed where there is any alpha: (T, H, W, 3)."""
    marked = clean.copy()
    for frame, a, w in zip(marked, alpha, colour, strict=True):
        rows = np.nonzero(a.any(1))[0]
        if len(rows):
            part = slice(rows[0], rows[-1] + 1)
            frame[part] = np.rint((1 - a[part, :, None]) * frame[part] + a[part, :, None] * w[part] * 255).astype(np.uint8)
    return marked


def _carried(clean: Frames, things: tuple[Thing, ...], window: Window, rng: Rng) -> tuple[Frames, Array]:
    """The frames with the things in them, which move as the clip does: (frames, text coverage). A still one gets none like a logo."""
    text = np.zeros(clean.shape[:3], np.float32)
    frames, shifts = [], motion(clean, window.indices, rng)
    still = np.ptp(shifts, axis=0).max() < STILL_PIXELS
    for index, (frame, (dy, dx)) in enumerate(zip(clean, shifts, strict=True)):
        for thing in (t for t in things if t.text or t.solid or not still):
            patch = replace(thing.patch, top=thing.patch.top - window.top + dy, left=thing.patch.left - window.left + dx)
            frame = watermarks.apply(frame, patch)
            text[index] = replace(thing, patch=patch).written_over(text[index])
        frames.append(frame)
    return np.stack(frames), text


def motion(clean: Frames, indices: tuple[int, ...], rng: Rng) -> list[tuple[int, int]]:
    """How far (y, x) pixels the scene has gone in each frame since the first one, by phase correlation.

    Where that finds nothing, a random steady drift, as if by a camera.
    """
    greys = [cv2.resize(frame, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).mean(2).astype(np.float32) for frame in clean]
    steady, at, shifts = rng.normal(0, 1.5, 2), np.zeros(2), [(0, 0)]
    for before, after, frames in zip(greys, greys[1:], np.diff(indices), strict=False):
        (dx, dy), peak = cv2.phaseCorrelate(before, after)
        at = at + ((4 * dy, 4 * dx) if peak > SURE else steady * frames)
        shifts.append((round(float(at[0])), round(float(at[1]))))
    return shifts


def _cut_to(other: Clip, clean: Frames, text: Array, window: Window, rng: Rng) -> tuple[Frames, Array]:
    """From some frame on, another clip's pictures."""
    frame = int(rng.integers(min(window.indices), max(window.indices) + 1))
    late = np.array([index >= frame for index in window.indices])
    if not late.any():
        return clean, text
    indices = tuple(min(i, len(other.frames) - 1) if len(other.frames) > 1 else i for i in np.array(window.indices)[late])
    height, width = (min(side, extent) for side, extent in zip((window.height, window.width), other.frames.shape[1:3], strict=True))
    top, left = (int(rng.integers(0, extent - side + 1)) for side, extent in zip((height, width), other.frames.shape[1:3], strict=True))
    pictures = cut(other, Window(indices, top, left, height, width), camera.random_camera(rng))
    if (height, width) != (window.height, window.width):
        pictures = np.stack([cv2.resize(p, (window.width, window.height), interpolation=cv2.INTER_LINEAR) for p in pictures])
    clean, text = clean.copy(), text.copy()
    clean[late], text[late] = pictures, 0
    return clean, text


def _passed_by(clean: Frames, text: Array, picture: NDArray[np.uint8], window: Window, rng: Rng) -> tuple[Frames, Array]:
    """A soft-edged piece of the picture, or the thing cut out of it, goes through the window, behind any mark, and may rest."""
    size = max(8, int(min(window.height, window.width) * rng.uniform(0.25, 0.7)))
    drawing = _cut_out(picture, size) if picture.shape[2] == 4 else _piece(picture, size, rng)
    span, middle = max(1, max(window.indices) - min(window.indices)), (max(window.indices) + min(window.indices)) / 2
    speed = rng.uniform(-1.5, 1.5, 2) * (window.height, window.width) / span
    centre = rng.uniform(0.25, 0.75, 2) * (window.height, window.width) - size / 2
    rests = rng.choice([(-np.inf, np.inf), (-np.inf, np.inf), (0, np.inf), (-np.inf, 0)])
    frames, free = [], np.ones_like(text)
    for position, (frame, index) in enumerate(zip(clean, window.indices, strict=True)):
        top, left = np.rint(centre + speed * np.clip(index - middle, *rests)).astype(int)
        patch = watermarks.Patch(int(left), int(top), drawing.alpha, drawing.colour)
        frames.append(watermarks.apply(frame, patch))
        free[position] -= watermarks.placed(patch, window.height, window.width, 0, 0)[0]
    return np.stack(frames), text * free


def _piece(picture: NDArray[np.uint8], size: int, rng: Rng) -> art.Art:
    coverage = cv2.GaussianBlur(np.pad(emblems.filled(emblems.outline(rng), size - 4), 2), (0, 0), 1 + size / 60)
    return art.Art(coverage, emblems.photo_piece(rng, size, (picture,)))


def _cut_out(picture: NDArray[np.uint8], size: int) -> art.Art:
    scale = size / max(picture.shape[:2])
    drawing = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return art.Art(cv2.GaussianBlur(drawing[..., 3], (0, 0), 0.7), np.ascontiguousarray(drawing[..., :3]))
