"""Exports a trained network to ONNX, checks that ONNX Runtime agrees with torch, and enters the file in the manifest.

    python -m models.export segmenter build/runs/segmenter/last.pt          # into the shipped weights
    python -m models.export segmenter build/runs/segmenter/last.pt DIR      # into another folder, for `cleanplate models use DIR`

The network is wrapped, not changed: the wrapper turns the segmenter's logits into probabilities; the inpainter becomes two files, one that
encodes frames and one that restores. Beside each float32 file NAME.onnx, it writes NAME.fp16.onnx for GPUs, and for each network NAME.pt to
fine-tune from.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.inpainter import Encoding, Inpainter, InpainterConfig
from models.matte import Matte, MatteConfig
from models.operators import refuse_problems
from models.registry import MANIFEST, MANIFEST_FILE, SHIPPED, VARIANTS
from models.segmenter import Segmenter, SegmenterConfig
from models.spec import CONTRACT_VERSION, INPAINTER, INPAINTER_ENCODER, MATTE, OPSET, SEGMENTER, NetworkSpec
from models.variants import Arrays, VariantRejected, make_half

TOLERANCE = 2e-4  # largest difference between torch and ONNX Runtime; values are in [0, 1]
TRIED_SIZES = (
    {"batch": 1, "time": 1, "frames": 2, "height": 2, "width": 4},
    {"batch": 3, "time": 4, "frames": 5, "height": 2, "width": 4},
)  # height and width are multiples of the network's `multiple`


class Probabilities(nn.Module):
    """A segmenter that returns probabilities in [0, 1] instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        probability: Tensor = self.network(frames).sigmoid()
        return probability


class EncoderPart(nn.Module):
    """The part of an inpainter that encodes frames."""

    def __init__(self, network: Inpainter) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(frame, mask, opacity, colour, opacity_sigma))


class RestoringPart(nn.Module):
    """The part of an inpainter that restores a target from encodings."""

    def __init__(self, network: Inpainter) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frame: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor,
        luma: Tensor, chroma: Tensor, filled: Tensor, quarter: Tensor, eighth: Tensor, shift: Tensor,
    ) -> Tensor:  # fmt: skip
        clips = Encoding(luma, chroma, filled, quarter, eighth)
        return self.network.restore(frame, mask, opacity, colour, opacity_sigma, clips, shift).clean


PARTS: dict[str, tuple[NetworkSpec, ...]] = {
    "segmenter": (SEGMENTER,),
    "matte": (MATTE,),
    "inpainter": (INPAINTER_ENCODER, INPAINTER),
}  # the files of each trained network
_BUILDERS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "segmenter": lambda config: Probabilities(Segmenter(SegmenterConfig(**config))),
    "matte": lambda config: Matte(MatteConfig(**config)),
    "inpainter_encoder": lambda config: EncoderPart(Inpainter(InpainterConfig(**config))),
    "inpainter": lambda config: RestoringPart(Inpainter(InpainterConfig(**config))),
}


def build(spec: NetworkSpec, config: dict[str, Any], weights: dict[str, Tensor]) -> nn.Module:
    """The network as it is exported, in eval mode, with the given weights. Raises RuntimeError where they do not fit."""
    network = _BUILDERS[spec.name]({k: tuple(v) for k, v in config.items()})
    inner = network.network if isinstance(network, Probabilities | EncoderPart | RestoringPart) else network
    inner.load_state_dict(weights)
    return network.eval()


def random_inputs(spec: NetworkSpec, sizes: dict[str, int], seed: int = 0) -> dict[str, Tensor]:
    """Uniform random values within each input's range; `sizes` gives the free dimensions, in pixels where they are height and width."""
    generator = torch.Generator().manual_seed(seed)
    return {t.name: torch.rand(*t.sized(sizes), generator=generator) * (t.high - t.low) + t.low for t in spec.inputs}


def export(spec: NetworkSpec, network: nn.Module, path: Path) -> None:
    """Write the ONNX file, with every named dimension free."""
    example = random_inputs(spec, {"batch": 2, "time": 3, "frames": 3, "height": 2 * spec.multiple, "width": 3 * spec.multiple})
    dims = {n: torch.export.Dim(n, min=1, max=64) for n in ("batch", "time", "frames")}
    blocks = {n: torch.export.Dim(f"{n}_blocks", min=2, max=128) for n in ("height", "width")}
    dims |= {f"{n}/{d}": spec.multiple // d * blocks[n] for n in blocks for d in (2, 4, 8)} | {n: spec.multiple * blocks[n] for n in blocks}
    dynamic = [{i: dims[d] for i, d in enumerate(t.shape) if isinstance(d, str)} for t in spec.inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            network,
            tuple(example.values()),
            str(path),
            dynamo=True,
            dynamic_shapes=tuple(dynamic),
            input_names=[t.name for t in spec.inputs],
            output_names=[t.name for t in spec.outputs],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )


def largest_difference(spec: NetworkSpec, network: nn.Module, path: Path, sizes: dict[str, int], seed: int = 0) -> float:
    """Largest absolute difference between torch and ONNX Runtime on random inputs, over all outputs."""
    inputs = random_inputs(spec, sizes, seed)
    with torch.no_grad():
        expected = network(*inputs.values())
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run([t.name for t in spec.outputs], {k: v.numpy() for k, v in inputs.items()})
    expected = expected if isinstance(expected, tuple) else (expected,)
    return max(float(np.abs(e.numpy() - np.asarray(g)).max()) for e, g in zip(expected, got, strict=True))


def main(name: str, checkpoint: Path, folder: Path = SHIPPED) -> None:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    step, metrics = int(state["step"]), _metrics(checkpoint.with_name("log.jsonl"), int(state["step"]))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    weights = folder / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    for spec in PARTS[name]:
        path = weights / f"{spec.name}.onnx"
        network = build(spec, state["network_config"], state["average"])
        export(spec, network, path)
        refuse_problems(onnx.load(path))
        for sizes in TRIED_SIZES:
            difference = largest_difference(spec, network, path, in_pixels(spec, sizes))
            if difference > TOLERANCE:
                raise SystemExit(f"torch and ONNX differ by {difference:.2g} in the {spec.name}")
        enter(spec, path, step, commit, folder / MANIFEST_FILE, metrics)
        add_half(spec, path, folder / MANIFEST_FILE)
    torch.save({key: state[key] for key in ("step", "network_config", "average")}, weights / f"{name}.pt")  # to fine-tune from


def add_half(spec: NetworkSpec, path: Path, manifest: Path = MANIFEST) -> None:
    """Make the half-precision variant of a file in the manifest and enter it there; warn and skip it if it costs too much accuracy."""
    try:
        half, cost = make_half(path, list(trial_samples(spec)))
    except VariantRejected as reason:
        warnings.warn(f"{reason}: left out", stacklevel=2)
    else:
        enter_variant(spec, half, cost.metrics(), manifest)


def in_pixels(spec: NetworkSpec, sizes: dict[str, int]) -> dict[str, int]:
    """The sizes with height and width converted from multiples to pixels."""
    return {**sizes, "height": sizes["height"] * spec.multiple, "width": sizes["width"] * spec.multiple}


def trial_samples(spec: NetworkSpec) -> Iterator[Arrays]:
    """Random inputs, about as smooth as pictures, on which a variant is compared with float32."""
    for seed, sizes in enumerate(TRIED_SIZES):
        yield {name: _smooth(value).numpy() for name, value in random_inputs(spec, in_pixels(spec, sizes), seed).items()}


def _smooth(values: Tensor) -> Tensor:
    """Keep every eighth value of (..., H, W) and interpolate between them."""
    coarse = values[..., ::8, ::8].flatten(0, -3)[None]
    return functional.interpolate(coarse, size=values.shape[-2:], mode="bilinear").reshape(values.shape)


def _metrics(log: Path, step: int) -> dict[str, float]:
    """The run's validation scores at that step; empty without a log."""
    lines = log.read_text().splitlines() if log.exists() else []
    row: dict[str, float] = next((row for row in map(json.loads, reversed(lines)) if row["step"] == step), {})
    return {key: round(value, 4) for key, value in row.items() if key not in {"step", "seconds"}}


def enter(
    spec: NetworkSpec, path: Path, steps: int, commit: str, manifest: Path = MANIFEST, metrics: dict[str, float] | None = None
) -> None:
    """Write the file's checksum, origin and metrics to the manifest, and drop variants of the previous file; other entries stay."""
    entries = _entries(manifest)
    entries[spec.name] = {
        "file": f"weights/{path.name}",
        "sha256": _sha256(path),
        "version": f"{steps}-{commit}",
        "contract": CONTRACT_VERSION,
        "steps": steps,
        "commit": commit,
        **(metrics or {}),
    }
    _write(entries, manifest)


def enter_variant(spec: NetworkSpec, path: Path, metrics: dict[str, float], manifest: Path = MANIFEST) -> None:
    """Add a variant NAME.PRECISION.onnx to the network's manifest entry. Raises ValueError if the name has no known precision."""
    precision = Path(path.stem).suffix.removeprefix(".")
    if precision not in VARIANTS:
        raise ValueError(f"{path.name} is not named NAME.PRECISION.onnx")
    entries = _entries(manifest)
    entries[spec.name][precision] = {"file": f"weights/{path.name}", "sha256": _sha256(path), **metrics}
    _write(entries, manifest)


def _entries(manifest: Path) -> dict[str, dict[str, Any]]:
    return tomllib.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(entries: Mapping[str, Mapping[str, Any]], manifest: Path) -> None:
    lines = ["# Written by models/export.py: which files the networks are, and where they come from."]
    for name, entry in sorted(entries.items()):
        lines += _table(name, entry)
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a TOML table, followed by its nested tables."""
    yield from ("", f"[{name}]")
    yield from (f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in entry.items() if not isinstance(v, Mapping))
    for inner, table in entry.items():
        if isinstance(table, Mapping):
            yield from _table(f"{name}.{inner}", table)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
