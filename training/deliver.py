"""A trained network as the service takes it: `weights/NAME.onnx`, checked against torch, and its entry in `manifest.toml`."""

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


def deliver(name: str, network: nn.Module, folder: Path, steps: int, origin: str, figures: dict[str, float], like: Path) -> None:
    """Writes the ONNX file, the checkpoint to fine-tune from and the manifest's entry into the folder.

    `like` may be an ONNX file of the same network with other weights: its graph is taken over, which spares two minutes.
    """
    spec = next(s for s in NETWORKS if s.name == name)
    config = dataclasses.asdict(network.config)  # type: ignore[call-overload]
    wrapped = export.build(spec, config, network.state_dict())
    path = folder / "weights" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (reweighed(like, wrapped, path) and _agrees(spec, wrapped, path)):
        export.export(spec, wrapped, path)
        if not _agrees(spec, wrapped, path):
            raise SystemExit(f"torch and ONNX differ in the {name}")
    torch.save({"step": steps, "network_config": config, "average": network.state_dict()}, path.with_suffix(".pt"))
    export.enter(spec, path, steps, origin, folder / "manifest.toml", figures)
    export.add_half(spec, path, folder / "manifest.toml")


def reweighed(like: Path, network: nn.Module, path: Path) -> bool:
    """Writes the graph of `like` with the weights of this network, in eval mode; False where not all of them have their place in it."""
    if not like.exists():
        return False
    model = onnx.load(like)
    places = {place.name: place for place in model.graph.initializer}
    weights = _named_as_in(set(places), network)
    if any(name not in places or tuple(places[name].dims) != tuple(value.shape) for name, value in weights.items()):
        return False
    for name, value in weights.items():
        places[name].CopyFrom(numpy_helper.from_array(value.detach().contiguous().numpy(), name))
    onnx.save(model, path)
    return True


def _named_as_in(places: set[str], network: nn.Module) -> dict[str, Tensor]:
    """The weights as the exporter names them: their own names, but most batch normalisations are melted into the convolution before."""
    weights = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    for path, layers in network.named_modules():
        for (first, layer), (second, norm) in pairwise(layers.named_children()) if isinstance(layers, nn.Sequential) else ():
            if isinstance(norm, nn.BatchNorm2d) and f"{path}.{first}.weight_bias" in places:
                melted = fuse_conv_bn_eval(layer, norm)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    del weights[f"{path}.{second}.{part}"]
                weights |= {f"{path}.{first}.weight": melted.weight, f"{path}.{first}.weight_bias": melted.bias}
    return weights


def _agrees(spec: NetworkSpec, network: nn.Module, path: Path) -> bool:
    """Whether ONNX Runtime computes what torch computes."""
    shapes = (export.in_pixels(spec, sizes) for sizes in export.TRIED_SIZES)
    return all(export.largest_difference(spec, network, path, shape) <= export.TOLERANCE for shape in shapes)
