"""The speed of the networks: what is measured, and the metrics of the rounds."""

from pathlib import Path

import pytest

from benchmarks import networks, results
from benchmarks.int8 import SAMPLES, add_int8, sample_inputs
from benchmarks.networks import measure, pace, windows_of_a_round
from models.registry import SHIPPED
from models.spec import INPAINTER, MATTE, NETWORKS, SEGMENTER, NetworkSpec
from service.inference.batcher import BATCH_SIZES
from tests.material import small_source


def test_the_pace_is_that_of_all_rounds_but_the_first() -> None:
    metrics = pace(INPAINTER, 2, [9.0, *([0.1] * 19), 0.5])
    assert (metrics.rounds, metrics.first_seconds) == (20, 9.0)
    assert metrics.median_seconds == pytest.approx(0.1)
    assert 0.1 <= metrics.p95_seconds <= 0.5
    assert metrics.windows_per_second == metrics.frames_per_second == pytest.approx(20)


def test_a_window_of_the_segmenter_covers_twenty_frames_and_a_matte_is_not_tied_to_frames() -> None:
    assert pace(SEGMENTER, 1, [1.0, 1.0]).frames_per_second == 20
    assert pace(MATTE, 1, [1.0, 1.0]).frames_per_second is None


def test_a_round_fills_the_device() -> None:
    assert [windows_of_a_round(network, "cuda") for network in NETWORKS] == [max(BATCH_SIZES)] * len(NETWORKS)
    assert windows_of_a_round(SEGMENTER, "cpu") == 1
    assert windows_of_a_round(INPAINTER, "cpu") >= 1


def test_every_precision_is_measured_in_the_same_run() -> None:
    metrics = measure(MATTE, "cpu", ("fp32", "fp16"), rounds=2)
    assert [(precision, one.rounds) for precision, one in metrics.items()] == [("fp32", 2), ("fp16", 2)]
    assert all(0 < one.median_seconds <= one.p95_seconds for one in metrics.values())


def test_a_line_is_appended_for_each_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "networks.jsonl"
    networks.main(networks="matte", device="cpu", rounds=2, path=path)
    (record,) = results.read(path)
    assert record["case"] == {"network": "matte", "device": "cpu", "precision": "fp32", "windows": 1, "height": 96, "width": 192}
    assert record["stamp"]["cores"] >= 1
    assert "matte" in capsys.readouterr().out


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_calibration_samples_keep_the_contract(network: NetworkSpec) -> None:
    (inputs,) = sample_inputs(network, small_source(), 1)
    assert SAMPLES.keys() == {network.name for network in NETWORKS}
    assert list(inputs) == [tensor.name for tensor in network.inputs]
    for tensor in network.inputs:
        fixed = {place: size for place, size in enumerate(tensor.shape) if isinstance(size, int)}
        assert all(inputs[tensor.name].shape[place] == size for place, size in fixed.items())


def test_a_rejected_eight_bit_variant_leaves_the_folder_unchanged() -> None:
    before = sorted(path.name for path in (SHIPPED / "weights").iterdir())
    assert add_int8(MATTE, sample_inputs(MATTE, small_source(), 4)).startswith("not kept: int8 of matte.onnx")
    assert sorted(path.name for path in (SHIPPED / "weights").iterdir()) == before
