"""Map a function over items on several threads. NumPy and OpenCV release the interpreter lock while they compute."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WORKERS: Final = 4  # each worker holds the crops of its item in memory


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields `function(item)` for each item, in the order of the items. Items are read lazily, in the caller's thread.

    Raises what `function` or `items` raises. After an error, or when the caller stops iterating, calls that have not started are cancelled.
    """
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    executor, pending = ThreadPoolExecutor(workers, thread_name_prefix="parallel-map"), deque[Future[Result]]()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            while pending and (len(pending) > workers or pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
