"""Small things of a scene, of the size of the small glyphs in its corner: lights of a car, number plates, chimneys, distant objects.

A thing of fifteen to sixty pixels on a plain ground is all that a star is, too; what tells them apart is their shape, and that a thing
moves with the scene.
"""

import cv2
import numpy as np

from training import art, captions, cutouts, emblems, glyphs
from training.art import Art
from training.patches import Canvas

Rng = np.random.Generator

SMALLEST, LARGEST = 0.025, 0.11  # of the picture's short side; the stars have 0.04 to 0.17


def _size(rng: Rng, canvas: Canvas) -> int:
    """Pixels, log-uniform, at least eight."""
    return max(8, round(canvas.short_side * float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))))


def headlights(rng: Rng, canvas: Canvas) -> Art:
    """One or two lights of a vehicle, white, yellow or red, with a halo and sometimes with the rays of a lens."""
    size = _size(rng, canvas)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = axis[:, None], axis[None] * np.float32(rng.uniform(1, 1.6))
    distance = np.hypot(y, x)
    core = np.clip((rng.uniform(0.2, 0.6) - distance) * size / 4, 0, 1)
    glow = rng.uniform(0, 0.7) * np.clip(1 - distance, 0, 1) ** 2
    if rng.random() < 0.3:
        glow = np.maximum(glow, rng.uniform(0.3, 0.9) * _rays(rng, size))
    light = np.array([(1, 1, 1), (1, 0.9, 0.7), (1, 0.15, 0.1), (1, 0.55, 0.1)][rng.choice(4, p=[0.5, 0.2, 0.2, 0.1])])
    one = art.flat(np.maximum(core, glow).astype(np.float32), light * rng.uniform(0.75, 1))
    return art.beside(one, one, int(size * rng.uniform(0.3, 3))) if rng.random() < 0.6 else one


def _rays(rng: Rng, size_pixels: int) -> np.ndarray:
    """(size, size): what a lens makes of a bright point: two or three thin lines through it, at any angle, that fade outwards."""
    axis, turn = np.linspace(-1, 1, size_pixels, dtype=np.float32), rng.uniform(0, np.pi)
    count, thin = int(rng.integers(2, 4)), rng.uniform(0.02, 0.06)
    rays = [
        np.exp(-(((axis[:, None] * np.cos(angle) - axis[None] * np.sin(angle)) / thin) ** 2))
        for angle in turn + np.pi * np.arange(count) / count
    ]
    return np.max(rays, 0) * np.clip(1 - np.hypot(axis[:, None], axis[None]), 0, 1)


def number_plate(rng: Rng, canvas: Canvas) -> Art:
    """A number plate or a house number: dark letters on a light board or the other way round, in perspective."""
    words, font = captions.code(rng)[: int(rng.integers(2, 9))], captions.latin_font(rng, canvas.vocabulary)
    written = glyphs.text(words, font, max(8, _size(rng, canvas) // 2))
    margin = max(2, written.shape[0] // 5)
    letters = np.pad(written, margin)
    light = np.array([(1, 1, 1), (1, 0.8, 0.15), (0.8, 0.9, 1)][rng.integers(3)]) * rng.uniform(0.7, 1)
    dark = rng.uniform(0, 0.35, 3)
    ink, ground = (dark, light) if rng.random() < 0.75 else (light, dark)
    board = art.flat(art.rounded_box(*letters.shape, radius=margin), ground)
    return art.in_perspective(rng, art.over(art.flat(letters, ink), board), 0.08)


def chimneys(rng: Rng, canvas: Canvas) -> Art:
    """One to three upright boxes side by side: chimneys, vents, posts, far towers; some with a cap, a lit face and a dark one."""
    height = _size(rng, canvas)
    width = max(4, int(height * rng.uniform(0.25, 0.9)))
    alpha, shade = np.ones((height, width), np.float32), np.ones((height, width, 1), np.float32)
    if rng.random() < 0.6:
        cap, overhang = max(1, height // 8), max(1, width // 6)
        alpha[cap:, :overhang] = alpha[cap:, width - overhang :] = 0
        shade[:cap] = rng.uniform(0.5, 1.4)
    shade[:, int(width * rng.uniform(0.4, 0.8)) :] *= rng.uniform(0.4, 0.9)
    colour = np.clip(shade * rng.uniform(0.2, 1) * rng.uniform(0.75, 1, 3), 0, 1).astype(np.float32)
    soft = np.clip(cv2.GaussianBlur(np.pad(alpha, 2), (0, 0), rng.uniform(0.4, 0.9)), 0, 1)
    row = one = Art(soft, np.pad(colour, ((2, 2), (2, 2), (0, 0)), mode="edge"))
    for _ in range(int(rng.integers(0, 3))):
        row = art.beside(row, one, int(width * rng.uniform(0.1, 2)))
    return row


def small_objects(rng: Rng, canvas: Canvas) -> Art:
    """A cut-out object, far away; a disc if no cut-outs are installed."""
    size = _size(rng, canvas)
    picture = cutouts.load(canvas.cutouts[rng.integers(len(canvas.cutouts))]) if canvas.cutouts else None
    if picture is None:
        disc = np.clip(cv2.GaussianBlur(emblems.filled(emblems.disc(), size), (0, 0), 0.7), 0, 1)
        return art.flat(disc, rng.uniform(0, 1, 3))
    drawing = cutouts.at_size(picture, size)
    colour = (drawing[..., :3].astype(np.float32) / 255) ** np.float32(rng.uniform(0.4, 1.5))
    return Art(drawing[..., 3].astype(np.float32) / 255, colour)


KINDS = (headlights, number_plate, chimneys, small_objects)
