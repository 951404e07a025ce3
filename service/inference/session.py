"""The networks as the pipeline sees them: named arrays in, named arrays out. ONNX Runtime is behind it, torch is not."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnxruntime as ort

from models import registry, spec
from service.errors import ModelError, RequestError
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, Session

Device = Literal["auto", "cpu", "cuda"]


class OnnxSession(Session):
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
    """The three networks of the pipeline, for all jobs on one device at once, and what the report says of them."""

    segmenter: Batcher
    matte: Batcher
    inpainter: Batcher
    versions: dict[str, str]

    @classmethod
    def load(cls, device: Device = "auto", threads: int = 0, manifest: Path = registry.MANIFEST) -> "Networks":
        """Verifies and loads the shipped networks. Raises ModelError, and RequestError where CUDA is asked for and absent."""
        chosen = choose_device(device)
        try:
            found = {network.name: (network, registry.find(network, manifest)) for network in spec.NETWORKS}
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error
        batchers = {name: _batcher(network, weights.path, chosen, threads) for name, (network, weights) in found.items()}
        versions = {name: weights.version for name, (_, weights) in found.items()}
        return cls(**batchers, versions=versions | {"onnxruntime": ort.__version__, "device": chosen})

    def close(self) -> None:
        """Ends the threads of the device, once no job runs any more."""
        for batcher in (self.segmenter, self.matte, self.inpainter):
            batcher.close()


def _batcher(network: spec.NetworkSpec, path: Path, device: Literal["cpu", "cuda"], threads: int) -> Batcher:
    """The network with the batches and the threads that suit the device."""
    if device == "cuda":
        return Batcher(OnnxSession(path, network, device, threads), BATCH_SIZES)
    if network is spec.INPAINTER:  # its calls come by the dozen: two of one thread each do half as much again as one of two threads
        return Batcher(OnnxSession(path, network, device, 1), workers=threads or os.cpu_count() or 1)
    return Batcher(OnnxSession(path, network, device, threads))  # a larger batch would only need more memory


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
