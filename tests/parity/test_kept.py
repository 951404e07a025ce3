"""How much of an un-blended picture, or of a fill, the inpainter keeps as it is: more, the surer it is beside what the network makes."""

import torch
from torch import Tensor

from models.inpainter import Inpainter
from tests.footage import texture

HEIGHT, WIDTH = 96, 128
COLOUR = torch.ones(1, 3, HEIGHT, WIDTH)
MASK = torch.zeros(1, 1, HEIGHT, WIDTH)
MASK[..., 32:64, 40:88] = 1


def scene(strength: float = 1.0) -> Tensor:
    """(1, 3, H, W): rough; of less strength, nearly even."""
    rough = torch.from_numpy(texture(1, WIDTH, HEIGHT, 1)).permute(2, 0, 1)[None]
    return 0.35 + strength * (rough - 0.35)


def kept(opacity: float = 0.35, doubt: float = 0.01, strength: float = 1.0) -> Tensor:
    """(1, 1, H, W), under a mark of which all is known but for the doubt."""
    clean, a = scene(strength), opacity * MASK
    return Inpainter.kept(MASK, a, COLOUR, doubt * MASK, clean, Inpainter.detail((1 - a) * clean + a * COLOUR, MASK))


def under(values: Tensor) -> float:
    return float(values[MASK > 0].mean())


def test_a_faint_mark_that_is_known_well_is_unblended() -> None:
    assert under(kept()) > 0.85
    assert 0 <= float(kept().min()) <= float(kept().max()) <= 1


def test_less_is_kept_the_more_is_doubted_and_the_smoother_the_scene_is() -> None:
    for values in ([under(kept(opacity_sigma=d)) for d in (0.0, 0.03, 0.1, 0.3)], [under(kept(strength=s)) for s in (1.0, 0.3, 0.1, 0.02)]):
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.2 < 0.8 < values[0]


def test_nothing_is_kept_near_a_dense_mark() -> None:
    assert under(kept(opacity=0.7)) == 0
    a = torch.where(torch.arange(WIDTH) < 64, 0.35, 0.8) * MASK
    both = Inpainter.kept(MASK, a, COLOUR, 0.01 * MASK, scene(), Inpainter.detail((1 - a) * scene() + a * COLOUR, MASK))
    assert float(both[..., 32:64, 56:88].max()) == 0  # its edges too


def test_the_marks_own_pixels_tell_nothing_of_the_scene() -> None:
    """A mark may be rough where the scene is smooth."""
    a = 0.35 * MASK
    frame = (1 - a) * scene(0.02) + a * COLOUR
    rough = frame + MASK * (scene() - 0.35)
    assert torch.equal(*(Inpainter.detail(x, MASK) for x in (frame, rough)))


def test_a_fill_is_kept_where_the_scene_is_smooth() -> None:
    shares = [under(Inpainter.plain(Inpainter.detail(scene(strength), MASK)) * MASK) for strength in (0.0, 0.02, 0.1, 1.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.99
    assert shares[-1] < 0.1
