"""The networks in OpenVINO, on a CPU: half again to twice as fast as ONNX Runtime there (docs/decisions/0014)."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import numpy as np
import openvino as ov

from models.spec import NetworkSpec, TensorSpec
from service.errors import ModelError
from service.inference.batcher import Arrays, Session
from service.inference.contract import keeps
from service.inference.device import WantedPrecision

Arithmetic = Literal["f32", "bf16"]

VERSION: Final = ov.__version__.split("-")[0]

_SETTING_UP: Final = Lock()


class OpenVinoSession(Session):
    """A network in OpenVINO, of any shape. `at_once` callers are served side by side, by `threads` threads in all."""

    def __init__(self, path: Path, network: NetworkSpec, arithmetic: Arithmetic, threads: int, at_once: int = 1) -> None:
        _meet_an_array()
        options = {
            "INFERENCE_PRECISION_HINT": arithmetic,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": at_once,
            "ENABLE_CPU_PINNING": False,  # decoder and encoder need the cores too
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
        try:
            self._network = ov.Core().compile_model(path, "CPU", options)
        except RuntimeError as error:
            raise ModelError(f"the {network.name} does not load: {type(error).__name__}") from error
        self._outputs = [output.name for output in network.outputs]
        if not (_keeps(network.inputs, self._network.inputs) and _keeps(network.outputs, self._network.outputs)):
            raise ModelError(f"the {network.name} has other inputs or outputs than its contract")
        self._idle: deque[ov.InferRequest] = deque()  # a request holds the results of its last run: a caller has one to itself

    def run(self, inputs: Arrays) -> Arrays:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._network.create_infer_request()
        request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()}, share_inputs=True)
        answers = {name: request.get_tensor(name).data.copy() for name in self._outputs}
        self._idle.append(request)
        return answers


def arithmetic(precision: WantedPrecision) -> Arithmetic:
    """What a float32 file is computed in: under `auto` bfloat16, where the processor has it."""
    if precision != "auto":
        return "f32"
    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _meet_an_array() -> None:
    """Let the binding set itself up in one thread, before any session runs.

    It does so when it first meets an array. Two threads that get there at once deadlock: the first holds the set-up and waits for the
    interpreter, the second the other way round. Seen with 2026.4.
    """
    with _SETTING_UP:
        ov.Tensor(np.zeros(1, np.float32)).data.copy()


def _keeps(contract: Sequence[TensorSpec], ports: Sequence[ov.ConstOutput]) -> bool:
    return keeps(contract, {p.any_name: [d.get_length() if d.is_static else None for d in p.partial_shape] for p in ports})
