"""The inpainter: what was behind the mark in one frame, from that frame and reference frames of the same place.

Candidates first, invention last. For each frame two analytic candidates are computed in the graph: the un-blended pixels
`(I - a*w) / (1 - a)`, whose noise grows with 1 / (1 - a), and a pull-push fill of the surroundings. References are aligned coarse to
fine (a cost volume at 1/8, refined at 1/4 and 1/2: the scheme of Sun et al., "PWC-Net", CVPR 2018), warped and scored; the fusion
network then mixes un-blended, filled and borrowed pixels and adds a correction. Every frame is encoded once; no state is kept, so a
frame's result does not depend on the window it came in.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import Join, Residual, conv, correlation, doubled, pull_push, warp, zero

OPACITY_LIMIT = 0.96  # above it nothing survives H.264's rounding under the mark
UNBLEND_NOISE = 0.015  # (1 - a)^2 at which un-blended and filled pixels are trusted alike before the network weighs them


@dataclass(frozen=True)
class InpainterConfig:
    """Channels of the encoder at 1/2, 1/4, 1/8 and of the fusion network at the same scales."""

    encoder: tuple[int, int, int] = (24, 48, 64)
    fusion: tuple[int, int, int] = (48, 72, 96)


class Restored(NamedTuple):
    """clean (B, 3, H, W); for training also the candidates it was mixed from and the flows to the references."""

    clean: Tensor
    borrowed: Tensor  # (B, 3, H, W)
    flows: list[Tensor]  # coarse to fine, each (B * R, 2, H, W) in pixels of the full size


def _head(inputs: int, outputs: int, deviation: float) -> nn.Conv2d:
    """A last convolution that starts small: training begins at the analytic answer."""
    layer = zero(nn.Conv2d(inputs, outputs, 3, padding=1))
    nn.init.normal_(layer.weight, std=deviation)
    return layer


class Encoder(nn.Module):
    """(N, 8, H, W) -> features at 1/2, 1/4, 1/8."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = channels
        self.at2 = nn.Sequential(conv(32, a), Residual(a))
        self.at4 = nn.Sequential(conv(a, b, 2), Residual(b))
        self.at8 = nn.Sequential(conv(b, c, 2), Residual(c))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.at2(F.pixel_unshuffle(x, 2))
        quarter = self.at4(half)
        return half, quarter, self.at8(quarter)


class Aligner(nn.Module):
    """Features of the target and of a reference at three scales -> flows from target to reference, coarse to fine."""

    RADIUS = 4  # at 1/8: motion of up to 32 pixels
    offsets: Tensor  # (1, 2, (2 * RADIUS + 1) ** 2, 1, 1): the (dx, dy) of each shift

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = channels
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        side = 2 * self.RADIUS + 1
        self.at8 = nn.Sequential(conv(side**2 + c + 2, 64), conv(64, 32), _head(32, 2, 1e-3))
        self.at4 = nn.Sequential(conv(25 + b + 2, 48), conv(48, 24), _head(24, 2, 1e-3))
        self.at2 = nn.Sequential(conv(9 + a + 2, 24), _head(24, 2, 1e-3))
        offsets = torch.arange(-self.RADIUS, self.RADIUS + 1, dtype=torch.float32)
        dy, dx = torch.meshgrid(offsets, offsets, indexing="ij")
        self.register_buffer("offsets", torch.stack([dx.flatten(), dy.flatten()])[None, :, :, None, None], persistent=False)

    def forward(self, target: tuple[Tensor, Tensor, Tensor], reference: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        cost = correlation(F.normalize(target[2], dim=1), F.normalize(reference[2], dim=1), self.RADIUS)
        likely = (cost * self.sharpness).softmax(1)
        flow = (likely[:, None] * self.offsets).sum(2)
        flow8 = flow + self.at8(torch.cat([cost, target[2], flow], 1))
        flow4 = self._refined(doubled(flow8) * 2, target[1], reference[1], 2, self.at4)
        flow2 = self._refined(doubled(flow4) * 2, target[0], reference[0], 1, self.at2)
        full = doubled(flow2) * 2
        return [doubled(doubled(doubled(flow8))) * 8, doubled(doubled(flow4)) * 4, full]

    @staticmethod
    def _refined(flow: Tensor, target: Tensor, reference: Tensor, radius: int, stage: nn.Module) -> Tensor:
        warped = warp(reference, flow)
        cost = correlation(F.normalize(target, dim=1), F.normalize(warped, dim=1), radius)
        refined: Tensor = flow + stage(torch.cat([cost, target, flow], 1))
        return refined


class Fusion(nn.Module):
    """Everything known about the target at 1/2 size -> three candidate logits and a correction at full size."""

    def __init__(self, inputs: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = channels
        self.stem = nn.Sequential(conv(inputs, a), Residual(a))
        self.down4 = nn.Sequential(conv(a, b, 2), Residual(b))
        self.down8 = nn.Sequential(conv(b, c, 2), Residual(c), Residual(c))
        self.up4, self.up2 = Join(c, b, b), Join(b, a, a)
        self.head = _head(a, 24, 1e-3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x2 = self.stem(x)
        x4 = self.down4(x2)
        out = F.pixel_shuffle(self.head(self.up2(self.up4(self.down8(x4), x4), x2)), 2)
        return out[:, :3], out[:, 3:]


class Inpainter(nn.Module):
    """Frame 0 is the target, the others its references, all crops of one box.

    frames (B, 1+R, 3, H, W) float32 RGB in [0, 1], marked; mask (B, 1+R, 1, H, W) 1 where that frame is marked;
    opacity (B, 1+R, 1, H, W) and colour (B, 1+R, 3, H, W) in [0, 1]; H and W divisible by 16. Where the target's mask is 0 the result is
    the target itself.
    """

    def __init__(self, config: InpainterConfig) -> None:
        super().__init__()
        half = config.encoder[0]
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.aligner = Aligner(config.encoder)
        verdict = nn.Conv2d(32, 20, 3, padding=1)
        nn.init.normal_(verdict.weight, std=1e-2)
        self.judge = nn.Sequential(conv(32 + 2 * half, 32), verdict)
        self.fusion = Fusion(68 + 16 + half, config.fusion)

    def forward(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor) -> Tensor:
        return self.restore(frames, mask, opacity, colour).clean

    def restore(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor) -> Restored:
        batch, count = frames.shape[:2]
        references = count - 1
        unblended, filled, trust = self.candidates(frames.flatten(0, 1), mask.flatten(0, 1), opacity.flatten(0, 1), colour.flatten(0, 1))
        guess = trust * unblended + (1 - trust) * filled  # (B * (1+R), 3, H, W)
        features = self.encoder(torch.cat([guess - 0.5, frames.flatten(0, 1) - 0.5, mask.flatten(0, 1), trust], 1))
        clips = [f.unflatten(0, (batch, count)) for f in (*features, guess, trust)]
        targets = [c[:, :1].expand(-1, references, -1, -1, -1).flatten(0, 1) for c in clips]
        others = [c[:, 1:].flatten(0, 1) for c in clips]
        flows = self.aligner((targets[0], targets[1], targets[2]), (others[0], others[1], others[2]))
        warped = warp(torch.cat(others[3:], 1), flows[-1])
        warped_half = warp(others[0], F.avg_pool2d(flows[-1], 2) / 2)
        known = torch.cat([warped, targets[3], targets[4]], 1)
        judged = self.judge(torch.cat([F.pixel_unshuffle(known, 2), targets[0], warped_half], 1))
        borrowed, spread, notes, credit = self._borrow(judged, warped, references)
        first = [x.unflatten(0, (batch, count))[:, 0] for x in (unblended, filled, trust)]
        pictures = [x - 0.5 for x in (frames[:, 0], first[0], first[1], borrowed)]
        seen = torch.cat([*pictures, mask[:, 0], opacity[:, 0], first[2], credit, spread * 8], 1)
        logits, correction = self.fusion(torch.cat([F.pixel_unshuffle(seen, 2), notes, clips[0][:, 0]], 1))
        prior = torch.cat([first[2], 0.3 * (1 - first[2]), 0.3 * credit], 1).clamp(1e-3).log()
        weights = (logits * 4 + prior).softmax(1)
        mixed = weights[:, :1] * first[0] + weights[:, 1:2] * first[1] + weights[:, 2:] * borrowed + correction
        clean = frames[:, 0] + mask[:, 0] * (mixed.clamp(0.0, 1.0) - frames[:, 0])
        return Restored(clean, borrowed, flows)

    @staticmethod
    def candidates(frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, ...) -> un-blended pixels, pull-push fill, and how far the first is to be trusted, in [0, 1]."""
        a = (opacity * mask).clamp(0.0, OPACITY_LIMIT)
        unblended = ((frames - a * colour) / (1 - a)).clamp(0.0, 1.0)
        filled = pull_push(frames, 1 - mask)
        passed = (1 - a).square()
        trust = passed / (passed + UNBLEND_NOISE) * (opacity * mask < OPACITY_LIMIT).to(a.dtype)
        return unblended, filled, 1 - mask + mask * trust

    @staticmethod
    def _borrow(judged: Tensor, warped: Tensor, references: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of the warped references -> their weighted mean, its spread, the judge's notes, and the mean trust."""
        score = F.pixel_shuffle(judged[:, :4], 2) * 4 + warped[:, 3:].clamp(1e-3).log()
        weights = score.unflatten(0, (-1, references)).softmax(1)
        clip = warped.unflatten(0, (-1, references))
        mean = (weights * clip).sum(1)
        spread = (weights * (clip[:, :, :3] - mean[:, None, :3]).square().mean(2, keepdim=True)).sum(1).add(1e-6).sqrt()
        coarse = F.avg_pool2d(weights.flatten(0, 1), 2).unflatten(0, (-1, references))
        notes = (coarse * judged[:, 4:].unflatten(0, (-1, references))).sum(1)
        return mean[:, :3], spread, notes, mean[:, 3:]
