"""Records which functions run, in all threads, and so which names they can read. A constant that nothing can read changes nothing."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

from benchmarks.altered import all_bindings
from benchmarks.constants import Code, Constant


@dataclass
class Reads:
    """The functions that ran, as (file, qualified name), and the global names they mention, as (file, name)."""

    names: set[tuple[str, str]] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)

    def reach(self, constant: Constant, known: Code) -> bool:
        """Whether a function that ran mentions the constant, or one derived from it, under any of its names."""
        for binding in all_bindings(constant, known):
            source = known[binding.module]
            users = [source, *(other for other in known.values() if binding.module in other.modules)]  # `module.NAME`
            if any((str(user.path), binding.name) in self.names for user in users):
                return True
            defaults = [name for name, _, names in source.defaults if binding.name in names]
            if any((str(source.path), name) in self.functions for name in defaults):
                return True
        return False


@contextmanager
def watched(root: Path) -> Iterator[Reads]:
    """Records every function below a folder that runs inside the block, in this thread and in threads that start in it."""
    codes: set[CodeType] = set()
    watching = True

    def see(frame: FrameType, event: str, _: object) -> None:
        if not watching:  # a thread that outlives the block
            sys.setprofile(None)
        elif event == "call":
            codes.add(frame.f_code)

    reads = Reads()
    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield reads
    finally:
        watching = False
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    for code in codes:
        path = Path(code.co_filename).resolve()
        if path.is_relative_to(root):
            reads.names |= {(str(path), name) for name in code.co_names}
            reads.functions.add((str(path), code.co_qualname))
