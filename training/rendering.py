"""Renders a scene into frames: camera motion, objects that move along, cuts, passing objects, grain, and the mark on top."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training import art, augment, camera, emblems, watermarks
from training.clips import Clip, Frames, Window, cut
from training.distractors import SceneObject
from training.scenes import Scene

Array = NDArray[np.float32]
Rng = np.random.Generator

MIN_PHASE_PEAK = 0.15  # a phase correlation with a lower peak is ignored
STILL_PIXELS = 3  # a scene that moves less is static: objects in it cannot be distinguished from marks, except text


@dataclass(frozen=True)
class Rendered:
    """clean, marked: (T, H, W, 3) uint8 RGB. Mark alpha (T, H, W), mark colour (T, H, W, 3), scene text (T, H, W): float32 in [0, 1]."""

    clean: Frames
    marked: Frames
    alpha: Array
    colour: Array
    text: Array


def render(scene: Scene, indices: list[int], top: int, left: int, size: int, rng: Rng) -> Rendered:
    """Render the scene's frames in a window, uncompressed: outside the mark, `marked` equals `clean` exactly.

    `indices`: the frames; the window is at (top, left), `size` pixels or as large as the scene, with even sides.
    """
    height, width = min(size, scene.height) // 2 * 2, min(size, scene.width) // 2 * 2
    window = Window(tuple(indices), top, left, height, width)
    clean = augment.recoloured(cut(scene.clip, window, scene.camera), rng)
    text = np.zeros(clean.shape[:3], np.float32)
    if scene.text is not None:
        text = camera.filmed(scene.text, scene.camera, window.indices, (top, left, height, width))
    if scene.objects and not scene.filmed:
        clean, text = _with_objects(clean, scene.objects, window, rng)
    if scene.other is not None:
        clean, text = _cut_to(scene.other, clean, text, window, rng)
    if scene.passing_object is not None:
        clean, text = _with_passing_object(clean, text, scene.passing_object, window, rng)
    if scene.framing is not None:
        bars = replace(scene.framing, top=-top, left=-left)
        clean = np.stack([watermarks.apply(frame, bars) for frame in clean])
        text = text * (1 - watermarks.placed(bars, height, width, 0, 0)[0])
    clean = augment.degraded(clean, rng)
    patches = [scene.mark.patches[i] if scene.mark else None for i in indices]
    drawn = [watermarks.placed(patch, height, width, top, left) for patch in patches]
    alpha, colour = np.stack([a for a, _ in drawn]), np.stack([c for _, c in drawn])
    return Rendered(clean, blended(clean, alpha, colour), alpha, colour, text * (1 - alpha))


def blended(clean: Frames, alpha: Array, colour: Array) -> Frames:
    """Blend the mark into (T, H, W, 3) frames: `(1 - alpha) * clean + alpha * colour`, computed only in rows with alpha."""
    marked = clean.copy()
    for frame, a, w in zip(marked, alpha, colour, strict=True):
        rows = np.nonzero(a.any(1))[0]
        if len(rows):
            marked_rows = slice(rows[0], rows[-1] + 1)
            opacity = a[marked_rows, :, None]
            frame[marked_rows] = np.rint((1 - opacity) * frame[marked_rows] + opacity * w[marked_rows] * 255).astype(np.uint8)
    return marked


def _with_objects(clean: Frames, objects: tuple[SceneObject, ...], window: Window, rng: Rng) -> tuple[Frames, Array]:
    """Add objects that move with the clip: (frames, text coverage). A static clip gets no objects that look like logos."""
    text = np.zeros(clean.shape[:3], np.float32)
    frames, shifts = [], motion(clean, window.indices, rng)
    still = np.ptp(shifts, axis=0).max() < STILL_PIXELS
    for index, (frame, (dy, dx)) in enumerate(zip(clean, shifts, strict=True)):
        for item in (t for t in objects if t.text or t.solid or not still):
            patch = replace(item.patch, top=item.patch.top - window.top + dy, left=item.patch.left - window.left + dx)
            frame = watermarks.apply(frame, patch)
            text[index] = replace(item, patch=patch).written_over(text[index])
        frames.append(frame)
    return np.stack(frames), text


def motion(clean: Frames, indices: tuple[int, ...], rng: Rng) -> list[tuple[int, int]]:
    """The scene's displacement (y, x) in pixels in each frame since the first, by phase correlation.

    Where the correlation is too weak, a random steady drift like that of a camera.
    """
    greys = [cv2.resize(frame, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).mean(2).astype(np.float32) for frame in clean]
    drift, position, shifts = rng.normal(0, 1.5, 2), np.zeros(2), [(0, 0)]
    for before, after, frames in zip(greys, greys[1:], np.diff(indices), strict=False):
        (dx, dy), peak = cv2.phaseCorrelate(before, after)
        position = position + ((4 * dy, 4 * dx) if peak > MIN_PHASE_PEAK else drift * frames)
        shifts.append((round(float(position[0])), round(float(position[1]))))
    return shifts


def _cut_to(other: Clip, clean: Frames, text: Array, window: Window, rng: Rng) -> tuple[Frames, Array]:
    """Cut to another clip at a random frame."""
    frame = int(rng.integers(min(window.indices), max(window.indices) + 1))
    after_cut = np.array([index >= frame for index in window.indices])
    if not after_cut.any():
        return clean, text
    indices = tuple(min(i, len(other.frames) - 1) if len(other.frames) > 1 else i for i in np.array(window.indices)[after_cut])
    height, width = (min(side, extent) for side, extent in zip((window.height, window.width), other.size, strict=True))
    top, left = (int(rng.integers(0, extent - side + 1)) for side, extent in zip((height, width), other.size, strict=True))
    pictures = cut(other, Window(indices, top, left, height, width), camera.random_camera(rng))
    if (height, width) != (window.height, window.width):
        pictures = np.stack([cv2.resize(p, (window.width, window.height), interpolation=cv2.INTER_LINEAR) for p in pictures])
    clean, text = clean.copy(), text.copy()
    clean[after_cut], text[after_cut] = pictures, 0
    return clean, text


def _with_passing_object(clean: Frames, text: Array, picture: NDArray[np.uint8], window: Window, rng: Rng) -> tuple[Frames, Array]:
    """Move a soft-edged piece of the picture, or the cut-out object, through the window, behind any mark; it may rest."""
    size = max(8, int(min(window.height, window.width) * rng.uniform(0.25, 0.7)))
    drawing = _cut_out(picture, size) if picture.shape[2] == 4 else _soft_piece(picture, size, rng)
    span, middle = max(1, max(window.indices) - min(window.indices)), (max(window.indices) + min(window.indices)) / 2
    speed = rng.uniform(-1.5, 1.5, 2) * (window.height, window.width) / span
    centre = rng.uniform(0.25, 0.75, 2) * (window.height, window.width) - size / 2
    rests = rng.choice([(-np.inf, np.inf), (-np.inf, np.inf), (0, np.inf), (-np.inf, 0)])
    frames, unhidden = [], np.ones_like(text)
    for position, (frame, index) in enumerate(zip(clean, window.indices, strict=True)):
        top, left = np.rint(centre + speed * np.clip(index - middle, *rests)).astype(int)
        patch = watermarks.Patch(int(left), int(top), drawing.alpha, drawing.colour)
        frames.append(watermarks.apply(frame, patch))
        unhidden[position] -= watermarks.placed(patch, window.height, window.width, 0, 0)[0]
    return np.stack(frames), text * unhidden


def _soft_piece(picture: NDArray[np.uint8], size: int, rng: Rng) -> art.Art:
    coverage = cv2.GaussianBlur(np.pad(emblems.filled(emblems.outline(rng), size - 4), 2), (0, 0), 1 + size / 60)
    return art.Art(coverage, emblems.photo_piece(rng, size, (picture,)))


def _cut_out(picture: NDArray[np.uint8], size: int) -> art.Art:
    scale = size / max(picture.shape[:2])
    drawing = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return art.Art(cv2.GaussianBlur(drawing[..., 3], (0, 0), 0.7), np.ascontiguousarray(drawing[..., :3]))
