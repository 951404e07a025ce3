"""Captions that come word by word, as short clips have them: lines that are sung along, and a few words at a time."""

from collections.abc import Callable

import cv2
import numpy as np

from training import art, captions, glyphs
from training.art import Art
from training.patches import Canvas, LazyPatches, MarkFrames, Patch

Rng = np.random.Generator

POP_FRAMES, POP_SCALES = 3, (0.7, 1.15)  # for how long some words grow or shrink as they appear, and from which size


def karaoke(rng: Rng, canvas: Canvas) -> MarkFrames:
    """A line at the bottom whose words take another colour, or appear, one after the other; a new line every 30 to 60 frames."""
    font, size = captions.latin_font(rng, canvas.vocabulary), max(12, round(canvas.short_side * float(rng.uniform(0.045, 0.08))))
    sung, waiting = (art.ink(rng), np.ones(3, np.float32)) if rng.random() < 0.5 else (np.ones(3, np.float32), art.ink(rng))
    appears, length = rng.random() < 0.4, int(rng.integers(30, 61))
    lines = [str(rng.choice(canvas.vocabulary.sentences)).split("\n")[0].split() for _ in range(canvas.frames // length + 1)]
    bottom = canvas.height * float(rng.uniform(0.8, 0.95))
    keys = [(i // length, 1 + i % length * len(lines[i // length]) // length) for i in range(canvas.frames)]

    def drawn(line: int, reached: int) -> Patch:
        words = lines[line]
        whole = glyphs.text(" ".join(words), font, size)
        shown = min(whole.shape[1], glyphs.text(" ".join(words[:reached]), font, size).shape[1])
        done = (np.arange(whole.shape[1]) < shown)[None, :]
        colour = np.where(done[..., None], sung, waiting).astype(np.float32)
        coverage = whole * done if appears else whole
        drawing = Art(coverage.astype(np.float32), np.broadcast_to(colour, (*whole.shape, 3)))
        drawing = _outlined_evenly(drawing, max(1, size // 14))
        scale = min(1.0, 0.94 * canvas.width / drawing.alpha.shape[1])
        if scale < 1:
            drawing = Art(*(cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for x in (drawing.alpha, drawing.colour)))
        return Patch(
            round((canvas.width - drawing.alpha.shape[1]) / 2), round(bottom - drawing.alpha.shape[0]), drawing.alpha, drawing.colour
        )

    return MarkFrames(LazyPatches(keys, lambda key: drawn(*key)), tuple(line for line, _ in keys))


def _outlined_evenly(drawing: Art, width: int) -> Art:
    drawing = art.padded(drawing, width + 1)
    outline = cv2.dilate(drawing.alpha, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return art.over(drawing, art.flat(outline, np.zeros(3)))


def pop_on(rng: Rng, canvas: Canvas) -> MarkFrames:
    """One to three words at a time, each for 0.15 to 0.8 s and then the next ones: large, outlined, shadowed or on a box, mostly light."""
    font, size = captions.latin_font(rng, canvas.vocabulary), max(14, round(canvas.short_side * float(rng.uniform(0.05, 0.13))))
    colour = np.ones(3, np.float32) if rng.random() < 0.6 else art.ink(rng)
    capitals, grows, look = rng.random() < 0.6, rng.random() < 0.4, rng.random()
    level = 1.0 if rng.random() < 0.8 else float(rng.uniform(0.5, 0.95))
    start, middle = float(rng.uniform(*POP_SCALES)), (canvas.width * rng.uniform(0.4, 0.6), canvas.height * rng.uniform(0.3, 0.9))
    dressed = art.outlined if look < 0.6 else art.shadowed if look < 0.8 else art.plated
    phrases, style = _phrases(rng, canvas), int(rng.integers(2**31))

    def drawn(words: str, age: int) -> Patch:
        written = glyphs.text(words.upper() if capitals else words, font, size)
        if written.shape[1] > 0.85 * canvas.width:
            written = glyphs.fitted_text(words, font, 0.85 * canvas.width)
        drawing = dressed(np.random.default_rng(style), art.flat(written, colour))
        scale = 1 + (start - 1) * max(0, POP_FRAMES - age) / POP_FRAMES if grows else 1.0
        planes = [cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR) for x in (drawing.alpha, drawing.colour)]
        height, width = planes[0].shape
        return Patch(round(middle[0] - width / 2), round(middle[1] - height / 2), planes[0] * np.float32(level), planes[1])

    numbers = {words: number for number, words in enumerate(dict.fromkeys(key[0] for key in phrases if key))}
    intervals = tuple(None if key is None else numbers[key[0]] for key in phrases)
    return MarkFrames(LazyPatches(phrases, lambda key: drawn(*key)), intervals)


def _phrases(rng: Rng, canvas: Canvas) -> list[tuple[str, int] | None]:
    """What is shown in each frame: the words, and for how many frames they have been, up to POP_FRAMES; sometimes nothing."""
    shown: list[tuple[str, int] | None] = []
    while len(shown) < canvas.frames:
        words = str(rng.choice(canvas.vocabulary.sentences)).split()
        while words:
            count = int(rng.integers(1, 4))
            said, words = " ".join(words[:count]), words[count:]
            shown += [(said, min(age, POP_FRAMES)) for age in range(round(float(np.exp(rng.uniform(np.log(4), np.log(24))))))]
        shown += [None] * int(rng.integers(0, 16))
    return shown[: canvas.frames]


CAPTION_KINDS: dict[str, Callable[[Rng, Canvas], MarkFrames]] = {kind.__name__: kind for kind in (karaoke, pop_on)}
