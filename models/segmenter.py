"""The segmenter: which pixels of a few frames belong to a mark.

A small U-Net (Ronneberger et al. 2015). Each frame's input includes the mean and the standard deviation over all frames: a static mark
stays sharp in the mean while the scene blurs. At the coarse scales, features are mixed with their mean and maximum over time. To its own
features come those of a network that learned from a million photographs what things look like; they are not trained further.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import Join, Residual, conv, zero
from models.pretrained_features import CHANNELS, PretrainedFeatures

PRETRAINED_SCALE = 0.1  # brings the pretrained features to about the size of the others


@dataclass(frozen=True)
class SegmenterConfig:
    """Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input size."""

    channels: tuple[int, int, int, int, int] = (24, 40, 64, 96, 128)


class OverTime(nn.Module):
    """Mixes each frame's features (B * T, C, h, w) with their mean and maximum over the T frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = zero(nn.Conv2d(3 * channels, channels, 1), weights=True)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        clip = x.unflatten(0, (-1, frames))  # (B, T, C, h, w)
        mean = clip.mean(1, keepdim=True).expand_as(clip)
        top = clip.amax(1, keepdim=True).expand_as(clip)
        return x + self.mix(torch.cat([clip, mean, top], 2).flatten(0, 1))


class Segmenter(nn.Module):
    """(B, T, 3, H, W) float32 RGB in [0, 1], H and W divisible by 32 -> logits (B, T, 2, H, W): overlay, scene text."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        a, b, c, d, e = config.channels
        self.config = config
        self.stem = nn.Sequential(conv(28, a, norm=True), Residual(a, norm=True))
        self.down4 = nn.Sequential(conv(a, b, 2, norm=True), Residual(b, norm=True))
        self.down8 = nn.Sequential(conv(b, c, 2, norm=True), Residual(c, norm=True))
        self.down16 = nn.Sequential(conv(c, d, 2, norm=True), Residual(d, norm=True), Residual(d, norm=True))
        self.down32 = nn.Sequential(conv(d, e, 2, norm=True), Residual(e, norm=True), Residual(e, norm=True))
        self.time8, self.time16, self.time32 = OverTime(c), OverTime(d), OverTime(e)
        self.up16, self.up8 = Join(e, d, d, norm=True), Join(d, c, c, norm=True)
        self.up4, self.up2 = Join(c, b, b, norm=True), Join(b, a, a, norm=True)
        self.pretrained = PretrainedFeatures().requires_grad_(False)
        self.known4, self.known8, self.known16, self.known32 = (
            zero(nn.Conv2d(inputs, outputs, 1), weights=True) for inputs, outputs in zip(CHANNELS, (b, c, d, e), strict=True)
        )
        self.head = nn.Conv2d(a, 8, 3, padding=1)
        nn.init.constant_(self.head.bias, -3.0) if self.head.bias is not None else None

    def forward(self, frames: Tensor) -> Tensor:
        count = frames.shape[1]
        mean = frames.mean(1, keepdim=True)
        spread = (frames - mean).square().mean((1, 2), keepdim=True).add(1e-6).sqrt()
        inputs = torch.cat([frames - 0.5, (mean - 0.5).expand_as(frames), 4 * spread.expand_as(frames[:, :, :1])], 2)
        known4, known8, known16, known32 = (PRETRAINED_SCALE * x for x in self.pretrained(frames.flatten(0, 1)))
        x2 = self.stem(F.pixel_unshuffle(inputs.flatten(0, 1), 2))
        x4 = self.down4(x2) + self.known4(known4)
        x8 = self.time8(self.down8(x4) + self.known8(known8), count)
        x16 = self.time16(self.down16(x8) + self.known16(known16), count)
        x32 = self.time32(self.down32(x16) + self.known32(known32), count)
        x = self.up2(self.up4(self.up8(self.up16(x32, x16), x8), x4), x2)
        return F.pixel_shuffle(self.head(x), 2).unflatten(0, (-1, count))
