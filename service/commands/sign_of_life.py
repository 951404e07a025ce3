"""Shows on a terminal that the program is alive, before it has loaded what its proper display needs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ERASE: Final = "\r\x1b[K"
COMPLETION_VARIABLE: Final = "_CLEANPLATE_COMPLETE"  # set where a shell asks what may come next, while its prompt stands on the same line


@contextmanager
def sign_of_life(what: str) -> Iterator[None]:
    """A line on stderr for the length of the block, such as "starting"; nothing if stderr is not a terminal."""
    if COMPLETION_VARIABLE in os.environ or not sys.stderr.isatty():
        yield
        return
    sys.stderr.write(f"{what} ...")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write(ERASE)
        sys.stderr.flush()
