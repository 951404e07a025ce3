"""The inpainter: restores the scene behind the mark in one frame, from that frame and aligned reference frames.

For each frame, two analytic candidates are computed in the graph: the un-blended pixels `(I - a*w) / (1 - a)`, whose noise grows with
1 / (1 - a) and with the opacity sigma, and a smooth fill from the surroundings. References arrive roughly aligned; the remaining motion is
estimated coarse to fine (a cost volume at 1/8, refined at 1/4: the scheme of Sun et al., "PWC-Net", CVPR 2018). The references are warped
and scored, and the fusion network mixes un-blended, filled and reference pixels and adds a correction. The network keeps no state, so a
frame's result does not depend on the window in which it was processed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import Join, Residual, conv, correlation, doubled, patches, pull_push, warp, zero

OPACITY_LIMIT = 0.96  # above it, H.264's rounding leaves nothing of the scene under the mark
CODEC_NOISE = 0.01  # standard deviation of a pixel in [0, 1]
SMOOTHED_SHARE = 0.5  # the network's error, as a share of the standard deviation of the scene's fine detail
NETWORK_NOISE = 0.006  # standard deviation of what the network adds where nothing needs adding
FILLED_SHARE = 0.5  # a fill's error in a smooth scene, as a share of the standard deviation of the scene's fine detail
FAINT_OPACITY = 0.65  # where a mark nearby is denser, the un-blended picture is worse than the network's mix
KNOWN_PRIOR_SHARE = 0.02  # weight of the whole window's mean, as a share of a pixel's surroundings
UNBLEND_NOISE = 0.015  # (1 - a)^2 at which un-blended and filled pixels weigh the same before fusion
OPACITY_SIGMA_WEIGHT = 4.0  # of the squared opacity sigma, added to that noise
SCORES, FEATURES = 16, 12  # channels of the judge at 1/4: a score for each pixel, and features for the fusion network


@dataclass(frozen=True)
class InpainterConfig:
    """Channels of the encoder at 1/4 and 1/8, and of the fusion network at 1/2, 1/4, 1/8 and 1/16."""

    encoder: tuple[int, int] = (32, 48)
    fusion: tuple[int, int, int, int] = (24, 40, 56, 64)


class Restored(NamedTuple):
    """clean: (B, 3, H, W) in [0, 1]. For training also the pixels taken from references, and the flows to them."""

    clean: Tensor
    from_references: Tensor  # (B, 3, H, W)
    flows: list[Tensor]  # coarse to fine, each (B * R, 2, H, W) in full-size pixels


def _head(inputs: int, outputs: int, deviation: float) -> nn.Conv2d:
    """A last convolution with small initial weights: training starts from the analytic answer."""
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
    """Features of the target and of a reference at 1/4 and 1/8 -> flows from target to reference at 1/8 and 1/4."""

    RADIUS = 3  # at 1/8: up to 24 pixels of motion remain after the references were aligned
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
    """The target's inputs at full size and at 1/4 -> three candidate logits and a correction (B, 3, H, W) each, at full size."""

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
    """Restores frame 0, the target, with R references: crops of the same piece of the scene.

    frames: (B, 1+R, 3, H, W) float32 RGB in [0, 1], with the mark. mask: (B, 1+R, 1, H, W), 1 where that frame is marked. opacity:
    (B, 1+R, 1, H, W) and colour: (B, 1+R, 3, H, W) in [0, 1]. opacity_sigma: (B, 1+R, 1, H, W) in [0, 1]. H and W must be divisible by 16.
    The result is (B, 3, H, W) in [0, 1]; where the target's mask is 0, it is the target itself.
    """

    def __init__(self, config: InpainterConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.aligner = Aligner(config.encoder)
        scores_and_features = nn.Conv2d(32, SCORES + FEATURES, 3, padding=1)
        nn.init.normal_(scores_and_features.weight, std=1e-2)
        self.look = patches(8, 32, 4)  # the judge's stem; checkpoints and ONNX files know it by this name
        self.judge = nn.Sequential(conv(32 + 2, 32), scores_and_features)
        self.fusion = Fusion(18, FEATURES + config.encoder[0], config.fusion)

    def forward(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> Tensor:
        return self.restore(frames, mask, opacity, colour, opacity_sigma).clean

    def restore(self, frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> Restored:
        """What `forward` returns, with the intermediate results that training needs."""
        batch, count = frames.shape[:2]
        references = count - 1
        flat = [x.flatten(0, 1) for x in (frames, mask, opacity, colour, opacity_sigma)]
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
        stem = self.look(torch.cat([warped, targets[2], targets[3]], 1))
        judged = self.judge(torch.cat([stem, flow4], 1))
        from_references, spread, reference_features, reference_trust = self._combine_references(judged, warped, references)
        unblended, filled, trust = (x.unflatten(0, (batch, count))[:, 0] for x in (unblended, filled, trust))  # the target's alone
        pictures = [x - 0.5 for x in (frames[:, 0], unblended, filled, from_references)]
        full = torch.cat([*pictures, mask[:, 0], opacity[:, 0], opacity_sigma[:, 0] * 4, trust, reference_trust, spread * 8], 1)
        logits, correction = self.fusion(full, torch.cat([reference_features, clips[0][:, 0]], 1))
        prior = torch.cat([trust, 0.3 * (1 - trust), 0.3 * reference_trust], 1).clamp(1e-3).log()
        weights = (logits * 4 + prior).softmax(1)
        mixed = weights[:, :1] * unblended + weights[:, 1:2] * filled + weights[:, 2:] * from_references + correction
        variance = self.detail_variance(frames[:, 0], mask[:, 0])
        mixed = mixed + (1 - trust) * self.fill_weight(variance) * (filled - mixed)
        weight = self.unblended_weight(mask[:, 0], opacity[:, 0], colour[:, 0], opacity_sigma[:, 0], mixed, variance)
        mixed = mixed + weight * (unblended - mixed)
        clean = frames[:, 0] + mask[:, 0] * (mixed.clamp(0.0, 1.0) - frames[:, 0])
        return Restored(clean, from_references, [doubled(doubled(doubled(flow8))) * 8, flow])

    @staticmethod
    def fills(frames: Tensor, mask: Tensor) -> Tensor:
        """(B, 1+R, ...) -> (B * (1+R), 3, H, W): smooth fills. References get coarser ones: their filled pixels have little weight."""
        target = pull_push(frames[:, 0], 1 - mask[:, 0])
        references = pull_push(frames[:, 1:].flatten(0, 1), 1 - mask[:, 1:].flatten(0, 1), finest=2)
        return torch.cat([target[:, None], references.unflatten(0, (frames.shape[0], -1))], 1).flatten(0, 1)

    @staticmethod
    def candidates(frames: Tensor, mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (N, C, H, W) -> un-blended pixels (N, 3, H, W), and their weight against the fill (N, 1, H, W), both in [0, 1]."""
        a = (opacity * mask).clamp(0.0, OPACITY_LIMIT)
        unblended = ((frames - a * colour) / (1 - a)).clamp(0.0, 1.0)
        signal = (1 - a).square()
        trust = (
            signal / (signal + UNBLEND_NOISE + OPACITY_SIGMA_WEIGHT * opacity_sigma.square()) * (opacity * mask < OPACITY_LIMIT).to(a.dtype)
        )
        return unblended, 1 - mask + mask * trust

    @staticmethod
    def detail_variance(frame: Tensor, mask: Tensor) -> Tensor:
        """Variance (B, 1, H, W) of the scene's fine detail around the mark; frame (B, 3, H, W), mask (B, 1, H, W)."""
        known = 1 - F.max_pool2d(mask, 3, 1, 1)
        shares, sums, squares = (F.avg_pool2d(x, 8) for x in (known, known * frame, known * frame.square()))
        powers = (squares - sums.square() / (shares + 1e-6)).clamp(min=0.0).mean(1, keepdim=True)
        window_power = powers.mean((2, 3), keepdim=True) / (shares.mean((2, 3), keepdim=True) + 1e-6)
        powers, shares = (F.avg_pool2d(x, 9, 1, 4) for x in (powers, shares))
        return F.interpolate((powers + KNOWN_PRIOR_SHARE * window_power) / (shares + KNOWN_PRIOR_SHARE), scale_factor=8.0, mode="nearest")

    @staticmethod
    def fill_weight(detail_variance: Tensor) -> Tensor:
        """Weight of the fill against the network's mix, in [0, 1]: inverse variances, the fill's being a share of the detail's."""
        return NETWORK_NOISE**2 / (NETWORK_NOISE**2 + FILLED_SHARE**2 * detail_variance)

    @staticmethod
    def unblended_weight(
        mask: Tensor, opacity: Tensor, colour: Tensor, opacity_sigma: Tensor, mixed: Tensor, detail_variance: Tensor
    ) -> Tensor:
        """Weight (B, 1, H, W) in [0, 1] of the un-blended pixels of a faint mark against the network's mix.

        Both are averaged by inverse variance. The un-blended pixels' error is codec noise and opacity sigma, multiplied by 1 / (1 - a);
        the network's error is the share of the surrounding detail that it smooths away. Near a dense mark the weight is 0.
        """
        faint = FAINT_OPACITY - F.max_pool2d(F.max_pool2d(opacity * mask, 8), 5, 1, 2)
        faint = F.interpolate((faint * 10).clamp(0.0, 1.0), scale_factor=8.0, mode="nearest")
        noise = CODEC_NOISE**2 + opacity_sigma.square() * (colour - mixed).square().mean(1, keepdim=True)
        smoothed = SMOOTHED_SHARE**2 * detail_variance * (1 - (opacity * mask).clamp(0.0, OPACITY_LIMIT)).square()
        return faint * smoothed / (smoothed + noise)

    @staticmethod
    def _combine_references(judged: Tensor, warped: Tensor, references: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Judged and warped references -> their weighted mean, its standard deviation, the judge's features (at 1/4), the mean trust."""
        score = F.pixel_shuffle(judged[:, :SCORES], 4) * 4 + warped[:, 3:].clamp(1e-3).log()
        weights = score.unflatten(0, (-1, references)).softmax(1)
        clip = warped.unflatten(0, (-1, references))
        mean = (weights * clip).sum(1)
        spread = (weights * (clip[:, :, :3] - mean[:, None, :3]).square().mean(2, keepdim=True)).sum(1).add(1e-6).sqrt()
        coarse = F.avg_pool2d(weights.flatten(0, 1), 4).unflatten(0, (-1, references))
        features = (coarse * judged[:, SCORES:].unflatten(0, (-1, references))).sum(1)
        return mean[:, :3], spread, features, mean[:, 3:]
