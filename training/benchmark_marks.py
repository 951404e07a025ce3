"""The kinds of marks that the benchmark draws. They must never change, so that results of different dates can be compared.

A moving face and word, a corner logo, a faint word, a tiled word, subtitles, badges, fading words; and `scene_text`, text on an object in
the scene, drifting and in perspective, which is not an overlay.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training import glyphs
from training.glyphs import Coverage
from training.patches import Canvas, LazyPatches, MarkFrames, Patch, Rng
from training.vocabulary import Vocabulary


def _flat(left: float, top: float, coverage: Coverage, opacity: float, colour: NDArray[np.float32], text: str = "") -> Patch:
    even = np.broadcast_to(colour.astype(np.float32), (*coverage.shape, 3))
    return Patch(round(left), round(top), coverage * np.float32(opacity), even, text)


def _word(rng: Rng, vocabulary: Vocabulary, chinese_share: float = 0.2) -> tuple[str, "object"]:
    if rng.random() < chinese_share:
        return str(rng.choice(vocabulary.chinese)), vocabulary.chinese_fonts[rng.integers(len(vocabulary.chinese_fonts))]
    return str(rng.choice(vocabulary.words)), vocabulary.latin_fonts[rng.integers(len(vocabulary.latin_fonts))]


def _user_name(rng: Rng, vocabulary: Vocabulary) -> str:
    return "@" + _word(rng, vocabulary, 0.0)[0].lower().replace(" ", "")


def _light_or_any(rng: Rng, light_share: float) -> NDArray[np.float32]:
    if rng.random() < light_share:
        return np.full(3, rng.uniform(0.9, 1), np.float32)
    return rng.uniform(0, 1, 3).astype(np.float32)


def _moving(rng: Rng, canvas: Canvas, named: bool = False) -> MarkFrames:
    """A face and a word that jump between three places and are slightly animated at each, for 60 to 81 frames."""
    opacity, size = rng.uniform(0.7, 0.8), round(canvas.short_side * rng.uniform(0.06, 0.08))
    lobes, depth, eye_gap = int(rng.integers(3, 9)), rng.uniform(0.03, 0.14), rng.uniform(0.25, 0.38)
    word, font = _word(rng, canvas.vocabulary, 0.1)
    written = glyphs.text(word, font, max(8, round(size * rng.uniform(0.5, 0.68))))
    user = _user_name(rng, canvas.vocabulary) if named else ""
    name = glyphs.text(user, font, max(8, round(size * 0.34))) if named else None
    interval_frames, phase, first_spot = int(rng.integers(60, 82)), int(rng.integers(0, 80)), int(rng.integers(3))
    keys: list[tuple[int, int, int, int, bool] | None] = []
    for index in range(canvas.frames):
        turn, frame = divmod(index + phase, interval_frames)
        remaining = interval_frames - frame  # in the last three frames, the word sinks and disappears, then the face
        spot, degrees, sunk = (first_spot + turn) % 3, 4 * round(frame / interval_frames * 11), min(3, max(0, 7 - remaining))
        keys.append(None if remaining == 1 else (spot, degrees, _pulse(frame, size), sunk, remaining > 3))

    def drawn(spot: int, degrees: int, face_size: int, sunk: int, speaking: bool) -> Patch:
        face = glyphs.face(face_size, lobes, depth, np.radians(degrees), float(face_size >= size), 0.15, eye_gap)
        patch = _face_and_word(canvas, spot, opacity, size, face, (written * speaking, name if speaking else None), sunk)
        return replace(patch, text=f"{word}\n{user}".strip() if speaking else "")

    patches = LazyPatches(keys, lambda key: drawn(*key), cache_size=None)
    return MarkFrames(patches, tuple(None if key is None else key[0] for key in keys))


def _pulse(frame: int, size: int) -> int:
    """The face's size in pixels: it shrinks at frames 25 to 30 of an interval and overshoots at 31 to 35."""
    if 25 <= frame <= 30:
        return round(size * 0.9)
    return round(size * 1.1) if 31 <= frame <= 35 else size


def _face_and_word(
    canvas: Canvas,
    spot: int,
    opacity: float,
    size: int,
    drawn: tuple[Coverage, Coverage],
    words: tuple[Coverage, Coverage | None],
    sunk: int,
) -> Patch:
    written, name = words
    margin = round(size * 0.07)
    box = int(size * 1.1) + 2
    body, eyes = (_centred(c, box) for c in drawn)
    body, word = glyphs.beside(body, written, round(size * 0.3), sunk)
    eyes = glyphs.beside(eyes, written, round(size * 0.3), sunk)[0]
    light = body + word
    if name is not None:
        extra = np.zeros((name.shape[0] + margin, max(light.shape[1], box + name.shape[1])), np.float32)
        extra[margin:, extra.shape[1] - name.shape[1] :] = name
        light, eyes = (np.pad(c, ((0, 0), (0, extra.shape[1] - c.shape[1]))) for c in (light, eyes))
        light, eyes = np.concatenate([light, extra]), np.pad(eyes, ((0, extra.shape[0]), (0, 0)))
    alpha = np.clip(light * opacity + eyes * 0.15, 0, 1).astype(np.float32)
    colour = np.repeat((light * opacity / np.maximum(alpha, 1e-3)).clip(0, 1)[..., None], 3, axis=2).astype(np.float32)
    left = canvas.width * 0.048 if spot != 1 else canvas.width * 0.95 - light.shape[1]
    top = canvas.height * (0.088, 0.5, 0.87)[spot]
    return Patch(round(left), round(min(top, canvas.height - light.shape[0])), alpha, colour)


def _centred(coverage: Coverage, size: int) -> Coverage:
    canvas = np.zeros((size, size), np.float32)
    top = max(0, (size - coverage.shape[0]) // 2)
    canvas[top : top + coverage.shape[0], top : top + coverage.shape[1]] = coverage[: size - top, : size - top]
    return canvas


def _corner(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """A static, opaque, coloured logo with a word, top right."""
    size = max(12, round(canvas.short_side * rng.uniform(0.06, 0.12)))
    word, font = _word(rng, canvas.vocabulary)
    drawn = glyphs.logo(rng, size)
    emblem, written = glyphs.beside(drawn, glyphs.text(word, font, max(8, round(size * rng.uniform(0.4, 0.7)))), round(size * 0.15))
    colours = [rng.uniform(0, 1, 3).astype(np.float32), _light_or_any(rng, 0.6)]
    alpha = np.clip(emblem + written, 0, 1)
    colour = np.where((emblem >= written)[..., None], colours[0], colours[1]).astype(np.float32)
    margin = canvas.short_side * rng.uniform(0.03, 0.07)
    return (Patch(round(canvas.width - margin - alpha.shape[1]), round(margin), alpha, colour, word),) * canvas.frames


def _faint(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """A large static word across the middle."""
    word, font = _word(rng, canvas.vocabulary)
    written = glyphs.fitted_text(word, font, canvas.width * rng.uniform(0.45, 0.8))
    if written.shape[0] > canvas.height * 0.4:
        written = cv2.resize(written, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    left, top = (canvas.width - written.shape[1]) / 2, (canvas.height - written.shape[0]) / 2
    return (_flat(left, top, written, rng.uniform(0.28, 0.42), _light_or_any(rng, 0.7), word),) * canvas.frames


def _tiled(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """One word tiled over the picture, level or slanted."""
    word, font = _word(rng, canvas.vocabulary)
    tile = glyphs.text(word, font, max(10, round(canvas.short_side * rng.uniform(0.04, 0.08))))
    if rng.random() < 0.6:
        tile = glyphs.rotated(tile, rng.uniform(-35, 35))
    step_y, step_x = int(tile.shape[0] * rng.uniform(1.5, 2.6)), int(tile.shape[1] * rng.uniform(1.2, 1.8))
    coverage = np.zeros((canvas.height, canvas.width), np.float32)
    for row, top in enumerate(range(-tile.shape[0] // 2, canvas.height, step_y)):
        for left in range(-(row % 2) * step_x // 2 - tile.shape[1] // 3, canvas.width, step_x):
            y1, x1 = max(0, top), max(0, left)
            part = tile[y1 - top : canvas.height - top, x1 - left : canvas.width - left]
            where = coverage[y1 : y1 + part.shape[0], x1 : x1 + part.shape[1]]
            np.maximum(where, part, out=where)
    return (_flat(0, 0, coverage, rng.uniform(0.4, 0.6), _light_or_any(rng, 0.7), word),) * canvas.frames


def _subtitle(rng: Rng, canvas: Canvas, chinese: bool = False) -> tuple[Patch | None, ...]:
    """Opaque light text with a dark outline at the bottom; a new line every 30 frames."""
    fonts = canvas.vocabulary.chinese_fonts if chinese else canvas.vocabulary.latin_fonts
    sentences = canvas.vocabulary.chinese_sentences if chinese else canvas.vocabulary.sentences
    font, size = fonts[rng.integers(len(fonts))], max(11, round(canvas.short_side * rng.uniform(0.045, 0.075)))
    colour = np.array([1, 1, rng.choice([1, 1, 0.3])], np.float32)
    patches: list[Patch | None] = []
    while len(patches) < canvas.frames:
        line = str(rng.choice(sentences)).split("\n")[0]
        patches += [_subtitle_line(line, font, size, colour, canvas)] * 30
    return tuple(patches[: canvas.frames])


def _subtitle_line(line: str, font: object, size: int, colour: NDArray[np.float32], canvas: Canvas) -> Patch:
    outline = max(1, size // 14)
    size = min(size, int(size * canvas.width * 0.94 / (glyphs.text(line, font, size, outline).shape[1] + 1)))
    alpha, inner = glyphs.text(line, font, size, outline), glyphs.text(line, font, size)
    pad_y, pad_x = (alpha.shape[0] - inner.shape[0]) // 2, (alpha.shape[1] - inner.shape[1]) // 2
    fill = np.zeros_like(alpha)
    fill[pad_y : pad_y + inner.shape[0], pad_x : pad_x + inner.shape[1]] = inner
    left, top = (canvas.width - alpha.shape[1]) / 2, canvas.height * 0.94 - alpha.shape[0]
    return Patch(round(left), round(top), alpha, fill[..., None] * colour, line)


def _badge(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """A static logo, word or both, anywhere, of any opacity, with or without outline and shadow."""
    size = max(14, round(canvas.short_side * np.exp(rng.uniform(np.log(0.05), np.log(0.3)))))
    word, font = _word(rng, canvas.vocabulary)
    outline = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
    written = glyphs.text(word, font, max(10, round(size * rng.uniform(0.3, 0.7))), outline)
    parts = rng.integers(3)
    coverage = written if parts == 1 else glyphs.logo(rng, size)
    if parts == 2:
        coverage = np.clip(sum(glyphs.beside(coverage, written, size // 6)), 0, 1)
    opacity, colour = rng.uniform(0.25, 1), _light_or_any(rng, 0.5)
    left, top = rng.uniform(0, max(1, canvas.width - coverage.shape[1])), rng.uniform(0, max(1, canvas.height - coverage.shape[0]))
    if rng.random() < 0.3:
        return (_shadowed(rng, left, top, coverage, opacity, colour),) * canvas.frames
    return (_flat(left, top, coverage, opacity, colour),) * canvas.frames


def _shadowed(rng: Rng, left: float, top: float, coverage: Coverage, opacity: float, colour: NDArray[np.float32]) -> Patch:
    shift = int(rng.integers(1, 4))
    base = np.pad(coverage, ((3, 6), (3, 6)))
    shadow = cv2.GaussianBlur(np.roll(base, (shift, shift), (0, 1)), (0, 0), 1 + rng.random()) * rng.uniform(0.4, 0.9) * opacity
    over = base * np.float32(opacity)
    alpha = over + shadow * (1 - over)
    return Patch(round(left) - 3, round(top) - 3, alpha.astype(np.float32), (over / np.maximum(alpha, 1e-4))[..., None] * colour)


def _fading(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """A badge that fades in and out over some frames, visible for a part of the clip."""
    patch = _badge(rng, canvas)[0]
    assert patch is not None
    ramp, start, stop = int(rng.integers(1, 12)), int(rng.integers(0, canvas.frames)), int(rng.integers(0, canvas.frames))
    first, last = min(start, stop), max(start, stop)
    levels = [min((i - first + 1) / ramp, (last - i + 1) / ramp, 1.0) for i in range(canvas.frames)]
    return tuple(Patch(patch.left, patch.top, patch.alpha * np.float32(x), patch.colour) if x > 0 else None for x in levels)


def _scene_text(rng: Rng, canvas: Canvas) -> tuple[Patch | None, ...]:
    """Text on a plate in the scene: in perspective, unevenly lit, drifting over the frames."""
    word, font = _word(rng, canvas.vocabulary)
    written = glyphs.text(word, font, max(12, round(canvas.short_side * rng.uniform(0.04, 0.12))))
    written = np.pad(written, int(written.shape[0] * 0.4))
    h, w = written.shape
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, (corners + rng.normal(0, 0.12 * h, (4, 2))).astype(np.float32))
    coverage = cv2.warpPerspective(written, warp, (w, h))
    plate = cv2.warpPerspective(np.ones_like(written), warp, (w, h)) * (1.0 if rng.random() < 0.6 else 0.0)
    light = np.clip(np.linspace(rng.uniform(0.5, 1), rng.uniform(0.5, 1), w, dtype=np.float32)[None, :, None], 0, 1)
    ink, ground = rng.uniform(0, 1, 3).astype(np.float32), rng.uniform(0, 1, 3).astype(np.float32)
    alpha = np.maximum(coverage, plate).astype(np.float32)
    colour = ((coverage[..., None] * ink + (1 - coverage[..., None]) * ground) * light).astype(np.float32)
    place = rng.uniform(0, 1, 2) * (canvas.width - w, canvas.height - h)
    velocity = rng.normal(0, 1, 2) * canvas.short_side / 200
    return tuple(Patch(*np.rint(place + velocity * i).astype(int), alpha, colour) for i in range(canvas.frames))


def _listed(kind: Callable[..., tuple[Patch | None, ...]], **settings: bool) -> Callable[[Rng, Canvas], MarkFrames]:
    """Adapt a kind that draws all its patches at once."""
    return lambda rng, canvas: MarkFrames(kind(rng, canvas, **settings))


BENCHMARK_KINDS: dict[str, Callable[[Rng, Canvas], MarkFrames]] = {
    "moving": _moving,
    "moving_name": lambda rng, canvas: _moving(rng, canvas, named=True),
    "corner": _listed(_corner),
    "faint": _listed(_faint),
    "tiled": _listed(_tiled),
    "subtitle": _listed(_subtitle),
    "subtitle_chinese": _listed(_subtitle, chinese=True),
    "badge": _listed(_badge),
    "fading": _listed(_fading),
    "scene_text": _listed(_scene_text),
}
