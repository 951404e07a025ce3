"""The evaluation's newer kinds of mark: those that move on their own, and those of today's editors and generators.

They are drawn here and not with the generators of `training/generator_marks.py`, so that a network is not scored on the drawing that it
learned from. Like the older kinds (`training/benchmark_marks.py`) they must never change, so that results of different dates compare.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import features

from benchmarks.drawings import DARK, WHITE, Drawing, along, faded, flat, outlined, over, random_word, still
from benchmarks.vocabulary import SHAPED
from training import glyphs
from training.patches import Canvas, LazyPatches, MarkFrames, Patch, Rng

IN_BAR = "in_bar"
BAR_SHARE = (1 - (16 / 9) / 2.39) / 2  # of the height: each bar
REFERENCE_LINES = 720  # at which speeds and sizes in pixels are given


def _badge(rng: Rng, canvas: Canvas) -> tuple[Drawing, str]:
    """What drifts: a word, at times with a dark outline, half transparent; and the word."""
    word, font = random_word(rng, canvas.vocabulary)
    size = max(12, round(canvas.short_side * rng.uniform(0.06, 0.11)))
    written, has_outline = glyphs.text(word, font, size), rng.random() < 0.3
    drawing = outlined(written, WHITE, False, max(1, size // 24)) if has_outline else flat(written, WHITE, 1)
    return faded(drawing, float(rng.uniform(0.45, 0.8))), word


def _speed_pixels(rng: Rng, canvas: Canvas) -> float:
    """2 to 6 pixels a frame at 720 lines."""
    return float(rng.uniform(2, 6)) * canvas.short_side / REFERENCE_LINES


def _drifting(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Straight across the picture, passing near its middle at half time."""
    (drawing, word), angle, speed = _badge(rng, canvas), rng.uniform(0, 2 * np.pi), _speed_pixels(rng, canvas)
    height, width = drawing[0].shape
    middle = np.array([canvas.width - width, canvas.height - height]) * rng.uniform(0.3, 0.7, 2)
    step = speed * np.array([np.cos(angle), np.sin(angle)])
    places = [middle + step * (index - canvas.frames / 2) for index in range(canvas.frames)]
    return along(drawing, canvas, [(float(x), float(y)) for x, y in places], word)


def _bouncing(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Off the picture's edges."""
    (drawing, word), angle, speed = _badge(rng, canvas), rng.uniform(0, 2 * np.pi), _speed_pixels(rng, canvas)
    height, width = drawing[0].shape
    room = np.maximum(1.0, np.array([canvas.width - width, canvas.height - height], np.float64))
    start, step = rng.uniform(0, 1, 2) * room, speed * np.array([np.cos(angle), np.sin(angle)])
    places = np.abs((start + step * np.arange(canvas.frames)[:, None] + room) % (2 * room) - room)
    return along(drawing, canvas, [(float(x), float(y)) for x, y in places], word)


def _scrolling(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Credits that scroll upwards, or a ticker that runs from right to left along the bottom."""
    if rng.random() < 0.5:
        return _credits(rng, canvas)
    font = canvas.vocabulary.latin_fonts[rng.integers(len(canvas.vocabulary.latin_fonts))]
    sentences = [str(line).replace("\n", " ") for line in rng.permutation(canvas.vocabulary.sentences)[:4]]
    drawing = outlined(glyphs.text("   ".join(sentences), font, max(11, round(canvas.short_side * 0.05))), WHITE, False, 1)
    speed, top = _speed_pixels(rng, canvas), canvas.height * 0.93 - drawing[0].shape[0]
    places = [(canvas.width * 0.5 - speed * index, top) for index in range(canvas.frames)]
    return along(drawing, canvas, places, "\n".join(sentences))


def _credits(rng: Rng, canvas: Canvas) -> MarkFrames:
    size = max(11, round(canvas.short_side * rng.uniform(0.04, 0.055)))
    names = [random_word(rng, canvas.vocabulary, 0.0) for _ in range(6)]
    lines = [glyphs.text(word, font, size) for word, font in names]
    width, gap = max(line.shape[1] for line in lines), size // 2
    rows = [np.pad(line, ((0, gap), ((width - line.shape[1]) // 2, -(-(width - line.shape[1]) // 2)))) for line in lines]
    drawing = outlined(np.concatenate(rows), WHITE, True, 1)
    speed, left = _speed_pixels(rng, canvas), canvas.width * rng.uniform(0.3, 0.7) - drawing[0].shape[1] / 2
    places = [(left, canvas.height * 0.75 - speed * index) for index in range(canvas.frames)]
    return along(drawing, canvas, places, "\n".join(word for word, _ in names))


def _outlined_word(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Light half-transparent letters with a dark outline or shadow."""
    word, font = random_word(rng, canvas.vocabulary)
    size = max(14, round(canvas.short_side * rng.uniform(0.07, 0.14)))
    written = glyphs.text(word, font, size)
    if written.shape[1] > 0.8 * canvas.width:
        written = glyphs.fitted_text(word, font, 0.8 * canvas.width)
    drawing = faded(outlined(written, WHITE, bool(rng.random() < 0.4), max(1, size // 22)), float(rng.uniform(0.5, 0.85)))
    height, width = drawing[0].shape
    left, top = rng.uniform(0.03, 0.97, 2) * (max(1, canvas.width - width), max(1, canvas.height - height))
    return still(drawing, canvas, left, top, word)


def _plate(rng: Rng, canvas: Canvas) -> MarkFrames:
    """Words on a rounded plate, dark on light or light on dark; the plate covers 60 to 100 %."""
    word, font = random_word(rng, canvas.vocabulary)
    size = max(12, round(canvas.short_side * rng.uniform(0.045, 0.08)))
    letters = np.pad(glyphs.text(word, font, size), round(size * 0.5))
    height, width = letters.shape
    radius = int(height * rng.uniform(0.15, 0.5))
    plate = np.zeros((height, width), np.uint8)
    cv2.rectangle(plate, (radius, 0), (width - 1 - radius, height - 1), 255, -1)
    cv2.rectangle(plate, (0, radius), (width - 1, height - 1 - radius), 255, -1)
    for x, y in ((radius, radius), (width - 1 - radius, radius), (radius, height - 1 - radius), (width - 1 - radius, height - 1 - radius)):
        cv2.circle(plate, (x, y), radius, 255, -1, cv2.LINE_AA)
    ink, ground = (DARK, WHITE) if rng.random() < 0.5 else (WHITE, rng.uniform(0, 0.5, 3).astype(np.float32))
    level = 1.0 if rng.random() < 0.4 else float(rng.uniform(0.6, 0.9))
    drawing = over(flat(letters, ink, 1), flat(plate.astype(np.float32) / 255, ground, level))
    left, top = rng.uniform(0.03, 0.97, 2) * (max(1, canvas.width - width), max(1, canvas.height - height))
    return still(drawing, canvas, left, top, word)


def _glyph(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A four-pointed star, white at 0.5, alone in the lower right corner."""
    size = max(16, round(float(rng.uniform(48, 96)) * canvas.short_side / REFERENCE_LINES))
    axis = np.abs(np.linspace(-1.02, 1.02, 4 * size, dtype=np.float32))
    inside = (axis[:, None] ** 0.55 + axis[None] ** 0.55 < 1).astype(np.float32)
    coverage = cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA)
    margin = canvas.short_side * rng.uniform(0.06, 0.13)
    return still(flat(coverage, WHITE, 0.5), canvas, canvas.width - margin - size, canvas.height - margin - size)


def _wordmark(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A short Chinese or Latin word in a corner, 10 to 16 % of the width, white, 50 to 80 % opaque."""
    word, font = random_word(rng, canvas.vocabulary, 0.5)
    written = glyphs.fitted_text(word, font, canvas.width * rng.uniform(0.1, 0.16))
    height, width = written.shape
    margin = canvas.short_side * rng.uniform(0.03, 0.06)
    left = canvas.width - margin - width if rng.random() < 0.7 else margin
    top = canvas.height - margin - height if rng.random() < 0.7 else margin
    return still(flat(written, WHITE, float(rng.uniform(0.5, 0.8))), canvas, left, top, word)


def _line_by_word(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A subtitle whose words appear one after the other, white with a dark outline; a new line every 45 frames."""
    font, size = canvas.vocabulary.latin_fonts[rng.integers(len(canvas.vocabulary.latin_fonts))], max(12, round(canvas.short_side * 0.06))
    lines = [str(rng.choice(canvas.vocabulary.sentences)).split("\n")[0].split() for _ in range(canvas.frames // 45 + 1)]
    keys = [(i // 45, 1 + i % 45 * len(lines[i // 45]) // 45) for i in range(canvas.frames)]

    def drawn(line: int, reached: int) -> Patch:
        words = lines[line]
        whole = glyphs.text(" ".join(words), font, size)
        scale = min(1.0, 0.92 * canvas.width / whole.shape[1])
        spoken = " ".join(words[:reached])
        shown = glyphs.text(spoken, font, size).shape[1]
        coverage = whole * (np.arange(whole.shape[1]) < shown)[None]
        if scale < 1:
            coverage = cv2.resize(coverage, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        alpha, colour = outlined(coverage.astype(np.float32), WHITE, False, max(1, size // 16))
        return Patch(round((canvas.width - alpha.shape[1]) / 2), round(canvas.height * 0.92 - alpha.shape[0]), alpha, colour, spoken)

    return MarkFrames(LazyPatches(keys, lambda key: drawn(*key)))


def _pop_on(rng: Rng, canvas: Canvas) -> MarkFrames:
    """One or two words at a time in capitals, white with a wide dark outline, below the middle, each for 0.2 to 0.5 s."""
    font, size = canvas.vocabulary.latin_fonts[rng.integers(len(canvas.vocabulary.latin_fonts))], max(16, round(canvas.short_side * 0.08))
    shown: list[str | None] = []
    while len(shown) < canvas.frames:
        words = str(rng.choice(canvas.vocabulary.sentences)).upper().split()
        while words:
            count, frames = int(rng.integers(1, 3)), int(rng.integers(6, 16))
            said, words = " ".join(words[:count]), words[count:]
            shown += [said] * frames
        shown += [None] * int(rng.integers(0, 12))

    def drawn(said: str) -> Patch:
        written = glyphs.text(said, font, size)
        if written.shape[1] > 0.8 * canvas.width:
            written = glyphs.fitted_text(said, font, 0.8 * canvas.width)
        alpha, colour = outlined(written, WHITE, False, max(2, size // 10))
        return Patch(round((canvas.width - alpha.shape[1]) / 2), round(canvas.height * 0.68 - alpha.shape[0] / 2), alpha, colour, said)

    return MarkFrames(LazyPatches(shown[: canvas.frames], drawn))


def _clock(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A time of day that counts, opaque white with a shadow, top left."""
    font, size = canvas.vocabulary.latin_fonts[rng.integers(len(canvas.vocabulary.latin_fonts))], max(12, round(canvas.short_side * 0.055))
    start, margin = int(rng.integers(0, 80_000)), round(canvas.short_side * 0.05)

    def drawn(second: int) -> Patch:
        reading = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        return Patch(margin, margin, *outlined(glyphs.text(reading, font, size), WHITE, True, 1), reading)

    return MarkFrames(LazyPatches([start + index // 30 for index in range(canvas.frames)], drawn))


def _vertical(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A Chinese line set from top to bottom beside the left or right edge, white with a dark outline."""
    fonts, sentences = canvas.vocabulary.chinese_fonts, canvas.vocabulary.chinese_sentences
    line, font = str(rng.choice(sentences)), fonts[rng.integers(len(fonts))]
    size = max(12, min(round(canvas.short_side * rng.uniform(0.05, 0.075)), int(0.8 * canvas.height / len(line))))
    letters = [glyphs.text(letter, font, size) for letter in line]
    column = np.zeros((len(letters) * size + 4, size + 8), np.float32)
    for place, letter in enumerate(letters):
        top, left = place * size + (size + 4 - letter.shape[0]) // 2, (column.shape[1] - letter.shape[1]) // 2
        column[top : top + letter.shape[0], left : left + letter.shape[1]] += letter
    drawing = outlined(np.clip(column, 0, 1), WHITE, False, max(1, size // 16))
    margin, height, width = canvas.width * rng.uniform(0.04, 0.08), *drawing[0].shape
    return still(drawing, canvas, margin if rng.random() < 0.3 else canvas.width - margin - width, 0.45 * (canvas.height - height), line)


def _shaped_line(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A subtitle in Arabic, Hebrew or Thai, white with a dark outline. Raises RuntimeError where Pillow cannot set these scripts."""
    if not features.check("raqm"):
        raise RuntimeError("Pillow has no raqm, which sets Arabic, Hebrew and Thai")
    line, font = _covered(rng, SHAPED, canvas.vocabulary.latin_fonts)
    return _subtitle(line, font, max(12, round(canvas.short_side * rng.uniform(0.05, 0.075))), canvas, 0.94)


def _covered(rng: Rng, lines: Sequence[str], fonts: Sequence[Path]) -> tuple[str, Path]:
    """One of the lines, and one of the fonts that have its letters."""
    settable = {line: having for line in lines if (having := [font for font in fonts if glyphs.covers(font, line)])}
    line = str(rng.choice(list(settable)))
    return line, settable[line][rng.integers(len(settable[line]))]


def _in_bar(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A subtitle in the lower black bar of a letterboxed picture."""
    fonts = canvas.vocabulary.latin_fonts
    line, font = str(rng.choice(canvas.vocabulary.sentences)).split("\n")[0], fonts[rng.integers(len(fonts))]
    bar = bar_lines(canvas.height)
    return _subtitle(line, font, max(8, round(0.5 * bar)), canvas, 1 - 0.2 * bar / canvas.height)


def _subtitle(line: str, font: Path, size: int, canvas: Canvas, bottom_share: float) -> MarkFrames:
    """A line in the middle, that ends at this share of the picture's height."""
    written = glyphs.text(line, font, size)
    if written.shape[1] > 0.9 * canvas.width:
        written = glyphs.fitted_text(line, font, 0.9 * canvas.width)
    drawing = outlined(written, WHITE, False, max(1, size // 16))
    height, width = drawing[0].shape
    return still(drawing, canvas, (canvas.width - width) / 2, bottom_share * canvas.height - height, line)


def bar_lines(height: int) -> int:
    """Lines of each of the two black bars of a letterboxed picture: those of 2.39 to 1 in 16 to 9."""
    return round(BAR_SHARE * height)


EVALUATION_KINDS: dict[str, Callable[[Rng, Canvas], MarkFrames]] = {
    "drifting": _drifting,
    "bouncing": _bouncing,
    "scrolling": _scrolling,
    "outlined": _outlined_word,
    "plate": _plate,
    "glyph": _glyph,
    "wordmark": _wordmark,
    "karaoke": _line_by_word,
    "pop_on": _pop_on,
    "clock": _clock,
    "vertical": _vertical,
    "shaped": _shaped_line,
    IN_BAR: _in_bar,
}
MOVING_KINDS = ("drifting", "bouncing", "scrolling")
STANDING_KINDS = ("outlined", "plate", "glyph", "wordmark", "vertical", "shaped")  # which photos have as well
