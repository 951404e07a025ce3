"""The networks in OpenVINO, on a CPU: half again to twice as fast as ONNX Runtime there (docs/decisions/0014)."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import numpy as np
import openvino as ov

from models.spec import NetworkSpec, TensorSpec
from service.errors import ModelError
from service.inference.batcher import Arrays, Session
from service.inference.device import WantedPrecision

Arithmetic = Literal["f32", "bf16"]

Shapes = tuple[tuple[str, tuple[int, ...]], ...]

MOST_FIXED = 8  # shapes that are held compiled, the latest
VERSION: Final = ov.__version__.split("-")[0]

# OpenVINO's binding sets itself up when it first meets an array, and two threads that do so at once wait for each other for ever: the first
# holds that set-up and waits for the interpreter, the second the other way round. Seen with 2026.4. So it is done here, in one thread.
ov.Tensor(np.zeros(1, np.float32)).data.copy()


class OpenVinoSession(Session):
    """A network in OpenVINO. `at_once` callers are served side by side, by `threads` threads in all.

    It takes every shape. Where `fixed_after` is given, a shape that has come so often is compiled for itself: half a second for the
    inpainter, whose runs then take two thirds of the time.
    """

    def __init__(
        self, path: Path, network: NetworkSpec, arithmetic: Arithmetic, threads: int, at_once: int = 1, fixed_after: int | None = None
    ) -> None:
        self._options = {
            "INFERENCE_PRECISION_HINT": arithmetic,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": at_once,
            "ENABLE_CPU_PINNING": False,  # decoder and encoder need the cores too
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
        self._path = path
        try:
            self._any_shape = self._compiled(None)
        except RuntimeError as error:
            raise ModelError(f"the {network.name} does not load: {type(error).__name__}") from error
        self._outputs = [output.name for output in network.outputs]
        compiled = self._any_shape.network
        if not (_keep(network.inputs, compiled.inputs) and _keep(network.outputs, compiled.outputs)):
            raise ModelError(f"the {network.name} has other inputs or outputs than its contract")
        self._fixed_after = fixed_after
        self._fixed: dict[Shapes, _Compiled] = {}
        self._come: Counter[Shapes] = Counter()
        self._lock = Lock()

    def run(self, inputs: Arrays) -> Arrays:
        compiled = self._for({name: array.shape for name, array in inputs.items()})
        request = compiled.request()
        request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()}, share_inputs=True)
        answers = {name: request.get_tensor(name).data.copy() for name in self._outputs}
        compiled.idle.append(request)
        return answers

    def _for(self, shapes: dict[str, tuple[int, ...]]) -> "_Compiled":
        """What to run these shapes on. While one caller compiles, others go on with what takes every shape."""
        key = tuple(shapes.items())
        with self._lock:
            self._come[key] += 1
            due = self._come[key] == self._fixed_after
        if due:
            fixed = self._compiled(shapes)
            with self._lock:
                self._fixed = dict([*self._fixed.items(), (key, fixed)][-MOST_FIXED:])
                self._come = Counter({kept: self._come[kept] for kept in self._fixed})
        return self._fixed.get(key, self._any_shape)

    def _compiled(self, shapes: dict[str, tuple[int, ...]] | None) -> "_Compiled":
        core = ov.Core()
        model = core.read_model(self._path)
        if shapes is not None:
            model.reshape({name: ov.PartialShape(list(shape)) for name, shape in shapes.items()})
        return _Compiled(core.compile_model(model, "CPU", self._options))


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A compiled network, and its requests that nobody uses: a request holds the results of its last run."""

    network: ov.CompiledModel
    idle: deque[ov.InferRequest] = field(default_factory=deque)

    def request(self) -> ov.InferRequest:
        try:
            return self.idle.pop()
        except IndexError:
            return self.network.create_infer_request()


def arithmetic(precision: WantedPrecision) -> Arithmetic:
    """What a float32 file is computed in: under `auto` bfloat16, where the processor has it."""
    if precision != "auto":
        return "f32"
    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _keep(contract: Sequence[TensorSpec], ports: Sequence[ov.ConstOutput]) -> bool:
    """Whether a file's tensors have the names and the fixed dimensions of the contract."""
    specified = {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in contract}
    return specified == {p.any_name: [d.get_length() if d.is_static else None for d in p.partial_shape] for p in ports}
