"""Memoised networks and functions: inputs that were seen before, bit for bit, are not computed again."""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from benchmarks.altered import all_bindings
from benchmarks.constants import Binding, Code, Constant, bindings
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.session import Networks

RECENT_BYTES = 256 * 2**20
FUNCTIONS = (Binding("models.preprocess", "matte_statistics"),)  # of arrays, to an array; most of the time of measuring


class Memory:
    """Answers by a digest of their inputs. Those added while `keeping` are kept for good, the others while they are recent."""

    def __init__(self, recent_bytes: int = RECENT_BYTES) -> None:
        self.keeping = False
        self.asked = self.recalled = 0
        self._kept: dict[bytes, Arrays] = {}
        self._recent: OrderedDict[bytes, Arrays] = OrderedDict()
        self._bytes, self._most_bytes = 0, recent_bytes
        self._lock = Lock()

    def find(self, key: bytes) -> Arrays | None:
        with self._lock:
            self.asked += 1
            answer = self._kept.get(key) or self._recent.get(key)
            self.recalled += answer is not None
            return answer

    def add(self, key: bytes, answer: Arrays) -> None:
        with self._lock:
            if self.keeping:
                self._kept[key] = answer
                return
            self._recent[key] = answer
            self._bytes += _size(answer)
            while self._bytes > self._most_bytes and self._recent:
                self._bytes -= _size(self._recent.popitem(last=False)[1])


def _size(answer: Arrays) -> int:
    return sum(array.nbytes for array in answer.values())


class Recalled(Session):
    """A network behind a memory. Its answers are shared, and so read-only."""

    def __init__(self, name: str, network: Batcher, memory: Memory) -> None:
        self._name, self._network, self._memory = name, network, memory

    def run(self, inputs: Arrays) -> Arrays:
        key = _digest(self._name, inputs)
        answer = self._memory.find(key)
        if answer is None:
            windows = [{name: array[i] for name, array in inputs.items()} for i in range(len(next(iter(inputs.values()))))]
            answers = self._network.run(windows)
            answer = {name: np.stack([one[name] for one in answers]) for name in answers[0]}
            for array in answer.values():
                array.flags.writeable = False
            self._memory.add(key, answer)
        return answer


def recalled(networks: Networks, memory: Memory) -> Networks:
    """The networks behind one memory, one window per batch."""
    return replace(
        networks,
        segmenter=Batcher(Recalled("segmenter", networks.segmenter, memory)),
        matte=Batcher(Recalled("matte", networks.matte, memory)),
        inpainter_encoder=Batcher(Recalled("inpainter_encoder", networks.inpainter_encoder, memory)),
        inpainter=Batcher(Recalled("inpainter", networks.inpainter, memory)),
    )


@contextmanager
def recalled_functions(memory: Memory, known: Code, constant: Constant | None) -> Iterator[None]:
    """Inside the block `FUNCTIONS` answer from the memory, except where their module or its imports have the constant."""
    before = []
    try:
        for home in FUNCTIONS:
            if constant is not None and {binding.module for binding in all_bindings(constant, known)} & imports_of(home.module, known):
                continue
            function = _RecalledFunction(getattr(import_module(home.module), home.name), memory)
            for binding in bindings(home, known):
                if (module := sys.modules.get(binding.module)) is not None:
                    before.append((module, binding.name, getattr(module, binding.name)))
                    setattr(module, binding.name, function)
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)


class _RecalledFunction:
    """A function behind a memory. While the memory keeps, it always computes, so that `watched` sees all it runs."""

    def __init__(self, function: Callable[..., NDArray[np.float32]], memory: Memory) -> None:
        self._function, self._memory = function, memory

    def __call__(self, *arrays: NDArray[np.float32]) -> NDArray[np.float32]:
        key = _digest(self._function.__qualname__, {str(place): array for place, array in enumerate(arrays)})
        answer = None if self._memory.keeping else self._memory.find(key)
        if answer is None:
            answer = {"": self._function(*arrays)}
            answer[""].flags.writeable = False
            self._memory.add(key, answer)
        return answer[""]


def imports_of(module: str, known: Code) -> set[str]:
    """A module, and those it imports, and those they import."""
    found = {module}
    while fresh := {name for one in found for name in known[one].modules if name in known} - found:
        found |= fresh
    return found


def _digest(name: str, inputs: Arrays) -> bytes:
    total = hashlib.blake2b(name.encode(), digest_size=16)
    for key, array in sorted(inputs.items()):
        total.update(f"{key} {array.shape} {array.dtype}".encode())
        total.update(np.ascontiguousarray(array))
    return total.digest()
