"""Whether a mark's words are still read: with the real recogniser, in small clips."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cases import Case, Scene, prepare
from benchmarks.marks import EVALUATION_KINDS
from benchmarks.media import Picture
from benchmarks.reading import READ_EVERY_FRAMES, Readable, Reader, likeness, readable, text_recogniser
from training.patches import Canvas
from training.vocabulary import Vocabulary
from training.watermarks import draw

MakeScene = Callable[[str, str], Scene]
LETTERS = st.text("abcXYZ19 试看", max_size=12)


@pytest.fixture(scope="module")
def read() -> Reader:
    return text_recogniser()


@pytest.mark.parametrize("kind", ["corner", "faint", "subtitle", "outlined", "plate"])
def test_a_mark_that_is_left_is_read_and_one_that_is_gone_is_not(scene: MakeScene, read: Reader, kind: str) -> None:
    made = scene("smooth", kind)
    assert readable(made.pictures(), made, read) == Readable(1, 1)
    assert readable(made.clean.pictures, made, read) == Readable(1, 0)


def test_a_word_of_the_scene_does_not_count(scene: MakeScene, read: Reader) -> None:
    made = scene("smooth", "outlined")
    signed = replace(made, clean=replace(made.clean, pictures=np.stack(list(made.pictures()))))
    assert readable(signed.pictures(), signed, read) == Readable(0, 0)


def test_a_mark_without_words_has_no_figure(scene: MakeScene, read: Reader) -> None:
    for kind in ("glyph", "clean"):
        made = scene("smooth", kind)
        assert readable(made.pictures(), made, read) is None


def test_only_some_frames_are_read(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    seen: list[Picture] = []

    def count(picture: Picture) -> list[str]:
        seen.append(picture)
        return []

    made = prepare(Case("drifting.mp4", "corner", 12, 128), clips, vocabulary, tmp_path)
    assert readable(made.pictures(), made, count) == Readable(0, 0)
    assert len(seen) == 2 * len(range(0, 12, READ_EVERY_FRAMES))


def texts(kind: str, vocabulary: Vocabulary) -> Iterator[str]:
    canvas, rng = Canvas(320, 180, 90, vocabulary), np.random.default_rng(4)
    drawn = EVALUATION_KINDS[kind](rng, canvas) if kind in EVALUATION_KINDS else draw(kind, rng, 320, 180, 90, vocabulary)
    return (patch.text for patch in drawn.patches if patch is not None)


def test_a_mark_knows_what_it_says_in_each_frame(vocabulary: Vocabulary) -> None:
    assert set(texts("karaoke", vocabulary)) == {"A", "A line", "A line of", "A line of text"}
    assert [len(set(texts("clock", vocabulary))), min(map(len, texts("clock", vocabulary)))] == [3, len("00:00:00")]
    assert set(texts("subtitle", vocabulary)) == {"A line of text"}
    name, user = max(texts("moving_name", vocabulary), key=len).splitlines()
    assert name in {*vocabulary.words, *vocabulary.chinese}
    assert user[0] == "@"
    assert set(texts("glyph", vocabulary)) == {""}


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("Thistle 9", "thistle-9!", 1.0),  # letters and digits alone, in any case
        ("Velora", "Velora Velora Vel", 1.0),  # one of several
        ("Velora", "elor", 4 / 6),
        ("Velora", "V3l0ra", 4 / 6),
        ("Velora", "", 0.0),
        ("云影", "云层", 0.5),
        ("!?", "anything", 0.0),
    ],
)
def test_likeness_is_the_share_of_letters_that_are_right(text: str, lines: str, expected: float) -> None:
    assert likeness(text, lines) == pytest.approx(expected)


@given(LETTERS, LETTERS, LETTERS)
def test_a_text_is_found_in_whatever_holds_it(before: str, text: str, after: str) -> None:
    whole = float(any(map(str.isalnum, text)))
    assert likeness(text, before + text + after) == whole
    assert 0 <= likeness(text, after) <= likeness(text, before + after + text) <= whole
