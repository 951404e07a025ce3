"""The networks as the pipeline sees them: named arrays in, named arrays out. ONNX Runtime is behind it, torch is not.

The runtime is an extra, so it is imported where a network is loaded: this module imports without it, and loading says what to install.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models import registry, spec
from service.errors import ModelError
from service.inference import device as devices
from service.inference import folder, trial
from service.inference.batcher import BATCH_SIZES, Batcher, Session
from service.inference.device import ChosenDevice, Device, WantedPrecision

SIDE_BY_SIDE: Final = (spec.INPAINTER_ENCODER, spec.INPAINTER)  # on a CPU, each window in a thread of its own


@dataclass(frozen=True)
class Networks:
    """The networks of the pipeline, for all jobs on one device at once, and what the report says of them."""

    segmenter: Batcher
    matte: Batcher
    inpainter_encoder: Batcher
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

        `warm`: run each once in its common shapes where the first run of a shape is slow. Raises ModelError, and RequestError where no
        runtime is installed, or CUDA is asked for and absent.
        """
        chosen = devices.choose_device(device)
        from service.inference import onnx_runtime

        found = {network: find(network, folder.in_use(weights), precision, chosen) for network in spec.NETWORKS}
        batchers = {network.name: load_batcher(network, of, chosen, threads, warm) for network, of in found.items()}
        versions = {network.name: of.label for network, of in found.items()}
        return cls(**batchers, versions=versions | {"onnxruntime": onnx_runtime.VERSION, "device": chosen})

    def give_back(self) -> None:
        """Frees the memory that the networks keep from their largest runs: after a step that has looked at whole pictures."""
        for batcher in self._all:
            batcher.give_back()

    def close(self) -> None:
        """Ends the threads of the device, once no job runs any more."""
        for batcher in self._all:
            batcher.close()

    @property
    def _all(self) -> tuple[Batcher, ...]:
        return self.segmenter, self.matte, self.inpainter_encoder, self.inpainter


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
) -> Batcher:
    """The network with the runtime, the batches, the threads and the workers that suit the device. Raises ModelError."""
    from service.inference.onnx_runtime import OnnxSession

    if device == "cuda":
        session = OnnxSession(weights.path, network, device, threads)
        if warm:
            warm_up(network, session)
        return Batcher(session, BATCH_SIZES)
    threads = threads or os.cpu_count() or 1
    at_once = threads if network in SIDE_BY_SIDE else 1  # its calls come by the dozen: side by side they take two thirds of the time
    session = OnnxSession(weights.path, network, device, threads // at_once)
    return Batcher(session, workers=at_once)  # a batch would only need more memory


def warm_up(network: spec.NetworkSpec, session: Session, sizes: Sequence[int] = BATCH_SIZES) -> None:
    """Runs the network in its common shape and each batch size, so that a first job does not wait for kernels to be chosen and loaded."""
    for size in sizes:
        session.run(trial.inputs(network, trial.common_sizes(network, size)))
