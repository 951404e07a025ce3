"""What each network is asked for. All take the sample's tensors and return a scalar."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.blocks import warp
from models.inpainter import Restored


def charbonnier(difference: Tensor, epsilon: float = 1e-3) -> Tensor:
    """A smooth absolute value."""
    return (difference.square() + epsilon**2).sqrt()


def segmentation(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over each sample's overlay. Both (B, T, 2, H, W).

    Marked pixels weigh no more than others: a heavier weight found things of the scene in 1 to 4 % of the pixels of unmarked clips.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    probability, truth = logits[:, :, 0].sigmoid(), target[:, :, 0]
    overlap = (probability * truth).sum((1, 2, 3))
    dice = 1 - (2 * overlap + 50) / (probability.sum((1, 2, 3)) + truth.sum((1, 2, 3)) + 50)
    return 4 * entropy + 0.5 * dice.mean()


def matte(opacity: Tensor, colour: Tensor, sample: dict[str, Tensor]) -> Tensor:
    """Opacity and colour directly, and what their errors do to the un-blended picture. Opacity (B, 1, H, W), colour (B, 3, H, W)."""
    true_opacity, true_colour, clean = sample["opacity"], sample["colour"], sample["clean"]
    mark = (true_opacity > 0.03).float()
    near = F.max_pool2d(mark, 9, 1, 4)
    covered = mark.sum((1, 2, 3)) + 64
    direct = charbonnier(opacity - true_opacity) * (0.2 + near)
    shade = charbonnier(colour - true_colour).mean(1, keepdim=True) * true_opacity
    marked = (1 - true_opacity) * clean + true_opacity * true_colour
    a = opacity.clamp(0, 0.9)
    unblended = (marked - a * colour) / (1 - a)
    effect = charbonnier((unblended - clean).clamp(-1, 1)).mean(1, keepdim=True) * near * (true_opacity < 0.9)
    return ((4 * direct + 2 * shade + 2 * effect).sum((1, 2, 3)) / covered).mean()


def inpainting(restored: Restored, sample: dict[str, Tensor]) -> Tensor:
    """Error in the hole, in decibels and absolute; and the same, lighter, for what was borrowed and for each flow."""
    hole, target = sample["hole"], sample["clean"][:, 0]
    area = hole.sum((1, 2, 3)) * 3 + 64
    squared = ((restored.clean - target).square() * hole).sum((1, 2, 3)) / area
    decibels = 10 * torch.log10(squared + 2e-5)
    absolute = (charbonnier(restored.clean - target) * sample["mask"][:, 0]).sum((1, 2, 3)) / area
    lent = (charbonnier(restored.borrowed - target) * hole).sum((1, 2, 3)) / area
    return 0.05 * decibels.mean() + 4 * absolute.mean() + lent.mean() + 0.5 * alignment(restored.flows, sample)


def alignment(flows: list[Tensor], sample: dict[str, Tensor]) -> Tensor:
    """How well the clean references, warped, match the clean target around and under the mark; robust to what is occluded."""
    clean = sample["clean"]
    references = clean[:, 1:].flatten(0, 1)
    target = clean[:, :1].expand(-1, clean.shape[1] - 1, -1, -1, -1).flatten(0, 1)
    weight = 0.2 + sample["hole"][:, None].expand(-1, clean.shape[1] - 1, -1, -1, -1).flatten(0, 1)
    errors = [((charbonnier(warp(references, flow) - target) * weight).mean() / weight.mean()) for flow in flows]
    return torch.stack(errors).mean()
