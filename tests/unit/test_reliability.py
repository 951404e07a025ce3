"""The reliability table finds out whether a sigma is calibrated."""

import torch
from torch import Tensor, nn

from models.matte import Prediction
from training import reliability

SIZE = 64


class Claims(nn.Module):
    """Predicts the truth plus normal noise of a known sigma, and claims that sigma times a factor."""

    def __init__(self, sigma: Tensor, factor: float) -> None:
        super().__init__()
        self.sigma, self.factor = sigma, factor

    def forward(self, statistics: Tensor) -> Prediction:
        truth = statistics[:, :1]
        noisy = truth + self.sigma * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
        return Prediction(noisy, torch.ones(1, 3, SIZE, SIZE), self.factor * self.sigma, truth, truth)


def bins_of(factor: float) -> list[reliability.Bin]:
    """Left half of the mark: sigma 0.012; right half: 0.03."""
    opacity = torch.full((1, 1, SIZE, SIZE), 0.5)
    sigma = torch.full_like(opacity, 0.012)
    sigma[..., SIZE // 2 :] = 0.03
    batch = {"statistics": opacity, "opacity": opacity, "colour": torch.ones(1, 3, SIZE, SIZE)}
    return reliability.reliability(Claims(sigma, factor), [batch])


def test_a_calibrated_sigma_equals_the_error_in_each_bin() -> None:
    bins = bins_of(1.0)
    assert [(b.low, b.high, b.pixels) for b in bins] == [(0.01, 0.02, SIZE**2 // 2), (0.02, 0.05, SIZE**2 // 2)]
    assert all(abs(b.actual / b.predicted - 1) < 0.1 for b in bins)


def test_an_overconfident_sigma_is_smaller_than_the_error() -> None:
    assert all(b.actual > 1.7 * b.predicted for b in bins_of(0.5))


def test_the_table_has_a_row_for_each_bin() -> None:
    lines = reliability.table(bins_of(1.0)).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith(f"| 0.01 to 0.02 | {SIZE**2 // 2} | 0.0120 |")
