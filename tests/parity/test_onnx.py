"""ONNX Runtime agrees with torch, and the files match the contract and the manifest."""

import hashlib
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from models import export, half, operators, variants
from models.blocks import pull_push as pull_push_torch
from models.matte import Matte, MatteConfig
from models.preprocess import pull_push
from models.registry import MANIFEST, entry, find
from models.segmenter import Segmenter, SegmenterConfig
from models.spec import INPAINTER, MATTE, NETWORKS, OPSET, SEGMENTER, NetworkSpec
from service.inference.onnx_runtime import OnnxSession
from tests.footage import scene

WEIGHTS = MANIFEST.parent / "weights"
SIZES = (
    {"batch": 1, "time": 1, "frames": 2, "height": 2, "width": 2},
    {"batch": 1, "time": 4, "frames": 5, "height": 2, "width": 5},
    {"batch": 3, "time": 2, "frames": 3, "height": 4, "width": 2},
)  # height and width are multiples of the network's `multiple`
TINY: dict[str, tuple[NetworkSpec, dict[str, Any]]] = {
    "segmenter": (SEGMENTER, {"channels": (4, 6, 6, 8, 8)}),
    "matte": (MATTE, {"channels": (4, 6, 6, 8)}),
}


def random_weights(network: nn.Module) -> dict[str, Tensor]:
    """Random weights and running statistics, so that no zero hides an error."""
    generator = torch.Generator().manual_seed(1)
    state = network.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            state[name] = noise.abs() + 0.5 if name.endswith("running_var") else noise * 0.3
    return state


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[NetworkSpec, nn.Module, Path]]:
    """Tiny networks with random weights, exported as the shipped ones are."""
    folder = tmp_path_factory.mktemp("onnx")
    made = {}
    for name, (spec, config) in TINY.items():
        bare = Segmenter(SegmenterConfig(**config)) if name == "segmenter" else Matte(MatteConfig(**config))
        network = export.build(spec, config, random_weights(bare))
        export.export(spec, network, folder / f"{name}.onnx")
        made[name] = (spec, network, folder / f"{name}.onnx")
    return made


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", TINY)
def test_torch_equals_onnx(exported: dict[str, tuple[NetworkSpec, nn.Module, Path]], name: str, sizes: dict[str, int]) -> None:
    spec, network, path = exported[name]
    assert export.largest_difference(spec, network, path, export.in_pixels(spec, sizes)) < export.TOLERANCE


@pytest.mark.parametrize("name", TINY)
def test_batched_equals_alone(exported: dict[str, tuple[NetworkSpec, nn.Module, Path]], name: str) -> None:
    spec, _, path = exported[name]
    session = OnnxSession(path, spec, "cpu", threads=1)
    inputs = {k: v.numpy() for k, v in export.random_inputs(spec, export.in_pixels(spec, SIZES[2])).items()}
    batched = session.run(inputs)
    for index in range(3):
        alone = session.run({k: v[index : index + 1] for k, v in inputs.items()})
        for output, value in alone.items():
            np.testing.assert_allclose(batched[output][index], value[0], atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_an_exported_file_keeps_the_contract(exported: dict[str, tuple[NetworkSpec, nn.Module, Path]], name: str) -> None:
    spec, _, path = exported[name]
    assert_contract(path, spec)


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_file_keeps_the_contract_and_runs_on_a_gpu(spec: NetworkSpec) -> None:
    files = {precision: path for precision, (path, _) in entry(spec).files.items() if precision != "int8"}
    assert files.keys() == {"fp32", "fp16"}
    for path in files.values():
        assert_contract(path, spec)
        assert operators.problems(onnx.load(path)) == []


def assert_contract(path: Path, spec: NetworkSpec) -> None:
    """Names, ranks, fixed dimensions, types and operator set; every named dimension is free."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for tensors, specified in ((session.get_inputs(), spec.inputs), (session.get_outputs(), spec.outputs)):
        assert [t.name for t in tensors] == [t.name for t in specified]
        for tensor, wanted in zip(tensors, specified, strict=True):
            assert tensor.type == "tensor(float)"
            assert len(tensor.shape) == len(wanted.shape)
            for size, dimension in zip(tensor.shape, wanted.shape, strict=True):
                assert isinstance(size, str) if isinstance(dimension, str) else size == dimension
    assert {entry.domain: entry.version for entry in onnx.load(path, load_external_data=False).opset_import}[""] == OPSET


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_file_agrees_with_its_checkpoint(spec: NetworkSpec) -> None:
    trained = next(name for name, parts in export.PARTS.items() if spec in parts)
    checkpoint = WEIGHTS / f"{trained}.pt"
    if not checkpoint.exists():
        pytest.skip(f"{checkpoint.name} is not here")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = export.build(spec, state["network_config"], state["average"])
    for sizes in SIZES[:2]:
        assert export.largest_difference(spec, network, WEIGHTS / f"{spec.name}.onnx", export.in_pixels(spec, sizes)) < export.TOLERANCE
    assert tomllib.loads(MANIFEST.read_text())[spec.name]["steps"] == state["step"]


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_files_outputs_are_in_range(spec: NetworkSpec) -> None:
    session = OnnxSession(WEIGHTS / f"{spec.name}.onnx", spec, "cpu", threads=1)
    answer = session.run({k: v.numpy() for k, v in export.random_inputs(spec, export.in_pixels(spec, SIZES[1])).items()})
    for output in spec.outputs:
        assert output.low <= answer[output.name].min() <= answer[output.name].max() <= output.high


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_half_variant_is_made_from_its_file_and_is_accurate(spec: NetworkSpec) -> None:
    """Computed as on a GPU, and as on a CPU."""
    (single, _), (path, _) = (entry(spec).files[precision] for precision in ("fp32", "fp16"))
    model = onnx.load(single)
    assert half.to_half(model).SerializeToString() == path.read_bytes()
    assert half.half_share(onnx.load(path)) == 1
    sessions = [
        ort.InferenceSession(form, providers=["CPUExecutionProvider"]) for form in (single, half.rounded(model).SerializeToString(), path)
    ]
    on_gpu, on_cpu = (variants.cost(sessions[0], form, export.trial_samples(spec)) for form in sessions[1:])
    assert on_gpu.psnr_db > variants.MIN_PSNR_DB
    assert on_cpu.psnr_db > on_gpu.psnr_db - 3  # a CPU rounds less often
    assert path.stat().st_size < 0.62 * single.stat().st_size


def test_coordinates_are_never_half() -> None:
    """Inputs of GridSample are computed in float32 from the flow on, and so are those of divisions, Log and Softmax."""
    model = onnx.load(entry(INPAINTER).files["fp16"][0])
    types = {value.name: value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(model).graph.value_info}
    kinds = {node.op_type for node in model.graph.node if any(types.get(name) == onnx.TensorProto.FLOAT16 for name in node.input)}
    assert "Conv" in kinds
    assert kinds.isdisjoint({"GridSample", "Div", "Log", "Softmax", "Exp", "ReduceSum", "ReduceMean", "ReduceL2", "Pow", "Sqrt", "Range"})


def test_entering_a_network_keeps_the_others(tmp_path: Path) -> None:
    manifest, content = tmp_path / "manifest.toml", b"weights"
    (tmp_path / "matte.onnx").write_bytes(content)
    for spec, steps in ((SEGMENTER, 1), (MATTE, 2), (MATTE, 3)):
        export.enter(spec, tmp_path / "matte.onnx", steps, "abc", manifest)
    entries = tomllib.loads(manifest.read_text())
    assert entries.keys() == {"matte", "segmenter"}
    assert entries["matte"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (entries["matte"]["version"], entries["segmenter"]["version"]) == ("3-abc", "1-abc")


def test_a_variant_is_entered_with_its_network_and_dropped_with_it(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.toml"
    (tmp_path / "matte.onnx").write_bytes(b"weights")
    (tmp_path / "matte.fp16.onnx").write_bytes(b"half")
    export.enter(MATTE, tmp_path / "matte.onnx", 1, "abc", manifest)
    export.enter_variant(MATTE, tmp_path / "matte.fp16.onnx", {"psnr_db": 70.5}, manifest)
    export.enter(SEGMENTER, tmp_path / "matte.onnx", 2, "abc", manifest)
    table = tomllib.loads(manifest.read_text())["matte"]
    assert table["version"] == "1-abc"
    assert table["fp16"] == {"file": "weights/matte.fp16.onnx", "sha256": hashlib.sha256(b"half").hexdigest(), "psnr_db": 70.5}
    assert set(entry(MATTE, manifest).files) == {"fp32", "fp16"}
    export.enter(MATTE, tmp_path / "matte.onnx", 3, "abc", manifest)
    assert set(entry(MATTE, manifest).files) == {"fp32"}
    with pytest.raises(ValueError, match="not named"):
        export.enter_variant(MATTE, tmp_path / "matte.onnx", {}, manifest)


@pytest.mark.parametrize("name", TINY)
def test_an_exported_file_gets_a_half_variant(exported: dict[str, tuple[NetworkSpec, nn.Module, Path]], tmp_path: Path, name: str) -> None:
    spec, _, path = exported[name]
    weights, manifest = tmp_path / "weights", tmp_path / "manifest.toml"
    weights.mkdir()
    copy = Path(shutil.copy(path, weights))
    export.enter(spec, copy, 5, "abc", manifest)
    export.add_half(spec, copy, manifest)
    assert find(spec, manifest, "fp16").path == weights / f"{name}.fp16.onnx"
    assert_contract(weights / f"{name}.fp16.onnx", spec)
    assert operators.problems(onnx.load(copy)) == []


def both_fills(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (H, W, 3), valid (H, W) -> the fills of the pipeline and of the network's graph, both (H, W, 3)."""
    tensor = pull_push_torch(torch.from_numpy(values).permute(2, 0, 1)[None], torch.from_numpy(valid)[None, None])
    return pull_push(values, valid), tensor[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("level", [0.0, 0.2, 1.0])
def test_both_fills_keep_a_flat_picture_flat(level: float) -> None:
    valid = np.ones((48, 64), np.float32)
    valid[10:30, 12:50] = 0
    values = np.where(valid[..., None] > 0, np.float32(level), np.float32(0.5)) * np.ones((1, 1, 3), np.float32)
    for filled in both_fills(values.astype(np.float32), valid):
        np.testing.assert_allclose(filled, level, atol=2e-4)  # the graph divides by weight + 1e-6


def test_the_graphs_fill_continues_a_slope() -> None:
    """A plane solves Laplace's equation; a pyramid alone leaves blocks (a mean error of 0.011)."""
    y, x = np.meshgrid(np.linspace(0, 0.5, 64), np.linspace(0, 0.5, 96), indexing="ij")
    plane = np.repeat((x + y)[..., None], 3, 2).astype(np.float32)
    valid = np.ones((64, 96), np.float32)
    valid[20:44, 30:62] = 0
    _, filled = both_fills(plane, valid)
    assert np.abs(filled - plane)[valid == 0].mean() < 0.004


@pytest.mark.parametrize("hole", [4, 8, 16])
def test_both_fills_agree_on_a_smooth_picture(hole: int) -> None:
    """The pyramids' filters differ: the fills agree within 0.06 in the hole and equal the picture outside."""
    values = scene(0, 64, 48).astype(np.float32) / 255
    valid = np.ones((48, 64), np.float32)
    valid[16 : 16 + hole, 20 : 20 + hole] = 0
    pipeline, graph = both_fills(values, valid)
    np.testing.assert_allclose(pipeline[valid > 0], graph[valid > 0], atol=1e-5)
    assert np.abs(pipeline - graph)[valid == 0].mean() < 0.06
