"""Makes cheaper variants of an exported network, and decides whether their accuracy and speed justify them.

Half precision (`NAME.fp16.onnx`) is for CUDA. Eight-bit convolutions (`NAME.int8.onnx`) are for the CPU: they are calibrated on realistic
inputs, and kept only if they are faster on the machine that makes them. `docs/decisions/0008` has measurements.
"""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from models.half import rounded, to_half
from models.operators import refuse_problems

Arrays = Mapping[str, NDArray[np.float32]]

# Marks fill about a tenth of a window, so 60 dB over all of it are 50 dB under the mark: less than 0.1 dB off a result of up to 33 dB.
MIN_PSNR_DB = 60.0
MIN_SPEEDUP = 1.1  # a smaller speedup does not justify a second file
TIMED_RUNS = 5
HEAD_CHANNELS = 4  # convolutions with at most this many outputs produce flow and opacity, for which eight bits are too coarse


class VariantRejected(Exception):
    """A variant loses too much accuracy or gains too little speed."""


@dataclass(frozen=True)
class Cost:
    """Accuracy lost against the float32 file: the largest absolute difference, and the PSNR in dB of the worst sample."""

    largest_difference: float
    psnr_db: float

    def metrics(self) -> dict[str, float]:
        """Rounded, as the manifest has them."""
        return {"largest_difference": round(self.largest_difference, 5), "psnr_db": round(self.psnr_db, 1)}


def cost(reference: ort.InferenceSession, variant: ort.InferenceSession, samples: Iterable[Arrays]) -> Cost:
    """Compare the second session's outputs with the first's, over all outputs and samples."""
    largest, worst = 0.0, 0.0
    for sample in samples:
        for expected, actual in zip(reference.run(None, dict(sample)), variant.run(None, dict(sample)), strict=True):
            error = np.asarray(expected, np.float64) - np.asarray(actual, np.float64)
            largest, worst = max(largest, float(np.abs(error).max())), max(worst, float(np.square(error).mean()))
    return Cost(largest, float(-10 * np.log10(max(worst, 1e-15))))


def make_half(path: Path, samples: Sequence[Arrays]) -> tuple[Path, Cost]:
    """Write the half-precision variant beside the float32 file. Raises VariantRejected if it would lose too much accuracy on a GPU."""
    model = onnx.load(path)
    loss = cost(_session(path), _session(rounded(model)), samples)
    if not loss.psnr_db >= MIN_PSNR_DB:  # also true of NaN
        raise VariantRejected(f"half precision of {path.name} is {loss.psnr_db:.1f} dB from float32, {MIN_PSNR_DB:.0f} are needed")
    half = to_half(model)
    refuse_problems(half)
    target = path.with_suffix(".fp16.onnx")
    onnx.save(half, target)
    return target, loss


def make_int8(path: Path, samples: Sequence[Arrays], timed: Arrays) -> tuple[Path, Cost, float]:
    """Write the variant with eight-bit convolutions beside the float32 file; return its path, its cost and its speedup.

    The first half of the samples calibrates the ranges, the second measures the cost; `timed` is the input on which speed is measured.
    Raises VariantRejected if it loses too much accuracy, or is not faster on this machine.
    """
    half = len(samples) // 2
    with TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        model = _without_shapes(onnx.load(path))
        onnx.save(model, plain)
        quantize_static(
            plain,
            quantized,
            _Calibration(samples[:half]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_heads(model),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        before, after = _session(path), _session(quantized)
        loss, speedup = cost(before, after, samples[half:]), seconds(before, timed) / seconds(after, timed)
        if not (loss.psnr_db >= MIN_PSNR_DB and speedup >= MIN_SPEEDUP):
            raise VariantRejected(f"int8 of {path.name} is {loss.psnr_db:.1f} dB from float32 and {speedup:.2f} times as fast")
        target = path.with_suffix(".int8.onnx")
        target.write_bytes(quantized.read_bytes())
    return target, loss, speedup


def seconds(session: ort.InferenceSession, sample: Arrays) -> float:
    """Median CPU time in seconds of a run of a single-threaded session; other load on the machine matters little."""
    taken = []
    for _ in range(TIMED_RUNS + 1):
        started = time.thread_time()
        session.run(None, dict(sample))
        taken.append(time.thread_time() - started)
    return statistics.median(taken[1:])


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # the library is not typed
    """Passes the samples to the quantizer one by one."""

    def __init__(self, samples: Sequence[Arrays]) -> None:
        self._samples: Iterator[Arrays] = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        sample = next(self._samples, None)
        return None if sample is None else dict(sample)


def _session(model: Path | ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # runs in the caller's thread, whose CPU time is measured
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    source = model if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _without_shapes(model: ModelProto) -> ModelProto:
    """The model without the exporter's inner shapes: some contradict onnx's shape inference, and the quantizer fails on that."""
    del model.graph.value_info[:]
    return model


def _heads(model: ModelProto) -> list[str]:
    """Names of the convolutions that stay in float32: the last one and those with few outputs."""
    outputs = {value.name: value.dims[0] for value in model.graph.initializer if value.dims}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if outputs[node.input[1]] <= HEAD_CHANNELS or node is convolutions[-1]]
