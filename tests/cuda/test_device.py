"""On a machine with a GPU: CUDA computes what the CPU computes."""

import numpy as np
import onnxruntime as ort
import pytest

from models.spec import NETWORKS, NetworkSpec
from service.inference.session import Networks

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="no CUDA device"),
]

TOLERANCE = 5e-3  # TF32 convolutions


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_cuda_equals_cpu(spec: NetworkSpec) -> None:
    sizes = {"time": 4, "frames": 5, "height": 2 * spec.multiple, "width": 3 * spec.multiple}
    rng = np.random.default_rng(1)
    inputs = {
        t.name: rng.uniform(t.low, t.high, [sizes[d] if isinstance(d, str) else d for d in t.shape[1:]]).astype(np.float32)
        for t in spec.inputs
    }
    ((alone,), together) = (getattr(Networks.load(device), spec.name).run([inputs] * count) for device, count in (("cpu", 1), ("cuda", 3)))
    for answer in together:
        for name in alone:
            np.testing.assert_allclose(alone[name], answer[name], atol=TOLERANCE)
