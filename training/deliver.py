"""Exports a trained network for the service: `weights/NAME.onnx`, checked against torch, and its entry in `manifest.toml`."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models import export
from models.spec import NETWORKS, NetworkSpec


def deliver(name: str, network: nn.Module, folder: Path, steps: int, origin: str, metrics: dict[str, float], template: Path) -> None:
    """Write the ONNX file, the checkpoint to fine-tune from and the manifest entry into the folder.

    `template` may be an ONNX file of the same network with other weights: reusing its graph saves two minutes of exporting. Exits if
    ONNX Runtime does not agree with torch.
    """
    spec = next(s for s in NETWORKS if s.name == name)
    config = dataclasses.asdict(network.config)  # type: ignore[call-overload]
    wrapped = export.build(spec, config, network.state_dict())
    path = folder / "weights" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (reuse_graph(template, wrapped, path) and _agrees(spec, wrapped, path)):
        export.export(spec, wrapped, path)
        if not _agrees(spec, wrapped, path):
            raise SystemExit(f"torch and ONNX differ in the {name}")
    torch.save({"step": steps, "network_config": config, "average": network.state_dict()}, path.with_suffix(".pt"))
    export.enter(spec, path, steps, origin, folder / "manifest.toml", metrics)
    export.add_half(spec, path, folder / "manifest.toml")


def reuse_graph(template: Path, network: nn.Module, path: Path) -> bool:
    """Write the template's graph with this network's weights (in eval mode); False, without writing, if they do not fit."""
    if not template.exists():
        return False
    model = onnx.load(template)
    initializers = {value.name: value for value in model.graph.initializer}
    weights = _named_as_in(set(initializers), network)
    if any(name not in initializers or tuple(initializers[name].dims) != tuple(value.shape) for name, value in weights.items()):
        return False
    for name, value in weights.items():
        initializers[name].CopyFrom(numpy_helper.from_array(value.detach().contiguous().numpy(), name))
    onnx.save(model, path)
    return True


def _named_as_in(initializers: set[str], network: nn.Module) -> dict[str, Tensor]:
    """The weights under the exporter's names; most batch normalisations are fused into the preceding convolution."""
    weights = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    for path, layers in network.named_modules():
        for (first, layer), (second, norm) in pairwise(layers.named_children()) if isinstance(layers, nn.Sequential) else ():
            if isinstance(norm, nn.BatchNorm2d) and f"{path}.{first}.weight_bias" in initializers:
                fused = fuse_conv_bn_eval(layer, norm)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    del weights[f"{path}.{second}.{part}"]
                weights |= {f"{path}.{first}.weight": fused.weight, f"{path}.{first}.weight_bias": fused.bias}
    return weights


def _agrees(spec: NetworkSpec, network: nn.Module, path: Path) -> bool:
    """Whether ONNX Runtime agrees with torch on all trial sizes."""
    shapes = (export.in_pixels(spec, sizes) for sizes in export.TRIED_SIZES)
    return all(export.largest_difference(spec, network, path, shape) <= export.TOLERANCE for shape in shapes)
