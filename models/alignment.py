"""The inpainter's aligner: the flow from a frame to each of its references, coarse to fine (Sun et al., "PWC-Net", CVPR 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import SILU_GAIN, conv, correlation, doubled, head, mixture, warp, zero


class Compared(nn.Module):
    """A convolution over the maps of each reference (B * R, ...) and those of the target (B, ...), then SiLU: (B * R, outputs, H, W).

    Equals a convolution over their concatenation, but computes the target's part once for all its references.
    """

    def __init__(self, reference: int, target: int, outputs: int) -> None:
        super().__init__()
        self.reference = zero(nn.Conv2d(reference, outputs, 3, padding=1))
        self.target = nn.Conv2d(target, outputs, 3, padding=1, bias=False)
        for layer in (self.reference, self.target):
            nn.init.normal_(layer.weight, std=SILU_GAIN / (9 * (reference + target)) ** 0.5)

    def forward(self, reference: Tensor, target: Tensor) -> Tensor:
        return F.silu(added(self.reference(reference), self.target(target)))


class Aligner(nn.Module):
    """Features of the target and of its references at 1/4 and 1/8 -> flows from target to reference at 1/8 and 1/4.

    target: (B, C, h, w) each, references: (B * R, C, h, w) each; flows: (B * R, 2, h, w), (dx, dy) in pixels of their size.
    """

    SHIFTS = tuple((dx, dy) for dy in range(-2, 3) for dx in range(-2, 3) if abs(dx) + abs(dy) <= 2)  # up to 16 pixels at 1/8
    offsets: Tensor  # (1, 2, SHIFTS, 1, 1)

    def __init__(self, quarter: int, eighth: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.prior = nn.Parameter(torch.tensor(0.5))
        self.compare8 = Compared(len(self.SHIFTS) + 2, eighth, 32)
        self.at8 = nn.Sequential(conv(32, 16), head(16, 2, 1e-3))
        self.compare4 = Compared(len(self.SHIFTS) + 2, quarter, 16)
        self.at4 = head(16, 2, 1e-3)
        self.register_buffer("offsets", torch.tensor(self.SHIFTS, dtype=torch.float32).T[None, :, :, None, None], persistent=False)

    def forward(self, target: tuple[Tensor, Tensor], references: tuple[Tensor, Tensor], shift: Tensor) -> tuple[Tensor, Tensor]:
        """`shift`: (B * R, 2) = (dx, dy) in full-size pixels, the motion expected of each reference as a whole."""
        here, there = F.normalize(target[1], dim=1), F.normalize(references[1], dim=1)
        cost = correlation(here, there, self.SHIFTS)
        distance = (self.offsets - shift[:, :, None, None, None] / 8).square().sum(1)  # (B * R, SHIFTS, 1, 1)
        likely = mixture(cost * self.sharpness, (self.prior * -distance).exp(), 1)
        flow = (likely[:, None] * self.offsets).sum(2)
        flow8 = flow + self.at8(self.compare8(torch.cat([cost, flow], 1), target[1]))
        flow4 = doubled(flow8) * 2
        warped = warp(references[0], flow4)
        cost = correlation(F.normalize(target[0], dim=1), F.normalize(warped, dim=1), self.SHIFTS)
        return flow8, flow4 + self.at4(self.compare4(torch.cat([cost, flow4], 1), target[0]))


def added(references: Tensor, target: Tensor) -> Tensor:
    """The maps of each reference (B * R, C, H, W) plus those of its target (B, C, H, W)."""
    return (references.unflatten(0, (target.shape[0], -1)) + target[:, None]).flatten(0, 1)
