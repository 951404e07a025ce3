"""Cheaper variants of a small network: which nodes become half, what accuracy is lost, and that unhelpful variants are rejected."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models import half, operators, variants
from models.spec import OPSET

SHAPE = [1, 4, 16, 16]


def network(nodes: list[NodeProto], weight: float = 0.2, opset: int = OPSET, rank: int = 4, channels: int = 4) -> ModelProto:
    """A graph from x to y; `w` holds the weights of a convolution."""
    values = np.random.default_rng(1).normal(0, weight, (channels, channels, 3, 3)).astype(np.float32)
    weights = [numpy_helper.from_array(values, "w"), numpy_helper.from_array(np.float32([1.0]), "one")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE[:1] + [None] * (rank - 1)) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def conv(source: str, target: str) -> NodeProto:
    return helper.make_node("Conv", [source, "w"], [target], name=f"conv_{target}", pads=[1, 1, 1, 1])


def gated(source: str, target: str) -> list[NodeProto]:
    """A convolution and its SiLU."""
    gate = helper.make_node("Sigmoid", [f"{target}_c"], [f"{target}_g"], name=f"gate_{target}")
    return [conv(source, f"{target}_c"), gate, helper.make_node("Mul", [f"{target}_c", f"{target}_g"], [target], name=f"silu_{target}")]


MIXED = [
    *gated("x", "a"),
    helper.make_node("Add", ["a", "x"], ["skip"], name="skip"),  # half and float32 make float32
    *gated("skip", "b"),
    helper.make_node("Softmax", ["b"], ["s"], name="softmax", axis=1),
    helper.make_node("Add", ["s", "one"], ["y"], name="last"),
]


def types(model: ModelProto) -> dict[str, int]:
    """Element type of each node's output."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    return {node.name: known[node.output[0]] for node in model.graph.node}


def run(model: ModelProto, x: np.ndarray) -> np.ndarray:
    return np.asarray(ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0])


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE).astype(np.float32)


def test_only_convolutions_and_the_operators_after_them_become_half() -> None:
    made = types(half.to_half(network(MIXED)))
    in_half = {name for name, kind in made.items() if kind == TensorProto.FLOAT16 and not name.startswith("cast")}
    assert in_half == {f"{what}_{block}" for what in ("gate", "silu") for block in "ab"} | {"conv_a_c", "conv_b_c"}
    assert made["last"] == TensorProto.FLOAT


def test_the_emulation_rounds_where_the_half_graph_does() -> None:
    """It equals the same computation by hand, bit for bit."""
    model, x = network([conv("x", "c"), helper.make_node("Sub", ["c", "one"], ["y"], name="sub")]), picture()
    weights = numpy_helper.to_array(model.graph.initializer[0])
    halved = network([conv("x", "y")])
    halved.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights.astype(np.float16).astype(np.float32), "w"))
    by_hand = run(halved, x.astype(np.float16).astype(np.float32)).astype(np.float16) - np.float16(1)
    np.testing.assert_array_equal(run(half.rounded(model), x), by_hand.astype(np.float32))


def test_weights_beyond_half_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        half.to_half(network(MIXED, weight=1e4))


def test_cost_is_that_of_the_worst_sample() -> None:
    model, shifted = network([conv("x", "y")]), network([conv("x", "c"), helper.make_node("Mul", ["c", "two"], ["y"])])
    shifted.graph.initializer.append(numpy_helper.from_array(np.float32([1.1]), "two"))
    sessions = [ort.InferenceSession(form.SerializeToString(), providers=["CPUExecutionProvider"]) for form in (model, shifted)]
    samples = [{"x": picture() * scale} for scale in (np.float32(0.1), np.float32(1))]
    errors = [0.1 * run(model, sample["x"]) for sample in samples]
    found = variants.cost(*sessions, samples)
    assert found.largest_difference == pytest.approx(np.abs(errors[1]).max(), rel=1e-4)
    assert found.psnr_db == pytest.approx(-10 * np.log10(np.square(errors[1]).mean()), abs=1e-3)
    assert variants.cost(sessions[0], sessions[0], samples).psnr_db == pytest.approx(150)


def test_a_half_variant_that_loses_too_much_accuracy_is_not_written(tmp_path: Path) -> None:
    loud = [conv("x", "c"), helper.make_node("Exp", ["c"], ["e"]), helper.make_node("Exp", ["e"], ["y"])]
    path = tmp_path / "small.onnx"
    onnx.save(network(loud, weight=0.4), path)
    with pytest.raises(variants.VariantRejected, match=r"half precision of small\.onnx"):
        variants.make_half(path, [{"x": picture()}])
    assert list(tmp_path.iterdir()) == [path]


def test_an_eight_bit_variant_that_is_too_coarse_is_not_kept(tmp_path: Path) -> None:
    """Values span tens, so a step of 1/256 of that is visible."""
    channels = variants.HEAD_CHANNELS * 2
    path = tmp_path / "small.onnx"
    model = network([*gated("x", "a"), *gated("a", "b"), conv("b", "y")], weight=1.0, channels=channels)
    onnx.save(model, path)
    samples = [{"x": np.random.default_rng(seed).random((1, channels, 16, 16)).astype(np.float32)} for seed in range(4)]
    with pytest.raises(variants.VariantRejected, match=r"is -?[1-5]?\d\.\d dB from float32"):
        variants.make_int8(path, samples, samples[0])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (network([helper.make_node("Det", ["x"], ["y"], name="det")]), "Det (det): is not on the list"),
        (network([helper.make_node("Gelu", ["x"], ["y"], name="gelu", domain="com.microsoft")]), "in the domain com.microsoft"),
        (network([conv("x", "y")], opset=19), "opset 19"),
        (network([helper.make_node("Pad", ["x", "one"], ["y"], name="pad", mode="wrap")]), "for this mode"),
        (network([helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE), helper.make_node("Exp", ["d"], ["y"])]), "DOUBLE"),
        (network([helper.make_node("GridSample", ["x", "x"], ["y"], name="warp")], rank=5), "three spatial dimensions"),
    ],
)
def test_operators_that_would_not_run_on_a_gpu_are_reported(model: ModelProto, reason: str) -> None:
    assert any(reason in problem for problem in operators.problems(model))


def test_a_network_for_a_gpu_has_no_problems() -> None:
    assert operators.problems(network(MIXED)) == operators.problems(half.to_half(network(MIXED))) == []
    operators.refuse_problems(network(MIXED))


def test_a_warp_in_half_precision_is_reported() -> None:
    warp = network([helper.make_node("GridSample", ["x", "x"], ["y"], name="warp")])
    warp.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert any("FLOAT16" in problem for problem in operators.problems(warp))
