"""Converts convolutions of an exported graph, and operators after them, to half; coordinates, divisions and sums stay float32.

A region starts at a convolution and continues through operators that only move, join, gate or resize its results. An operator with an
input computed in float32 stays float32: flow (a coordinate) plus a convolution's small correction is added in float32, and the inputs of
GridSample, Softmax, Log and the pull-push divisions are never half. Inputs and outputs of the network stay float32.

A float32 tensor `x` has a half counterpart `x_half`. Whichever is computed, a Cast makes the other where it is needed.
"""

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

STARTS = frozenset({"Conv", "Gemm"})
FOLLOWS = frozenset(
    {"Sigmoid", "Mul", "Add", "Sub", "Concat", "Resize", "DepthToSpace", "ReduceMax", "Reshape", "Transpose", "Slice", "Squeeze",
     "Unsqueeze", "Expand"}
)  # fmt: skip
DATA_FIRST = frozenset(
    {"Resize", "ReduceMax", "Reshape", "Slice", "Squeeze", "Unsqueeze", "Expand"}
)  # their other inputs are shapes or scales
LARGEST_WEIGHT = 1000.0  # half's maximum is 65504; products are summed in float32
HALF = "_half"


def to_half(model: ModelProto) -> ModelProto:
    """The graph with half-precision regions; about half the size. Raises ValueError if a weight is too large for half."""
    return _rewritten(model, _half_nodes(model.graph), emulated=False)


def rounded(model: ModelProto) -> ModelProto:
    """The float32 graph, with weights and results of the half-precision regions rounded to half.

    This emulates a GPU, which multiplies halves and sums in float32. ONNX Runtime's CPU provider computes the whole of `to_half` in float32
    and rounds only at the borders of the regions, so running that file on a CPU does not show the error on a GPU.
    """
    return _rewritten(model, _half_nodes(model.graph), emulated=True)


def half_share(model: ModelProto) -> float:
    """Share of the convolutions computed in half precision, in [0, 1]."""
    halves = {value.name for value in model.graph.initializer if value.data_type == TensorProto.FLOAT16}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(node.input[1] in halves for node in convolutions) / max(1, len(convolutions))


def _half_nodes(graph: GraphProto) -> list[bool]:
    """For each node in order, whether it is computed in half precision."""
    constants = {value.name for value in graph.initializer}
    halves: set[str] = set()
    chosen = []
    for node in graph.node:
        computed = [name for name in _data(node) if name not in constants]
        half = node.op_type in STARTS or (node.op_type in FOLLOWS and bool(computed) and all(name in halves for name in computed))
        halves.update(node.output if half else ())
        chosen.append(half)
    return chosen


def _data(node: NodeProto) -> list[str]:
    """The inputs whose type depends on the precision."""
    return [name for name in (node.input[:1] if node.op_type in DATA_FIRST else node.input) if name]


class _Tensors:
    """The tensors made so far, in which precision, and the nodes that make them."""

    def __init__(self, graph: GraphProto, emulated: bool) -> None:
        self.nodes: list[NodeProto] = []
        self.weights = {value.name: value for value in graph.initializer}
        self._made = {value.name for value in graph.input} | set(self.weights)
        self._emulated = emulated

    def add(self, node: NodeProto) -> None:
        self.nodes.append(node)
        self._made.update(node.output)

    def half(self, name: str) -> str:
        """The name of the half counterpart; a Cast is added if it does not exist yet."""
        twin = name + HALF
        if twin not in self._made:
            self._add_weights(name, twin) if name in self.weights else self.cast(name, twin, TensorProto.FLOAT16)
        return twin

    def single(self, name: str) -> str:
        """The name of the float32 tensor; a Cast is added if only its half counterpart was computed."""
        if name not in self._made and name + HALF in self._made:
            self.cast(name + HALF, name, TensorProto.FLOAT)
        return name

    def either(self, name: str) -> str:
        """The name of whichever of the two was computed, float32 first: their shapes are the same."""
        return name if name in self._made or name + HALF not in self._made else name + HALF

    def cast(self, name: str, target: str, precision: int) -> None:
        """Add a Cast from `name` to `target`; when emulating, `target` is float32, rounded to half."""
        steps = [(name, target, precision)]
        if self._emulated:
            steps = [(name, f"{target}_bits", TensorProto.FLOAT16), (f"{target}_bits", target, TensorProto.FLOAT)]
        for before, after, kind in steps:
            self.add(helper.make_node("Cast", [before], [after], name=f"cast_{after}", to=kind))

    def _add_weights(self, name: str, twin: str) -> None:
        values = numpy_helper.to_array(self.weights[name])
        if np.abs(values).max(initial=0.0) > LARGEST_WEIGHT:
            raise ValueError(f"the weights {name} are too large for half precision")
        halves = values.astype(np.float16)
        self.weights[twin] = numpy_helper.from_array(halves.astype(np.float32) if self._emulated else halves, twin)
        self._made.add(twin)


def _rewritten(model: ModelProto, chosen: list[bool], emulated: bool) -> ModelProto:
    """The same graph, its chosen nodes reading and writing half tensors; weights that are no longer read are dropped."""
    graph = model.graph
    tensors = _Tensors(graph, emulated)
    for node, half in zip(graph.node, chosen, strict=True):
        moved = NodeProto()
        moved.CopyFrom(node)
        data = set(_data(node)) if half else set()
        del moved.input[:]
        other = tensors.either if node.op_type == "Shape" else tensors.single
        moved.input.extend(tensors.half(name) if name in data else other(name) for name in node.input)
        if half:
            _name_outputs(moved, tensors, emulated)
        else:
            tensors.add(moved)
    for value in graph.output:
        tensors.single(value.name)
    read = {name for node in tensors.nodes for name in node.input}
    weights = [value for name, value in tensors.weights.items() if name in read]
    made = helper.make_graph(tensors.nodes, graph.name, graph.input, graph.output, weights)
    return _checked(helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version))


def _name_outputs(node: NodeProto, tensors: _Tensors, emulated: bool) -> None:
    """Name the node's results as half tensors; when emulating, rounded to half by a Cast."""
    names = list(node.output)
    del node.output[:]
    node.output.extend(f"{name}_exact" if emulated else name + HALF for name in names)
    tensors.add(node)
    for name in names if emulated else ():
        tensors.cast(f"{name}_exact", name + HALF, TensorProto.FLOAT16)


def _checked(model: ModelProto) -> ModelProto:
    """Return the model. Raises onnx's error if an operator has inputs of two precisions."""
    onnx.checker.check_model(model)
    shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    return model
