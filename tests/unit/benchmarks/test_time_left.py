"""What is made of the estimates of a job: their errors, how far they climbed, and how long "a few seconds" were."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.time_left import truth


def told(begin: float, end: float) -> list[tuple[float, float | None]]:
    """The truth, twice a second."""
    return [(tick / 2, end - tick / 2) for tick in range(int(2 * begin), int(2 * end))]


def test_a_true_estimate_has_no_error() -> None:
    found = truth(told(0.0, 20.0), 20.0)
    assert (found.median_error, found.worst_error, found.climb) == (0, 0, 0)
    assert found.soon_seconds == pytest.approx(2.5)


def test_errors_count_from_a_tenth_of_the_job_on_and_relative_to_what_is_left() -> None:
    assert truth([(0.0, 100.0), *told(2.0, 20.0)], 20.0).worst_error == 0, "what was said before does not count"
    assert truth([(0.0, 10.0)], 20.0).median_error > 0.5, "it counts down while more of the job is left"
    assert truth([(0.0, None), (10.0, 20.0)], 20.0).median_error > 1, "and nothing said is no estimate"


def test_what_was_silent_for_long_recovers() -> None:
    """Nothing was heard for a minute after "10 s left"; then the truth, which is beyond what may be said at once."""
    assert truth([(0.0, 10.0), *told(60.0, 200.0)], 200.0).median_error < 0.1


@given(st.lists(st.tuples(st.floats(0.5, 9), st.none() | st.floats(0, 1000)), max_size=20))
def test_what_is_said_never_climbs_by_more_than_a_tenth(gaps: list[tuple[float, float | None]]) -> None:
    moments = itertools.accumulate((gap for gap, _ in gaps), initial=0.0)
    estimates = list(zip(moments, [30.0, *(seconds for _, seconds in gaps)], strict=True))
    assert truth(estimates, 60.0).climb <= 0.1
