"""Writes a file so that it appears complete or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import EncodeFailed


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """The path to write to; the file is renamed to `target` when the block ends without an exception, else it is deleted.

    Raises EncodeFailed for an error of the disk.
    """
    unfinished = unfinished_name(target)
    try:
        yield unfinished
        os.replace(unfinished, target)
    except OSError as error:
        raise EncodeFailed(f"the output cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_name(target: Path) -> Path:
    """A new hidden path beside the target, with its suffix. It is on the same file system, so one rename finishes the file."""
    return target.absolute().with_name(f".{secrets.token_hex(4)}.{target.name}")
