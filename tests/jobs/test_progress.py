"""How far a job is: by what its steps take on this machine, which is learned from the last jobs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.jobs.job import JobSpec, Kind
from service.jobs.progress import COSTS, Course, Pace, steps_of

FRAMES, PIXELS = 300, 1280 * 720
SPEC = JobSpec("video", source_key="a")
SPECS = [SPEC, JobSpec("video", source_key="a", kind="detect"), JobSpec("video", source_key="a", detection_key="b")]
OF_PIPELINE = ("locate", "measure", "bound", "remove")


@dataclass
class Machine:
    """A machine on which each step takes so many times longer than on the one that was measured."""

    slower: dict[str, float]
    pace: Pace = field(default_factory=Pace)
    now: float = 0.0

    def run(self, spec: JobSpec, frames: int = FRAMES, pixels: int = PIXELS) -> Iterator[tuple[float, int]]:
        """Run a job; yield the time since its start and its progress, at each frame."""
        begun, course = self.now, Course(spec, self.pace, lambda: self.now)
        for step in steps_of(spec):
            seconds = COSTS[step].seconds(frames, pixels) * self.slower.get(step, 1.0)
            for frame in range(frames):
                self.now += seconds / frames
                if step in OF_PIPELINE:
                    yield self.now - begun, course.percent(step, frame + 1, frames, pixels)
        course.end()

    def errors(self, spec: JobSpec = SPEC, frames: int = FRAMES, pixels: int = PIXELS) -> list[float]:
        """Run a job; how wrong the time left by its own pace is, relative to what was left, from a tenth of the job on."""
        begun = self.now
        seen = list(self.run(spec, frames, pixels))
        total = self.now - begun
        return [abs(at * (100 - percent) / percent / (total - at) - 1) for at, percent in seen if total / 10 < at < total * 0.95]


@pytest.mark.parametrize("kind", ["clean", "detect"])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, FRAMES)), min_size=1), st.integers(1, 4_000_000))
def test_progress_never_goes_back_and_stays_below_the_end(kind: Kind, places: list[tuple[int, int]], pixels: int) -> None:
    course = Course(JobSpec("video", source_key="a", kind=kind), Pace())
    percents = [course.percent(OF_PIPELINE[step], done, FRAMES, pixels) for step, done in sorted(places)]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 99 for percent in percents)


@pytest.mark.parametrize("spec", SPECS, ids=["clean", "detect", "of a detection"])
@settings(max_examples=15)
@given(st.floats(0.2, 20), st.integers(75, 400), st.sampled_from([640 * 360, 1280 * 720, 1920 * 1080]))
def test_the_time_left_is_right_on_a_machine_of_any_speed(spec: JobSpec, slower: float, frames: int, pixels: int) -> None:
    assert median(Machine(dict.fromkeys(COSTS, slower)).errors(spec, frames, pixels)) < 0.1


def test_a_machine_with_other_ratios_is_learned() -> None:
    machine = Machine({"locate": 0.2, "measure": 3.0, "bound": 1.0, "remove": 4.0})
    unknown = median(machine.errors())
    assert unknown > 0.3, "a first job here is measured with another machine's rule"
    assert median(machine.errors()) < 0.1
    assert median(machine.errors(frames=90, pixels=640 * 360)) < 0.25, "though of another size"


def test_nothing_is_learned_of_jobs_without_a_mark_and_of_images() -> None:
    machine = Machine({})
    course = Course(SPEC, machine.pace, lambda: machine.now)
    course.percent("locate", 1, FRAMES, PIXELS)
    machine.now += 500
    course.percent("locate", FRAMES, FRAMES, PIXELS)
    course.end()
    image = Course(SPEC, machine.pace, lambda: machine.now)
    for step in OF_PIPELINE:
        machine.now += 100
        image.percent(step, 1, 1, PIXELS)
    image.end()
    fresh = Pace()
    assert [machine.pace.seconds(step, FRAMES, PIXELS) for step in COSTS] == [fresh.seconds(step, FRAMES, PIXELS) for step in COSTS]
