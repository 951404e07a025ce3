"""Drawings of marks with opacity and colour, and the styles that are added around, behind and inside them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.glyphs import Coverage

Rng = np.random.Generator
Colour = NDArray[np.float32]  # (3,) RGB in [0, 1]


@dataclass(frozen=True)
class Art:
    """A drawing without a place. alpha: (h, w) float32 and colour: (h, w, 3) float32 RGB, in [0, 1]."""

    alpha: Coverage = field(repr=False)
    colour: NDArray[np.float32] = field(repr=False)


def flat(coverage: Coverage, colour: Colour) -> Art:
    """The coverage (h, w) in one colour, which is stored once."""
    return Art(coverage, np.broadcast_to(colour.astype(np.float32), (*coverage.shape, 3)))


def ink(rng: Rng) -> Colour:
    """A random colour, distributed as in real marks: mostly white, often grey or black, else any."""
    roll = rng.random()
    if roll < 0.65:
        shade = rng.uniform(0.88, 1) if roll < 0.42 else rng.uniform(0, 0.12) if roll < 0.53 else rng.uniform(0.12, 0.88)
        return np.full(3, shade, np.float32)
    return rng.uniform(0, 1, 3).astype(np.float32)


def opacity(rng: Rng) -> float:
    """A random opacity from 0.15 to 1; a quarter of the marks is opaque."""
    return 1.0 if rng.random() < 0.25 else float(rng.uniform(0.15, 1))


def faded(art: Art, level: float) -> Art:
    """The drawing with its alpha multiplied by `level`."""
    return art if level == 1 else Art(art.alpha * np.float32(level), art.colour)


def padded(art: Art, pixels: int) -> Art:
    """The drawing with transparent pixels added on all sides."""
    alpha = np.pad(art.alpha, pixels)
    if art.colour.strides[:2] == (0, 0):  # one colour, stored once
        return Art(alpha, np.broadcast_to(art.colour[0, 0], (*alpha.shape, 3)))
    return Art(alpha, np.pad(art.colour, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="edge"))


def over(top: Art, bottom: Art) -> Art:
    """Composite two drawings of the same size, `top` in front."""
    behind = bottom.alpha * (1 - top.alpha)
    alpha = top.alpha + behind
    share = np.divide(top.alpha, alpha, out=np.ones_like(alpha), where=alpha > 0)[..., None]
    return Art(alpha, (share * top.colour + (1 - share) * bottom.colour).astype(np.float32))


def beside(left: Art, right: Art, gap_pixels: int) -> Art:
    """Both side by side, vertically centred."""
    height, width = max(left.alpha.shape[0], right.alpha.shape[0]), left.alpha.shape[1] + gap_pixels + right.alpha.shape[1]
    return _joined(left, right, (height, width), (0, width - right.alpha.shape[1]), vertical=False)


def below(upper: Art, lower: Art, gap_pixels: int) -> Art:
    """One below the other, horizontally centred."""
    height, width = upper.alpha.shape[0] + gap_pixels + lower.alpha.shape[0], max(upper.alpha.shape[1], lower.alpha.shape[1])
    return _joined(upper, lower, (height, width), (0, height - lower.alpha.shape[0]), vertical=True)


def _joined(one: Art, other: Art, shape: tuple[int, int], starts: tuple[int, int], vertical: bool) -> Art:
    alpha, colour = np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32)
    for art, start in zip((one, other), starts, strict=True):
        h, w = art.alpha.shape
        top, left = (start, (shape[1] - w) // 2) if vertical else ((shape[0] - h) // 2, start)
        alpha[top : top + h, left : left + w] = art.alpha
        colour[top : top + h, left : left + w] = art.colour
    return Art(alpha, colour)


def shadowed(rng: Rng, art: Art) -> Art:
    """Add a soft drop shadow."""
    offset = max(2, min(art.alpha.shape) // 12)
    art = padded(art, 2 * offset)
    shift = np.array([[1, 0, rng.uniform(-0.3, 1) * offset], [0, 1, rng.uniform(0.2, 1) * offset]])
    shade = cv2.warpAffine(art.alpha, shift, art.alpha.shape[::-1])
    shade = cv2.GaussianBlur(shade, (0, 0), rng.uniform(0.25, 0.6) * offset + 0.3) * np.float32(rng.uniform(0.4, 0.9))
    return over(art, flat(shade, np.full(3, rng.choice([0, 0, 0.1]))))


def glowing(rng: Rng, art: Art) -> Art:
    """Add a coloured glow."""
    radius = max(2, min(art.alpha.shape) // 8)
    art = padded(art, 2 * radius)
    light = np.clip(cv2.GaussianBlur(art.alpha, (0, 0), radius / 1.5) * np.float32(rng.uniform(0.8, 1.6)), 0, 0.9)
    return over(art, flat(light.astype(np.float32), ink(rng)))


def outlined(rng: Rng, art: Art) -> Art:
    """Add an outline, dark around light and light around dark."""
    width = int(rng.integers(1, max(2, min(art.alpha.shape) // 12) + 1))
    art = padded(art, width + 1)
    outline = cv2.dilate(art.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)))
    light = float(art.colour[art.alpha.shape[0] // 2, art.alpha.shape[1] // 2].mean()) > 0.5
    return over(art, flat(outline, np.full(3, 0.0 if light else 1.0) if rng.random() < 0.8 else rng.uniform(0, 1, 3)))


def plated(rng: Rng, art: Art) -> Art:
    """Add a box behind, sharp or rounded, opaque or translucent."""
    margin = max(2, int(min(art.alpha.shape) * rng.uniform(0.15, 0.5)))
    art = padded(art, margin)
    plate = rounded_box(*art.alpha.shape, radius=int(margin * rng.choice([0, 0, 0.6, 1.5])))
    dark = float(art.colour[art.alpha.shape[0] // 2, art.alpha.shape[1] // 2].mean()) > 0.5
    ground = rng.uniform(0, 1, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 0.2) if dark else rng.uniform(0.8, 1))
    return over(art, flat(plate * np.float32(1 if rng.random() < 0.4 else rng.uniform(0.25, 0.9)), ground))


def rounded_box(height: int, width: int, radius: int) -> Coverage:
    """Coverage (height, width) of a filled box with rounded corners that fills the picture."""
    radius = max(0, min(radius, height // 2 - 1, width // 2 - 1))
    if radius == 0:
        return np.ones((height, width), np.float32)
    y, x = np.ogrid[:height, :width]
    outside_y = np.maximum(np.maximum(radius - y, y - (height - 1 - radius)), 0)
    outside_x = np.maximum(np.maximum(radius - x, x - (width - 1 - radius)), 0)
    return np.clip(radius + 0.5 - np.hypot(outside_y, outside_x), 0, 1).astype(np.float32)


def blurred(rng: Rng, art: Art) -> Art:
    """Blur, as if out of focus or enlarged from a small file."""
    art = padded(art, 3)
    return Art(cv2.GaussianBlur(art.alpha, (0, 0), rng.uniform(0.5, 0.6 + min(art.alpha.shape) / 60)), art.colour)


def cloud(rng: Rng, shape: tuple[int, ...], cells: int = 6) -> Coverage:
    """Smooth noise (h, w) in [0, 1] with about `cells` blobs along its height."""
    coarse = rng.random((cells, max(2, cells * shape[1] // max(1, shape[0]))) if shape[1] < 6 * shape[0] else (2, 12)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), 0, 1)


def textured(rng: Rng, art: Art) -> Art:
    """Add grain, brush strokes or a colour gradient inside."""
    shape = art.alpha.shape
    if rng.random() < 0.5:
        axis = np.linspace(0, 1, shape[int(rng.integers(2))], dtype=np.float32)
        ramp = np.broadcast_to(axis[:, None] if len(axis) == shape[0] else axis, shape)[..., None]
        return Art(art.alpha, ((1 - ramp) * art.colour + ramp * ink(rng)).astype(np.float32))
    noise = cloud(rng, shape, int(rng.integers(4, 40)))[..., None]
    return Art(art.alpha, np.clip(art.colour * (1 - rng.uniform(0.2, 0.7) * noise), 0, 1).astype(np.float32))


def uneven(rng: Rng, art: Art) -> Art:
    """Vary the opacity: a gradient, stripes, or worn patches."""
    height, width = art.alpha.shape
    y, x = np.meshgrid(np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32), indexing="ij")
    roll, low = rng.integers(3), rng.uniform(0.15, 0.6)
    if roll == 0:
        turn = rng.uniform(0, 2 * np.pi)
        level = np.clip(0.5 + np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.5), 0, 1)
    elif roll == 1:
        level = 0.5 + 0.5 * np.sin(2 * np.pi * (y if rng.random() < 0.5 else x + y) * min(rng.uniform(3, 14), height / 4))
    else:
        level = np.clip(3 * cloud(rng, (height, width), int(rng.integers(5, 30))) - 0.5, 0, 1)
    return Art((art.alpha * (low + (1 - low) * level)).astype(np.float32), art.colour)


def in_perspective(rng: Rng, art: Art, strength: float = 0.12) -> Art:
    """The drawing in perspective, lit unevenly."""
    art = padded(art, max(2, int(min(art.alpha.shape) * strength)))
    h, w = art.alpha.shape
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.abs(rng.normal(0, strength * h, (4, 2))).clip(0, 0.4 * min(h, w))
    warp = cv2.getPerspectiveTransform(corners, (corners + inwards).astype(np.float32))
    alpha = cv2.warpPerspective(art.alpha, warp, (w, h))
    colour = cv2.warpPerspective(np.ascontiguousarray(art.colour), warp, (w, h), borderMode=cv2.BORDER_REPLICATE)
    return Art(alpha, lit(rng, colour))


def lit(rng: Rng, colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """The colours (h, w, 3) in an uneven light from one side."""
    light = np.linspace(rng.uniform(0.4, 1), rng.uniform(0.4, 1), colour.shape[1], dtype=np.float32)[None, :, None]
    return (colour * light * (1 - 0.25 * cloud(rng, colour.shape[:2])[..., None])).astype(np.float32)


STYLES: tuple[tuple[float, Callable[[Rng, Art], Art]], ...] = (  # each with its probability, in the order of drawing
    (0.12, textured),
    (0.12, outlined),
    (0.10, uneven),
    (0.20, shadowed),
    (0.08, glowing),
    (0.12, plated),
    (0.10, blurred),
)


def styled(rng: Rng, art: Art, without: tuple[Callable[[Rng, Art], Art], ...] = ()) -> Art:
    """The drawing with a random choice of the styles, except those in `without`."""
    for share, style in STYLES:
        if rng.random() < share and style not in without:
            art = style(rng, art)
    return art
