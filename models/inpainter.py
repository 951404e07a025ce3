"""The inpainter: what was behind the mark in one frame, from that frame and reference frames of the same piece of the scene.

Candidates first, invention last. For each frame two analytic candidates are computed in the graph: the un-blended pixels
`(I - a*w) / (1 - a)`, whose noise grows with 1 / (1 - a) and with the doubt about the opacity, and a smooth fill from the surroundings.
References come roughly aligned; what is left of the motion is found coarse to fine (a cost volume at 1/8, refined at 1/4: the scheme of
Sun et al., "PWC-Net", CVPR 2018), they are warped and judged, and the fusion network mixes un-blended, filled and borrowed pixels and adds
a correction. No state is kept, so a frame's result does not depend on the window it came in.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import Join, Residual, conv, correlation, doubled, patches, pull_push, warp, zero

OPACITY_LIMIT = 0.96  # above it nothing survives H.264's rounding under the mark
CODEC_NOISE = 0.01  # standard deviation of a pixel in [0, 1]
SMOOTHED_SHARE = 0.5  # of the standard deviation of a scene's fine detail, which is the network's error in it
NETWORK_NOISE = 0.006  # standard deviation of what the network adds where there is nothing to add
FILLED_SHARE = 0.5  # of the standard deviation of a scene's fine detail, which is the error of a fill in a smooth one
FAINT_OPACITY = 0.65  # with more nearby the un-blended picture is worse than what the network makes of all
KNOWN_INERTIA = 0.02  # share of the surroundings below which those of the whole window tell
UNBLEND_NOISE = 0.015  # (1 - a)^2 at which un-blended and filled pixels are trusted alike before the network weighs them
DOUBT_WEIGHT = 4.0  # of the squared doubt against that noise
SCORES, NOTES = 16, 12  # of the judge, at 1/4: a score for each pixel, and what the fusion network is told


@dataclass(frozen=True)
class InpainterConfig:
    """Channels of the encoder at 1/4 and 1/8, and of the fusion network at 1/2, 1/4, 1/8 and 1/16."""

    encoder: tuple[int, int] = (32, 48)
    fusion: tuple[int, int, int, int] = (24, 40, 56, 64)


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
    """(N, 8, H, W) -> features at 1/4 and 1/8."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        a, b = channels
        self.at4 = nn.Sequential(patches(8, a, 4), conv(a, a), Residual(a))
        self.at8 = nn.Sequential(conv(a, b, 2), Residual(b))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.at4(x)
        return quarter, self.at8(quarter)


class Aligner(nn.Module):
    """Features of the target and of a reference at both scales -> flows from target to reference, coarse and fine, at 1/8 and 1/4."""

    RADIUS = 3  # at 1/8: up to 24 pixels of motion are left after the references were laid over the target
    offsets: Tensor  # (1, 2, (2 * RADIUS + 1) ** 2, 1, 1): the (dx, dy) of each shift

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        a, b = channels
        side = 2 * self.RADIUS + 1
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.at8 = nn.Sequential(conv(side**2 + b + 2, 32), conv(32, 24), _head(24, 2, 1e-3))
        self.at4 = nn.Sequential(conv(25 + a + 2, 24), _head(24, 2, 1e-3))
        offsets = torch.arange(-self.RADIUS, self.RADIUS + 1, dtype=torch.float32)
        dy, dx = torch.meshgrid(offsets, offsets, indexing="ij")
        self.register_buffer("offsets", torch.stack([dx.flatten(), dy.flatten()])[None, :, :, None, None], persistent=False)

    def forward(self, target: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        cost = correlation(F.normalize(target[1], dim=1), F.normalize(reference[1], dim=1), self.RADIUS)
        flow = ((cost * self.sharpness).softmax(1)[:, None] * self.offsets).sum(2)
        flow8 = flow + self.at8(torch.cat([cost, target[1], flow], 1))
        flow4 = doubled(flow8) * 2
        warped = warp(reference[0], flow4)
        cost = correlation(F.normalize(target[0], dim=1), F.normalize(warped, dim=1), 2)
        return flow8, flow4 + self.at4(torch.cat([cost, target[0], flow4], 1))


class Fusion(nn.Module):
    """Everything known about the target, at full size and at 1/4 -> three candidate logits and a correction at full size."""

    def __init__(self, at1: int, at4: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d = channels
        self.stem = patches(at1, a, 2, overlap=1)
        self.down4 = conv(a, b, 2)
        self.join4 = nn.Sequential(conv(b + at4, b, kernel=1), Residual(b))
        self.down8 = nn.Sequential(conv(b, c, 2), Residual(c), Residual(c))
        self.down16 = nn.Sequential(conv(c, d, 2), Residual(d))
        self.up8, self.up4, self.up2 = Join(d, c, c), Join(c, b, b), Join(b, a, a)
        self.head = _head(a, 24, 1e-3)

    def forward(self, full: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
        x2 = self.stem(full)
        x4 = self.join4(torch.cat([self.down4(x2), quarter], 1))
        x8 = self.down8(x4)
        out = self.up2(self.up4(self.up8(self.down16(x8), x8), x4), x2)
        out = F.pixel_shuffle(self.head(out), 2)
        return out[:, :3], out[:, 3:]


class Inpainter(nn.Module):
    """Frame 0 is the target, the others its references, each a crop of the same piece of the scene.

    frames (B, 1+R, 3, H, W) float32 RGB in [0, 1], marked; mask (B, 1+R, 1, H, W) 1 where that frame is marked; opacity (B, 1+R, 1, H, W)
    and colour (B, 1+R, 3, H, W) in [0, 1]; doubt (B, 1+R, 1, H, W) in [0, 1], the opacity's likely error; H and W divisible by 16.
    Where the target's mask is 0 the result is the target itself.
    """

    def __init__(self, config: InpainterConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.aligner = Aligner(config.encoder)
        verdict = nn.Conv2d(32, SCORES + NOTES, 3, padding=1)
        nn.init.normal_(verdict.weight, std=1e-2)
        self.look = patches(8, 32, 4)
        self.judge = nn.Sequential(conv(32 + 2, 32), verdict)
        self.fusion = Fusion(18, NOTES + config.encoder[0], config.fusion)

    def forward(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, doubt: Tensor) -> Tensor:
        return self.restore(frames, mask, opacity, colour, doubt).clean

    def restore(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, doubt: Tensor) -> Restored:
        batch, count = frames.shape[:2]
        references = count - 1
        flat = [x.flatten(0, 1) for x in (frames, mask, opacity, colour, doubt)]
        filled = self.fills(frames, mask)
        unblended, trust = self.candidates(*flat)
        guess = trust * unblended + (1 - trust) * filled  # (B * (1+R), 3, H, W)
        features = self.encoder(torch.cat([guess - 0.5, flat[0] - 0.5, flat[1], trust], 1))
        clips = [f.unflatten(0, (batch, count)) for f in (*features, guess, trust)]
        targets = [c[:, :1].expand(-1, references, -1, -1, -1).flatten(0, 1) for c in clips]
        others = [c[:, 1:].flatten(0, 1) for c in clips]
        flow8, flow4 = self.aligner((targets[0], targets[1]), (others[0], others[1]))
        flow = doubled(doubled(flow4)) * 4
        warped = warp(torch.cat(others[2:], 1), flow)
        shown = torch.cat([warped, targets[2], targets[3]], 1)
        judged = self.judge(torch.cat([self.look(shown), flow4], 1))
        borrowed, spread, notes, credit = self._borrow(judged, warped, references)
        first = [x.unflatten(0, (batch, count))[:, 0] for x in (unblended, filled, trust)]
        pictures = [x - 0.5 for x in (frames[:, 0], first[0], first[1], borrowed)]
        seen = torch.cat([*pictures, mask[:, 0], opacity[:, 0], doubt[:, 0] * 4, first[2], credit, spread * 8], 1)
        logits, correction = self.fusion(seen, torch.cat([notes, clips[0][:, 0]], 1))
        prior = torch.cat([first[2], 0.3 * (1 - first[2]), 0.3 * credit], 1).clamp(1e-3).log()
        weights = (logits * 4 + prior).softmax(1)
        mixed = weights[:, :1] * first[0] + weights[:, 1:2] * first[1] + weights[:, 2:] * borrowed + correction
        detail = self.detail(frames[:, 0], mask[:, 0])
        mixed = mixed + (1 - first[2]) * self.plain(detail) * (first[1] - mixed)
        kept = self.kept(mask[:, 0], opacity[:, 0], colour[:, 0], doubt[:, 0], mixed, detail)
        mixed = mixed + kept * (first[0] - mixed)
        clean = frames[:, 0] + mask[:, 0] * (mixed.clamp(0.0, 1.0) - frames[:, 0])
        return Restored(clean, borrowed, [doubled(doubled(doubled(flow8))) * 8, flow])

    @staticmethod
    def fills(frames: Tensor, mask: Tensor) -> Tensor:
        """(B, 1+R, ...) -> (B * (1+R), 3, H, W): smooth fills, those of references coarser, because nothing invented is borrowed."""
        target = pull_push(frames[:, 0], 1 - mask[:, 0])
        references = pull_push(frames[:, 1:].flatten(0, 1), 1 - mask[:, 1:].flatten(0, 1), finest=2)
        return torch.cat([target[:, None], references.unflatten(0, (frames.shape[0], -1))], 1).flatten(0, 1)

    @staticmethod
    def candidates(frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, doubt: Tensor) -> tuple[Tensor, Tensor]:
        """(N, ...) -> un-blended pixels, and how far they are to be trusted, in [0, 1]."""
        a = (opacity * mask).clamp(0.0, OPACITY_LIMIT)
        unblended = ((frames - a * colour) / (1 - a)).clamp(0.0, 1.0)
        passed = (1 - a).square()
        trust = passed / (passed + UNBLEND_NOISE + DOUBT_WEIGHT * doubt.square()) * (opacity * mask < OPACITY_LIMIT).to(a.dtype)
        return unblended, 1 - mask + mask * trust

    @staticmethod
    def detail(frame: Tensor, mask: Tensor) -> Tensor:
        """The mean square of the fine detail that the scene has around the mark, (B, 1, H, W)."""
        known = 1 - F.max_pool2d(mask, 3, 1, 1)
        shares, sums, squares = (F.avg_pool2d(x, 8) for x in (known, known * frame, known * frame.square()))
        powers = (squares - sums.square() / (shares + 1e-6)).clamp(min=0.0).mean(1, keepdim=True)
        usual = powers.mean((2, 3), keepdim=True) / (shares.mean((2, 3), keepdim=True) + 1e-6)
        powers, shares = (F.avg_pool2d(x, 9, 1, 4) for x in (powers, shares))
        return F.interpolate((powers + KNOWN_INERTIA * usual) / (shares + KNOWN_INERTIA), scale_factor=8.0, mode="nearest")

    @staticmethod
    def plain(detail: Tensor) -> Tensor:
        """How much of the fill is kept as it is, in [0, 1]: by its likely squared error, a share of the detail, and the network's own."""
        return NETWORK_NOISE**2 / (NETWORK_NOISE**2 + FILLED_SHARE**2 * detail)

    @staticmethod
    def kept(mask: Tensor, opacity: Tensor, colour: Tensor, doubt: Tensor, mixed: Tensor, detail: Tensor) -> Tensor:
        """How much of the un-blended pixels of a faint mark is kept as they are, (B, 1, H, W) in [0, 1]: the mean of two estimates.

        Each counts by the inverse of its likely squared error: the un-blended picture by the codec's noise and the doubt, which it
        multiplies by 1 / (1 - a); the network's by the detail of the scene around, of which it smooths a share away.
        """
        faint = FAINT_OPACITY - F.max_pool2d(F.max_pool2d(opacity * mask, 8), 5, 1, 2)
        faint = F.interpolate((faint * 10).clamp(0.0, 1.0), scale_factor=8.0, mode="nearest")
        noise = CODEC_NOISE**2 + doubt.square() * (colour - mixed).square().mean(1, keepdim=True)
        smoothed = SMOOTHED_SHARE**2 * detail * (1 - (opacity * mask).clamp(0.0, OPACITY_LIMIT)).square()
        return faint * smoothed / (smoothed + noise)

    @staticmethod
    def _borrow(judged: Tensor, warped: Tensor, references: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of the warped references -> their weighted mean, its spread, the judge's notes (at 1/4), and the mean trust."""
        score = F.pixel_shuffle(judged[:, :SCORES], 4) * 4 + warped[:, 3:].clamp(1e-3).log()
        weights = score.unflatten(0, (-1, references)).softmax(1)
        clip = warped.unflatten(0, (-1, references))
        mean = (weights * clip).sum(1)
        spread = (weights * (clip[:, :, :3] - mean[:, None, :3]).square().mean(2, keepdim=True)).sum(1).add(1e-6).sqrt()
        coarse = F.avg_pool2d(weights.flatten(0, 1), 4).unflatten(0, (-1, references))
        notes = (coarse * judged[:, SCORES:].unflatten(0, (-1, references))).sum(1)
        return mean[:, :3], spread, notes, mean[:, 3:]
