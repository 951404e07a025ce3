"""The inpainter's encodings of pieces of frames: each is computed once, and kept as long as it probably serves further targets."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from service.inference.batcher import Arrays, Batcher
from service.pipeline.picture.view import View

# About two windows of references of a mark in motion: 65 frames, each in two views of 256 by 256 pixels. With fewer the result is the same.
MAX_CACHED_BYTES: Final = 128 * 2**20


@dataclass(frozen=True)
class Piece:
    """What the encoder sees: a view of a frame."""

    frame: int
    view: View


class Encodings:
    """The encodings of one video's frames. Those that were used last are kept, up to `max_bytes`."""

    def __init__(self, encoder: Batcher, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Piece, Arrays] = OrderedDict()  # least recently used first
        self._bytes = 0

    def of(self, pieces: Collection[Piece], inputs: Callable[[Piece], Arrays]) -> Mapping[Piece, Arrays]:
        """The encodings of the pieces; `inputs` gives the encoder's inputs for a piece whose encoding is not known."""
        unknown = list(dict.fromkeys(piece for piece in pieces if piece not in self._kept))
        fresh = dict(zip(unknown, self._encoder.run([inputs(piece) for piece in unknown]), strict=True))
        found = {piece: fresh[piece] if piece in fresh else self._kept[piece] for piece in pieces}
        for piece, encoding in found.items():
            self._keep(piece, encoding)
        return found

    def _keep(self, piece: Piece, encoding: Arrays) -> None:
        if piece not in self._kept:
            self._bytes += _size(encoding)
        self._kept[piece] = encoding
        self._kept.move_to_end(piece)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(encoding: Arrays) -> int:
    return sum(array.nbytes for array in encoding.values())
