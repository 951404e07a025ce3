"""Marks of the classes that today's generators and editors leave: small stars, made-with words, pills, fine print, outlined text, drifters.

No vendor's artwork is imitated: shapes, words and fonts are drawn at random within each class.
"""

from collections.abc import Callable

import cv2
import numpy as np

from training import animation, art, captions, emblems, glyphs
from training.animation import Pose, Trajectory
from training.art import Art
from training.captions import Caption
from training.glyphs import Coverage
from training.patches import Canvas, MarkFrames

Rng = np.random.Generator

CHINESE_LABELS = ("AI生成", "AI制作", "AI创作", "AI合成", "AI绘制", "智能生成", "由AI生成")
LATIN_LABELS = ("AI", "AI generated", "Studio AI", "gen", "Image AI", "Video AI", "Pro")
LARGE_PICTURE_PIXELS = 1_000_000  # pictures with more carry a star of twice the size


def star(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A small four-pointed star or another simple glyph, alone in a corner, mostly white and half transparent; smaller in a shrunk copy."""
    rest_pixels = 48 if canvas.width * canvas.height <= LARGE_PICTURE_PIXELS else 96
    size = max(14, round(min(rest_pixels * float(rng.uniform(0.35, 1.3)), 0.2 * canvas.short_side)))
    roll = rng.random()
    coverage = sparkle(rng, size) if roll < 0.7 else emblems.filled(emblems.outline(rng), size)
    if roll < 0.15:
        coverage = _with_small_copy(rng, coverage)
    drawing = art.faded(art.flat(coverage, _white(rng, 0.85)), float(rng.uniform(0.3, 0.85)))
    if rng.random() < 0.15:
        drawing = art.shadowed(rng, drawing)
    return _standing(rng, canvas, drawing, lower_right_share=0.7)


def sparkle(rng: Rng, size_pixels: int) -> Coverage:
    """Coverage (size, size) of a four-pointed star with concave sides, sharp or rounded."""
    exponent, axis = float(rng.uniform(0.42, 0.7)), np.abs(np.linspace(-1.04, 1.04, 4 * size_pixels, dtype=np.float32))
    inside = axis[:, None] ** exponent + axis[None] ** exponent < 1
    return cv2.resize(inside.astype(np.float32), (size_pixels, size_pixels), interpolation=cv2.INTER_AREA)


def _with_small_copy(rng: Rng, coverage: Coverage) -> Coverage:
    """The glyph with a smaller one at its upper right."""
    small = cv2.resize(coverage, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    height, width = small.shape
    wide = np.pad(coverage, ((height // 2, 0), (0, -(-width // 2))))
    left = coverage.shape[1] - int(width * rng.uniform(0.5, 0.9))
    wide[:height, left : left + width] = np.maximum(wide[:height, left : left + width], small)
    return wide


def made_with(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A short word with a label, Chinese or Latin, white, 10 to 16 % of the width, often outlined or shadowed, mostly lower right."""
    width = canvas.width * float(rng.uniform(0.09, 0.18)) if canvas.width >= canvas.height else canvas.width * float(rng.uniform(0.15, 0.3))
    lines = _label(rng, canvas)
    drawing = art.flat(_set_to_width(lines[0], width), _white(rng, 0.85))
    if len(lines) > 1:
        drawing = art.below(drawing, art.flat(_set_to_width(lines[1], width * rng.uniform(0.6, 1)), _white(rng, 0.95)), 2)
    if rng.random() < 0.35:
        size = max(10, round(drawing.alpha.shape[0] * rng.uniform(0.9, 1.5)))
        badge = art.flat(sparkle(rng, size), _white(rng, 0.9)) if rng.random() < 0.4 else emblems.emblem(rng, size)
        drawing = art.beside(badge, drawing, max(2, size // 4))
    if rng.random() < 0.15:
        leaning = glyphs.slanted(drawing.alpha, float(rng.uniform(0.1, 0.3)))
        drawing = art.flat(leaning, _white(rng, 0.9))
    roll = rng.random()
    drawing = thinly_outlined(rng, drawing) if roll < 0.3 else art.shadowed(rng, drawing) if roll < 0.55 else drawing
    return _standing(rng, canvas, art.faded(drawing, float(rng.uniform(0.45, 0.9))), lower_right_share=0.65)


def _label(rng: Rng, canvas: Canvas) -> tuple[Caption, ...]:
    """One line, or two."""
    vocabulary = canvas.vocabulary
    if rng.random() < 0.5:
        font = vocabulary.chinese_fonts[rng.integers(len(vocabulary.chinese_fonts))]
        name = str(rng.choice(vocabulary.chinese if rng.random() < 0.6 else vocabulary.words))
        label = str(rng.choice(CHINESE_LABELS))
        if rng.random() < 0.2:
            return Caption(name, font), Caption(label, font)
        return (Caption(label if rng.random() < 0.25 else f"{name}{rng.choice(['', ' ', ' · ', '｜'])}{label}", font),)
    font, name = captions.latin_font(rng, vocabulary), str(rng.choice(vocabulary.words))
    if rng.random() < 0.2:
        return Caption(f"{rng.choice(['Made with', 'Created by', 'Powered by'])}", font), Caption(name, font)
    return (Caption(name if rng.random() < 0.4 else f"{name} {rng.choice(LATIN_LABELS)}", font),)


def _set_to_width(text: Caption, width_pixels: float) -> Coverage:
    """Coverage (h, w) of the caption, about that wide."""
    return glyphs.fitted_text(text.words, text.font, max(24.0, width_pixels))


def thinly_outlined(rng: Rng, drawing: Art) -> Art:
    """Add a dark outline of one or two pixels, sharp or soft, around the light drawing; it may be fainter than the letters."""
    width = 1 if min(drawing.alpha.shape) < 40 or rng.random() < 0.6 else 2
    drawing = art.padded(drawing, width + 2)
    outline = cv2.dilate(drawing.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)))
    if rng.random() < 0.4:
        outline = cv2.GaussianBlur(outline, (0, 0), 0.7)
    return art.over(drawing, art.flat(outline * np.float32(rng.uniform(0.4, 1)), np.full(3, rng.uniform(0, 0.25))))


def pill(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A rounded pill with a thin outline around light text, or an opaque light one with dark text, perhaps with an icon."""
    written = _set_to_width(_label(rng, canvas)[0], canvas.width * float(rng.uniform(0.07, 0.16)))
    solid = rng.random() < 0.5
    shade = np.full(3, rng.uniform(0, 0.2)) if solid else _white(rng, 0.9)
    drawing = art.flat(written, shade)
    if rng.random() < 0.5:
        size = max(8, round(written.shape[0] * rng.uniform(0.7, 1.1)))
        icon = sparkle(rng, size) if rng.random() < 0.5 else emblems.filled(emblems.outline(rng), size)
        drawing = art.beside(art.flat(icon, shade), drawing, max(2, size // 3))
    margin = max(3, int(drawing.alpha.shape[0] * rng.uniform(0.25, 0.6)))
    drawing = art.padded(drawing, margin)
    box = art.rounded_box(*drawing.alpha.shape, radius=drawing.alpha.shape[0] // 2 if rng.random() < 0.7 else margin)
    ground = art.flat(box, np.full(3, rng.uniform(0.9, 1))) if solid else art.flat(_rim(rng, box), _white(rng, 0.9))
    drawing = art.over(drawing, ground)
    level = 1.0 if solid and rng.random() < 0.7 else float(rng.uniform(0.4, 0.95))
    return _standing(rng, canvas, art.faded(drawing, level), lower_right_share=0.4)


def _rim(rng: Rng, box: Coverage) -> Coverage:
    """The outline of the box, one or two pixels wide; its inside may be slightly filled."""
    inner = cv2.erode(box, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    filled = float(rng.uniform(0.05, 0.4)) if rng.random() < 0.4 else 0.0
    return np.maximum(box - inner, filled * box).astype(np.float32)


def fine_print(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A faint line of small text, often after a small star, a quarter of the width."""
    text = captions.line(rng, canvas.vocabulary) if rng.random() < 0.4 else _label(rng, canvas)[0]
    drawing = art.flat(_set_to_width(text, canvas.width * float(rng.uniform(0.15, 0.35))), _white(rng, 0.85))
    if rng.random() < 0.6:
        size = max(8, round(drawing.alpha.shape[0] * rng.uniform(0.8, 1.2)))
        drawing = art.beside(art.flat(sparkle(rng, size), _white(rng, 0.95)), drawing, max(2, size // 3))
    return _standing(rng, canvas, art.faded(drawing, float(rng.uniform(0.25, 0.42))), lower_right_share=0.4)


def outlined_text(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Light, often half-transparent text with a dark outline or shadow: in a corner, at the bottom or anywhere; perhaps in motion."""
    size = max(11, round(canvas.short_side * float(np.exp(rng.uniform(np.log(0.03), np.log(0.12))))))
    text = captions.line(rng, canvas.vocabulary) if rng.random() < 0.25 else captions.caption(rng, canvas.vocabulary)
    coverage = captions.typeset(rng, text, size)
    if coverage.shape[1] > 0.9 * canvas.width:
        coverage = _set_to_width(text, 0.9 * canvas.width)
    drawing = art.flat(coverage, _white(rng, 0.7))
    drawing = thinly_outlined(rng, drawing) if rng.random() < 0.5 else art.shadowed(rng, drawing)
    drawing = art.faded(drawing, 1.0 if rng.random() < 0.25 else float(rng.uniform(0.3, 0.95)))
    if rng.random() < 0.3:
        return animation.moved(rng, canvas, drawing, animation.anywhere(rng, canvas, drawing))
    return _standing(rng, canvas, drawing, lower_right_share=0.2)


def drifter(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A word or a logo that drifts 1 to 6 pixels a frame: straight through the picture and out of it, or bouncing off its edges."""
    size = max(12, round(canvas.short_side * float(rng.uniform(0.05, 0.16))))
    if rng.random() < 0.6:
        drawing = art.flat(captions.typeset(rng, captions.caption(rng, canvas.vocabulary), max(10, size // 2)), art.ink(rng))
    else:
        drawing = emblems.emblem(rng, size, canvas.vocabulary.latin_fonts)
    if rng.random() < 0.3:
        drawing = thinly_outlined(rng, drawing)
    drawing = art.faded(drawing, art.opacity(rng))
    path = _bouncing_path if rng.random() < 0.6 else _straight_path
    return animation.shown(drawing, path(rng, canvas, drawing))


def _bouncing_path(rng: Rng, canvas: Canvas, drawing: Art) -> Trajectory:
    height, width = drawing.alpha.shape
    room = np.maximum(1.0, np.array([canvas.width - width, canvas.height - height], np.float64))
    start, speed = rng.uniform(0, 1, 2) * room, _speed(rng, canvas)
    corners = np.abs((start + speed * np.arange(canvas.frames)[:, None] + room) % (2 * room) - room)
    return _trajectory([Pose(round(x) + width / 2, round(y) + height / 2) for x, y in corners])


def _straight_path(rng: Rng, canvas: Canvas, drawing: Art) -> Trajectory:
    """Past a random place at a random frame; it may enter and leave the picture."""
    height, width = drawing.alpha.shape
    middle, speed = animation.anywhere(rng, canvas, drawing), _speed(rng, canvas)
    poses: list[Pose | None] = []
    for age in np.arange(canvas.frames) - int(rng.integers(0, canvas.frames)):
        x, y = round(middle.x + speed[0] * age), round(middle.y + speed[1] * age)
        outside = not (-width / 2 < x < canvas.width + width / 2 and -height / 2 < y < canvas.height + height / 2)
        poses.append(None if outside else Pose(x + width % 2 / 2, y + height % 2 / 2))
    return _trajectory(poses)


def _speed(rng: Rng, canvas: Canvas) -> np.ndarray:
    """(x, y) in pixels a frame: 1 to 6 at 720 lines."""
    angle = rng.choice([0.0, np.pi / 2, np.pi]) if rng.random() < 0.3 else rng.uniform(0, 2 * np.pi)
    return rng.uniform(1, 6) * max(0.5, canvas.short_side / 720) * np.array([np.cos(angle), np.sin(angle)])


def _trajectory(poses: list[Pose | None]) -> Trajectory:
    """Every place is an interval of its own."""
    known: dict[Pose, int] = {}
    return Trajectory(tuple(poses), tuple(None if pose is None else known.setdefault(pose, len(known)) for pose in poses))


def credits_roll(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Several centred lines that scroll upwards through the picture."""
    size, speed = max(11, round(canvas.short_side * float(rng.uniform(0.03, 0.06)))), float(rng.uniform(0.8, 4))
    drawing = art.flat(captions.typeset(rng, captions.caption(rng, canvas.vocabulary), size), _white(rng, 0.8))
    for _ in range(int(rng.integers(4, 12))):
        written = captions.typeset(rng, captions.caption(rng, canvas.vocabulary), size)
        drawing = art.below(drawing, art.flat(written, _white(rng, 0.95)), int(size * rng.uniform(0.3, 1.2)))
    if rng.random() < 0.4:
        drawing = thinly_outlined(rng, drawing)
    drawing = art.faded(drawing, 1.0 if rng.random() < 0.6 else float(rng.uniform(0.4, 1)))
    height = drawing.alpha.shape[0]
    x = canvas.width * float(rng.choice([0.5, 0.5, 0.3, 0.7]))
    start = canvas.height + height / 2 - rng.uniform(0.2, 1) * (canvas.height + height) * 0.7
    return animation.shown(drawing, _trajectory([Pose(x, float(round(start - speed * frame))) for frame in range(canvas.frames)]))


def _white(rng: Rng, share: float) -> np.ndarray:
    """White in that share of the cases, else any colour."""
    return np.full(3, rng.uniform(0.92, 1), np.float32) if rng.random() < share else art.ink(rng)


def _standing(rng: Rng, canvas: Canvas, drawing: Art, lower_right_share: float) -> MarkFrames:
    """The drawing at one place: in the lower right corner, in any corner, at the middle of the lower edge, or anywhere."""
    height, width = drawing.alpha.shape
    margin = canvas.short_side * float(rng.uniform(0.02, 0.13))
    right, bottom = max(width / 2, canvas.width - margin - width / 2), max(height / 2, canvas.height - margin - height / 2)
    roll = rng.random()
    if roll < lower_right_share:
        home = Pose(right, bottom)
    elif roll < lower_right_share + 0.1:
        home = Pose(canvas.width / 2, bottom)
    else:
        home = animation.corner(rng, canvas, drawing) if rng.random() < 0.6 else animation.anywhere(rng, canvas, drawing)
    motion = animation.fading if rng.random() < 0.08 and canvas.frames > 1 else animation.still
    return animation.shown(drawing, motion(rng, canvas, drawing, home))


GENERATOR_KINDS: dict[str, Callable[[Rng, Canvas], MarkFrames]] = {
    kind.__name__: kind for kind in (star, made_with, pill, fine_print, outlined_text, drifter, credits_roll)
}
