"""The networks as the pipeline sees them: named arrays in, named arrays out. ONNX Runtime is behind it, torch is not."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models import registry, spec
from service.errors import ModelError, RequestError

Device = Literal["auto", "cpu", "cuda"]
Arrays = dict[str, NDArray[np.float32]]


class Session(Protocol):
    """A loaded network. Inputs and outputs are those of its contract in `models/spec.py`."""

    def run(self, inputs: Arrays) -> Arrays: ...


class OnnxSession:
    """A network in ONNX Runtime, on one device."""

    def __init__(self, path: Path, network: spec.NetworkSpec, device: Literal["cpu", "cuda"], threads: int = 0) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads  # 0: as many as there are cores
        options.log_severity_level = 3
        options.add_session_config_entry("session.set_denormal_as_zero", "1")  # random-looking weights made LaMa 30 times slower without it
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoder and encoder need the cores while we wait
        options.enable_mem_pattern = False  # shapes vary from mark to mark
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"]
        try:
            self._session = ort.InferenceSession(path, options, providers=providers)
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(f"the {network.name} does not load: {type(error).__name__}") from error
        self._outputs = [output.name for output in network.outputs]
        if not (_keep(network.inputs, self._session.get_inputs()) and _keep(network.outputs, self._session.get_outputs())):
            raise ModelError(f"the {network.name} has other inputs or outputs than its contract")

    def run(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))


def _keep(contract: Sequence[spec.TensorSpec], tensors: Sequence[ort.NodeArg]) -> bool:
    """Whether a file's tensors have the names and the fixed dimensions of the contract."""
    specified = {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in contract}
    return specified == {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in tensors}


@dataclass(frozen=True)
class Networks:
    """The three networks of the pipeline, and what the report says of them."""

    segmenter: Session
    matte: Session
    inpainter: Session
    versions: dict[str, str]
    batch_sizes: tuple[int, ...] = (1,)  # on a CPU a larger batch only needs more memory
    workers: int = 1  # inpainter calls at a time: on a CPU two calls of one thread each do half as much again as one of two threads

    @classmethod
    def load(cls, device: Device = "auto", threads: int = 0, manifest: Path = registry.MANIFEST) -> "Networks":
        """Verifies and loads the shipped networks. Raises ModelError, and RequestError where CUDA is asked for and absent."""
        chosen = choose_device(device)
        try:
            found = {network.name: (network, registry.find(network, manifest)) for network in spec.NETWORKS}
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error
        workers = (threads or os.cpu_count() or 1) if chosen == "cpu" else 1
        count = {spec.INPAINTER.name: 1} if chosen == "cpu" else {}
        sessions = {
            name: OnnxSession(weights.path, network, chosen, count.get(name, threads)) for name, (network, weights) in found.items()
        }
        versions = {name: weights.version for name, (_, weights) in found.items()}
        return cls(
            **sessions,
            versions=versions | {"onnxruntime": ort.__version__, "device": chosen},
            batch_sizes=(8, 4, 2, 1) if chosen == "cuda" else (1,),
            workers=workers,
        )


def choose_device(device: Device) -> Literal["cpu", "cuda"]:
    """CUDA where it is asked for, or possible under `auto`."""
    if device == "cpu":
        return "cpu"
    possible = "CUDAExecutionProvider" in ort.get_available_providers()
    if possible:
        ort.preload_dlls()  # the CUDA libraries that came as packages
    if device == "cuda" and not possible:
        raise RequestError("CUDA is not available here: install the cuda extra, or use --device cpu")
    return "cuda" if possible else "cpu"
