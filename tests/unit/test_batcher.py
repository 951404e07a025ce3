"""Windows run in batches: all of them, in order, and each as if it were alone."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.spec import NetworkSpec, TensorSpec
from service.inference.batcher import BATCH_SIZES, batches, run_batched
from service.inference.fake import FakeInpainter
from service.inference.session import Arrays, OnnxSession

TINY = NetworkSpec(
    "tiny",
    (TensorSpec("x", ("batch", 3, "height", "width")),),
    (TensorSpec("y", ("batch", 2, "height", "width")), TensorSpec("mean", ("batch", 2, 1, 1))),
    1,
)


def tiny_onnx(path: Path) -> Path:
    """A network of one convolution with random weights, its answer and its mean."""
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


@given(st.integers(0, 500), st.sets(st.integers(2, 32)))
def test_batches_sum_to_the_count_and_have_allowed_sizes(count: int, sizes: set[int]) -> None:
    cut = batches(count, [*sizes, 1])
    assert sum(cut) == count
    assert set(cut) <= {*sizes, 1}
    assert cut == sorted(cut, reverse=True)


@given(st.integers(0, 500))
def test_there_are_few_batches(count: int) -> None:
    assert len(batches(count)) <= count // max(BATCH_SIZES) + len(BATCH_SIZES) - 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([(4, 4), (4, 6), (8, 8)]), max_size=25), st.integers(0, 2**32 - 1))
def test_batched_equals_alone(tiny: OnnxSession, sizes: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = [{"x": rng.random((3, *size)).astype(np.float32)} for size in sizes]
    answers = run_batched(tiny, windows)
    assert len(answers) == len(windows)
    for window, answer in zip(windows, answers, strict=True):
        alone = tiny.run({"x": window["x"][None]})
        assert answer.keys() == alone.keys()
        for name, value in answer.items():
            np.testing.assert_allclose(value, alone[name][0], atol=1e-6)


def test_batched_equals_alone_for_the_fake() -> None:
    rng = np.random.default_rng(2)
    windows = [{"frames": rng.random((5, 3, 16, 16)), "mask": np.round(rng.random((5, 1, 16, 16)))} for _ in range(11)]
    windows = [{name: value.astype(np.float32) for name, value in window.items()} for window in windows]
    for window, answer in zip(windows, run_batched(FakeInpainter(), windows), strict=True):
        alone = FakeInpainter().run({name: value[None] for name, value in window.items()})
        np.testing.assert_array_equal(answer["clean"], alone["clean"][0])


@dataclass
class Remembering:
    """Twice the input; remembers the batch sizes."""

    sizes: list[int] = field(default_factory=list)

    def run(self, inputs: Arrays) -> Arrays:
        self.sizes.append(len(inputs["x"]))
        return {"y": 2 * inputs["x"]}


def test_only_allowed_batch_sizes_reach_the_network() -> None:
    session = Remembering()
    windows = [{"x": np.full((2, 2), i, np.float32)} for i in range(23)]
    answers = run_batched(session, windows)
    assert session.sizes == [8, 8, 4, 2, 1]
    assert [float(answer["y"][0, 0]) for answer in answers] == [2.0 * i for i in range(23)]
