"""A running job is stopped when cancelled, out of time or handed back; and its progress is saved."""

import threading

import pytest

from service.errors import JobCancelled, JobTimeout
from service.jobs import store
from service.jobs.database import now_ms
from service.jobs.job import Job, State
from service.jobs.progress import Pace
from service.pipeline.run import Progress
from service.watch import HandedBack, RunningJobs, Watch
from tests.jobs.bench import Bench


@pytest.fixture
def job(lite: Bench) -> Job:
    return lite.run(lite.order(lite.customer(paid=3)), State.FETCHING, State.CLEANING)


def watch(bench: Bench, job: Job, seconds: float = 60, stopping: threading.Event | None = None) -> Watch:
    """The watch of an execution that has just taken the job."""
    return Watch(bench.take(job), job, seconds, stopping or threading.Event(), Pace())


def percent(bench: Bench, job: Job) -> int:
    return bench.job_service.find(job.account_id, job.id).progress_percent


def test_progress_and_step_follow_the_frames_of_all_steps(lite: Bench, job: Job) -> None:
    percents = []
    for step, done in (("locate", 50), ("locate", 100), ("measure", 50), ("bound", 100), ("remove", 50), ("remove", 100)):
        watch(lite, job).on_cleaned(Progress(step, done, 100, 640 * 360))
        seen = lite.job_service.find(job.account_id, job.id)
        assert seen.step == step
        percents.append(seen.progress_percent)
    assert percents == sorted(set(percents))
    assert percents[-1] < 100


def test_progress_never_goes_back(lite: Bench, job: Job) -> None:
    watch(lite, job).on_cleaned(Progress("remove", 10, 20))
    before = percent(lite, job)
    assert before > 0
    again = lite.job_service.find(job.account_id, job.id)  # as another worker would load it
    watch(lite, again).on_cleaned(Progress("locate", 1, 20))
    assert percent(lite, job) == before


def test_a_cancelled_job_ends(lite: Bench, job: Job) -> None:
    lite.job_service.cancel(job.account_id, job.id)
    with pytest.raises(JobCancelled):
        watch(lite, job).begin()
    with pytest.raises(JobCancelled):
        watch(lite, job).on_fetched(1)


def test_a_job_that_was_ended_elsewhere_stops(lite: Bench, job: Job) -> None:
    lite.fail(job)
    with pytest.raises(JobCancelled):
        watch(lite, job).begin()


def test_time_counts_from_the_first_start(lite: Bench, job: Job) -> None:
    watch(lite, job, seconds=60).begin()
    with lite.database.write() as connection:
        store.update(connection, job.id, started_ms=now_ms() - 61_000)
    with pytest.raises(JobTimeout, match="exceeded its time limit"):
        watch(lite, lite.job_service.find(job.account_id, job.id), seconds=60).begin()


def test_a_stopping_worker_hands_back_and_no_error_handler_interferes(lite: Bench, job: Job) -> None:
    stopping = threading.Event()
    monitored = watch(lite, job, stopping=stopping).begin()
    stopping.set()
    with pytest.raises(HandedBack):
        monitored.on_fetched(1)
    assert not issubclass(HandedBack, Exception)


def test_a_stopping_worker_waits_until_jobs_have_removed_their_files() -> None:
    running, done = RunningJobs(), threading.Event()
    assert running.wait_until_none(0)

    def work() -> None:
        with running.job():
            done.wait(20)

    thread = threading.Thread(target=work)
    with running.job():
        thread.start()
        assert not running.wait_until_none(0.01)
    done.set()
    assert running.wait_until_none(20)
    thread.join()
