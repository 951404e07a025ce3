"""Where ONNX Runtime puts the nodes of a network."""

from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import TensorProto, shape_inference

from service.inference.device import ChosenDevice, providers
from service.inference.onnx_runtime import session_options

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def placed(path: Path, device: ChosenDevice) -> dict[str, set[str]]:
    """Names of the nodes by provider, of the graph as it is in the file."""
    options = session_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # fused nodes have other names
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(path, options, providers=providers(device))
    parts = session.get_provider_graph_assignment_info()
    return {name: {node.name for part in parts if part.ep_name == name for node in part.get_nodes()} for name in session.get_providers()}


def picture_nodes(path: Path) -> dict[str, str]:
    """Name and operator of the nodes that make a float tensor of more than one dimension; the others count pixels, and do so on a CPU."""
    graph = shape_inference.infer_shapes(onnx.load(path)).graph
    tensors = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.output)}
    makes = {
        name
        for name, tensor in tensors.items()
        if tensor.elem_type in FLOATS and not (tensor.HasField("shape") and len(tensor.shape.dim) < 2)
    }
    return {node.name: node.op_type for node in graph.node if makes & set(node.output)}
