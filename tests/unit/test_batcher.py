"""Windows run in batches: all of them, in order, each as if alone; windows of several threads share batches and take turns."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.spec import NetworkSpec, TensorSpec
from service.inference.batcher import BATCH_SIZES, Arrays, Batcher, BatchMetrics
from service.inference.fake import FakeInpainter
from service.inference.onnx_runtime import OnnxSession

DEADLINE_SECONDS = 20

TINY = NetworkSpec(
    "tiny",
    (TensorSpec("x", ("batch", 3, "height", "width")),),
    (TensorSpec("y", ("batch", 2, "height", "width")), TensorSpec("mean", ("batch", 2, 1, 1))),
    1,
)


def tiny_onnx(path: Path) -> Path:
    """A network of one convolution with random weights; it returns the result and its mean."""
    weights = numpy_helper.from_array(np.random.default_rng(1).normal(size=(2, 3, 3, 3)).astype(np.float32), "w")
    shapes = {t.name: list(t.shape) for t in (*TINY.inputs, *TINY.outputs)}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]), helper.make_node("GlobalAveragePool", ["y"], ["mean"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shapes["x"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in ("y", "mean")],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OnnxSession:
    return OnnxSession(tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny.onnx"), TINY, "cpu", threads=1)


@dataclass
class Doubling:
    """Doubles its input and records the callers of each batch by their values. Waits for `open`, and refuses negative values."""

    open: Event = field(default_factory=Event)
    seen: list[list[int]] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        x = inputs["x"]
        self.seen.append([int(window.flat[0]) for window in x])
        assert self.open.wait(DEADLINE_SECONDS)
        if (x < 0).any():
            raise ValueError("negative")
        return {"y": 2 * x}


def windows_of(caller: int, count: int, side: int = 2) -> list[Arrays]:
    return [{"x": np.full((side, side), caller, np.float32)} for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@dataclass
class Crowd:
    """Callers that queue one after another while the device is busy with a first one's window."""

    session: Doubling
    batcher: Batcher
    threads: ThreadPoolExecutor

    def call(self, windows: Sequence[Arrays]) -> Callable[[], list[Arrays]]:
        """Queue the windows; returns a function that waits for their results."""
        before = self.batcher.metrics().waiting
        answers = self.threads.submit(self.batcher.run, windows)
        until(lambda: self.batcher.metrics().waiting == before + len(windows))
        return lambda: answers.result(DEADLINE_SECONDS)

    @property
    def batches(self) -> list[list[int]]:
        """The batches after the first."""
        return self.session.seen[1:]


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    session = Doubling()
    with ThreadPoolExecutor() as threads:
        crowd = Crowd(session, Batcher(session, BATCH_SIZES), threads)
        first = threads.submit(crowd.batcher.run, windows_of(0, 1))
        until(lambda: session.seen == [[0]])
        yield crowd
        session.open.set()
        first.result(DEADLINE_SECONDS)
        crowd.batcher.close()


def batch_sizes_for(count: int, sizes: Sequence[int]) -> list[int]:
    session = Doubling()
    session.open.set()
    answers = Batcher(session, sizes).run([{"x": np.full((1, 1), i, np.float32)} for i in range(count)])
    assert [answer["y"].item() for answer in answers] == [2 * i for i in range(count)]
    return [len(batch) for batch in session.seen]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), st.sets(st.integers(2, 32)))
def test_batches_sum_to_the_count_and_have_allowed_sizes(count: int, sizes: set[int]) -> None:
    cut = batch_sizes_for(count, [*sizes, 1])
    assert sum(cut) == count
    assert set(cut) <= {*sizes, 1}
    assert cut == sorted(cut, reverse=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200))
def test_there_are_few_batches(count: int) -> None:
    assert len(batch_sizes_for(count, BATCH_SIZES)) <= count // max(BATCH_SIZES) + len(BATCH_SIZES) - 1


def test_windows_are_cut_into_the_largest_batches_first() -> None:
    assert batch_sizes_for(23, BATCH_SIZES) == [8, 8, 4, 2, 1]
    assert batch_sizes_for(3, (1,)) == [1, 1, 1]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([(4, 4), (4, 6), (8, 8)]), max_size=25), st.integers(0, 2**32 - 1))
def test_batched_equals_alone(tiny: OnnxSession, sizes: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = [{"x": rng.random((3, *size)).astype(np.float32)} for size in sizes]
    answers = Batcher(tiny, BATCH_SIZES).run(windows)
    assert len(answers) == len(windows)
    for window, answer in zip(windows, answers, strict=True):
        alone = tiny.run({"x": window["x"][None]})
        assert answer.keys() == alone.keys()
        for name, value in answer.items():
            np.testing.assert_allclose(value, alone[name][0], atol=1e-6)


def test_batched_equals_alone_for_the_fake() -> None:
    rng = np.random.default_rng(2)
    windows = [{"frame": rng.random((3, 16, 16)), "mask": np.round(rng.random((1, 16, 16)))} for _ in range(11)]
    windows = [{name: value.astype(np.float32) for name, value in window.items()} for window in windows]
    for window, answer in zip(windows, Batcher(FakeInpainter(), BATCH_SIZES).run(windows), strict=True):
        alone = FakeInpainter().run({name: value[None] for name, value in window.items()})
        np.testing.assert_array_equal(answer["clean"], alone["clean"][0])


def test_many_callers_get_their_own_results_bit_equal_to_alone_on_a_cpu(tiny: OnnxSession) -> None:
    batcher = Batcher(tiny, (1,), workers=2)

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(10):
            windows = [{"x": rng.random((3, *rng.integers(4, 6, 2))).astype(np.float32)} for _ in range(rng.integers(0, 9))]
            for window, answer in zip(windows, batcher.run(windows), strict=True):
                np.testing.assert_array_equal(answer["y"], tiny.run({"x": window["x"][None]})["y"][0])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(8)))
    assert batcher.metrics().waiting == 0


def test_windows_of_several_callers_share_a_batch(crowd: Crowd) -> None:
    five, two, one = crowd.call(windows_of(1, 5)), crowd.call(windows_of(2, 2)), crowd.call(windows_of(3, 1))
    crowd.session.open.set()
    for caller, answers, count in ((1, five(), 5), (2, two(), 2), (3, one(), 1)):
        assert [answer["y"].tolist() for answer in answers] == [[[2.0 * caller] * 2] * 2] * count
    (batch,) = crowd.batches
    assert sorted(batch) == [1, 1, 1, 1, 1, 2, 2, 3]
    assert crowd.batcher.metrics() == BatchMetrics(batches=2, windows=9, capacity=16, waiting=0)


@pytest.mark.parametrize("side", [2, 3])
def test_a_short_call_is_not_held_up_by_a_long_one(crowd: Crowd, side: int) -> None:
    """Whether its windows can share batches with the long one's, or are of another shape."""
    long, short = crowd.call(windows_of(1, 500)), crowd.call(windows_of(2, 2, side))
    crowd.session.open.set()
    assert len(short()) == 2
    assert len(long()) == 500
    assert max(number for number, batch in enumerate(crowd.batches) if 2 in batch) <= 2


def test_callers_take_turns_in_batches_of_one() -> None:
    """As on a CPU; two callers arrive while the first one's windows are running."""
    session = Doubling()
    with ThreadPoolExecutor() as threads:
        crowd = Crowd(session, Batcher(session), threads)
        first = threads.submit(crowd.batcher.run, windows_of(0, 5))
        until(lambda: session.seen == [[0]])
        second, third = crowd.call(windows_of(1, 5)), crowd.call(windows_of(2, 3))
        session.open.set()
        assert [len(first.result(DEADLINE_SECONDS)), len(second()), len(third())] == [5, 5, 3]
    assert [caller for (caller,) in session.seen] == [0, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 1]


def test_a_stream_of_short_calls_does_not_hold_up_a_long_one() -> None:
    """Between two of its windows, each other caller gets at most one turn."""
    session, done = Doubling(), Event()
    session.open.set()
    batcher = Batcher(session)

    def short_calls() -> None:
        while not done.is_set():
            batcher.run(windows_of(1, 1))

    with ThreadPoolExecutor() as threads:
        streams = [threads.submit(short_calls) for _ in range(4)]
        until(lambda: len(session.seen) > 8)
        batcher.run(windows_of(2, 20))
        done.set()
        assert not any(stream.exception(DEADLINE_SECONDS) for stream in streams)
    own = [number for number, batch in enumerate(session.seen) if batch == [2]]
    assert max(later - earlier for earlier, later in pairwise(own)) <= 1 + len(streams)


def test_a_failure_reaches_only_the_callers_in_its_batch(crowd: Crowd) -> None:
    bad, company, other = crowd.call(windows_of(-1, 20)), crowd.call(windows_of(2, 1)), crowd.call(windows_of(3, 2, side=3))
    crowd.session.open.set()
    for failed in (bad, company):
        with pytest.raises(ValueError, match="negative"):
            failed()
    assert len(other()) == 2
    assert [answer["y"][0, 0] for answer in crowd.batcher.run(windows_of(4, 3))] == [8, 8, 8]
    assert crowd.batcher.metrics().waiting == 0


def test_a_result_of_the_wrong_length_is_a_failure() -> None:
    class Short:
        def run(self, inputs: Arrays) -> Arrays:
            return {"y": inputs["x"][:-1]}

    with pytest.raises(IndexError):
        Batcher(Short(), BATCH_SIZES).run(windows_of(1, 4))


@pytest.mark.parametrize("workers", [1, 3])
def test_calls_run_concurrently_on_all_workers(workers: int) -> None:
    together = Barrier(workers, timeout=DEADLINE_SECONDS)

    class Meeting:
        def run(self, inputs: Arrays) -> Arrays:
            together.wait()
            return inputs

    assert len(Batcher(Meeting(), workers=workers).run(windows_of(1, 2 * workers))) == 2 * workers


def test_closing_finishes_queued_windows_and_refuses_later_ones(crowd: Crowd) -> None:
    waiting = crowd.call(windows_of(1, 3))
    closing = crowd.threads.submit(crowd.batcher.close)
    crowd.session.open.set()
    assert len(waiting()) == 3
    closing.result(DEADLINE_SECONDS)
    with pytest.raises(RuntimeError, match="shutdown"):
        crowd.batcher.run(windows_of(1, 1))


def test_begin_does_not_wait_for_the_device(crowd: Crowd) -> None:
    """The device is busy all the time; the results are collected later, in another order."""
    one, other = (crowd.batcher.begin(windows_of(caller, 2)) for caller in (1, 2))
    assert crowd.batcher.metrics().waiting == 4
    crowd.session.open.set()
    assert [answer["y"].flat[0] for answer in other()] == [4, 4]
    assert [answer["y"].flat[0] for answer in one()] == [2, 2]
