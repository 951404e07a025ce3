"""On a machine with a GPU: CUDA computes what the CPU computes, all of it, in each precision."""

import numpy as np
import onnxruntime as ort
import pytest

from models.registry import entry
from models.spec import NETWORKS, NetworkSpec
from service.inference import trial
from service.inference.batcher import BATCH_SIZES
from service.inference.device import CPU, WantedPrecision
from service.inference.onnx_runtime import OnnxSession
from service.inference.session import Networks, warm_up
from tests.cuda.placement import picture_nodes, placed

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="no CUDA device"),
]

TOLERANCE = {"fp32": 5e-3, "fp16": 2e-2}  # TF32 products; halves, whose emulation on a CPU differs from float32 by 0.006 at most
EACH = pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
PRECISION = pytest.mark.parametrize("precision", ["fp32", "fp16"])


@pytest.fixture(scope="module")
def on_the_cpu() -> Networks:
    return Networks.load("cpu", precision="fp32")


@EACH
@PRECISION
def test_cuda_equals_cpu(spec: NetworkSpec, precision: WantedPrecision, on_the_cpu: Networks) -> None:
    window = {name: array[0] for name, array in trial.inputs(spec, trial.small_sizes(spec)).items()}
    (alone,) = getattr(on_the_cpu, spec.name).run([window])
    for answer in getattr(Networks.load("cuda", precision=precision), spec.name).run([window] * 3):
        for name in alone:
            np.testing.assert_allclose(alone[name], answer[name], atol=TOLERANCE[precision])


@EACH
@PRECISION
def test_no_picture_is_computed_on_the_cpu(spec: NetworkSpec, precision: WantedPrecision) -> None:
    path, _ = entry(spec).files[precision]
    on_the_cpu = placed(path, "cuda")[CPU]
    assert {name: kind for name, kind in picture_nodes(path).items() if name in on_the_cpu} == {}


@EACH
def test_a_batch_by_io_binding_is_its_windows_alone(spec: NetworkSpec) -> None:
    session = OnnxSession(entry(spec).files["fp32"][0], spec, "cuda")
    batch = trial.inputs(spec, trial.common_sizes(spec, 4))
    together = session.run_bound(batch)
    for place in range(4):
        alone = session.run_bound({name: array[place : place + 1] for name, array in batch.items()})
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][place], value[0], atol=TOLERANCE["fp32"])


@EACH
def test_warming_up_takes_every_batch_size(spec: NetworkSpec) -> None:
    warm_up(spec, OnnxSession(entry(spec).files["fp16"][0], spec, "cuda"), BATCH_SIZES)
