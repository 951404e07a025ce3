"""Layers that the networks share. Plain operators only, so that every network exports to ONNX."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RELAXATIONS, FINE_RELAXATIONS = 6, 2  # smoothing passes of a fill: at each level of its pyramid, and at the finest, where a pass costs most
SILU_GAIN = 1.68  # preserves a signal's second moment through SiLU; with PyTorch's default, deep features start 30 times too small


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3, norm: bool = False) -> nn.Sequential:
    """Convolution, optional batch normalisation, SiLU; stride 2 halves the size."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
    nn.init.normal_(layer.weight, std=SILU_GAIN / (inputs * kernel**2) ** 0.5)
    if norm:
        return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())
    zero(layer)
    return nn.Sequential(layer, nn.SiLU())


def patches(inputs: int, outputs: int, size: int, overlap: int = 0) -> nn.Sequential:
    """One convolution over patches of `size` pixels with `overlap` pixels around each, then SiLU; H and W shrink by `size`.

    Computes the same as a pixel unshuffle and a convolution, without the copy.
    """
    kernel = size + 2 * overlap
    layer = zero(nn.Conv2d(inputs, outputs, kernel, size, overlap))
    nn.init.normal_(layer.weight, std=SILU_GAIN / (inputs * kernel**2) ** 0.5)
    return nn.Sequential(layer, nn.SiLU())


def zero(layer: nn.Conv2d, weights: bool = False) -> nn.Conv2d:
    """Set the layer's bias, and optionally its weights, to zero; return the layer."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    if weights:
        nn.init.zeros_(layer.weight)
    return layer


class Residual(nn.Module):
    """x + f(x) with two 3x3 convolutions; starts as the identity."""

    def __init__(self, channels: int, norm: bool = False) -> None:
        super().__init__()
        self.first = conv(channels, channels, norm=norm)
        self.second = zero(nn.Conv2d(channels, channels, 3, padding=1), weights=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def doubled(x: Tensor) -> Tensor:
    """Bilinear upsampling: (N, C, H, W) -> (N, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Join(nn.Module):
    """Upsamples the coarse map, concatenates the skip connection, and mixes both with a convolution."""

    def __init__(self, coarse: int, skip: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.reduce = conv(coarse, outputs, kernel=1, norm=norm)
        self.mix = conv(outputs + skip, outputs, norm=norm)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        mixed: Tensor = self.mix(torch.cat([doubled(self.reduce(coarse)), skip], 1))
        return mixed


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Sample x (N, C, H, W) at each pixel plus `flow` (N, 2, H, W) = (dx, dy) in pixels; the border is repeated. Returns float32.

    Coordinates are clamped here, although `grid_sample` could do it: with zero padding and unaligned corners alone, ONNX Runtime computes
    sampling positions once for all channels, which makes it 2 to 8 times faster on a CPU.
    """
    height, width = x.shape[-2:]
    flow = flow.float()  # coordinates need more than half precision
    xs = (torch.arange(width, device=x.device, dtype=flow.dtype)[None, None, :] + flow[:, 0]).clamp(0, width - 1)
    ys = (torch.arange(height, device=x.device, dtype=flow.dtype)[None, :, None] + flow[:, 1]).clamp(0, height - 1)
    grid = torch.stack([(xs + 0.5) * (2.0 / width) - 1, (ys + 0.5) * (2.0 / height) - 1], -1)
    return F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def correlation(left: Tensor, right: Tensor, shifts: Sequence[tuple[int, int]]) -> Tensor:
    """Dot products of left (B, C, H, W) with right (B * R, C, H, W) moved by each of the shifts (dx, dy): (B * R, shifts, H, W)."""
    height, width = left.shape[-2:]
    reach = max(abs(step) for shift in shifts for step in shift)
    padded = F.pad(right, (reach, reach, reach, reach)).unflatten(0, (left.shape[0], -1))
    moved = (padded[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width] for dx, dy in shifts)
    return torch.stack([(left[:, None] * other).sum(2) for other in moved], 2).flatten(0, 1)


def mixture(logits: Tensor, prior: Tensor, dim: int) -> Tensor:
    """Weights along `dim` that add up to 1: a softmax of the logits, multiplied by the positive prior before it is normalised.

    For few entries along a dimension before the last. ONNX Runtime transposes for its own softmax, which takes longer.
    """
    powers = (logits - logits.amax(dim, keepdim=True)).exp() * prior
    return powers / powers.sum(dim, keepdim=True)


def head(inputs: int, outputs: int, deviation: float) -> nn.Conv2d:
    """A last convolution with small initial weights: training starts from the analytic answer."""
    layer = zero(nn.Conv2d(inputs, outputs, 3, padding=1))
    nn.init.normal_(layer.weight, std=deviation)
    return layer


def pull_push(values: Tensor, valid: Tensor, levels: int = 4, finest: int = 0) -> Tensor:
    """Fill (N, C, H, W) where `valid` (N, 1, H, W) is 0 with a smooth surface through the surrounding valid pixels.

    H and W must be divisible by 2**levels; the result is smaller by 2**finest. Averages the valid pixels at coarser and coarser levels
    (pyramid scattered-data interpolation: Gortler et al., "The Lumigraph", 1996), and relaxes towards Laplace's equation on the way back,
    as multigrid methods do. Without relaxation the fill shows the pyramid's blocks and is 1 to 5 dB worse under an opaque mark.
    """
    sums, weights = [values * valid], [valid]
    for _ in range(levels):
        sums.append(F.avg_pool2d(sums[-1], 2))
        weights.append(F.avg_pool2d(weights[-1], 2))
    filled = sums[-1].mean((2, 3), keepdim=True) / (weights[-1].mean((2, 3), keepdim=True) + 1e-6) + 0 * sums[-1]
    for level in range(levels, finest - 1, -1):
        if level < levels:
            filled = doubled(filled)
        known = (weights[level] * 8).clamp(0.0, 1.0)
        fixed, free = known * sums[level] / (weights[level] + 1e-6), 1 - known
        filled = fixed + free * filled
        for _ in range(RELAXATIONS if level > finest else FINE_RELAXATIONS):
            filled = fixed + free * F.avg_pool2d(filled, 3, 1, 1, count_include_pad=False)
    return filled
