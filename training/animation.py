"""How a mark moves over a clip: still, trembling, fading, sliding in, turning, pulsing, blinking, hopping, drifting and bouncing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.art import Art
from training.patches import Canvas, LazyPatches, MarkFrames, Patch

Rng = np.random.Generator


@dataclass(frozen=True)
class Pose:
    """The centre of a drawing in pixels, and its scale, rotation in degrees and opacity in [0, 1]."""

    x: float
    y: float
    scale: float = 1.0
    degrees: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Trajectory:
    """A pose for each frame, None where the mark is absent, and the interval to which each frame belongs (see `patches.Mark`)."""

    poses: tuple[Pose | None, ...]
    intervals: tuple[int | None, ...]


def shown(art: Art, trajectory: Trajectory) -> MarkFrames:
    """The drawing moving along the trajectory."""
    return MarkFrames(LazyPatches(trajectory.poses, lambda pose: posed(art, pose)), trajectory.intervals)


def posed(art: Art, pose: Pose) -> Patch:
    """The drawing in its pose; a pure translation does not copy it."""
    height, width = art.alpha.shape
    level = np.float32(pose.opacity)
    if pose.scale == 1 and pose.degrees == 0:
        alpha = art.alpha if pose.opacity == 1 else art.alpha * level
        return Patch(round(pose.x - width / 2), round(pose.y - height / 2), alpha, art.colour)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), pose.degrees, pose.scale)
    extent = np.abs(matrix[:, :2]) @ (width, height)
    size = int(np.ceil(extent[0])) + 3, int(np.ceil(extent[1])) + 3
    matrix[:, 2] += np.array(size) / 2 - (width / 2, height / 2)
    alpha = cv2.warpAffine(art.alpha, matrix, size) * level
    if art.colour.strides[:2] == (0, 0):  # one colour, stored once
        colour = np.broadcast_to(art.colour[0, 0], (*alpha.shape, 3))
    else:
        colour = cv2.warpAffine(art.colour, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return Patch(round(pose.x - size[0] / 2), round(pose.y - size[1] / 2), alpha, colour)


def still(_rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """At one place in every frame."""
    return Trajectory((home,) * canvas.frames, (0,) * canvas.frames)


def trembling(rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """Moves by up to a pixel at random."""
    steps = rng.choice([-1, 0, 0, 0, 1], (canvas.frames, 2))
    return Trajectory(tuple(replace(home, x=home.x + dx, y=home.y + dy) for dx, dy in steps), (0,) * canvas.frames)


def fading(rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """Fades in, out or both, over up to 20 frames; each frame of a ramp is an interval by itself."""
    levels = np.minimum(*_ramps(rng, canvas.frames))
    poses = tuple(replace(home, opacity=float(min(1, level))) if level > 0 else None for level in levels)
    return Trajectory(poses, tuple(None if level <= 0 else 0 if level >= 1 else 1 + i for i, level in enumerate(levels)))


def sliding(rng: Rng, canvas: Canvas, art: Art, home: Pose) -> Trajectory:
    """Slides in from the nearer side and out again."""
    levels = np.clip(np.minimum(*_ramps(rng, canvas.frames)), 0, 1)
    edge = -art.alpha.shape[1] / 2 if home.x < canvas.width / 2 else canvas.width + art.alpha.shape[1] / 2
    eased = levels * levels * (3 - 2 * levels)
    poses = tuple(replace(home, x=float(edge + (home.x - edge) * e)) if level > 0 else None for level, e in zip(levels, eased, strict=True))
    return Trajectory(poses, tuple(None if level <= 0 else 0 if level >= 1 else 1 + i for i, level in enumerate(levels)))


def _ramps(rng: Rng, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """An up and a down ramp, whose minimum is how far the mark is in; it is fully shown for at least a third of the clip."""
    index = np.arange(frames)
    first, last = rng.uniform(-frames / 4, frames / 3), rng.uniform(2 * frames / 3, 1.25 * frames)
    return (index - first + 1) / rng.integers(1, 21), (last - index) / rng.integers(1, 21)


def turning(rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """Rotates steadily, or swings."""
    index = np.arange(canvas.frames)
    degrees = rng.uniform(-4, 4) * index if rng.random() < 0.5 else rng.uniform(2, 15) * np.sin(index * rng.uniform(0.03, 0.3))
    return Trajectory(tuple(replace(home, degrees=home.degrees + float(d)) for d in degrees), (0,) * canvas.frames)


def pulsing(rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """Grows and shrinks periodically."""
    scales = 1 + rng.uniform(0.03, 0.15) * np.sin(np.arange(canvas.frames) * rng.uniform(0.1, 0.6) + rng.uniform(0, 6.3))
    return Trajectory(tuple(replace(home, scale=home.scale * float(s)) for s in scales), (0,) * canvas.frames)


def blinking(rng: Rng, canvas: Canvas, _art: Art, home: Pose) -> Trajectory:
    """On for 6 to 40 frames, off for 3 to 24; on in the first frame."""
    on, off = int(rng.integers(6, 41)), int(rng.integers(3, 25))
    lit = [i % (on + off) < on for i in range(canvas.frames)]
    return Trajectory(tuple(home if x else None for x in lit), tuple(0 if x else None for x in lit))


def hopping(rng: Rng, canvas: Canvas, art: Art, _home: Pose) -> Trajectory:
    """Jumps from place to place, 20 to 70 frames at each."""
    spots = [anywhere(rng, canvas, art) for _ in range(int(rng.integers(2, 5)))]
    length = int(rng.integers(20, 71))
    turns = [i // length % len(spots) for i in range(canvas.frames)]
    return Trajectory(tuple(spots[turn] for turn in turns), tuple(turns))


def drifting(rng: Rng, canvas: Canvas, art: Art, home: Pose) -> Trajectory:
    """Drifts slowly in a straight line, bouncing off the edges."""
    room = np.maximum(1.0, np.array([canvas.width - art.alpha.shape[1], canvas.height - art.alpha.shape[0]], np.float64))
    start = np.array([home.x - art.alpha.shape[1] / 2, home.y - art.alpha.shape[0] / 2])
    speed = rng.uniform(0.3, 4.0) * rng.choice([-1, 1], 2) * (rng.uniform(0.4, 1), rng.uniform(0.4, 1))
    path = np.abs((start + speed * np.arange(canvas.frames)[:, None] + room) % (2 * room) - room)
    half = art.alpha.shape[1] / 2, art.alpha.shape[0] / 2
    poses = tuple(replace(home, x=float(np.rint(x)) + half[0], y=float(np.rint(y)) + half[1]) for x, y in path)
    return Trajectory(poses, tuple(_numbered(poses)))


def _numbered(poses: tuple[Pose, ...]) -> list[int]:
    """A number for each pose; equal poses get equal numbers."""
    known: dict[Pose, int] = {}
    return [known.setdefault(pose, len(known)) for pose in poses]


def anywhere(rng: Rng, canvas: Canvas, art: Art) -> Pose:
    """A random place where the drawing lies within the picture, as far as it fits."""
    height, width = art.alpha.shape
    x, y = (rng.uniform(min(extent / 2, side / 2), max(extent / 2, side - extent / 2)) for extent, side in _extents(canvas, width, height))
    return Pose(float(x), float(y))


def _extents(canvas: Canvas, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (width, canvas.width), (height, canvas.height)


def corner(rng: Rng, canvas: Canvas, art: Art) -> Pose:
    """Near one of the four corners."""
    height, width = art.alpha.shape
    margin = canvas.short_side * rng.uniform(0.015, 0.08)
    x, y = min(canvas.width / 2, margin + width / 2), min(canvas.height / 2, margin + height / 2)
    return Pose(x if rng.random() < 0.5 else canvas.width - x, y if rng.random() < 0.5 else canvas.height - y)


def middle(canvas: Canvas) -> Pose:
    """The centre of the picture."""
    return Pose(canvas.width / 2, canvas.height / 2)


MOTIONS: tuple[tuple[float, Callable[[Rng, Canvas, Art, Pose], Trajectory]], ...] = (  # each with its probability
    (0.58, still),
    (0.06, trembling),
    (0.08, fading),
    (0.06, sliding),
    (0.04, turning),
    (0.05, pulsing),
    (0.05, blinking),
    (0.05, hopping),
    (0.03, drifting),
)


def moved(rng: Rng, canvas: Canvas, art: Art, home: Pose) -> MarkFrames:
    """The drawing with a random motion."""
    shares = np.array([share for share, _ in MOTIONS])
    _, motion = MOTIONS[int(rng.choice(len(MOTIONS), p=shares / shares.sum()))]
    return shown(art, motion(rng, canvas, art, home))
