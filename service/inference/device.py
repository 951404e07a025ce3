"""Chooses the device and precision of the networks, and ONNX Runtime's options for them."""

from collections.abc import Collection
from importlib.util import find_spec
from typing import Final, Literal

from models.registry import Precision
from service.errors import RequestError

Device = Literal["auto", "cpu", "cuda"]
ChosenDevice = Literal["cpu", "cuda"]
WantedPrecision = Literal["auto", "fp32", "fp16", "int8"]
Provider = str | tuple[str, dict[str, str]]

RUNTIME: Final = "onnxruntime"  # the module; cleanplate[cpu] and cleanplate[cuda] bring it in two packages that exclude each other
CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"
CHEAPEST: Final[dict[ChosenDevice, Precision]] = {"cuda": "fp16", "cpu": "int8"}

# Reasons in docs/decisions/0008.
CUDA_OPTIONS: Final = {
    "cudnn_conv_algo_search": "HEURISTIC",  # windows have many shapes; EXHAUSTIVE would time every algorithm for each
    "use_tf32": "1",  # for float32 products: 10 bits of mantissa, as float16 has
    "do_copy_in_default_stream": "1",  # copies in another stream may race
    "arena_extend_strategy": "kSameAsRequested",  # doubling would take memory from others on the same GPU
    "enable_cuda_graph": "0",  # a graph needs one shape and fixed buffers
}


def require_runtime() -> None:
    """Raises RequestError where ONNX Runtime is not installed. It is not imported: a service that only answers needs none in its memory."""
    if find_spec(RUNTIME) is None:
        raise RequestError("no runtime for the networks is installed: install cleanplate[cpu] or cleanplate[cuda]")


def choose_device(device: Device) -> ChosenDevice:
    """CUDA where it is asked for, or possible under `auto`.

    Raises RequestError where no runtime is installed, or CUDA is asked for and absent.
    """
    require_runtime()
    if device == "cpu":
        return "cpu"
    import onnxruntime as ort  # an extra: this module imports without it

    possible = CUDA in ort.get_available_providers()
    if possible:
        ort.preload_dlls()  # the CUDA libraries that came as packages
    if device == "cuda" and not possible:
        raise RequestError("CUDA is not available here: install the cuda extra, or use --device cpu")
    return "cuda" if possible else "cpu"


def choose_precision(wanted: WantedPrecision, device: ChosenDevice, there_are: Collection[Precision]) -> Precision:
    """One network's precision: the wanted one, for `auto` the device's cheapest, fp32 if there is no such file. Raises RequestError."""
    if wanted == "int8" and device == "cuda":
        raise RequestError("int8 is for the CPU: use fp16 or auto with CUDA")
    precision = CHEAPEST[device] if wanted == "auto" else wanted
    return precision if precision in there_are else "fp32"


def providers(device: ChosenDevice) -> list[Provider]:
    """ONNX Runtime's providers, preferred first."""
    return [(CUDA, dict(CUDA_OPTIONS)), CPU] if device == "cuda" else [CPU]
