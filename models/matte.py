"""The matte network: opacity, colour and extent of a mark, from statistics of its place over time.

The input is `models.preprocess.matte_statistics` of a placement. Under a static mark of opacity a and colour w, the scene's standard
deviation shrinks by 1 - a and its mean moves to (1 - a) * mean + a * w. Pooling the appearances of a mark follows Dekel et al., "On the
Effectiveness of Visible Watermarks", CVPR 2017.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.blocks import Join, Residual, conv
from models.spec import MATTE_STATISTICS


@dataclass(frozen=True)
class MatteConfig:
    """Channels at full, 1/2, 1/4 and 1/8 of the input size."""

    channels: tuple[int, int, int, int] = (24, 32, 48, 64)


class Prediction(NamedTuple):
    """What the network says of each pixel: colour (B, 3, H, W), the others (B, 1, H, W); all in [0, 1].

    opacity_sigma: standard deviation of the error that the opacity has once its level is right. belongs: the probability that the pixel is
    part of the mark, its outline and shadow included. hides: the probability that nothing of the scene shows through.
    """

    opacity: Tensor
    colour: Tensor
    opacity_sigma: Tensor
    belongs: Tensor
    hides: Tensor


WIDTHS = (1, 3, 1, 1, 1)  # channels of each field


class Matte(nn.Module):
    """Statistics (B, MATTE_STATISTICS, H, W) -> a `Prediction`. H and W must be divisible by 8.

    The shape of the opacity matters here; its level is fitted afterwards (`models.blend`).
    """

    def __init__(self, config: MatteConfig) -> None:
        super().__init__()
        a, b, c, d = config.channels
        self.config = config
        self.stem = conv(MATTE_STATISTICS, a, norm=True)
        self.down2 = nn.Sequential(conv(a, b, 2, norm=True), Residual(b, norm=True))
        self.down4 = nn.Sequential(conv(b, c, 2, norm=True), Residual(c, norm=True))
        self.down8 = nn.Sequential(conv(c, d, 2, norm=True), Residual(d, norm=True))
        self.whole = nn.Sequential(nn.Linear(2 * d, d), nn.SiLU(), nn.Linear(d, d))
        self.up4, self.up2 = Join(d, c, c, norm=True), Join(c, b, b, norm=True)
        self.up1 = Join(b, a, a, norm=True)
        self.head = nn.Sequential(Residual(a, norm=True), nn.Conv2d(a, sum(WIDTHS), 3, padding=1))

    def forward(self, statistics: Tensor) -> Prediction:
        x1 = self.stem(statistics)
        x2 = self.down2(x1)
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        weight = nn.functional.avg_pool2d(statistics[:, :1], 8) + 1e-4  # most marks have one opacity and few colours: pool over the mark
        pooled = (x8 * weight).sum((2, 3)) / weight.sum((2, 3))
        x8 = x8 + self.whole(torch.cat([pooled, x8.mean((2, 3))], 1))[:, :, None, None]
        out = self.head(self.up1(self.up2(self.up4(x8, x4), x2), x1))
        return Prediction(*out.float().sigmoid().split(WIDTHS, 1))
