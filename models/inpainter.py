"""The inpainter: restores the scene behind the mark in one frame, from that frame and aligned reference frames.

It has two parts. `encode` sees one frame: it computes two analytic candidates, the un-blended pixels `(I - a*w) / (1 - a)`, whose noise
grows with 1 / (1 - a) and with the opacity sigma, and a smooth fill from the surroundings; and features. A frame is encoded once, however
many targets it serves as a reference. `restore` takes the encodings of the target and of its references, which are roughly aligned; it
estimates the remaining motion, warps and scores the references, and the fusion network mixes un-blended, filled and reference pixels and
adds a correction. The network keeps no state, so a frame's result does not depend on the window in which it was processed.

Colour differences are taken from references at half size, as 4:2:0 video has them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.alignment import Aligner, added
from models.blocks import SILU_GAIN, Join, Residual, conv, doubled, head, mixture, patches, pull_push, warp, zero
from models.spec import EIGHTH_FEATURES, QUARTER_FEATURES

OPACITY_LIMIT = 0.96  # above it, H.264's rounding leaves nothing of the scene under the mark
UNBLEND_NOISE = 0.015  # (1 - a)^2 at which un-blended and filled pixels weigh the same before fusion
OPACITY_SIGMA_WEIGHT = 4.0  # of the squared opacity sigma, added to that noise
NETWORK_NOISE = 0.006  # standard deviation of what the network adds where nothing needs adding
FILLED_SHARE = 0.5  # a fill's error in a smooth scene, as a share of the standard deviation of the scene's fine detail
MAX_LIGHT_CHANGE = 0.1  # of the brightness in [0, 1]; a larger difference is not light but another scene
WINDOW_SHARE = 0.02  # weight of the whole window's mean, as a share of that of a pixel's surroundings
FEATURE_SCALE = 8.0  # standard deviations of an encoder's feature that are passed on as 1; larger ones are clipped
SCORES, FEATURES = 4, 12  # channels of the judge at 1/4: a score for each pixel at 1/2, and features for the fusion network


@dataclass(frozen=True)
class InpainterConfig:
    """Channels of the encoder at 1/4 and 1/8, and of the fusion network at 1/2, 1/4, 1/8 and 1/16."""

    encoder: tuple[int, int] = (32, 48)
    fusion: tuple[int, int, int, int] = (16, 32, 64, 64)


class Encoding(NamedTuple):
    """What `restore` reads of a frame: (B, C, h, w) each, or (B, 1+R, C, h, w) for a target and its references."""

    luma: Tensor  # (1, H, W) of the best guess at the scene: un-blended where that is trusted, else filled
    chroma: Tensor  # (3, H/2, W/2): the guess's red and blue minus its green, and the trust
    filled: Tensor  # (3, H/2, W/2): the smooth fill
    quarter: Tensor  # (QUARTER_FEATURES, H/4, W/4)
    eighth: Tensor  # (EIGHTH_FEATURES, H/8, W/8)


class Restored(NamedTuple):
    """clean: (B, 3, H, W) in [0, 1]. For training also the pixels taken from references, and the flows to them."""

    clean: Tensor
    from_references: Tensor  # (B, 3, H, W)
    flows: list[Tensor]  # coarse to fine, each (B * R, 2, H, W) in full-size pixels


class Encoder(nn.Module):
    """(N, 8, H, W) -> features at 1/4 and 1/8, in [-1, 1]."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        a, b = channels
        self.at4 = nn.Sequential(patches(8, a, 4), conv(a, a), Residual(a))
        self.at8 = nn.Sequential(conv(a, b, 2), Residual(b))
        self.quarter, self.eighth = nn.Conv2d(a, QUARTER_FEATURES, 1), nn.Conv2d(b, EIGHTH_FEATURES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.at4(x)
        features = self.quarter(quarter), self.eighth(self.at8(quarter))
        return (features[0] / FEATURE_SCALE).clamp(-1.0, 1.0), (features[1] / FEATURE_SCALE).clamp(-1.0, 1.0)


class Judge(nn.Module):
    """Warped references (B * R, ...) beside the target (B, ...) -> scores (B * R, 1, H/2, W/2) and features (B * R, FEATURES, H/4, W/4)."""

    def __init__(self, channels: int = 32, mixed: int = 16) -> None:
        super().__init__()
        self.luma, self.target_luma = (nn.Conv2d(1, channels, 4, 4, bias=False) for _ in range(2))
        self.chroma, self.target_chroma = (nn.Conv2d(3, channels, 2, 2, bias=False) for _ in range(2))
        self.flow = zero(nn.Conv2d(2, channels, 1))
        for layer, inputs in ((self.luma, 16), (self.target_luma, 16), (self.chroma, 12), (self.target_chroma, 12), (self.flow, 100)):
            nn.init.normal_(layer.weight, std=SILU_GAIN / (4 * inputs) ** 0.5)
        self.mix = conv(channels, mixed)
        self.head = head(mixed, SCORES + FEATURES, 1e-2)

    def forward(self, luma: Tensor, chroma: Tensor, flow4: Tensor, target_luma: Tensor, target_chroma: Tensor) -> tuple[Tensor, Tensor]:
        target = self.target_luma(target_luma) + self.target_chroma(target_chroma)
        seen = F.silu(added(self.luma(luma) + self.chroma(chroma) + self.flow(flow4), target))
        judged = self.head(self.mix(seen))
        return F.pixel_shuffle(judged[:, :SCORES], 2), judged[:, SCORES:]


class Fusion(nn.Module):
    """The target's inputs at full size, 1/2 and 1/4 -> logits of three candidates, and a correction: (B, 3, H, W) each."""

    def __init__(self, at1: int, at2: int, at4: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d = channels
        self.stem, self.stem2 = nn.Conv2d(at1, a, 4, 2, 1), nn.Conv2d(at2, a, 3, padding=1, bias=False)
        for layer, inputs in ((self.stem, at1 * 16), (self.stem2, at2 * 9)):
            nn.init.normal_(layer.weight, std=SILU_GAIN / inputs**0.5)
        self.down4 = conv(a, b, 2)
        self.join4 = nn.Sequential(conv(b + at4, b, kernel=1), Residual(b))
        self.down8 = nn.Sequential(conv(b, c, 2), Residual(c), Residual(c))
        self.down16 = nn.Sequential(conv(c, d, 2), Residual(d))
        self.up8, self.up4, self.up2 = Join(d, c, c), Join(c, b, b), Join(b, a, a)
        self.head = head(a, 25, 1e-3)

    def forward(self, full: Tensor, half: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
        x2 = F.silu(self.stem(full) + self.stem2(half))
        x4 = self.join4(torch.cat([self.down4(x2), quarter], 1))
        x8 = self.down8(x4)
        out = self.up2(self.up4(self.up8(self.down16(x8), x8), x4), x2)
        out = self.head(out)
        needed = (out[:, 24:] + 2).sigmoid()  # the correction adds noise where a candidate is right
        return F.pixel_shuffle(out[:, :12], 2), F.pixel_shuffle(out[:, 12:24] * needed, 2)


class Inpainter(nn.Module):
    """Restores frame 0, the target, with R references: crops of the same piece of the scene.

    frames: (B, 1+R, 3, H, W) float32 RGB in [0, 1], with the mark. mask: (B, 1+R, 1, H, W), 1 where that frame is marked. opacity:
    (B, 1+R, 1, H, W) and colour: (B, 1+R, 3, H, W) in [0, 1]. opacity_sigma: (B, 1+R, 1, H, W) in [0, 1]. shift: (B, 1+R, 2), the
    (dx, dy) in pixels from the target to the same content in that frame, as far as known. H and W must be divisible by 16. The result is
    (B, 3, H, W) in [0, 1]; where the target's mask is 0, it is the target itself.
    """

    def __init__(self, config: InpainterConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.aligner = Aligner(QUARTER_FEATURES, EIGHTH_FEATURES)
        self.judge = Judge()
        self.fusion = Fusion(15, 3, FEATURES + QUARTER_FEATURES, config.fusion)

    def forward(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor, shift: Tensor) -> Tensor:
        return self.encode_and_restore(frames, mask, opacity, colour, opacity_sigma, shift).clean

    def encode_and_restore(
        self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor, shift: Tensor
    ) -> Restored:
        """What `forward` returns, with the intermediate results that training needs."""
        inputs = frames, mask, opacity, colour, opacity_sigma
        encodings = self.encode(*(x.flatten(0, 1) for x in inputs))
        clips = Encoding(*(x.unflatten(0, frames.shape[:2]) for x in encodings))
        return self.restore(frames[:, 0], mask[:, 0], opacity[:, 0], colour[:, 0], opacity_sigma[:, 0], clips, shift)

    def encode(self, frame: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> Encoding:
        """The encodings of single frames: (B, C, H, W) each."""
        filled = pull_push(frame, 1 - mask, finest=1)
        unblended, trust = self.candidates(frame, mask, opacity, colour, opacity_sigma)
        full = doubled(filled)
        guess = full + trust * (unblended - full)
        quarter, eighth = self.encoder(torch.cat([guess - 0.5, frame - 0.5, mask, trust], 1))
        chroma = torch.cat([F.avg_pool2d(to_chroma(guess), 2), -F.max_pool2d(-trust, 2)], 1)
        return Encoding(to_luma(guess), chroma, filled, quarter, eighth)

    def restore(
        self, frame: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor, clips: Encoding, shift: Tensor
    ) -> Restored:
        """Restore the target (B, C, H, W) from its encoding and those of its references, (B, 1+R, ...)."""
        count = clips.luma.shape[1] - 1
        clips = clips._replace(quarter=clips.quarter * FEATURE_SCALE, eighth=clips.eighth * FEATURE_SCALE)
        luma, chroma, filled, quarter, eighth = (x[:, 0] for x in clips)
        others = Encoding(*(x[:, 1:].flatten(0, 1) for x in clips))
        flow8, flow4 = self.aligner((quarter, eighth), (others.quarter, others.eighth), shift[:, 1:].flatten(0, 1))
        flow2 = doubled(flow4) * 2
        flow = F.interpolate(flow2 * 2, scale_factor=2.0, mode="nearest")
        warped_luma, warped_chroma = in_the_light_of(luma, chroma, warp(others.luma, flow), warp(others.chroma, flow2))
        scores, features = self.judge(warped_luma - 0.5, warped_chroma, flow4, luma - 0.5, chroma)
        scores, warped_trust = ((x).unflatten(0, (-1, count)) for x in (scores, warped_chroma[:, 2:].clamp(1e-3)))
        weights = mixture(scores * 4, warped_trust, 1)  # (B, R, 1, H/2, W/2)
        mean_chroma = (weights * warped_chroma.unflatten(0, (-1, count))).sum(1)
        coarse = F.avg_pool2d(weights.flatten(0, 1), 2).unflatten(0, (-1, count))
        features = (coarse * features.unflatten(0, (-1, count))).sum(1)
        weights = F.interpolate(weights.flatten(1, 2), scale_factor=2.0, mode="nearest")
        lumas = warped_luma.flatten(1).unflatten(0, (-1, count)).view_as(weights)
        mean_luma = (weights * lumas).sum(1, keepdim=True)
        spread = (weights * (lumas - mean_luma).square()).sum(1, keepdim=True).add(1e-6).sqrt()
        from_references = to_rgb(mean_luma, doubled(mean_chroma[:, :2]))

        unblended, trust = self.candidates(frame, mask, opacity, colour, opacity_sigma)
        filled = doubled(filled)
        pictures = [x - 0.5 for x in (frame, unblended, filled, mean_luma)]
        full = torch.cat([*pictures, mask, opacity, opacity_sigma * 4, trust, spread * 8], 1)
        logits, correction = self.fusion(full, mean_chroma, torch.cat([features, quarter], 1))
        reference_trust = doubled(mean_chroma[:, 2:])
        prior = torch.cat([trust, 0.3 * (1 - trust), 0.3 * reference_trust], 1).clamp(1e-3)
        weights = mixture(logits * 4, prior, 1)
        mixed = weights[:, :1] * unblended + weights[:, 1:2] * filled + weights[:, 2:] * from_references + correction
        mixed = mixed + (1 - trust) * self.fill_weight(frame, mask) * (filled - mixed)
        clean = frame + mask * (mixed.clamp(0.0, 1.0) - frame)
        return Restored(clean, from_references, [doubled(doubled(doubled(flow8))) * 8, flow])

    @staticmethod
    def fill_weight(frame: Tensor, mask: Tensor) -> Tensor:
        """Weight (B, 1, H, W) in [0, 1] of the fill against the network's mix: inverse variances.

        The fill's is a share of that of the scene's fine detail around the mark. frame: (B, 3, H, W), mask: (B, 1, H, W).
        """
        known = 1 - F.max_pool2d(mask, 3, 1, 1)
        shares, sums, squares = (F.avg_pool2d(x, 8) for x in (known, known * frame, known * frame.square()))
        powers = (squares - sums.square() / (shares + 1e-6)).clamp(min=0.0).mean(1, keepdim=True)
        window_power = powers.mean((2, 3), keepdim=True) / (shares.mean((2, 3), keepdim=True) + 1e-6)
        powers, shares = (F.avg_pool2d(x, 9, 1, 4) for x in (powers, shares))
        variance = (powers + WINDOW_SHARE * window_power) / (shares + WINDOW_SHARE)
        weight = NETWORK_NOISE**2 / (NETWORK_NOISE**2 + FILLED_SHARE**2 * variance)
        return F.interpolate(weight, scale_factor=8.0, mode="nearest")

    @staticmethod
    def candidates(frame: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (N, C, H, W) -> un-blended pixels (N, 3, H, W), and their weight against the fill (N, 1, H, W), both in [0, 1]."""
        a = (opacity * mask).clamp(0.0, OPACITY_LIMIT)
        unblended = ((frame - a * colour) / (1 - a)).clamp(0.0, 1.0)
        signal = (1 - a).square()
        trust = signal / (signal + UNBLEND_NOISE + OPACITY_SIGMA_WEIGHT * opacity_sigma.square())
        return unblended, 1 - mask + mask * trust * (opacity * mask < OPACITY_LIMIT).to(a.dtype)


def to_luma(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 1, H, W)."""
    return 0.25 * (rgb[:, :1] + rgb[:, 2:]) + 0.5 * rgb[:, 1:2]


def to_chroma(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 2, H, W): red and blue minus green."""
    return torch.cat([rgb[:, :1], rgb[:, 2:]], 1) - rgb[:, 1:2]


def to_rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    """The inverse of `to_luma` and `to_chroma`."""
    green = luma - 0.25 * (chroma[:, :1] + chroma[:, 1:])
    return torch.cat([green + chroma[:, :1], green, green + chroma[:, 1:]], 1)


def in_the_light_of(luma: Tensor, chroma: Tensor, other_luma: Tensor, other_chroma: Tensor) -> tuple[Tensor, Tensor]:
    """Warped references (B * R, ...) with the brightness and colour of the target (B, ...), because light changes over time.

    The difference is measured where both frames show the scene, averaged over 48 pixels, and extended from there.
    """
    here = torch.cat([F.avg_pool2d(luma, 2), chroma[:, :2]], 1)
    there = torch.cat([F.avg_pool2d(other_luma, 2), other_chroma[:, :2]], 1)
    known, other_known = ((x[:, 2:] * 1000 - 999).clamp(0.0, 1.0) for x in (chroma, other_chroma))  # trust is 1 outside marks
    both = (other_known.unflatten(0, (known.shape[0], -1)) * known[:, None]).flatten(0, 1)
    difference = added(-there, here)
    means = F.avg_pool2d(torch.cat([difference * both, both], 1), 8)
    means = F.avg_pool2d(means, 3, 1, 1) + WINDOW_SHARE * means.mean((2, 3), keepdim=True)
    change = (means[:, :3] / (means[:, 3:] + 1e-4)).clamp(-MAX_LIGHT_CHANGE, MAX_LIGHT_CHANGE)
    change = F.interpolate(change, scale_factor=8.0, mode="bilinear")
    lit_chroma = torch.cat([other_chroma[:, :2] + change[:, 1:], other_chroma[:, 2:]], 1)
    return other_luma + doubled(change[:, :1]), lit_chroma
