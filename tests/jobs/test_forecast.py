"""How long jobs will take, by the last ones and by those ahead of them."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.jobs import forecast
from service.jobs.database import NOW_MS
from service.jobs.forecast import Begun, Forecast, Pace, Sort
from service.jobs.job import Job, JobSpec, State
from service.jobs.tables import JOBS, WORKERS
from tests.jobs.bench import Bench

VIDEO: Sort = ("clean", "video")
IMAGE: Sort = ("clean", "image")
LOOK: Sort = ("detect", "video")
LAST = [(VIDEO, 10.0, 100), (VIDEO, 30.0, 100), (VIDEO, 20.0, 400), (IMAGE, 2.0, 1)]


def job_at(state: State, created_ms: int, started_ms: int | None = None) -> Job:
    spec = JobSpec("video", "http://example.com/video.mp4")
    return Job("job_1", 1, "native", state, spec, {}, None, 1, 0, 0, created_ms, created_ms, started_ms, None, None, None, None)


def test_a_job_takes_what_the_last_ones_of_its_sort_took() -> None:
    found = Forecast.of(LAST, [], 2)
    assert found.paces[VIDEO] == Pace(20.0, 0.1, 3)
    assert (found.seconds(VIDEO), found.seconds(VIDEO, 1000), found.seconds(IMAGE), found.seconds(LOOK)) == (20.0, 100.0, 2.0, None)


def test_a_job_waits_for_those_ahead_of_it() -> None:
    found = Forecast.of(LAST, [(100, VIDEO), (200, IMAGE), (300, LOOK), (400, VIDEO)], 2)
    assert [found.wait_seconds(at_ms) for at_ms in (100, 200, 300, 400, None)] == [0.0, 10.0, 11.0, 11.0, 21.0]
    assert Forecast.of(LAST, [], 0).wait_seconds() is None, "without a worker nobody knows"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([VIDEO, IMAGE, LOOK])), max_size=30), st.integers(1, 8))
def test_whoever_came_later_waits_no_less(unfinished: list[tuple[int, Sort]], jobs_at_once: int) -> None:
    found = Forecast.of(LAST, sorted(unfinished), jobs_at_once)
    waits = [found.wait_seconds(at_ms) or 0.0 for at_ms in (*sorted(at_ms for at_ms, _ in unfinished), None)]
    assert waits == sorted(waits)


def test_a_running_job_has_the_rest_left_and_an_ended_one_nothing() -> None:
    found = Forecast.of(LAST, [(0, VIDEO), (1000, VIDEO)], 1)
    assert found.remaining_seconds(job_at(State.QUEUED, 1000), 5000) == 40.0
    assert found.remaining_seconds(job_at(State.FETCHING, 0, 0), 5000) == 20.0, "its time starts again when it is cleaned"
    assert found.remaining_seconds(job_at(State.CLEANING, 0, 1000), 6000) == 15.0
    assert found.remaining_seconds(job_at(State.CLEANING, 0, 1000), 90_000) == 1.0
    running = replace(job_at(State.CLEANING, 0, 1000), progress_percent=25)
    assert found.remaining_seconds(running, 6000) == 15.0, "by its own pace: a quarter took 5 s"
    assert found.remaining_seconds(replace(running, progress_percent=50), 61_000) == 60.0, "however long the last ones took"
    assert found.remaining_seconds(job_at(State.SUCCEEDED, 0, 1000), 6000) is None
    assert Forecast.of([], [], 1).remaining_seconds(job_at(State.QUEUED, 0), 0) is None
    assert Forecast.of([], [], 1).remaining_seconds(running, 6000) == 15.0, "though no job like it was seen"


def test_the_last_step_goes_on_at_its_own_pace() -> None:
    """Here it takes ten times as long as what came before it: what is left is known once a part of it is done."""
    found = Forecast.of([], [], 1)
    job = replace(job_at(State.CLEANING, 0, 0), step="remove", progress_percent=40)
    begun = Begun.of(job, 40_000, None)
    assert Begun.of(replace(job, progress_percent=41), 41_000, begun) == begun
    assert Begun.of(replace(job, step="measure"), 41_000, begun).at_ms == 41_000
    assert found.remaining_seconds(job, 40_000, begun) == 60.0, "by what it took so far"
    later = replace(job, progress_percent=52)
    assert found.remaining_seconds(later, 160_000, begun) == 480.0
    assert found.remaining_seconds(later, 160_000) == pytest.approx(147.7, abs=0.1)
    assert found.remaining_seconds(replace(later, step="measure"), 160_000, begun) == pytest.approx(147.7, abs=0.1), "others follow it"


def test_the_first_cleaning_is_known_from_a_detection() -> None:
    found = Forecast.of([(LOOK, 10.0, 300)], [], 1)
    seconds = found.seconds(VIDEO, 300, 1280 * 720)
    assert seconds is not None
    assert 15 < seconds < 40
    assert found.seconds(VIDEO, 600, 1280 * 720) == pytest.approx(2 * seconds, rel=0.1)
    assert found.seconds(VIDEO) == pytest.approx(seconds)
    assert found.seconds(IMAGE) is None
    assert Forecast.of([(LOOK, 10.0, 300), (VIDEO, 99.0, 300)], [], 1).seconds(VIDEO, 300, 1280 * 720) == 99.0


def test_it_is_read_from_the_jobs_and_workers(fresh: Bench) -> None:
    account = fresh.customer(paid=30)
    ended, waiting = fresh.order(account), fresh.order(account)
    fresh.find_nothing(ended, mark_found=True)
    fresh.succeed(ended)
    with fresh.database.write() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == ended.id).values(started_ms=1000, finished_ms=5000))
        connection.execute(sa.insert(WORKERS).values(id="a", host="h", process_id=1, process_started=1, beat_ms=NOW_MS))
    with fresh.database.read() as connection:
        found = forecast.read(connection, 2)
    assert found.paces == {VIDEO: Pace(4.0, 4.0, 1)}
    assert found.jobs_at_once == 2
    assert found.created_ms == [waiting.created_ms]
    assert found.remaining_seconds(waiting, waiting.created_ms) == 4.0
