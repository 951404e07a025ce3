"""The ONNX operators that a network may use: standard ONNX operators with a CUDA kernel in ONNX Runtime.

An operator without a CUDA kernel silently runs on the CPU, and its inputs and outputs are copied over the bus in each run. The lists follow
ONNX Runtime's table for the opset in `models/spec.py` (docs/OperatorKernels.md in its repository); check there before adding an operator.
"""

from typing import Final

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, shape_inference

from models.spec import OPSET

ANY_FLOAT: Final = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
FLOAT32: Final = frozenset({TensorProto.FLOAT})

IN_HALF_TOO: Final = frozenset(
    {"Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "DepthToSpace", "Div", "Equal", "Erf",
     "Exp", "Expand", "Gather", "Gemm", "GlobalAveragePool", "Greater", "Identity", "InstanceNormalization", "LeakyRelu", "Less",
     "Log", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad", "Pow", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean",
     "ReduceSum", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile",
     "Transpose", "Unsqueeze", "Where"}
)  # fmt: skip
IN_FLOAT32: Final = {
    "GridSample": "at opset 20 since ONNX Runtime's pull request 27201 of 2026; on the CPU before",
    "Range": "of float32 and integers: grid coordinates",
}
ON_THE_CPU: Final = {
    "Shape": "reads the tensor's metadata; nothing is copied",
    "Constant": "becomes an initializer when the graph is loaded",
    "ConstantOfShape": "its input is a shape, which is on the CPU anyway",
}
PLAIN: Final = ("", "ai.onnx")  # two names of the same domain
GRID_RANK: Final = 4  # (N, C, H, W)


def problems(model: ModelProto) -> list[str]:
    """The nodes that would not run on a GPU, with the reason, one line each; empty if all do."""
    foreign = [f"{node.op_type} ({node.name}): is in the domain {node.domain}" for node in model.graph.node if node.domain not in PLAIN]
    if foreign:
        return foreign  # the types of their results cannot be inferred
    version = next((entry.version for entry in model.opset_import if entry.domain in PLAIN), None)
    found = [] if version == OPSET else [f"opset {version} instead of {OPSET}"]
    types = _types(model)
    for node in model.graph.node:
        reason = _objection(node, types)
        if reason:
            found.append(f"{node.op_type} ({node.name}): {reason}")
    return found


def _objection(node: NodeProto, types: dict[str, tuple[int, int]]) -> str | None:
    if node.op_type in ON_THE_CPU:
        return None
    if node.op_type not in IN_HALF_TOO and node.op_type not in IN_FLOAT32:
        return "is not on the list of operators with a CUDA kernel"
    allowed = FLOAT32 if node.op_type in IN_FLOAT32 else ANY_FLOAT
    kinds = {types[name][0] for name in node.input if name in types} & {*ANY_FLOAT, TensorProto.DOUBLE, TensorProto.BFLOAT16}
    if kinds - allowed:
        return f"has no CUDA kernel for {', '.join(sorted(TensorProto.DataType.Name(kind) for kind in kinds - allowed))}"
    return _shape_objection(node, types)


def _shape_objection(node: NodeProto, types: dict[str, tuple[int, int]]) -> str | None:
    """Ranks and attributes of a known operator for which there is no kernel."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "GridSample" and types.get(node.input[0], (0, GRID_RANK))[1] != GRID_RANK:
        return "with three spatial dimensions is not allowed: older releases of ONNX Runtime compute it on the CPU"
    if node.op_type == "Pad" and attributes.get("mode", b"constant") not in (b"constant", b"reflect", b"edge"):
        return "has no CUDA kernel for this mode"
    return None


def _types(model: ModelProto) -> dict[str, tuple[int, int]]:
    """Element type and rank of each tensor whose shape is known."""
    graph = shape_inference.infer_shapes(model).graph
    known = {value.name: (value.data_type, len(value.dims)) for value in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            known[value.name] = (tensor.elem_type, len(tensor.shape.dim))
    return known


def refuse_problems(model: ModelProto) -> None:
    """Raise ValueError with the first problem, or onnx's error if the model is invalid."""
    onnx.checker.check_model(model)
    found = problems(model)
    if found:
        raise ValueError(f"not for a GPU: {found[0]}" + (f", and {len(found) - 1} more" if len(found) > 1 else ""))
