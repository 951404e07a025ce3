"""The texts of marks and their typesetting: words in many scripts, names, codes, times; spaced, slanted, in small capitals."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import glyphs
from training.glyphs import Coverage
from training.vocabulary import Vocabulary

Rng = np.random.Generator

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"
ENDINGS = ("", "", "", "_", ".official", "_art", "tv", ".films", "hq", "studio")
DOMAINS = (".com", ".net", ".org", ".tv", ".io", ".cn", ".me")


@dataclass(frozen=True)
class Caption:
    """A line of text and its font."""

    words: str
    font: Path


def latin_font(rng: Rng, vocabulary: Vocabulary) -> Path:
    """A random Latin font."""
    return vocabulary.latin_fonts[rng.integers(len(vocabulary.latin_fonts))]


def caption(rng: Rng, vocabulary: Vocabulary) -> Caption:
    """A random short text, as in real marks: one or two words, Chinese, another script, a code, a user name or a web address."""
    roll = rng.random()
    if roll < 0.16:
        return Caption(str(rng.choice(vocabulary.chinese)), vocabulary.chinese_fonts[rng.integers(len(vocabulary.chinese_fonts))])
    if roll < 0.28 and vocabulary.foreign and (found := _foreign(rng, vocabulary)):
        return found
    words = str(rng.choice(vocabulary.words))
    if roll > 0.9:
        words = code(rng)
    elif roll > 0.82:
        words = f"{words} {rng.choice(vocabulary.words)}"
    elif roll > 0.76:
        words = handle(rng, vocabulary)
    elif roll > 0.72:
        words = f"{'www.' if rng.random() < 0.5 else ''}{_joined(words)}{rng.choice(DOMAINS)}"
    return Caption(words.upper() if rng.random() < 0.2 else words, latin_font(rng, vocabulary))


def _foreign(rng: Rng, vocabulary: Vocabulary) -> Caption | None:
    words = str(rng.choice(vocabulary.foreign))
    for fonts in (vocabulary.latin_fonts, vocabulary.chinese_fonts) * 3:
        font = fonts[rng.integers(len(fonts))]
        if glyphs.covers(font, words):
            return Caption(words, font)
    return None


def _joined(words: str) -> str:
    return "".join(letter for letter in words.lower() if letter.isalnum())


def handle(rng: Rng, vocabulary: Vocabulary) -> str:
    """A random user name: @word or @word_word, with digits or an ending."""
    parts = [_joined(str(rng.choice(vocabulary.words))) for _ in range(int(rng.integers(1, 3)))]
    number = str(rng.integers(0, 2100)) if rng.random() < 0.3 else ""
    return "@" + str(rng.choice(["", "_", "."])).join(parts) + number + str(rng.choice(ENDINGS))


def code(rng: Rng) -> str:
    """Random letters and digits, like an ID."""
    drawn = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 11))))
    return f"{rng.choice(['', '#', 'ID: ', 'No. ', 'UID:'])}{drawn}"


def line(rng: Rng, vocabulary: Vocabulary) -> Caption:
    """A random sentence, Latin or Chinese."""
    if rng.random() < 0.3:
        return Caption(str(rng.choice(vocabulary.chinese_sentences)), vocabulary.chinese_fonts[rng.integers(len(vocabulary.chinese_fonts))])
    return Caption(str(rng.choice(vocabulary.sentences)).split("\n")[0], latin_font(rng, vocabulary))


def typeset(rng: Rng, text: Caption, size_pixels: int) -> Coverage:
    """Coverage (h, w) of the caption: plain, slanted, spaced or in small capitals."""
    roll, size_pixels = rng.random(), max(9, size_pixels)
    if roll < 0.55:
        return glyphs.text(text.words, text.font, size_pixels)
    if roll < 0.7:
        return glyphs.slanted(glyphs.text(text.words, text.font, size_pixels), rng.uniform(0.1, 0.35))
    spacing = size_pixels * rng.uniform(0.08, 0.6)
    return glyphs.lettered(text.words, text.font, size_pixels, spacing if roll < 0.88 else spacing / 5, small_caps=roll > 0.84)


def clock(rng: Rng, frames: int) -> list[str]:
    """The reading of a clock, a camera's date or a counter in each frame."""
    start, rate = int(rng.integers(0, 86_400)), int(rng.choice([24, 25, 30, 30]))
    style = int(rng.integers(5))
    date = f"{rng.integers(1999, 2031)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    date = date if rng.random() < 0.6 else "/".join(reversed(date.split("-")))
    prefix = str(rng.choice(["", "", "REC ", "CAM 2 ", "CH03 ", "TCR "]))
    return [prefix + _reading(style, start + i // rate, i % rate, date) for i in range(frames)]


def _reading(style: int, second: int, frame: int, date: str) -> str:
    hours, minutes, seconds = second // 3600 % 24, second // 60 % 60, second % 60
    readings = (
        f"{date} {hours:02}:{minutes:02}:{seconds:02}",
        f"{hours:02}:{minutes:02}:{seconds:02}",
        f"{hours:02}:{minutes:02}:{seconds:02}:{frame:02}",
        f"{minutes:02}:{seconds:02}",
        f"{second:06}",
    )
    return readings[style]
