"""Standard input and output as files: `-` in the place of a name."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from service.errors import EncodeFailed, NotMedia, RequestError, TooLarge, UnsupportedFormat
from service.media import head_of, suffix_of_head

PIPE: Final = "-"
READ_BYTES: Final = 2**20


@contextmanager
def pipes_as_files(words: Sequence[Path], output: str | None, max_bytes: int) -> Iterator[tuple[list[Path], str | None]]:
    """The words with a file in place of `-`, and the output with a folder; what the block writes there goes to standard output.

    Raises RequestError for a terminal, NotMedia, UnsupportedFormat or TooLarge for what comes in, EncodeFailed for a pipe that is closed.
    """
    if PIPE not in (output, *map(str, words)):
        yield list(words), output
        return
    with TemporaryDirectory(prefix="cleanplate-") as scratch:
        incoming, outgoing = Path(scratch, "in"), Path(scratch, "out")
        for folder in (incoming, outgoing):
            folder.mkdir()
        given = [_received(incoming, max_bytes) if str(word) == PIPE else word for word in dict.fromkeys(words)]
        if output == PIPE and sys.stdout.isatty():
            raise RequestError("standard output is a terminal: send it into a file or a pipe")
        yield given, str(outgoing) if output == PIPE else output
        for path in outgoing.iterdir():
            _send(path)


def _received(folder: Path, max_bytes: int) -> Path:
    """Standard input as a file, whose first bytes decide its suffix."""
    if sys.stdin.isatty():
        raise RequestError("standard input is a terminal: send a file into it, as in `cleanplate clean - -o clean.mp4 < marked.mp4`")
    path = folder / "stdin"
    with path.open("wb") as file:
        while piece := sys.stdin.buffer.read(READ_BYTES):
            file.write(piece)
            if file.tell() > max_bytes:
                raise TooLarge(f"standard input has more than {max_bytes / 2**20:g} MiB, the limit")
    try:
        return path.rename(path.with_suffix(suffix_of_head(head_of(path))))
    except (NotMedia, UnsupportedFormat) as error:
        raise type(error)(f"standard input: {error}") from None


def _send(path: Path) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise EncodeFailed(f"standard output cannot be written: {(error.strerror or 'unknown').lower()}") from error
