"""The inpainter's encodings of pieces of frames: each is computed once, and kept as long as it probably serves further targets."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.inference.batcher import Arrays, Batcher
from service.pipeline.picture.view import View

PIECES_AT_ONCE: Final = 8  # a batch, whose inputs are in memory, up to 2.4 MB each, and as many of those before


@dataclass(frozen=True)
class Piece:
    """What the encoder sees: a view of a frame."""

    frame: int
    view: View


class Encodings:
    """The encodings of one video's frames. Those that were used last are kept, up to `max_bytes`; with fewer the result is the same.

    128 MiB hold two windows of references of a mark in motion: 65 frames, each in two views of 256 by 256 pixels.
    """

    def __init__(self, encoder: Batcher, max_bytes: int) -> None:
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Piece, Arrays] = OrderedDict()  # least recently used first
        self._bytes = 0

    def of(self, pieces: Collection[Piece], inputs: Callable[[Piece], Arrays]) -> Mapping[Piece, Arrays]:
        """The encodings of the pieces; `inputs` gives the encoder's inputs for a piece whose encoding is not known."""
        fresh = dict(self._encoded(list(dict.fromkeys(piece for piece in pieces if piece not in self._kept)), inputs))
        found = {piece: fresh[piece] if piece in fresh else self._kept[piece] for piece in pieces}
        for piece, encoding in found.items():
            self._keep(piece, encoding)
        return found

    def _encoded(self, pieces: Sequence[Piece], inputs: Callable[[Piece], Arrays]) -> Iterator[tuple[Piece, Arrays]]:
        """Yields each piece with its encoding. The inputs of a few pieces are made while the network encodes those before."""
        waiting: tuple[Sequence[Piece], Callable[[], list[Arrays]]] | None = None
        for part in (pieces[start : start + PIECES_AT_ONCE] for start in range(0, len(pieces), PIECES_AT_ONCE)):
            begun = part, self._encoder.begin([inputs(piece) for piece in part])
            if waiting:
                yield from zip(waiting[0], waiting[1](), strict=True)
            waiting = begun
        if waiting:
            yield from zip(waiting[0], waiting[1](), strict=True)

    def _keep(self, piece: Piece, encoding: Arrays) -> None:
        if piece not in self._kept:
            self._bytes += _size(encoding)
        self._kept[piece] = encoding
        self._kept.move_to_end(piece)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(encoding: Arrays) -> int:
    return sum(array.nbytes for array in encoding.values())
