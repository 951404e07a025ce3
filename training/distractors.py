"""Objects of the scene that could be mistaken for marks: signs, scoreboards, clothing, windows, clouds, lights, balls, frames, vessels.

They move with the scene: painted into a photo before it is filmed, or moved along with a clip's motion. Letterbox bars and vignettes are
static, and are not marks either.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from training import art, captions, cutouts, emblems, glyphs, small_things
from training.art import Art
from training.glyphs import Coverage
from training.patches import Canvas, Patch, cropped, overlap_slices

Rng = np.random.Generator


@dataclass(frozen=True)
class SceneObject:
    """An object of the scene and its place. `text`: it is scene text, a class of the segmenter; `solid`: it does not look like a logo."""

    patch: Patch
    text: bool
    solid: bool = False

    def written_over(self, text: Coverage) -> Coverage:
        """The coverage of scene text (h, w) with this object in front: its own text counts in full, however faint it is."""
        text, where = text.copy(), overlap_slices(self.patch, *text.shape)
        if text[where].size:
            alpha, _ = cropped(self.patch, where)
            full = alpha / max(float(self.patch.alpha.max()), 1e-3)
            text[where] = np.maximum(text[where], full) if self.text else text[where] * np.maximum(1 - alpha, 0)
        return text


def scene_object(rng: Rng, canvas: Canvas, kind: str | None = None) -> SceneObject:
    """A random object of the kind, or of any, somewhere in the picture and perhaps partly outside."""
    shares = np.array([SHARES.get(name, 1) for name in OBJECT_KINDS])
    kind = kind or str(rng.choice(list(OBJECT_KINDS), p=shares / shares.sum()))
    drawing = OBJECT_KINDS[kind](rng, canvas)
    height, width = drawing.alpha.shape
    top, left = (rng.uniform(*sorted((-0.3 * side, room - 0.7 * side))) for side, room in ((height, canvas.height), (width, canvas.width)))
    return SceneObject(Patch(round(left), round(top), drawing.alpha, drawing.colour), kind in TEXTS, kind in SOLID)


def _size(rng: Rng, canvas: Canvas, smallest: float, largest: float) -> int:
    return max(10, round(canvas.short_side * rng.uniform(smallest, largest)))


def sign(rng: Rng, canvas: Canvas) -> Art:
    """One to three lines on a board or a wall."""
    lines = int(rng.integers(1, 4))
    written = _text(rng, canvas, lines)
    margin = int(written.shape[0] / lines * rng.uniform(0.2, 0.6)) + 2
    letters = np.pad(written, margin)
    ground = rng.uniform(0, 1, 3).astype(np.float32)
    board = np.full_like(letters, 1.0 if rng.random() < 0.75 else 0.0)
    return art.in_perspective(rng, art.over(art.flat(letters, rng.uniform(0, 1, 3)), art.flat(board, ground)))


def _text(rng: Rng, canvas: Canvas, lines: int) -> Coverage:
    size = _size(rng, canvas, 0.03, 0.11)
    texts = [captions.caption(rng, canvas.vocabulary) for _ in range(lines)]
    drawing = art.flat(glyphs.text(texts[0].words, texts[0].font, size), np.zeros(3))
    for text in texts[1:]:
        drawing = art.below(drawing, art.flat(glyphs.text(text.words, text.font, size), np.zeros(3)), size // 4)
    return drawing.alpha


def scoreboard(rng: Rng, canvas: Canvas) -> Art:
    """Rows of digits on a dark board, in perspective."""
    size, font = _size(rng, canvas, 0.03, 0.07), captions.latin_font(rng, canvas.vocabulary)
    rows = [
        f"{rng.integers(0, 100):02} : {rng.integers(0, 100):02}",
        captions.code(rng)[:8],
        f"{rng.integers(0, 60)}:{rng.integers(10, 60)}",
    ]
    letters = art.flat(glyphs.text(rows[0], font, size), np.zeros(3))
    for row in rows[1:]:
        letters = art.below(letters, art.flat(glyphs.text(row, font, size), np.zeros(3)), size // 3)
    coverage = np.pad(letters.alpha, size // 2)
    board = art.flat(np.ones_like(coverage), rng.uniform(0, 0.25, 3))
    return art.in_perspective(rng, art.over(art.flat(coverage, rng.choice([[1, 0.7, 0.1], [1, 1, 1], [0.3, 1, 0.4]])), board))


def clothing(rng: Rng, canvas: Canvas) -> Art:
    """Print on cloth: wavy, worn and lit."""
    coverage = np.pad(_text(rng, canvas, int(rng.integers(1, 3))), 12)
    height, width = coverage.shape
    y, x = np.meshgrid(np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32), indexing="ij")
    wave = 2 * np.pi / (height * rng.uniform(0.8, 2.5))
    dy, dx = (rng.uniform(1, 4) * np.sin(wave * (along + rng.uniform(0, 99))) for along in (x + 0.3 * y, y + 0.4 * x))
    waved = cv2.remap(coverage, x + dx.astype(np.float32), y + dy.astype(np.float32), cv2.INTER_LINEAR)
    worn = waved * np.float32(rng.uniform(0.6, 0.95))
    drawing = art.in_perspective(rng, art.uneven(rng, art.flat(worn, rng.uniform(0, 1, 3))), 0.08)
    folds = 0.75 + 0.25 * np.sin(np.linspace(0, rng.uniform(6, 25), drawing.alpha.shape[1], dtype=np.float32))
    return Art(drawing.alpha, (drawing.colour * folds[None, :, None]).astype(np.float32))


def windows(rng: Rng, canvas: Canvas) -> Art:
    """The windows of a building: a grid of light and dark panes."""
    rows, columns, pane = int(rng.integers(2, 8)), int(rng.integers(2, 10)), _size(rng, canvas, 0.02, 0.07)
    gap = max(2, int(pane * rng.uniform(0.2, 0.8)))
    cell = np.zeros((pane + gap, pane + gap), np.float32)
    cell[: round(pane * rng.uniform(0.6, 1)), :pane] = 1
    alpha = np.tile(cell, (rows, columns))
    shades = rng.uniform(0.1, 1, (rows, columns, 1)) * rng.uniform(0.5, 1, 3)
    colour = np.kron(shades, np.ones((pane + gap, pane + gap, 1))).astype(np.float32)
    return art.in_perspective(rng, Art(alpha * np.float32(rng.uniform(0.7, 1)), colour), 0.04)


def cloudlet(rng: Rng, canvas: Canvas) -> Art:
    """A soft pale blob, like a cloud, smoke or steam."""
    width = _size(rng, canvas, 0.15, 0.6)
    shape = max(10, int(width * rng.uniform(0.4, 0.9))), width
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0], dtype=np.float32), np.linspace(-1, 1, shape[1], dtype=np.float32), indexing="ij")
    soft = np.clip(1.2 - np.hypot(x, y) * (1 + art.cloud(rng, shape, 5)), 0, 1) * np.float32(rng.uniform(0.3, 0.9))
    return art.flat(soft.astype(np.float32), np.full(3, rng.uniform(0.6, 1)))


def bokeh(rng: Rng, canvas: Canvas) -> Art:
    """Out-of-focus lights: soft translucent discs of one hue."""
    extent, hue = _size(rng, canvas, 0.3, 0.8), np.array([1, rng.uniform(0.5, 1), rng.uniform(0.2, 1)])
    drawing = art.flat(np.zeros((extent, extent), np.float32), hue)
    for _ in range(int(rng.integers(3, 9))):
        size = max(6, int(extent * rng.uniform(0.08, 0.25)))
        disc = cv2.GaussianBlur(emblems.filled(emblems.disc(), size), (0, 0), 0.8 + size * rng.uniform(0.02, 0.12))
        top, left = (int(v) for v in rng.integers(0, extent - size, 2))
        where = drawing.alpha[top : top + size, left : left + size]
        np.maximum(where, disc * np.float32(rng.uniform(0.15, 0.7)), out=where)
    return drawing


def flare(rng: Rng, canvas: Canvas) -> Art:
    """A lens flare: a bright core and a row of rings."""
    extent = _size(rng, canvas, 0.3, 0.9)
    y, x = np.meshgrid(np.arange(extent, dtype=np.float32), np.arange(extent, dtype=np.float32), indexing="ij")
    alpha, step = np.zeros((extent, extent), np.float32), rng.uniform(0.12, 0.2)
    for i in range(5):
        distance = np.hypot(y - extent * (0.15 + step * i), x - extent * (0.15 + step * i * 0.9)) / extent
        radius = 0.12 if i == 0 else rng.uniform(0.02, 0.1)
        glow = np.exp(-((distance / radius) ** 2)) if i == 0 else 0.4 * np.exp(-(((distance - radius) / 0.012) ** 2))
        np.maximum(alpha, glow * rng.uniform(0.4, 0.9), out=alpha)
    return art.flat(alpha.astype(np.float32), np.array([1, rng.uniform(0.8, 1), rng.uniform(0.6, 1)]))


def ball(rng: Rng, canvas: Canvas) -> Art:
    """A round object, lit from one side, like a ball, the moon or fruit."""
    size = _size(rng, canvas, 0.05, 0.25)
    y, x = np.meshgrid(np.linspace(-1, 1, size, dtype=np.float32), np.linspace(-1, 1, size, dtype=np.float32), indexing="ij")
    lit = np.clip(1.1 - 0.7 * np.hypot(x - rng.uniform(-0.5, 0.5), y + rng.uniform(0, 0.5)), 0.05, 1)[..., None]
    base = np.full(3, rng.uniform(0.7, 1)) if rng.random() < 0.5 else rng.uniform(0, 1, 3)
    colour = np.clip(lit * base * (1 - 0.3 * art.cloud(rng, (size, size), 12)[..., None]), 0, 1).astype(np.float32)
    return Art(cv2.GaussianBlur(emblems.filled(emblems.disc(), size), (0, 0), 0.7 + size * 0.01), colour)


def lamp(rng: Rng, canvas: Canvas) -> Art:
    """A lamp: a bright disc with a halo."""
    size = _size(rng, canvas, 0.06, 0.3)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    distance = np.hypot(axis[:, None], axis[None])
    core = np.clip((rng.uniform(0.2, 0.45) - distance) * size / 4, 0, 1)
    halo = 0.7 * np.clip(1 - distance, 0, 1) ** 2
    return art.flat(np.maximum(core, halo).astype(np.float32), np.array([1, rng.uniform(0.8, 1), rng.uniform(0.5, 1)]))


def picture_frame(rng: Rng, canvas: Canvas) -> Art:
    """A picture on a wall or a screen: a piece of another photo with a border."""
    size = _size(rng, canvas, 0.15, 0.45)
    drawing = emblems.photo_piece(rng, size, canvas.photos)
    width = max(2, int(size * rng.uniform(0.03, 0.1)))
    colour = np.pad(drawing, ((width, width), (width, width), (0, 0)))
    colour[:width] = colour[-width:] = colour[:, :width] = colour[:, -width:] = rng.uniform(0, 0.9, 3).astype(np.float32)
    return art.in_perspective(rng, Art(np.ones(colour.shape[:2], np.float32), colour), 0.06)


def objects(rng: Rng, canvas: Canvas) -> Art:
    """A cut-out object, or several equal ones in a row: an animal, a fruit, a tool; vessels if no cut-outs are installed."""
    picture = cutouts.load(canvas.cutouts[rng.integers(len(canvas.cutouts))]) if canvas.cutouts else None
    if picture is None:
        return vessels(rng, canvas)
    drawing = cutouts.at_size(picture, _size(rng, canvas, 0.08, 0.5))
    drawing = drawing[:, ::-1] if rng.random() < 0.5 else drawing
    lit = (drawing[..., :3].astype(np.float32) / 255) ** np.float32(rng.uniform(0.7, 1.5)) * np.float32(rng.uniform(0.6, 1))
    return _in_row(rng, Art(drawing[..., 3].astype(np.float32) / 255, lit))


def vessels(rng: Rng, canvas: Canvas) -> Art:
    """Cups, bottles or vases in a row: shaded solids of revolution in one colour, with a highlight, rims and grooves."""
    height = _size(rng, canvas, 0.1, 0.4)
    width = max(8, int(height * rng.uniform(0.4, 1.1)))
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    knots = np.sort(rng.uniform(0.55, 0.97, 2)) if rng.random() < 0.6 else rng.uniform(0.35, 0.97, int(rng.integers(2, 6)))
    radius = np.interp(y[:, 0], np.linspace(0, 1, len(knots)), knots[:: int(rng.choice([-1, 1]))]).astype(np.float32)[:, None]
    across = x / radius
    alpha = np.clip((1 - np.abs(across)) * radius * width / 2, 0, 1) * (y < 1 - 0.06 * across**2) * (y > 0.03 * (1 - across**2))
    shade = np.sqrt(np.clip(1 - (across * 0.9 - rng.uniform(-0.5, 0.5)) ** 2, 0.05, 1))
    light = rng.uniform(0.3, 0.6) + rng.uniform(0.3, 0.7) * shade
    for at in rng.uniform(0, 1, int(rng.integers(0, 5))):  # grooves and rims
        light = light * (1 + rng.uniform(-0.4, 0.4) * np.exp(-(((y - at - 0.04 * across**2) / rng.uniform(0.005, 0.03)) ** 2)))
    gleam = rng.uniform(0, 0.8) * np.exp(-(((across - rng.uniform(-0.6, 0.6)) / rng.uniform(0.05, 0.2)) ** 2)) * np.ones_like(y)
    colour = np.clip(light[..., None] * rng.uniform(0, 1, 3) + gleam[..., None], 0, 1).astype(np.float32)
    if rng.random() < 0.5:  # a light edge
        colour[: max(1, height // 20)] = rng.uniform(0.7, 1)
    flipped = slice(None, None, -1 if rng.random() < 0.5 else 1)
    soft = cv2.GaussianBlur(np.pad(alpha.astype(np.float32)[flipped], 2), (0, 0), 0.6 + height * 0.004)
    return _in_row(rng, Art(soft, np.pad(colour[flipped], ((2, 2), (2, 2), (0, 0)), mode="edge")))


def _in_row(rng: Rng, drawing: Art) -> Art:
    """The object, or up to four copies of it side by side, often with shadows."""
    row = drawing
    for _ in range(int(rng.choice([0, 0, 0, 1, 2, 3]))):
        row = art.beside(row, drawing, int(drawing.alpha.shape[1] * rng.uniform(0.05, 1.2)))
    return art.shadowed(rng, row) if rng.random() < 0.6 else row


def weave(rng: Rng, canvas: Canvas) -> Art:
    """Cloth, a net, a grille or a shelf: regular, slightly bent rows of holes, stitches or slats."""
    extent = _size(rng, canvas, 0.25, 0.9), _size(rng, canvas, 0.25, 0.9)
    y, x = np.meshgrid(np.arange(extent[0], dtype=np.float32), np.arange(extent[1], dtype=np.float32), indexing="ij")
    bend = _size(rng, canvas, 0.0, 0.03) * art.cloud(rng, extent, 4)
    across, along = rng.uniform(0.004, 0.03) * canvas.short_side, rng.uniform(0.008, 0.05) * canvas.short_side
    rows = np.sin(2 * np.pi * (y + bend) / max(3.0, along) + rng.uniform(0, 6)) * rng.uniform(0.3, 1)
    holes = np.sin(2 * np.pi * (x + 0.5 * bend) / max(2.5, across)) * (
        np.sin(2 * np.pi * (y + bend) / max(6.0, 4 * along)) > rng.uniform(-1, 0.8)
    )
    pattern = (0.5 + 0.25 * rows + 0.25 * holes * rng.uniform(0, 1) + 0.15 * (art.cloud(rng, extent, 60) - 0.5))[..., None]
    light, dark = rng.uniform(0.3, 1, 3), rng.uniform(0, 0.4, 3)
    shape = cv2.resize(emblems.filled(emblems.disc(), max(extent)), extent[::-1]) if rng.random() < 0.4 else np.ones(extent, np.float32)
    colour = np.clip(pattern * light + (1 - pattern) * dark, 0, 1).astype(np.float32)
    return Art(cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.7, 3)), art.lit(rng, colour))


def ruled(rng: Rng, canvas: Canvas) -> Art:
    """A sheet with evenly spaced thin lines or stripes, one way or both: squared paper, a cutting mat, tiles, a striped wall or cloth."""
    shape = _size(rng, canvas, 0.4, 1.3), _size(rng, canvas, 0.5, 1.8)
    spacing, angle = _size(rng, canvas, 0.015, 0.12), float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15))
    thick = max(1.0, spacing * float(np.exp(rng.uniform(np.log(0.04), np.log(0.5)))))
    lines = _stripes(shape, angle, spacing, thick)
    if rng.random() < 0.6:
        lines = np.maximum(lines, _stripes(shape, angle + np.pi / 2, spacing * float(rng.choice([1, 1, rng.uniform(0.5, 2)])), thick))
    light, dark = rng.uniform(0.6, 1) * rng.uniform(0.7, 1, 3), rng.uniform(0, 0.5) * rng.uniform(0.5, 1, 3)
    ink, ground = (light, dark) if rng.random() < 0.6 else (dark, light)
    drawing = art.over(art.flat(lines * np.float32(rng.uniform(0.4, 1)), ink), art.flat(np.ones(shape, np.float32), ground))
    return art.in_perspective(rng, drawing, float(rng.uniform(0, 0.12)))


def _stripes(shape: tuple[int, int], angle: float, spacing: float, thick: float) -> Coverage:
    """Coverage of parallel lines, `spacing` pixels apart and `thick` pixels wide, across the direction of the angle in radians."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.clip(thick / 2 - np.abs(along % spacing - spacing / 2) + 0.5, 0, 1).astype(np.float32)


OBJECT_KINDS: dict[str, Callable[[Rng, Canvas], Art]] = {
    kind.__name__: kind
    for kind in (
        *(sign, scoreboard, clothing, windows, cloudlet, bokeh, flare, ball, lamp, picture_frame, objects, vessels, weave, ruled),
        *small_things.KINDS,
    )
}
SHARES = {  # relative frequencies; 1 for the others
    **dict.fromkeys(("sign", "clothing", "vessels", "weave", "ruled", "headlights", "chimneys"), 2),
    **{"objects": 5, "small_objects": 4},
}
TEXTS = ("sign", "scoreboard", "clothing", "number_plate")
# Unlike any mark, so they may stand still in a static clip.
SOLID = ("objects", "vessels", "weave", "ruled", "chimneys", "small_objects")


def framing(rng: Rng, canvas: Canvas) -> Patch:
    """Letterbox bars, side bars or a vignette over the whole picture: static, but not a mark."""
    alpha = np.zeros((canvas.height, canvas.width), np.float32)
    roll = rng.random()
    if roll < 0.35:
        bar = round(canvas.height * rng.uniform(0.05, 0.15))
        alpha[:bar] = alpha[canvas.height - bar :] = 1
    elif roll < 0.55:
        bar = round(canvas.width * rng.uniform(0.05, 0.3))
        alpha[:, :bar] = alpha[:, canvas.width - bar :] = 1
    else:
        y, x = np.linspace(-1, 1, canvas.height, dtype=np.float32)[:, None], np.linspace(-1, 1, canvas.width, dtype=np.float32)[None]
        alpha = np.clip((x * x + y * y) * rng.uniform(0.2, 0.45), 0, 0.9).astype(np.float32)
    return Patch(0, 0, alpha, np.broadcast_to(np.zeros(3, np.float32), (*alpha.shape, 3)))
