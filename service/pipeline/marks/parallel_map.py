"""Several things at once, on the cores that there are: NumPy and OpenCV let go of the interpreter while they compute."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WORKERS: Final = 4  # each holds its crops in memory


def parallel_map(work: Callable[[Item], Result], things: Iterable[Item]) -> Iterator[Result]:
    """What `work` makes of each of the things, in their order. They are asked for, one by one, in the caller's thread.

    Raises what `work` raised; then, or when nobody wants the rest, what has not begun is given up.
    """
    most = min(os.cpu_count() or 1, MAX_WORKERS)
    threads, waiting = ThreadPoolExecutor(most, thread_name_prefix="together"), deque[Future[Result]]()
    try:
        for thing in things:
            waiting.append(threads.submit(work, thing))
            while waiting and (len(waiting) > most or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
