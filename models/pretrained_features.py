"""Features of pictures from a network that has learned to name what is in them.

The convolutions of EfficientNet-Lite0 (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
the Lite variant has no squeeze-and-excitation, and ReLU6), up to a 32nd of the size, with batch normalisation folded into them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the RGB pictures that it learned from, in [0, 1]
EPSILON = 1e-3  # of its batch normalisation


class Stage(NamedTuple):
    """`repeats` blocks, of which the first has the stride; each widens its input by `expansion`."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
)
CHANNELS = (24, 40, 112, 192)  # of the features at 1/4, 1/8, 1/16 and 1/32
TAPS = (1, 2, 4, 5)  # the stages that they come from


def convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups)


def strided(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution with TensorFlow's padding, with which it was trained: at stride 2 one pixel more below and to the right."""
    if layer.stride[0] == 2:
        before = (layer.kernel_size[0] - 2) // 2
        x = F.pad(x, (before, before + 1, before, before + 1))
    result: Tensor = layer(x)
    return result


class Block(nn.Module):
    """An inverted residual: widens, filters each channel, narrows (Sandler et al., "MobileNetV2", CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.widen = convolution(inputs, wide) if expansion > 1 else None
        self.filter = convolution(wide, wide, kernel, stride, wide)
        self.narrow = convolution(wide, outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self.widen(x)) if self.widen is not None else x
        y: Tensor = self.narrow(F.relu6(strided(self.filter, wide)))
        return x + y if self.adds else y


class PretrainedFeatures(nn.Module):
    """(N, 3, H, W) RGB in [0, 1], H and W divisible by 32 -> features at 1/4, 1/8, 1/16 and 1/32 of the size, of CHANNELS channels."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)
        self.stem = convolution(3, 32, 3, 2)
        inputs, stages = 32, []
        for stage in STAGES:
            blocks = []
            for number in range(stage.repeats):
                blocks.append(Block(inputs, stage.channels, stage.kernel, 1 if number else stage.stride, stage.expansion))
                inputs = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        x = F.relu6(strided(self.stem, (pictures - self.mean) / self.deviation))
        found = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in TAPS:
                found.append(x)
        return tuple(found)


def load_published(features: PretrainedFeatures, published: Mapping[str, Tensor]) -> None:
    """Sets the weights from the published ones, with their batch normalisation folded in."""
    _fold(features.stem, published, "_conv_stem", "_bn0")
    for number, block in enumerate(module for module in features.modules() if isinstance(module, Block)):
        name = f"_blocks.{number}"
        if block.widen is not None:
            _fold(block.widen, published, f"{name}._expand_conv", f"{name}._bn0")
        _fold(block.filter, published, f"{name}._depthwise_conv", f"{name}._bn1")
        _fold(block.narrow, published, f"{name}._project_conv", f"{name}._bn2")


def _fold(layer: nn.Conv2d, published: Mapping[str, Tensor], convolution_name: str, norm_name: str) -> None:
    scale = published[f"{norm_name}.weight"] / (published[f"{norm_name}.running_var"] + EPSILON).sqrt()
    with torch.no_grad():
        layer.weight.copy_(published[f"{convolution_name}.weight"] * scale[:, None, None, None])
        assert layer.bias is not None
        layer.bias.copy_(published[f"{norm_name}.bias"] - published[f"{norm_name}.running_mean"] * scale)
