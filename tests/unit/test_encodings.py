"""Encodings are computed once, and kept while there is room."""

from dataclasses import dataclass, field

import numpy as np

from service.inference.batcher import Arrays, Batcher, Session
from service.pipeline.picture.view import View
from service.pipeline.remove.encodings import PIECES_AT_ONCE, Encodings, Piece

BYTES = 4 * 100  # of an encoding


@dataclass
class Doubling(Session):
    """Encodes an array of 100 values by doubling it; records the first values."""

    seen: list[int] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        self.seen += [int(row[0]) for row in inputs["values"]]
        return {"doubled": 2 * inputs["values"]}


def piece(number: int) -> Piece:
    return Piece(number, View(0, 0, 16, 16))


def inputs(of: Piece) -> Arrays:
    return {"values": np.full(100, of.frame, np.float32)}


def ask(encodings: Encodings, *numbers: int) -> None:
    """Ask for these pieces, and check the answers."""
    found = encodings.of([piece(number) for number in numbers], inputs)
    assert found.keys() == {piece(number) for number in numbers}
    for number in numbers:
        np.testing.assert_array_equal(found[piece(number)]["doubled"], np.full(100, 2 * number, np.float32))


def test_a_piece_is_encoded_once() -> None:
    encoder = Doubling()
    encodings = Encodings(Batcher(encoder), 2**27)
    ask(encodings, 1, 2, 1)
    ask(encodings, 3, 2, 1)
    assert sorted(encoder.seen) == [1, 2, 3]


def test_the_piece_that_was_not_used_for_longest_is_dropped_first() -> None:
    encoder = Doubling()
    encodings = Encodings(Batcher(encoder), max_bytes=2 * BYTES)
    ask(encodings, 1)
    ask(encodings, 2)
    ask(encodings, 1)
    ask(encodings, 3)  # drops 2
    ask(encodings, 1)
    assert encoder.seen == [1, 2, 3]
    ask(encodings, 2)
    assert encoder.seen == [1, 2, 3, 2]


def test_one_request_may_need_more_than_is_kept() -> None:
    encodings = Encodings(Batcher(Doubling()), max_bytes=2 * BYTES)
    for _ in range(2):
        ask(encodings, *range(6))


def test_the_same_frame_in_another_view_is_another_piece() -> None:
    encoder = Doubling()
    encodings = Encodings(Batcher(encoder), 2**27)
    encodings.of([piece(1), Piece(1, View(8, 0, 16, 16))], inputs)
    assert encoder.seen == [1, 1]


def test_the_inputs_of_few_pieces_are_in_memory() -> None:
    """Each input is made only when those of all but the last few pieces were encoded."""
    encoder = Doubling()
    encodings = Encodings(Batcher(encoder), 2**27)
    ahead = list[int]()

    def counted(of: Piece) -> Arrays:
        ahead.append(of.frame - len(encoder.seen))
        return inputs(of)

    pieces = [piece(number) for number in range(100)]
    assert list(encodings.of(pieces, counted)) == pieces
    assert sorted(encoder.seen) == list(range(100))
    assert max(ahead) <= 2 * PIECES_AT_ONCE
