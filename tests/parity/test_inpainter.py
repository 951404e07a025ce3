"""The parts of the inpainter that are computed, not learned; and that encoding frames one by one is encoding them together."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.blocks import correlation, doubled, mixture, pull_push, warp
from models.inpainter import Encoding, Inpainter, InpainterConfig, in_the_light_of, to_chroma, to_luma, to_rgb
from tests.footage import texture

HEIGHT, WIDTH = 96, 128


def picture(seed: int) -> Tensor:
    """(1, 3, H, W) in [0, 0.7]."""
    return torch.from_numpy(texture(seed, WIDTH, HEIGHT)).permute(2, 0, 1)[None]


def hidden() -> Tensor:
    """(1, 1, H, W): a square of ones."""
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., 32:64, 40:88] = 1
    return mask


@pytest.mark.parametrize("reach", [0.0, 3.0, 200.0])
def test_the_warp_is_that_of_torch_with_a_repeated_border(reach: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x, flow = torch.rand(2, 3, 12, 20, generator=generator), (torch.rand(2, 2, 12, 20, generator=generator) - 0.5) * 2 * reach
    ys, xs = torch.meshgrid(torch.arange(12.0), torch.arange(20.0), indexing="ij")
    grid = torch.stack([(xs + flow[:, 0]) * 2 / 19 - 1, (ys + flow[:, 1]) * 2 / 11 - 1], -1)
    expected = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
    torch.testing.assert_close(warp(x, flow), expected, atol=2e-4, rtol=0)


def test_a_mixture_with_an_even_prior_is_the_softmax_and_the_prior_multiplies_it() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) * 30
    torch.testing.assert_close(mixture(logits, torch.full_like(logits, 0.3), 1), logits.softmax(1))
    prior = torch.tensor([0.001, 1.0, 0.5])[None, :, None, None]
    torch.testing.assert_close(mixture(logits, prior, 1), (logits + prior.log()).softmax(1))


def test_the_correlation_is_largest_at_the_shift_of_each_reference() -> None:
    shifts = ((0, 0), (2, 0), (0, -1), (-2, 1))
    left = F.normalize(torch.randn(1, 16, 12, 20, generator=torch.Generator().manual_seed(1)), dim=1)
    right = torch.cat([torch.roll(left, (dy, dx), (2, 3)) for dx, dy in shifts])
    cost = correlation(left, right, shifts)[..., 3:-3, 3:-3]
    assert cost.shape[:2] == (4, 4)
    for number in range(4):
        assert (cost[number].argmax(0) == number).all()
        torch.testing.assert_close(cost[number, number], torch.ones_like(cost[number, number]))


def test_luma_and_chroma_are_the_colour() -> None:
    rgb = picture(1)
    torch.testing.assert_close(to_rgb(to_luma(rgb), to_chroma(rgb)), rgb)
    grey = rgb[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(to_luma(grey), grey[:, :1])
    assert to_chroma(grey).abs().max() == 0


def seen(rgb: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Luma and chroma of a frame, as encoded; what the mask hides is black."""
    shown = rgb * (1 - mask)
    return to_luma(shown), torch.cat([F.avg_pool2d(to_chroma(shown), 2), 1 - F.max_pool2d(mask, 2)], 1)


@pytest.mark.parametrize("change", [-0.06, 0.0, 0.05])
def test_a_reference_gets_the_light_of_the_target(change: float) -> None:
    """Measured where both show the scene, here in all but the square that the target hides."""
    target, none = 0.15 + picture(1), torch.zeros(1, 1, HEIGHT, WIDTH)
    luma, _ = in_the_light_of(*seen(target, hidden()), *seen(target + change, none))
    torch.testing.assert_close(luma, to_luma(target), atol=0.004, rtol=0)


def test_each_reference_gets_the_light_of_its_own_target() -> None:
    targets, none = torch.cat([picture(1), picture(2)]), torch.zeros(4, 1, HEIGHT, WIDTH)
    changes = torch.tensor([0.02, -0.03, 0.05, 0.0])[:, None, None, None]
    references = targets.repeat_interleave(2, 0) + changes
    luma, _ = in_the_light_of(*seen(targets, none[:2]), *seen(references, none))
    torch.testing.assert_close(luma, to_luma(targets).repeat_interleave(2, 0), atol=0.004, rtol=0)


def test_with_nothing_in_common_a_reference_keeps_its_light() -> None:
    target, everywhere = picture(1), torch.ones(1, 1, HEIGHT, WIDTH)
    reference = seen(target + 0.05, torch.zeros_like(everywhere))
    luma, chroma = in_the_light_of(*seen(target, everywhere), *reference)
    torch.testing.assert_close((luma, chroma), reference)


def test_another_scene_is_not_a_change_of_light() -> None:
    none = torch.zeros(1, 1, HEIGHT, WIDTH)
    luma, _ = in_the_light_of(*seen(picture(1), none), *seen(picture(1) + 0.3, none))
    assert (luma - to_luma(picture(1))).min() > 0.15


@pytest.fixture(scope="module")
def network() -> Inpainter:
    torch.manual_seed(1)
    return Inpainter(InpainterConfig((8, 12), (8, 12, 16, 16))).eval()


def sample(batch: int, references: int) -> list[Tensor]:
    """The inputs of `Inpainter.forward`, with random shifts."""
    generator = torch.Generator().manual_seed(2)
    frames, mask, opacity, colour, sigma = (torch.rand(batch, 1 + references, c, 32, 48, generator=generator) for c in (3, 1, 1, 3, 1))
    shift = 8 * torch.rand(batch, 1 + references, 2, generator=generator) - 4
    return [frames, (mask > 0.7).float(), opacity, colour, sigma, shift]


def test_frames_encoded_one_by_one_give_the_same_result(network: Inpainter) -> None:
    *frames, shift = sample(2, 3)
    with torch.no_grad():
        together = network(*frames, shift)
        one_by_one = [network.encode(*(x[:, i] for x in frames)) for i in range(4)]
        clips = Encoding(*(torch.stack(parts, 1) for parts in zip(*one_by_one, strict=True)))
        torch.testing.assert_close(network.restore(*(x[:, 0] for x in frames), clips, shift).clean, together, atol=1e-5, rtol=0)


def test_only_marked_pixels_of_the_target_change_whatever_the_number_of_references(network: Inpainter) -> None:
    for references in (1, 4):
        inputs = sample(1, references)
        with torch.no_grad():
            clean = network(*inputs)
        mask = inputs[1][:, 0].expand_as(clean)
        assert torch.equal(clean[mask == 0], inputs[0][:, 0][mask == 0])
        assert (clean - inputs[0][:, 0])[mask > 0].abs().max() > 0.01


def test_a_fill_half_the_size_is_about_the_fill_itself() -> None:
    whole, half = (pull_push(picture(3), 1 - hidden(), finest=finest) for finest in (0, 1))
    assert half.shape == (1, 3, HEIGHT // 2, WIDTH // 2)
    inside = hidden().expand_as(whole) > 0
    assert float((doubled(half) - whole)[inside].abs().mean()) < 0.01


def test_the_order_of_references_does_not_matter(network: Inpainter) -> None:
    inputs = sample(1, 4)
    order = [0, *(1 + np.random.default_rng(1).permutation(4))]
    with torch.no_grad():
        torch.testing.assert_close(network(*inputs), network(*(x[:, order] for x in inputs)), atol=1e-5, rtol=0)
