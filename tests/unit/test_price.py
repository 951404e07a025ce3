"""Prices by length and size: exact, never less for more, and the same in estimate and charge."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.job import JobSpec
from service.jobs.job_service import Rules
from service.jobs.price import Metering

rates = st.decimals(0, 100, places=4)
VIDEO = JobSpec("video", "http://example.com/a.mp4")


@given(rates, rates, st.integers(0, 10_000_000), st.integers(0, 10**8))
def test_the_price_is_the_exact_one_rounded_up(second: Decimal, megapixel_second: Decimal, milliseconds: int, pixels: int) -> None:
    exact = Fraction(milliseconds, 1000) * (Fraction(second) + Fraction(pixels, 10**6) * Fraction(megapixel_second))
    assert Metering(second, megapixel_second).credits(milliseconds / 1000, pixels) == math.ceil(exact)


def test_the_documents_example() -> None:
    assert Metering(Decimal("0.1"), Decimal("0.05")).credits(10, 1920 * 1080) == 3
    assert Metering(Decimal("0.1")).credits(10) == 1, "not two, as binary fractions would have it"


@pytest.mark.parametrize(
    ("spec", "seconds", "expected"),
    [
        (VIDEO, None, 2),
        (VIDEO, 10.0, 12),
        (VIDEO, 10.001, 13),
        (JobSpec("image", "http://example.com/a.png"), 10.0, 1),
        (JobSpec("video", "http://example.com/a.mp4", kind="detect"), 10.0, 0),
        (JobSpec("video", "http://example.com/a.mp4", preview_seconds=3), 100.0, 4),
        (JobSpec("video", "http://example.com/a.mp4", preview_seconds=50), 4.0, 6),
    ],
)
def test_each_kind_of_job_has_its_price(spec: JobSpec, seconds: float | None, expected: int) -> None:
    rules = Rules(price_credits={"video": 2, "image": 1}, metering=Metering(Decimal(1)))
    assert rules.price_of(spec, seconds) == expected
