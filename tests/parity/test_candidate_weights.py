"""The weights of un-blended pixels and of a fill against the network's mix: they grow as the other's expected error grows."""

import torch
from torch import Tensor

from models.inpainter import Inpainter
from tests.footage import texture

HEIGHT, WIDTH = 96, 128
COLOUR = torch.ones(1, 3, HEIGHT, WIDTH)
MASK = torch.zeros(1, 1, HEIGHT, WIDTH)
MASK[..., 32:64, 40:88] = 1


def scene(strength: float = 1.0) -> Tensor:
    """(1, 3, H, W) in [0, 1]: textured; with less strength, nearly uniform."""
    rough = torch.from_numpy(texture(1, WIDTH, HEIGHT, 1)).permute(2, 0, 1)[None]
    return 0.35 + strength * (rough - 0.35)


def weight(opacity: float = 0.35, opacity_sigma: float = 0.01, strength: float = 1.0) -> Tensor:
    """(1, 1, H, W): weight of the un-blended pixels under a mark of known opacity and colour."""
    clean, a = scene(strength), opacity * MASK
    variance = Inpainter.detail_variance((1 - a) * clean + a * COLOUR, MASK)
    return Inpainter.unblended_weight(MASK, a, COLOUR, opacity_sigma * MASK, clean, variance)


def under_mark(values: Tensor) -> float:
    """The mean over the mask."""
    return float(values[MASK > 0].mean())


def test_a_faint_mark_of_known_opacity_is_unblended() -> None:
    assert under_mark(weight()) > 0.85
    assert 0 <= float(weight().min()) <= float(weight().max()) <= 1


def test_the_weight_falls_with_the_opacity_sigma_and_with_the_detail_of_the_scene() -> None:
    by_sigma = [under_mark(weight(opacity_sigma=sigma)) for sigma in (0.0, 0.03, 0.1, 0.3)]
    by_detail = [under_mark(weight(strength=strength)) for strength in (1.0, 0.3, 0.1, 0.02)]
    for values in (by_sigma, by_detail):
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.2 < 0.8 < values[0]


def test_the_weight_is_zero_near_a_dense_mark() -> None:
    assert under_mark(weight(opacity=0.7)) == 0
    a = torch.where(torch.arange(WIDTH) < 64, 0.35, 0.8) * MASK
    variance = Inpainter.detail_variance((1 - a) * scene() + a * COLOUR, MASK)
    both = Inpainter.unblended_weight(MASK, a, COLOUR, 0.01 * MASK, scene(), variance)
    assert float(both[..., 32:64, 56:88].max()) == 0  # its edges too


def test_marked_pixels_do_not_count_as_detail_of_the_scene() -> None:
    """A textured mark may lie over a smooth scene."""
    a = 0.35 * MASK
    frame = (1 - a) * scene(0.02) + a * COLOUR
    rough = frame + MASK * (scene() - 0.35)
    assert torch.equal(*(Inpainter.detail_variance(x, MASK) for x in (frame, rough)))


def test_a_fill_weighs_more_in_a_smoother_scene() -> None:
    variances = [Inpainter.detail_variance(scene(strength), MASK) for strength in (0.0, 0.02, 0.1, 1.0)]
    weights = [under_mark(Inpainter.fill_weight(variance) * MASK) for variance in variances]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0.99
    assert weights[-1] < 0.1
