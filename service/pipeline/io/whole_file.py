"""A file that appears whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import EncodeFailed


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Where to write what becomes `target` when the block ends well: a hidden name beside it, with its suffix, for one rename.

    Otherwise nothing is left of it, and a fault of the disk is an EncodeFailed.
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
    """A new hidden name beside the target, on the same file system and with its suffix, so that the last step is one rename."""
    return target.absolute().with_name(f".{secrets.token_hex(4)}.{target.name}")
