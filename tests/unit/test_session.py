"""Networks are found, verified and loaded, or refused in one line."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from models.registry import MANIFEST
from models.spec import NETWORKS
from service.errors import ModelError, RequestError
from service.inference import fake
from service.inference.session import Networks, OnnxSession, choose_device
from tests.unit.test_batcher import TINY, tiny_onnx


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A copy of the shipped networks that a test may damage."""
    shutil.copytree(MANIFEST.parent / "weights", tmp_path / "weights", ignore=shutil.ignore_patterns("*.pt"))
    return Path(shutil.copy(MANIFEST, tmp_path))


def test_the_shipped_networks_load_and_tell_their_versions() -> None:
    networks = Networks.load("cpu", threads=1)
    assert set(networks.versions) == {"segmenter", "matte", "inpainter", "onnxruntime", "device"}
    assert networks.versions["device"] == "cpu"


def files(manifest: Path) -> Iterator[Path]:
    return (manifest.parent / "weights").glob("*.onnx")


def test_a_damaged_file_is_refused(manifest: Path) -> None:
    weights = sorted(files(manifest))[0]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        Networks.load("cpu", manifest=manifest)


def test_a_missing_file_is_refused(manifest: Path) -> None:
    sorted(files(manifest))[-1].unlink()
    with pytest.raises(ModelError, match="missing"):
        Networks.load("cpu", manifest=manifest)


def test_a_file_that_is_no_network_is_refused(manifest: Path) -> None:
    """Also where the manifest names its checksum."""
    weights = manifest.parent / "weights" / "matte.onnx"
    before = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(b"no network at all")
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(weights.read_bytes()).hexdigest()))
    with pytest.raises(ModelError, match="matte does not load"):
        Networks.load("cpu", manifest=manifest)


def test_a_network_of_another_contract_is_refused(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "tiny.onnx")
    OnnxSession(path, TINY, "cpu", threads=1)
    (x,) = TINY.inputs
    of_other_inputs = [
        replace(TINY, inputs=(replace(x, **change),)) for change in ({"name": "z"}, {"shape": ("batch", 4, "height", "width")})
    ]
    for other in (*of_other_inputs, replace(TINY, outputs=TINY.outputs[:1])):
        with pytest.raises(ModelError, match="contract"):
            OnnxSession(path, other, "cpu", threads=1)


def test_errors_name_no_path_of_this_machine(manifest: Path) -> None:
    manifest.unlink()
    with pytest.raises(ModelError) as caught:
        Networks.load("cpu", manifest=manifest)
    assert str(manifest.parent) not in str(caught.value)


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is available")
def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(RequestError, match="CUDA is not available"):
        choose_device("cuda")


def test_the_fakes_keep_the_contract() -> None:
    """Names and shapes of what they answer are those of the specification."""
    sizes = {"batch": 2, "time": 3, "frames": 5, "height": 32, "width": 64}
    stand_ins = fake.networks()
    for network in NETWORKS:
        rng = np.random.default_rng(1)
        shape_of = {t.name: [sizes[d] if isinstance(d, str) else d for d in t.shape] for t in (*network.inputs, *network.outputs)}
        inputs = {t.name: rng.uniform(t.low, t.high, shape_of[t.name]).astype(np.float32) for t in network.inputs}
        first, second = getattr(stand_ins, network.name).run(
            [{name: value[i] for name, value in inputs.items()} for i in range(sizes["batch"])]
        )
        answer = {name: np.stack([first[name], second[name]]) for name in first}
        assert answer.keys() == {t.name for t in network.outputs}
        for name, value in answer.items():
            assert list(value.shape) == shape_of[name]
            assert value.dtype == np.float32
            assert 0 <= value.min() <= value.max() <= 1
