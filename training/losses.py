"""The losses of the networks. All take tensors of a batch and return a scalar."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.blend import OPACITY_LIMIT
from models.blocks import warp
from models.inpainter import Restored
from models.matte import Prediction

BELONGS_OPACITY = 0.03  # above it a pixel is part of the mark
MIN_SIGMA = 0.005  # of the opacity: about one of 256 grey levels


def charbonnier(difference: Tensor, epsilon: float = 1e-3) -> Tensor:
    """The Charbonnier penalty, a smooth absolute value (Charbonnier et al. 1994)."""
    return (difference.square() + epsilon**2).sqrt()


def segmentation(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over each sample's overlay. Both (B, T, 2, H, W).

    Marked pixels weigh no more than others: with a higher weight, 1 to 4 % of the pixels of unmarked clips were false positives.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    probability, truth = logits[:, :, 0].sigmoid(), target[:, :, 0]
    overlap = (probability * truth).sum((1, 2, 3))
    dice = 1 - (2 * overlap + 50) / (probability.sum((1, 2, 3)) + truth.sum((1, 2, 3)) + 50)
    return 4 * entropy + 0.5 * dice.mean()


def retention(logits: Tensor, known: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with another network's answers, over the pixels of marks that it sees. Logits and target (B, T, 2, H, W).

    So that a network that learns what is no mark does not forget marks (Li and Hoiem, "Learning without Forgetting", ECCV 2016). What the
    other one takes wrongly for a mark, or misses, is not kept.
    """
    kept = (known[:, :, 0] > 0) & (target[:, :, 0] > 0.5)
    entropy = F.binary_cross_entropy_with_logits(logits[:, :, 0], known[:, :, 0].sigmoid(), reduction="none")
    return 4 * (entropy * kept).sum() / logits.numel()


def matte(predicted: Prediction, sample: dict[str, Tensor]) -> Tensor:
    """Errors of the opacity's shape and, with less weight, its level; of the colour; of the un-blended picture; of sigma and of the extent.

    For the shape, level and mean colour are corrected first, as `models.blend` does in serving.
    """
    opacity, colour = predicted.opacity, predicted.colour
    true_opacity, true_colour, clean = sample["opacity"], sample["colour"], sample["clean"]
    belongs, hides = extent(true_opacity)
    near = F.max_pool2d(belongs, 9, 1, 4)
    area = belongs.sum((1, 2, 3)) + 64
    levelled, shade = level(opacity, colour, true_opacity, true_colour)
    shape = charbonnier(levelled - true_opacity) * (0.2 + near)
    direct = charbonnier(opacity - true_opacity) * (0.2 + near)
    tint = charbonnier(shade - true_colour).mean(1, keepdim=True) * true_opacity
    marked = (1 - true_opacity) * clean + true_opacity * true_colour
    a = levelled.clamp(0, 0.9)
    unblended = (marked - a * shade) / (1 - a)
    effect = charbonnier((unblended - clean).clamp(-1, 1)).mean(1, keepdim=True) * near * (true_opacity < 0.9)
    spread = deviation(predicted.opacity_sigma, levelled - true_opacity) * (0.2 + near)
    labels = ((predicted.belongs, belongs), (predicted.hides, hides))
    kinds = torch.stack([F.binary_cross_entropy(p, label, reduction="none") * (0.2 + near + 2 * rim(label)) for p, label in labels]).sum(0)
    return ((4 * shape + direct + 2 * tint + 2 * effect + spread + 0.2 * kinds).sum((1, 2, 3)) / area).mean()


def extent(opacity: Tensor) -> tuple[Tensor, Tensor]:
    """Where a mark of this true opacity (B, 1, H, W) is, and where nothing shows through it: of 0 and 1."""
    return (opacity > BELONGS_OPACITY).float(), (opacity >= OPACITY_LIMIT).float()


def rim(label: Tensor) -> Tensor:
    """1 at the pixels (B, 1, H, W) on both sides of a label's outline, else 0."""
    return F.max_pool2d(label, 3, 1, 1) + F.max_pool2d(-label, 3, 1, 1)


def deviation(sigma: Tensor, error: Tensor) -> Tensor:
    """Negative log-likelihood of the errors under a normal distribution of that sigma, times sigma; the errors get no gradient.

    Its minimum is the root mean square error. The factor, which gets no gradient either, keeps a few gross errors in pixels of small sigma
    from dominating (Seitzer et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation", ICLR 2022, with beta 1/2).
    """
    variance = sigma.square() + MIN_SIGMA**2
    return (0.5 * variance.log() + 0.5 * error.detach().square() / variance) * variance.detach().sqrt()


def level(opacity: Tensor, colour: Tensor, true_opacity: Tensor, true_colour: Tensor) -> tuple[Tensor, Tensor]:
    """The opacity times the factor, and the colour plus the shift, that bring them closest to the true ones, in [0, 1]."""
    factor = (opacity * true_opacity).sum((1, 2, 3), keepdim=True) / (opacity.square().sum((1, 2, 3), keepdim=True) + 1e-3)
    shift = ((true_colour - colour) * true_opacity).sum((2, 3), keepdim=True) / (true_opacity.sum((2, 3), keepdim=True) + 1e-3)
    return (opacity * factor.clamp(0.2, 3)).clamp(max=1), (colour + shift).clamp(0, 1)


def inpainting(restored: Restored, sample: dict[str, Tensor]) -> Tensor:
    """Errors in the hole: in decibels, absolute, of gradients, of structure; with less weight, of the reference pixels and of each flow."""
    hole, mask, target = sample["hole"], sample["mask"][:, 0], sample["clean"][:, 0]
    area = hole.sum((1, 2, 3)) * 3 + 64
    error = restored.clean - target
    squared = (error.square() * hole).sum((1, 2, 3)) / area
    decibels = 10 * torch.log10(squared + 2e-5)
    absolute = (charbonnier(error) * mask).sum((1, 2, 3)) / area
    across, down = gradients(error)
    edges = ((charbonnier(across) * mask[..., 1:]).sum((1, 2, 3)) + (charbonnier(down) * mask[..., 1:, :]).sum((1, 2, 3))) / area
    reference_error = (charbonnier(restored.from_references - target) * hole).sum((1, 2, 3)) / area
    direct = 0.05 * decibels + 4 * absolute + 2 * edges + 0.3 * dissimilarity(restored.clean, target, hole) + reference_error
    return direct.mean() + 0.5 * alignment(restored.flows, sample)


def gradients(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the next pixel, across (B, C, H, W - 1) and down (B, C, H - 1, W), of (B, C, H, W)."""
    return picture[..., :, 1:] - picture[..., :, :-1], picture[..., 1:, :] - picture[..., :-1, :]


def dissimilarity(picture: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """1 - structural similarity (Wang et al. 2004) of grey values in 7x7 windows, mean over the pixels of `where`: (B,).

    It rewards texture without a perceptual network.
    """
    x, y = picture.mean(1, keepdim=True), truth.mean(1, keepdim=True)
    mean_x, mean_y, xx, yy, xy = (F.avg_pool2d(v, 7, 1, 3, count_include_pad=False) for v in (x, y, x * x, y * y, x * y))
    numerator = (2 * mean_x * mean_y + 1e-4) * (2 * (xy - mean_x * mean_y) + 9e-4)
    denominator = (mean_x**2 + mean_y**2 + 1e-4) * ((xx - mean_x**2).clamp(min=0) + (yy - mean_y**2).clamp(min=0) + 9e-4)
    return ((1 - numerator / denominator) * where).sum((1, 2, 3)) / (where.sum((1, 2, 3)) + 16)


def alignment(flows: list[Tensor], sample: dict[str, Tensor]) -> Tensor:
    """Difference of the warped clean references from the clean target, around and under the mark; robust to occlusion."""
    clean = sample["clean"]
    references = clean[:, 1:].flatten(0, 1)
    target = clean[:, :1].expand(-1, clean.shape[1] - 1, -1, -1, -1).flatten(0, 1)
    weight = 0.2 + sample["hole"][:, None].expand(-1, clean.shape[1] - 1, -1, -1, -1).flatten(0, 1)
    errors = [((charbonnier(warp(references, flow) - target) * weight).mean() / weight.mean()) for flow in flows]
    return torch.stack(errors).mean()
