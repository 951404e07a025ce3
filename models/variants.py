"""Cheaper forms of an exported network: how they are made, what they cost, and whether they are worth it.

Half precision (`NAME.fp16.onnx`) is for CUDA. Eight-bit convolutions (`NAME.int8.onnx`) are for the CPU; they are kept only where they are
faster on the machine that makes them, and need inputs as they are in life to learn the ranges from. `docs/decisions/0008` has figures.
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
LEAST_PSNR_DB = 60.0
LEAST_GAIN = 1.1  # times as fast; less is not worth a second file
TIMED_RUNS = 5
HEAD_CHANNELS = 4  # convolutions with so few outputs make flow and opacity, which eight bits are too coarse for


class NotWorthIt(Exception):
    """A variant costs too much, or brings too little."""


@dataclass(frozen=True)
class Cost:
    """How a variant's answers differ from those of the float32 file: the largest difference, and the PSNR in dB of the worst sample."""

    largest_difference: float
    psnr_db: float

    def figures(self) -> dict[str, float]:
        return {"largest_difference": round(self.largest_difference, 5), "psnr_db": round(self.psnr_db, 1)}


def cost(expected: ort.InferenceSession, got: ort.InferenceSession, samples: Iterable[Arrays]) -> Cost:
    """Of the second session's answers, over all outputs and samples."""
    largest, worst = 0.0, 0.0
    for sample in samples:
        for one, other in zip(expected.run(None, dict(sample)), got.run(None, dict(sample)), strict=True):
            error = np.asarray(one, np.float64) - np.asarray(other, np.float64)
            largest, worst = max(largest, float(np.abs(error).max())), max(worst, float(np.square(error).mean()))
    return Cost(largest, float(-10 * np.log10(max(worst, 1e-15))))


def make_half(path: Path, samples: Sequence[Arrays]) -> tuple[Path, Cost]:
    """Writes the half-precision form beside the float32 file. Raises NotWorthIt where it costs too much as a GPU computes it."""
    model = onnx.load(path)
    found = cost(_session(path), _session(rounded(model)), samples)
    if not found.psnr_db >= LEAST_PSNR_DB:  # not a number too
        raise NotWorthIt(f"half precision of {path.name} is {found.psnr_db:.1f} dB from float32, {LEAST_PSNR_DB:.0f} are needed")
    half = to_half(model)
    refuse_problems(half)
    target = path.with_suffix(".fp16.onnx")
    onnx.save(half, target)
    return target, found


def make_int8(path: Path, samples: Sequence[Arrays], timed: Arrays) -> tuple[Path, Cost, float]:
    """Writes the form with eight-bit convolutions beside the float32 file: where, what it costs, and how many times as fast it is.

    The first half of the samples teaches the ranges, the second tells the cost; `timed` is the input that the time is taken on.
    Raises NotWorthIt where it costs too much or is not faster on this machine.
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
        found, gain = cost(before, after, samples[half:]), seconds(before, timed) / seconds(after, timed)
        if not (found.psnr_db >= LEAST_PSNR_DB and gain >= LEAST_GAIN):
            raise NotWorthIt(f"int8 of {path.name} is {found.psnr_db:.1f} dB from float32 and {gain:.2f} times as fast")
        target = path.with_suffix(".int8.onnx")
        target.write_bytes(quantized.read_bytes())
    return target, found, gain


def seconds(session: ort.InferenceSession, sample: Arrays) -> float:
    """Processor time of a run of a session of one thread, the median of several: what else runs on the machine matters little."""
    taken = []
    for _ in range(TIMED_RUNS + 1):
        started = time.thread_time()
        session.run(None, dict(sample))
        taken.append(time.thread_time() - started)
    return statistics.median(taken[1:])


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """The samples, one after another."""

    def __init__(self, samples: Sequence[Arrays]) -> None:
        self._samples: Iterator[Arrays] = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        sample = next(self._samples, None)
        return None if sample is None else dict(sample)


def _session(model: Path | ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # it then runs in the caller's thread, whose time is taken
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    source = model if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _without_shapes(model: ModelProto) -> ModelProto:
    """The exporter's notes on inner shapes contradict what onnx infers of some, which the quantizer takes for an error."""
    del model.graph.value_info[:]
    return model


def _heads(model: ModelProto) -> list[str]:
    """Names of the convolutions that stay in float32: the last one, and those with few outputs."""
    outputs = {value.name: value.dims[0] for value in model.graph.initializer if value.dims}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if outputs[node.input[1]] <= HEAD_CHANNELS or node is convolutions[-1]]
