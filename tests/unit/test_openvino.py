"""OpenVINO computes what ONNX Runtime computes, for any shape and for many callers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.registry import find
from models.spec import INPAINTER, MATTE, NETWORKS, SEGMENTER, NetworkSpec
from service.errors import ModelError
from service.inference import session, trial
from service.inference.batcher import Arrays
from service.inference.onnx_runtime import OnnxSession
from service.inference.session import Networks
from tests.unit.test_batcher import TINY, tiny_onnx

pytest.importorskip("openvino")
from service.inference.openvino import OpenVinoSession, arithmetic

ROOT = Path(__file__).parents[2]
SIZES = ((64, 96), (96, 64), (64, 96))
EQUAL = 2e-4  # two runtimes add in another order


def inputs(network: NetworkSpec, height: int, width: int, seed: int = 0) -> Arrays:
    return trial.inputs(network, {**trial.small_sizes(network), "height": height, "width": width}, seed)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_it_computes_what_onnx_runtime_computes(network: NetworkSpec) -> None:
    path = find(network).path
    one, other = OpenVinoSession(path, network, "f32", threads=1), OnnxSession(path, network, "cpu", threads=1)
    for height, width in SIZES:
        given = inputs(network, height, width)
        answers, expected = one.run(given), other.run(given)
        assert answers.keys() == expected.keys()
        for name, values in answers.items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, expected[name], atol=EQUAL)


@pytest.mark.parametrize(
    ("network", "tolerance"), [(SEGMENTER, 0.01), (MATTE, 0.01), (INPAINTER, 0.02)], ids=lambda x: getattr(x, "name", "")
)
def test_the_cheaper_arithmetic_is_near(network: NetworkSpec, tolerance: float) -> None:
    """On a processor without bfloat16 both are the same."""
    given = inputs(network, 64, 96)
    exact, cheap = (OpenVinoSession(find(network).path, network, kind, threads=1).run(given) for kind in ("f32", "bf16"))
    for name, values in cheap.items():
        assert np.abs(values - exact[name]).mean() < tolerance


def test_many_callers_get_their_own_answers() -> None:
    network = OpenVinoSession(find(MATTE).path, MATTE, "f32", threads=2, at_once=2)
    cases = [inputs(MATTE, 16 + 8 * (seed % 2), 24, seed) for seed in range(24)]
    alone = OnnxSession(find(MATTE).path, MATTE, "cpu", threads=1)
    with ThreadPoolExecutor(4) as pool:
        for given, answer in zip(cases, pool.map(network.run, cases), strict=True):
            np.testing.assert_allclose(answer["opacity"], alone.run(given)["opacity"], atol=EQUAL)


def test_what_is_no_network_or_has_another_contract_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network at all")
    with pytest.raises(ModelError, match="does not load"):
        OpenVinoSession(broken, TINY, "f32", threads=1)
    path = tiny_onnx(tmp_path / "tiny.onnx")
    (x,) = TINY.inputs
    others = [replace(TINY, inputs=(replace(x, **change),)) for change in ({"name": "z"}, {"shape": ("batch", 4, "height", "width")})]
    for other in (*others, replace(TINY, outputs=TINY.outputs[:1])):
        with pytest.raises(ModelError, match="contract"):
            OpenVinoSession(path, other, "f32", threads=1)


def test_who_asks_for_float32_gets_it() -> None:
    assert arithmetic("fp32") == "f32"
    assert Networks.load("cpu", threads=1, precision="fp32").versions["arithmetic"] == "f32"


def test_without_openvino_onnx_runtime_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra for CUDA is installed."""
    monkeypatch.setattr(session, "HAS_OPENVINO", False)
    networks = Networks.load("cpu", threads=1)
    assert "onnxruntime" in networks.versions
    assert "openvino" not in networks.versions
    (given,) = networks.matte.run([{name: array[0] for name, array in inputs(MATTE, 16, 24).items()}])
    assert given["opacity"].shape == (1, 16, 24)


FIRST = """
import threading
from models.registry import find
from models.spec import MATTE
from service.inference import trial
from service.inference.openvino import OpenVinoSession

network, given = OpenVinoSession(find(MATTE).path, MATTE, "f32", threads=4, at_once=4), trial.inputs(MATTE, trial.small_sizes(MATTE))
together = threading.Barrier(4)
callers = [threading.Thread(target=lambda: (together.wait(), network.run(given))) for _ in range(4)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
"""


def test_the_first_callers_of_a_process_may_come_together() -> None:
    """Without care one process in ten hung for ever."""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", FIRST], check=True, timeout=60, cwd=ROOT)


def test_importing_it_sets_nothing_up() -> None:
    code = """
import numpy, openvino

def refuse(*_):
    raise AssertionError("a tensor was made at import")

openvino.Tensor = refuse
import service.inference.openvino
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)
