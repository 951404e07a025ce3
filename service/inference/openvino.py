"""The networks in OpenVINO, on a CPU: half again to twice as fast as ONNX Runtime there (docs/decisions/0014)."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import openvino as ov

from models.spec import NetworkSpec, TensorSpec
from service.errors import ModelError
from service.inference.batcher import Arrays, Session
from service.inference.device import WantedPrecision
from service.inference.session import keep

Arithmetic = Literal["f32", "bf16"]

VERSION: Final = ov.__version__.split("-")[0]

# OpenVINO's binding sets itself up when it first meets an array, and two threads that do so at once wait for each other for ever: the first
# holds that set-up and waits for the interpreter, the second the other way round. Seen with 2026.4. So it is done here, in one thread.
ov.Tensor(np.zeros(1, np.float32)).data.copy()


class OpenVinoSession(Session):
    """A network in OpenVINO, of any shape. `at_once` callers are served side by side, by `threads` threads in all."""

    def __init__(self, path: Path, network: NetworkSpec, arithmetic: Arithmetic, threads: int, at_once: int = 1) -> None:
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
        if not (_keep(network.inputs, self._network.inputs) and _keep(network.outputs, self._network.outputs)):
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


def _keep(contract: Sequence[TensorSpec], ports: Sequence[ov.ConstOutput]) -> bool:
    return keep(contract, {p.any_name: [d.get_length() if d.is_static else None for d in p.partial_shape] for p in ports})
