"""The kinds of marks that the networks are trained on, in addition to those of the benchmark; each is a small function."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from training import animation, art, captions, emblems, glyphs
from training.animation import Pose
from training.art import Art
from training.captions import Caption
from training.glyphs import Coverage
from training.patches import Canvas, LazyPatches, MarkFrames, Patch, placed

Rng = np.random.Generator


def _size(rng: Rng, canvas: Canvas, smallest: float, largest: float) -> int:
    """A random size in pixels, log-uniform between two shares of the short side."""
    return max(10, round(canvas.short_side * float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))))


def _fitted(drawing: Art, canvas: Canvas, share: float = 0.96) -> Art:
    """Scale the drawing down, if necessary, to fit into that share of the picture."""
    height, width = drawing.alpha.shape
    scale = min(1.0, canvas.width * share / width, canvas.height * share / height)
    if scale == 1:
        return drawing
    size = max(1, int(width * scale)), max(1, int(height * scale))
    colour = np.ascontiguousarray(drawing.colour)
    return Art(
        *(cv2.resize(x, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], *x.shape[2:]) for x in (drawing.alpha, colour))
    )


def _home(rng: Rng, canvas: Canvas, drawing: Art, corner_share: float = 0.6) -> Pose:
    place = animation.corner if rng.random() < corner_share else animation.anywhere
    return place(rng, canvas, drawing)


def _fonts(canvas: Canvas) -> tuple[Path, ...]:
    return canvas.vocabulary.latin_fonts


def _typeset(rng: Rng, canvas: Canvas, size_pixels: int, text: Caption | None = None) -> Art:
    """A caption, random by default, in a random style and colour."""
    text = text or captions.caption(rng, canvas.vocabulary)
    return art.flat(captions.typeset(rng, text, size_pixels), art.ink(rng))


def logo(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A procedural emblem, alone or with a word beside or below it."""
    size = _size(rng, canvas, 0.05, 0.3)
    drawing = emblems.emblem(rng, size, _fonts(canvas))
    roll = rng.random()
    if roll < 0.5:
        words = _typeset(rng, canvas, round(size * rng.uniform(0.2, 0.7)))
        drawing = art.beside(drawing, words, size // 6) if roll < 0.3 else art.below(drawing, words, max(1, size // 12))
    drawing = art.faded(_fitted(art.styled(rng, drawing), canvas), art.opacity(rng))
    return animation.moved(rng, canvas, drawing, _home(rng, canvas, drawing))


def sticker(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A piece of another photo."""
    drawing = emblems.sticker(rng, _size(rng, canvas, 0.08, 0.35), canvas.photos)
    drawing = art.faded(_fitted(art.styled(rng, drawing, (art.textured, art.plated)), canvas), art.opacity(rng))
    return animation.moved(rng, canvas, drawing, _home(rng, canvas, drawing))


def wordmark(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A word, sometimes two, in any style, anywhere."""
    drawing = _typeset(rng, canvas, _size(rng, canvas, 0.03, 0.16))
    if rng.random() < 0.2:
        drawing = art.below(drawing, _typeset(rng, canvas, _size(rng, canvas, 0.025, 0.06)), 2)
    drawing = art.faded(_fitted(art.styled(rng, drawing), canvas), art.opacity(rng))
    return animation.moved(rng, canvas, drawing, _home(rng, canvas, drawing, 0.4))


def plate(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A word or a sentence on a box, opaque or translucent: lower thirds, labels."""
    text = captions.line(rng, canvas.vocabulary) if rng.random() < 0.4 else None
    drawing = art.plated(rng, _typeset(rng, canvas, _size(rng, canvas, 0.03, 0.08), text))
    drawing = art.faded(_fitted(drawing, canvas), 1.0 if rng.random() < 0.7 else art.opacity(rng))
    return animation.moved(rng, canvas, drawing, _home(rng, canvas, drawing))


def vertical(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A line that runs down the picture: Chinese characters one below another, or a caption turned by a quarter; mostly at a side."""
    size = _size(rng, canvas, 0.03, 0.09)
    drawing = _column(rng, canvas, size) if rng.random() < 0.6 else _sideways(_typeset(rng, canvas, size), int(rng.choice([1, 3])))
    drawing = art.outlined(rng, drawing) if rng.random() < 0.5 else art.styled(rng, drawing)
    drawing = art.faded(_fitted(drawing, canvas), art.opacity(rng))
    home, half = animation.anywhere(rng, canvas, drawing), drawing.alpha.shape[1] / 2
    margin = half + canvas.width * float(rng.uniform(0.01, 0.1))
    side = float(rng.choice([margin, canvas.width - margin, home.x], p=[0.3, 0.4, 0.3]))
    return animation.moved(rng, canvas, drawing, replace(home, x=side))


def _column(rng: Rng, canvas: Canvas, size_pixels: int) -> Art:
    """Chinese characters one below another, in one or two columns of one colour."""
    fonts, texts = canvas.vocabulary.chinese_fonts, canvas.vocabulary.chinese
    font, colour = fonts[rng.integers(len(fonts))], art.ink(rng)
    columns = [
        str(rng.choice(canvas.vocabulary.chinese_sentences if rng.random() < 0.4 else texts)) for _ in range(rng.choice([1, 1, 1, 2]))
    ]
    drawn = [glyphs.stacked(column, font, size_pixels) for column in columns]
    height = max(len(column) for column in drawn)
    return art.flat(np.hstack([np.pad(column, ((0, height - len(column)), (0, 0))) for column in drawn]), colour)


def _sideways(drawing: Art, quarter_turns: int) -> Art:
    return Art(np.rot90(drawing.alpha, quarter_turns).copy(), np.rot90(drawing.colour, quarter_turns))


def bug(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A channel's small logo in a corner, static, mostly translucent."""
    size = _size(rng, canvas, 0.04, 0.11)
    drawing = _typeset(rng, canvas, size) if rng.random() < 0.5 else emblems.emblem(rng, size, _fonts(canvas))
    if rng.random() < 0.3:
        drawing = art.plated(rng, drawing)
    drawing = art.faded(_fitted(drawing, canvas, 0.5), 1.0 if rng.random() < 0.25 else float(rng.uniform(0.2, 0.8)))
    return animation.shown(drawing, animation.still(rng, canvas, drawing, animation.corner(rng, canvas, drawing)))


def handle(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A user name, often after a small emblem, often with a soft shadow."""
    size = _size(rng, canvas, 0.025, 0.06)
    name = Caption(captions.handle(rng, canvas.vocabulary), captions.latin_font(rng, canvas.vocabulary))
    drawing = art.flat(glyphs.text(name.words, name.font, size), art.ink(rng) if rng.random() < 0.3 else np.full(3, rng.uniform(0.9, 1)))
    if rng.random() < 0.5:
        drawing = art.beside(emblems.emblem(rng, round(size * rng.uniform(1, 2))), drawing, size // 3)
    if rng.random() < 0.5:
        drawing = art.shadowed(rng, drawing)
    drawing = art.faded(_fitted(drawing, canvas), float(rng.uniform(0.4, 1)))
    home = _home(rng, canvas, drawing, 0.5)
    motion = animation.hopping if rng.random() < 0.3 else animation.still
    return animation.shown(drawing, motion(rng, canvas, drawing, home))


def stamp(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A word in a rotated frame, like a stamp."""
    size = _size(rng, canvas, 0.05, 0.15)
    coverage = np.pad(captions.typeset(rng, captions.caption(rng, canvas.vocabulary), size), size // 3 + 2)
    thick = max(1, size // 12)
    ring = np.ones_like(coverage)
    ring[thick:-thick, thick:-thick] = 0
    drawing = _fitted(art.flat(np.maximum(coverage, ring) if rng.random() < 0.8 else coverage, art.ink(rng)), canvas, 0.7)
    if rng.random() < 0.5:
        drawing = art.uneven(rng, drawing)
    turned = animation.posed(art.padded(drawing, 1), Pose(0, 0, degrees=float(rng.uniform(-40, 40)) or 1.0))
    drawing = art.faded(_fitted(Art(turned.alpha, turned.colour), canvas), float(rng.uniform(0.25, 1)))
    return animation.moved(rng, canvas, drawing, _home(rng, canvas, drawing, 0.2))


def emblem(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A large translucent emblem or word across the middle, with or without a word below it."""
    size = _size(rng, canvas, 0.3, 0.75)
    drawing = emblems.layered(rng, size) if rng.random() < 0.7 else _typeset(rng, canvas, size // 3)
    if rng.random() < 0.4:
        drawing = art.below(drawing, _typeset(rng, canvas, size // 6), size // 20)
    drawing = art.faded(_fitted(drawing, canvas, 0.9), float(rng.uniform(0.15, 0.5)))
    motion = animation.fading if rng.random() < 0.15 else animation.still
    return animation.shown(drawing, motion(rng, canvas, drawing, animation.middle(canvas)))


def _whole(rng: Rng, canvas: Canvas, coverage: Coverage, level: float) -> MarkFrames:
    drawing = art.flat(coverage * np.float32(level), art.ink(rng))
    return animation.shown(drawing, animation.still(rng, canvas, drawing, animation.middle(canvas)))


def diagonal(rng: Rng, canvas: Canvas) -> MarkFrames:
    """One word tiled along slanted lines over the whole picture."""
    word = captions.typeset(rng, captions.caption(rng, canvas.vocabulary), _size(rng, canvas, 0.03, 0.1))
    gap_x, gap_y = int(word.shape[0] * rng.uniform(0.5, 4)), int(word.shape[0] * rng.uniform(0.7, 5))
    cell = np.pad(word, ((0, gap_y), (0, gap_x)))
    diagonal_pixels = int(np.hypot(canvas.width, canvas.height))
    row = np.tile(cell, (1, diagonal_pixels // cell.shape[1] + 2))
    shift = int(rng.integers(cell.shape[1]))
    rows = range(diagonal_pixels // cell.shape[0] + 2)
    sheet = np.concatenate([np.roll(row, shift * i, 1)[:, : diagonal_pixels + 1] for i in rows])
    middle = sheet.shape[1] / 2, sheet.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(middle, float(rng.choice([-1, 1]) * rng.uniform(10, 50)), 1)
    matrix[:, 2] += canvas.width / 2 - middle[0], canvas.height / 2 - middle[1]
    return _whole(rng, canvas, cv2.warpAffine(sheet, matrix, (canvas.width, canvas.height)), float(rng.uniform(0.15, 0.6)))


def grid(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Thin lines or crosses over the whole picture, as on previews of stock photos, mostly with a word in the middle."""
    coverage = _lines(rng, canvas)
    if rng.random() < 0.7:
        drawing = _fitted(_typeset(rng, canvas, _size(rng, canvas, 0.06, 0.15)), canvas, 0.8)
        word, _ = placed(animation.posed(drawing, animation.middle(canvas)), canvas.height, canvas.width, 0, 0)
        coverage = np.maximum(coverage, word)
    return _whole(rng, canvas, coverage, float(rng.uniform(0.15, 0.7)))


def _lines(rng: Rng, canvas: Canvas) -> Coverage:
    picture = np.zeros((canvas.height, canvas.width), np.uint8)
    thick, width, height = int(rng.integers(1, max(2, canvas.short_side // 240) + 1)), canvas.width, canvas.height
    if rng.random() < 0.35:
        lines = [((0, 0), (width, height)), ((0, height), (width, 0))]
    else:
        step, lean = _size(rng, canvas, 0.15, 0.5), float(rng.choice([0, 0, 1])) * height * rng.uniform(0.3, 1)
        lines = [((x, 0), (round(x + lean), height)) for x in range(-height, width + height, step)]
        lines += [((0, y), (width, round(y - lean * width / height))) for y in range(step // 2, height + width, step)]
    for one, other in lines:
        cv2.line(picture, one, other, 255, thick, cv2.LINE_AA)
    return picture.astype(np.float32) / 255


def crawl(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A line of text that runs from right to left, with or without a band, near the lower or the upper edge."""
    size, speed = _size(rng, canvas, 0.03, 0.065), float(rng.uniform(1, 7))
    lines = [captions.line(rng, canvas.vocabulary) for _ in range(4)]
    pieces = [np.pad(glyphs.text(line.words, line.font, size), ((0, 0), (0, size))) for line in lines]
    height = max(piece.shape[0] for piece in pieces) + size // 2
    strip = np.concatenate([np.pad(p, (((height - len(p)) // 2, height - len(p) - (height - len(p)) // 2), (0, 0))) for p in pieces], 1)
    strip = np.tile(strip, (1, canvas.width // strip.shape[1] + 2))
    band = 0.0 if rng.random() < 0.3 else 1.0 if rng.random() < 0.5 else float(rng.uniform(0.3, 0.8))
    top = round((canvas.height - height) * (rng.uniform(0.85, 1) if rng.random() < 0.8 else rng.uniform(0, 0.1)))
    letters, ground = (np.full(3, 1.0), rng.uniform(0, 0.5, 3)) if rng.random() < 0.7 else (np.zeros(3), np.full(3, 0.95))
    letters = letters if band else art.ink(rng)

    def drawn(shift: int) -> Patch:
        window = np.take(strip, np.arange(shift, shift + canvas.width), axis=1, mode="wrap")
        drawing = art.over(art.flat(window, letters), art.flat(np.full_like(window, band), ground))
        return Patch(0, top, drawing.alpha, drawing.colour)

    shifts = [round(i * speed) for i in range(canvas.frames)]
    return MarkFrames(LazyPatches(shifts, drawn), (0,) * canvas.frames if band == 1 else tuple(shifts))


def clock(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A clock, a camera's date or a running counter."""
    readings, font = captions.clock(rng, canvas.frames), captions.latin_font(rng, canvas.vocabulary)
    size, colour, boxed = _size(rng, canvas, 0.03, 0.08), art.ink(rng), rng.random() < 0.3
    level = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.3, 1))
    widest = _fitted(art.flat(glyphs.text(max(readings, key=len), font, size), colour), canvas).alpha.shape
    home = animation.corner(rng, canvas, art.flat(np.zeros(widest, np.float32), colour))
    left, top = round(home.x - widest[1] / 2), round(home.y - widest[0] / 2)

    def drawn(reading: str) -> Patch:
        drawing = _fitted(art.flat(glyphs.text(reading, font, size), colour), canvas)
        if boxed:
            drawing = art.over(drawing, art.flat(np.ones_like(drawing.alpha), np.full(3, 0.0 if colour.mean() > 0.5 else 1.0)))
        return Patch(left, top, drawing.alpha * np.float32(level), drawing.colour)

    numbers = {reading: i for i, reading in enumerate(dict.fromkeys(readings))}
    return MarkFrames(LazyPatches(readings, drawn), tuple(numbers[reading] for reading in readings))


def bouncing(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A logo that drifts slowly and bounces off the edges."""
    size = _size(rng, canvas, 0.08, 0.2)
    drawing = emblems.emblem(rng, size, _fonts(canvas)) if rng.random() < 0.5 else _typeset(rng, canvas, size // 2)
    drawing = art.faded(_fitted(drawing, canvas, 0.6), art.opacity(rng))
    return animation.shown(drawing, animation.drifting(rng, canvas, drawing, animation.anywhere(rng, canvas, drawing)))


def several(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Two or three different marks at once."""
    kinds = [logo, wordmark, bug, handle, clock, sticker, plate, stamp]
    chosen = rng.choice(len(kinds), int(rng.integers(2, 4)), replace=False)
    parts = [kinds[i](rng, canvas) for i in chosen]
    rows_of_intervals = zip(*(part.intervals for part in parts), strict=True)
    known: dict[tuple[int | None, ...], int] = {}
    numbers = tuple(None if set(row) == {None} else known.setdefault(row, len(known)) for row in rows_of_intervals)

    def drawn(index: int) -> Patch:
        return merged([patch for part in parts if (patch := part.patches[index]) is not None])

    firsts: dict[tuple[object, ...], int] = {}  # equal frames share one patch
    rows = zip(*(part.patches.keys for part in parts), strict=True)
    frames = [firsts.setdefault(row, index) for index, row in enumerate(rows)]
    return MarkFrames(LazyPatches([None if n is None else i for n, i in zip(numbers, frames, strict=True)], drawn), numbers)


def merged(patches: list[Patch]) -> Patch:
    """Composite several patches into one, the later ones in front."""
    left, top = min(p.left for p in patches), min(p.top for p in patches)
    width = max(p.left + p.alpha.shape[1] for p in patches) - left
    height = max(p.top + p.alpha.shape[0] for p in patches) - top
    alpha, colour = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
    for patch in patches:
        h, w = patch.alpha.shape
        where = slice(patch.top - top, patch.top - top + h), slice(patch.left - left, patch.left - left + w)
        both = art.over(Art(patch.alpha, patch.colour), Art(alpha[where], colour[where]))
        alpha[where], colour[where] = both.alpha, both.colour
    return Patch(left, top, alpha, colour)


OVERLAY_KINDS: dict[str, Callable[[Rng, Canvas], MarkFrames]] = {
    kind.__name__: kind
    for kind in (logo, sticker, wordmark, plate, vertical, bug, handle, stamp, emblem, diagonal, grid, crawl, clock, bouncing, several)
}
