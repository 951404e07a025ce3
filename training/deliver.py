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
from models.spec import NetworkSpec


def deliver(name: str, network: nn.Module, folder: Path, steps: int, origin: str, metrics: dict[str, float], templates: Path) -> None:
    """Write the ONNX files, the checkpoint to fine-tune from and the manifest entries into the folder.

    `templates` may have ONNX files of the same network with other weights: reusing their graphs saves two minutes of exporting. Exits if
    ONNX Runtime does not agree with torch.
    """
    config = dataclasses.asdict(network.config)  # type: ignore[call-overload]
    weights, manifest = folder / "weights", folder / "manifest.toml"
    weights.mkdir(parents=True, exist_ok=True)
    for spec in export.PARTS[name]:
        path = weights / f"{spec.name}.onnx"
        wrapped = export.build(spec, config, network.state_dict())
        if not (reuse_graph(templates / path.name, wrapped, path) and _agrees(spec, wrapped, path)):
            export.export(spec, wrapped, path)
            if not _agrees(spec, wrapped, path):
                raise SystemExit(f"torch and ONNX differ in the {spec.name}")
        export.enter(spec, path, steps, origin, manifest, metrics)
        export.add_half(spec, path, manifest)
    torch.save({"step": steps, "network_config": config, "average": network.state_dict()}, weights / f"{name}.pt")


def reuse_graph(template: Path, network: nn.Module, path: Path) -> bool:
    """Write the template's graph with this network's weights (in eval mode); False, without writing, if they do not fit."""
    if not template.exists():
        return False
    model = onnx.load(template)
    initializers = {value.name: value for value in model.graph.initializer}
    weights = {name: value for name, value in _named_as_in(set(initializers), network).items() if name in initializers}
    if not weights or any(tuple(initializers[name].dims) != tuple(value.shape) for name, value in weights.items()):
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
