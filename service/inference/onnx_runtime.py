"""The networks in ONNX Runtime, on a CPU or with CUDA. Imported where a network is loaded: the runtime is an extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort

from models.spec import NetworkSpec, TensorSpec
from service.errors import ModelError
from service.inference import trial
from service.inference.batcher import Arrays, Session
from service.inference.contract import keeps
from service.inference.device import ChosenDevice, providers

VERSION: Final[str] = ort.__version__
KEPT_BYTES: Final = 2 * 2**20  # of inputs: a run of fewer leaves so little memory behind that it may be kept


class OnnxSession(Session):
    """A network in ONNX Runtime, on one device."""

    def __init__(self, path: Path, network: NetworkSpec, device: ChosenDevice, threads: int = 0) -> None:
        try:
            self._session = ort.InferenceSession(path, session_options(threads), providers=providers(device))
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ModelError(f"the {network.name} does not load: {type(error).__name__}") from error
        self._device, self._network = device, network
        self._most_bytes = 0  # of the inputs of a run since memory was given back
        self._outputs = [output.name for output in network.outputs]
        if not (_keeps(network.inputs, self._session.get_inputs()) and _keeps(network.outputs, self._session.get_outputs())):
            raise ModelError(f"the {network.name} has other inputs or outputs than its contract")

    def run(self, inputs: Arrays) -> Arrays:
        self._most_bytes = max(self._most_bytes, sum(array.nbytes for array in inputs.values()))
        if self._device == "cpu":  # in place: nothing to copy
            return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))
        return self.run_bound(inputs)

    def give_back(self) -> None:
        """Free what is kept from the largest run, if it was large. ONNX Runtime does that after a run, so this runs the smallest one.

        After a look at four pictures of 640x384 that is 180 MiB, which takes 17 ms; after every run it would take a tenth longer.
        """
        if self._device == "cpu" and self._most_bytes > KEPT_BYTES:
            self._most_bytes = 0
            options = ort.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            self._session.run(self._outputs, trial.inputs(self._network, trial.small_sizes(self._network)), options)

    def run_bound(self, inputs: Arrays) -> Arrays:
        """The same by IO binding: each input is copied to the device once, each output stays there until it is copied back once."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._device, 0))
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._outputs, binding.copy_outputs_to_cpu(), strict=True))


def session_options(threads: int) -> ort.SessionOptions:
    """Options on either device; no threads: as many as there are cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # random-looking weights made LaMa 30 times slower without it
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoder and encoder need the cores while we wait
    options.enable_mem_pattern = False  # shapes vary from mark to mark
    return options


def _keeps(contract: Sequence[TensorSpec], tensors: Sequence[ort.NodeArg]) -> bool:
    return keeps(contract, {t.name: [d if isinstance(d, int) else None for d in t.shape] for t in tensors})
