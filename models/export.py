"""Exports a trained network to ONNX, checks that ONNX Runtime computes what torch computes, and enters it in the manifest.

    python -m models.export segmenter build/runs/segmenter/last.pt

The network is wrapped, never changed: the wrapper only turns logits into probabilities.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from models.inpainter import Inpainter, InpainterConfig
from models.matte import Matte, MatteConfig
from models.registry import MANIFEST
from models.segmenter import Segmenter, SegmenterConfig
from models.spec import CONTRACT_VERSION, NETWORKS, OPSET, NetworkSpec

TOLERANCE = 2e-4  # largest difference torch - ONNX Runtime, values in [0, 1]


class Probabilities(nn.Module):
    """A segmenter that answers in [0, 1] instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        probability: Tensor = self.network(frames).sigmoid()
        return probability


_BUILDERS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "segmenter": lambda config: Probabilities(Segmenter(SegmenterConfig(**config))),
    "matte": lambda config: Matte(MatteConfig(**config)),
    "inpainter": lambda config: Inpainter(InpainterConfig(**config)),
}


def build(spec: NetworkSpec, config: dict[str, Any], weights: dict[str, Tensor]) -> nn.Module:
    """The network as it is exported, with the given weights."""
    network = _BUILDERS[spec.name]({k: tuple(v) for k, v in config.items()})
    inner = network.network if isinstance(network, Probabilities) else network
    inner.load_state_dict(weights)
    return network.eval()


def random_inputs(spec: NetworkSpec, sizes: dict[str, int], seed: int = 0) -> dict[str, Tensor]:
    """Values within each input's range, free dimensions as given."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {t.name: [sizes[d] if isinstance(d, str) else d for d in t.shape] for t in spec.inputs}
    return {t.name: torch.rand(*shapes[t.name], generator=generator) * (t.high - t.low) + t.low for t in spec.inputs}


def export(spec: NetworkSpec, network: nn.Module, path: Path) -> None:
    """Writes the ONNX file with every named dimension free."""
    example = random_inputs(spec, {"batch": 2, "time": 3, "frames": 3, "height": 2 * spec.multiple, "width": 3 * spec.multiple})
    dims = {n: torch.export.Dim(n, min=1, max=64) for n in ("batch", "time", "frames")}
    dims |= {n: spec.multiple * torch.export.Dim(f"{n}_blocks", min=2, max=128) for n in ("height", "width")}
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
    """Between torch and ONNX Runtime on random inputs."""
    inputs = random_inputs(spec, sizes, seed)
    with torch.no_grad():
        expected = network(*inputs.values())
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run([t.name for t in spec.outputs], {k: v.numpy() for k, v in inputs.items()})
    expected = expected if isinstance(expected, tuple) else (expected,)
    return max(float(np.abs(e.numpy() - np.asarray(g)).max()) for e, g in zip(expected, got, strict=True))


def main(name: str, checkpoint: Path) -> None:
    spec = next(s for s in NETWORKS if s.name == name)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = build(spec, state["network_config"], state["average"])
    path = MANIFEST.parent / "weights" / f"{name}.onnx"
    export(spec, network, path)
    for sizes in ({"batch": 1, "time": 1, "frames": 2}, {"batch": 3, "time": 4, "frames": 5}):
        difference = largest_difference(spec, network, path, {**sizes, "height": 2 * spec.multiple, "width": 4 * spec.multiple})
        if difference > TOLERANCE:
            raise SystemExit(f"torch and ONNX differ by {difference:.2g}")
    torch.save({key: state[key] for key in ("step", "network_config", "average")}, path.with_suffix(".pt"))  # to fine-tune from
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    enter(spec, path, int(state["step"]), commit, figures=_last_figures(checkpoint.with_name("log.jsonl")))


def _last_figures(log: Path) -> dict[str, float]:
    """The scores of the run's last validation; none where the run kept no log."""
    row = json.loads(log.read_text().splitlines()[-1]) if log.exists() else {}
    return {key: round(value, 4) for key, value in row.items() if key not in {"step", "seconds"}}


def enter(
    spec: NetworkSpec, path: Path, steps: int, commit: str, manifest: Path = MANIFEST, figures: dict[str, float] | None = None
) -> None:
    """Puts the file's checksum and origin into the manifest; other networks' entries stay."""
    entries = tomllib.loads(manifest.read_text()) if manifest.exists() else {}
    entries[spec.name] = {
        "file": f"weights/{path.name}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "version": f"{steps}-{commit}",
        "contract": CONTRACT_VERSION,
        "steps": steps,
        "commit": commit,
        **(figures or {}),
    }
    lines = ["# Written by models/export.py: which files the networks are, and where they come from."]
    for name, entry in sorted(entries.items()):
        lines += ["", f"[{name}]", *(f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in entry.items())]
    manifest.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
