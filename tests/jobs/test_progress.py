"""How far a job is, in percent and by the step that it is at."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.jobs.job import JobSpec, Kind, State
from service.jobs.progress import SHARES, percent_at, step_of
from tests.jobs.test_forecast import job_at

STEPS = [*SHARES]
OF_KIND: dict[Kind, list[str]] = {"clean": STEPS, "detect": STEPS[:3]}


@given(st.sampled_from([*OF_KIND]), st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1))))
def test_progress_never_goes_back_and_stays_below_the_end(kind: Kind, places: list[tuple[int, float]]) -> None:
    percents = [percent_at(kind, STEPS[step], share) for step, share in sorted(places)]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 99 for percent in percents)


def test_the_step_follows_from_the_progress() -> None:
    for kind, steps in OF_KIND.items():
        for step in steps:
            job = replace(job_at(State.CLEANING, 0, 0), spec=JobSpec("video", "http://example.com/a", kind=kind))
            assert step_of(replace(job, progress_percent=percent_at(kind, step, 0.5))) == step
    assert step_of(job_at(State.QUEUED, 0)) is None
