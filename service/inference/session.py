"""The networks as the pipeline sees them: named arrays in, named arrays out. ONNX Runtime or OpenVINO is behind it, torch is not."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort

from models import registry, spec
from service.errors import ModelError
from service.inference import device as devices
from service.inference import folder, trial
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, Session
from service.inference.device import ChosenDevice, Device, WantedPrecision

HAS_OPENVINO = find_spec("openvino") is not None  # the extra for CUDA comes without it


class OnnxSession(Session):
    """A network in ONNX Runtime, on one device."""

    def __init__(self, path: Path, network: spec.NetworkSpec, device: ChosenDevice, threads: int = 0) -> None:
        try:
            self._session = ort.InferenceSession(path, devices.session_options(threads), providers=devices.providers(device))
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(f"the {network.name} does not load: {type(error).__name__}") from error
        self._device = device
        self._outputs = [output.name for output in network.outputs]
        if not (_keep(network.inputs, self._session.get_inputs()) and _keep(network.outputs, self._session.get_outputs())):
            raise ModelError(f"the {network.name} has other inputs or outputs than its contract")

    def run(self, inputs: Arrays) -> Arrays:
        if self._device == "cpu":  # in place: nothing to copy
            return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))
        return self.run_bound(inputs)

    def run_bound(self, inputs: Arrays) -> Arrays:
        """The same by IO binding: each input is copied to the device once, each output stays there until it is copied back once."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._device, 0))
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._outputs, binding.copy_outputs_to_cpu(), strict=True))


def _keep(contract: Sequence[spec.TensorSpec], tensors: Sequence[ort.NodeArg]) -> bool:
    return keep(contract, {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in tensors})


def keep(contract: Sequence[spec.TensorSpec], shapes: dict[str, list[int | None]]) -> bool:
    """Whether a file's tensors have the names and the fixed dimensions of the contract; a free dimension is None."""
    return shapes == {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in contract}


@dataclass(frozen=True)
class Networks:
    """The three networks of the pipeline, for all jobs on one device at once, and what the report says of them."""

    segmenter: Batcher
    matte: Batcher
    inpainter: Batcher
    versions: dict[str, str]

    @classmethod
    def load(
        cls,
        device: Device = "auto",
        threads: int = 0,
        weights: Path | None = None,
        precision: WantedPrecision = "auto",
        warm: bool = False,
    ) -> "Networks":
        """Verifies and loads the networks of a folder; without one, of the folder that `cleanplate models use` chose, else the shipped.

        `warm`: run each once in its common shapes where the first run of a shape is slow. Raises ModelError, and RequestError where CUDA
        is asked for and absent.
        """
        chosen = devices.choose_device(device)
        found = {network: find(network, folder.in_use(weights), precision, chosen) for network in spec.NETWORKS}
        batchers = {network.name: load_batcher(network, of, chosen, threads, warm, precision) for network, of in found.items()}
        versions = {network.name: of.label for network, of in found.items()}
        return cls(**batchers, versions=versions | _runtime(chosen, precision) | {"device": chosen})

    def close(self) -> None:
        """Ends the threads of the device, once no job runs any more."""
        for batcher in (self.segmenter, self.matte, self.inpainter):
            batcher.close()


def find(network: spec.NetworkSpec, weights: Path, precision: WantedPrecision, device: ChosenDevice) -> registry.Weights:
    """The file that suits the device and the wish, verified. Raises ModelError."""
    try:
        manifest = folder.manifest_of(network, weights)
        there_are = registry.entry(network, manifest).files
        return registry.find(network, manifest, devices.choose_precision(precision, device, there_are))
    except registry.WeightsError as error:
        hint = "" if weights == registry.SHIPPED else " (not the shipped weights; `cleanplate models use --shipped` goes back to them)"
        raise ModelError(f"{error}{hint}") from error


def load_batcher(
    network: spec.NetworkSpec,
    weights: registry.Weights,
    device: ChosenDevice,
    threads: int = 0,
    warm: bool = False,
    precision: WantedPrecision = "auto",
) -> Batcher:
    """The network with the runtime, the batches, the threads and the workers that suit the device. Raises ModelError."""
    if device == "cuda":
        session = OnnxSession(weights.path, network, device, threads)
        if warm:
            warm_up(network, session)
        return Batcher(session, BATCH_SIZES)
    threads = threads or os.cpu_count() or 1
    at_once = threads if network is spec.INPAINTER else 1  # its calls come by the dozen: side by side they take two thirds of the time
    return Batcher(_on_cpu(network, weights.path, precision, threads, at_once), workers=at_once)  # a batch would only need more memory


def _on_cpu(network: spec.NetworkSpec, path: Path, precision: WantedPrecision, threads: int, at_once: int) -> Session:
    if not HAS_OPENVINO:
        return OnnxSession(path, network, "cpu", threads // at_once)
    from service.inference import openvino

    return openvino.OpenVinoSession(path, network, openvino.arithmetic(precision), threads, at_once)


def _runtime(device: ChosenDevice, precision: WantedPrecision) -> dict[str, str]:
    """What a report says of it."""
    if device == "cuda" or not HAS_OPENVINO:
        return {"onnxruntime": ort.__version__}
    from service.inference import openvino

    return {"openvino": openvino.VERSION, "arithmetic": openvino.arithmetic(precision)}


def warm_up(network: spec.NetworkSpec, session: Session, sizes: Sequence[int] = BATCH_SIZES) -> None:
    """Runs the network in its common shape and each batch size, so that a first job does not wait for kernels to be chosen and loaded."""
    for size in sizes:
        session.run(trial.inputs(network, trial.common_sizes(network, size)))
