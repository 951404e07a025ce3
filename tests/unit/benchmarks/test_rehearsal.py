"""A case cleaned again in memory: the same as the program does, and the same whichever steps are left out as unchanged."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks.altered import altered
from benchmarks.cases import Case, Scene
from benchmarks.constants import Binding, Code, Constant, hand_set, scaled, sources
from benchmarks.recall import FUNCTIONS, Memory, Recalled, imports_of, recalled, recalled_functions
from benchmarks.rehearsal import STEPS, Rehearsal, equal
from benchmarks.scores import found
from service.inference import fake
from service.inference.batcher import Arrays, Batcher, Session
from service.inference.session import Networks
from service.pipeline.placement import Box, Placement
from service.pipeline.request import Request
from service.pipeline.run import clean

MakeScene = Callable[[str, str], Scene]
EVERY = 25  # one in so many constants is tried: all steps have some


@pytest.fixture(scope="module")
def known() -> Code:
    return sources()


class SeesSoftLetters(fake.FakeSegmenter):
    """Knows thin letters, which are grey at their edges, and more so enlarged."""

    def run(self, inputs: Arrays) -> Arrays:
        return super().run({"frames": np.minimum(inputs["frames"] * np.float32(1.5), 1)})


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    made = fake.networks()
    made = replace(made, segmenter=Batcher(SeesSoftLetters()))
    yield made
    made.close()


def rehearsed(scene: Scene, kind: str, networks: Networks, known: Code) -> Rehearsal:
    memory = Memory()
    memory.keeping = True
    made = Rehearsal(Case("drifting.mp4", kind, scene.frames, 128), scene, recalled(networks, memory), memory, known)
    memory.keeping = False
    return made


def test_it_places_what_the_program_places(scene: MakeScene, networks: Networks, known: Code, tmp_path: Path) -> None:
    made = scene("drifting", "subtitle")
    rehearsal = rehearsed(made, "subtitle", networks, known)
    placements = clean(made.marked, tmp_path / "clean.mp4", Request(), networks).placements
    assert placements
    assert equal(list(placements), rehearsal._baseline.placements)
    assert rehearsal.outcome.found == found(placements, made).f1_share
    assert rehearsal.outcome.db is not None
    assert 5 < rehearsal.outcome.db < 40
    assert rehearsal.again(STEPS) == (True, rehearsal.outcome)


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_steps_that_cannot_change_need_not_be_run(scene: MakeScene, networks: Networks, known: Code, factor: float) -> None:
    rehearsal = rehearsed(scene("drifting", "subtitle"), "subtitle", networks, known)
    effects = []
    for constant in hand_set(known)[::EVERY]:
        value = other(constant, factor)
        quick = rehearsal.with_constant(constant, value)
        with altered(constant, value, known):
            assert rehearsal.again(STEPS) == (quick.same, quick.outcome), str(constant)
        effects.append(quick.steps)
    assert rehearsal.again(STEPS) == (True, rehearsal.outcome)
    assert () in effects
    assert len(set(effects)) > 2


def test_some_constant_changes_something(scene: MakeScene, networks: Networks, known: Code) -> None:
    rehearsal = rehearsed(scene("drifting", "subtitle"), "subtitle", networks, known)
    changes = ((constant, other(constant, factor)) for constant in hand_set(known, ["service.pipeline.measure"]) for factor in (0.25, 4))
    changed = (rehearsal.with_constant(*change) for change in changes)
    first = next(change for change in changed if change.outcome != rehearsal.outcome)
    assert not first.same
    assert first.steps


def test_a_case_without_a_mark_counts_what_is_touched(scene: MakeScene, networks: Networks, known: Code) -> None:
    outcome = rehearsed(scene("smooth", "clean"), "clean", networks, known).outcome
    assert (outcome.db, outcome.found, outcome.touched) == (None, None, 0)


def other(constant: Constant, factor: float) -> object:
    module = import_module(constant.home.module)
    return scaled(constant, getattr(module, constant.home.name), factor, vars(module))[0]


def placement(last: int = 5, value: float = 1.0) -> Placement:
    mask = np.full((2, 3), value, np.float32)
    return Placement(0, last, Box(0, 0, 3, 2), mask, mask, np.ones((3, 2, 3), np.float32), 0.9)


def test_results_are_the_same_only_bit_for_bit() -> None:
    assert equal([placement(), (1, "a")], [placement(), (1, "a")])
    assert equal(np.array([np.nan]), np.array([np.nan]))
    for changed in (placement(last=6), placement(value=np.nextafter(np.float32(1), np.float32(0)).item())):
        assert not equal([placement()], [changed])
    assert not equal([placement()], [])
    assert not equal(np.zeros(2, np.float32), np.zeros(2))
    assert not equal(np.zeros(1), 0.0)


class Counted(Session):
    """Answers with the sum of a window, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def run(self, inputs: Arrays) -> Arrays:
        self.calls += 1
        return {"sum": inputs["values"].sum(1)}


def test_a_network_is_asked_once_for_the_same() -> None:
    session, memory = Counted(), Memory(recent_bytes=8)
    network = Batcher(Recalled("network", Batcher(session), memory))
    memory.keeping = True
    windows = [{"values": np.array([value, 1], np.float32)} for value in range(5)]
    assert network.run(windows[:2])[1]["sum"] == 2
    memory.keeping = False
    assert [float(answer["sum"]) for answer in network.run([*windows, windows[4], windows[0]])] == [1, 2, 3, 4, 5, 5, 1]
    assert session.calls == 5
    network.run(windows[2:3])  # of what was not to be kept only the latest two are there
    assert session.calls == 6
    network.run([{"values": np.array([0, 1, 0], np.float32)}])
    assert session.calls == 7


def test_functions_answer_from_memory_but_where_they_may_read_the_constant(known: Code) -> None:
    (home,), memory = FUNCTIONS, Memory()
    module, name = import_module(home.module), home.name
    function = getattr(module, name)
    outside, inside = (hand_set(known, [package])[0] for package in ("service.pipeline.measure", "models.blend"))
    assert inside.home.module in imports_of(home.module, known)
    marked, probability = np.random.default_rng(1).random((3, 3, 16, 16), np.float32), np.zeros((16, 16), np.float32)
    probability[4:8, 4:8] = 1
    with recalled_functions(memory, known, outside):
        assert getattr(module, name) is not function
        answers = [getattr(module, name)(marked, probability, marked[:0]) for _ in range(2)]
        assert answers[0] is answers[1]
        assert np.array_equal(answers[0], function(marked, probability, marked[:0]))
    with recalled_functions(memory, known, inside):
        assert getattr(module, name) is function
    assert getattr(module, name) is function
    assert Binding("service.pipeline.measure.opacity", name) in known.importers[home]
