"""Networks are found, verified and loaded, or refused with one line."""

import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from models.registry import MANIFEST, MANIFEST_FILE, SHIPPED, Precision, entry
from models.spec import INPAINTER, MATTE, NETWORKS, SEGMENTER, NetworkSpec
from service.errors import ModelError, RequestError
from service.inference import fake, folder, trial
from service.inference.batcher import BATCH_SIZES, Arrays
from service.inference.device import CPU, CUDA, ChosenDevice, WantedPrecision, choose_device, choose_precision, providers
from service.inference.onnx_runtime import OnnxSession
from service.inference.session import Networks, find, warm_up
from tests.cuda.placement import picture_nodes, placed
from tests.unit.test_batcher import TINY, tiny_onnx


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration folder without a choice of weights."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy of the shipped networks that a test may damage."""
    shutil.copytree(SHIPPED / "weights", tmp_path / "weights", ignore=shutil.ignore_patterns("*.pt"))
    shutil.copy(MANIFEST, tmp_path)
    return tmp_path


def test_the_shipped_networks_load_and_report_their_versions() -> None:
    networks = Networks.load("cpu", threads=1, warm=True)
    assert set(networks.versions) == {"segmenter", "matte", "inpainter_encoder", "inpainter", "device", "onnxruntime"}
    assert networks.versions["device"] == "cpu"


def files(weights: Path) -> Iterator[Path]:
    return (weights / "weights" / f"{network.name}.onnx" for network in NETWORKS)


def test_a_damaged_file_is_refused(weights: Path) -> None:
    damaged = next(files(weights))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        Networks.load("cpu", weights=weights)


def test_a_missing_file_is_refused(weights: Path) -> None:
    list(files(weights))[-1].unlink()
    with pytest.raises(ModelError, match="missing"):
        Networks.load("cpu", weights=weights)


def test_a_file_that_is_not_a_network_is_refused(weights: Path) -> None:
    """Also if the manifest has its checksum."""
    path, manifest = weights / "weights" / "matte.onnx", weights / MANIFEST_FILE
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"no network at all")
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(ModelError, match="matte does not load"):
        Networks.load("cpu", weights=weights)


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


def test_errors_name_no_path_of_this_machine(weights: Path) -> None:
    (weights / MANIFEST_FILE).unlink()
    with pytest.raises(ModelError, match="models use --shipped") as caught:
        Networks.load("cpu", weights=weights)
    assert str(weights) not in str(caught.value)


def test_a_folder_without_a_network_uses_the_shipped_one_and_reports_it(weights: Path) -> None:
    only(MATTE, weights)
    own, shipped = Networks.load("cpu", weights=weights).versions, Networks.load("cpu").versions
    assert own["matte"] == f"{shipped['matte']}+{tomllib.loads(MANIFEST.read_text())['matte']['sha256'][:12]}"
    others = ("segmenter", "inpainter_encoder", "inpainter")
    assert {name: own[name] for name in others} == {name: shipped[name] for name in others}


def only(network: NetworkSpec, weights: Path) -> None:
    """Remove all other networks from the folder."""
    manifest = weights / MANIFEST_FILE
    table = tomllib.loads(manifest.read_text())[network.name]
    entry = {key: table[key] for key in ("file", "sha256", "version", "contract")}
    manifest.write_text(f"[{network.name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in entry.items()))


def test_a_chosen_folder_is_used_until_reset_and_the_setting_takes_precedence(weights: Path, tmp_path: Path, home: Path) -> None:
    only(MATTE, weights)
    assert folder.in_use(None) == SHIPPED
    folder.choose(weights)
    assert folder.in_use(None) == weights.resolve()
    assert folder.choice_file().is_relative_to(home)
    assert "+" in Networks.load("cpu").versions["matte"]
    assert folder.in_use(tmp_path / "other") == tmp_path / "other"
    folder.choose(None)
    folder.choose(None)
    assert folder.in_use(None) == SHIPPED


@pytest.mark.parametrize(
    ("wanted", "device", "there_are", "chosen"),
    [
        ("auto", "cuda", {"fp32", "fp16", "int8"}, "fp16"),
        ("auto", "cpu", {"fp32", "fp16", "int8"}, "int8"),
        ("auto", "cpu", {"fp32", "fp16"}, "fp32"),
        ("auto", "cuda", {"fp32"}, "fp32"),
        ("fp32", "cuda", {"fp32", "fp16"}, "fp32"),
        ("fp16", "cpu", {"fp32", "fp16"}, "fp16"),
        ("int8", "cpu", {"fp32", "fp16"}, "fp32"),
    ],
)
def test_the_precision_is_the_wanted_one_or_the_cheapest_for_the_device(
    wanted: WantedPrecision, device: ChosenDevice, there_are: set[Precision], chosen: Precision
) -> None:
    assert choose_precision(wanted, device, there_are) == chosen


def test_int8_is_not_for_cuda() -> None:
    with pytest.raises(RequestError, match="int8 is for the CPU"):
        choose_precision("int8", "cuda", {"fp32", "int8"})


def test_the_device_decides_which_shipped_file_is_found() -> None:
    on_cuda, on_cpu = (find(INPAINTER, SHIPPED, "auto", device) for device in ("cuda", "cpu"))
    assert (on_cuda.precision, on_cuda.path.name) == ("fp16", "inpainter.fp16.onnx")
    assert on_cpu.path == entry(INPAINTER).files[on_cpu.precision][0]


def test_cuda_is_preferred_and_the_cpu_takes_the_rest() -> None:
    (first, options), second = providers("cuda")
    assert (first, second) == (CUDA, CPU) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert all(isinstance(value, str) for value in options.values())
    assert providers("cpu") == [CPU]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_io_binding_gives_the_result_of_a_plain_run(network: NetworkSpec) -> None:
    session = OnnxSession(entry(network).files["fp32"][0], network, "cpu", threads=1)
    inputs = trial.inputs(network, trial.small_sizes(network))
    strided = {name: np.repeat(array, 2, -1)[..., ::2] for name, array in inputs.items()}
    plain = session.run(inputs)
    for given in (inputs, strided):
        bound = session.run_bound(given)
        assert bound.keys() == plain.keys()
        for name, value in bound.items():
            np.testing.assert_array_equal(value, plain[name])


def test_warming_up_runs_the_common_shape_in_every_batch_size() -> None:
    class Listening:
        def __init__(self) -> None:
            self.seen: list[tuple[int, ...]] = []

        def run(self, inputs: Arrays) -> Arrays:
            self.seen.append(inputs["frames"].shape)
            return {}

    session = Listening()
    warm_up(SEGMENTER, session)
    assert session.seen == [(size, 4, 3, 384, 640) for size in BATCH_SIZES]


def test_a_network_that_breaks_its_contract_is_reported() -> None:
    class Wrong:
        def __init__(self, value: float, height: int) -> None:
            self.value, self.height = value, height

        def run(self, inputs: Arrays) -> Arrays:
            batch, _, _, width = inputs["statistics"].shape
            shapes = {
                **dict.fromkeys(("opacity", "doubt", "belongs", "hides"), (batch, 1, self.height, width)),
                "colour": (batch, 3, self.height, width),
            }
            return {name: np.full(shape, self.value, np.float32) for name, shape in shapes.items()}

    trial.try_out(MATTE, Wrong(0.5, 16))
    for session, message in ((Wrong(2, 16), "range"), (Wrong(float("nan"), 16), "range"), (Wrong(0.5, 8), "shape")):
        with pytest.raises(ModelError, match=message):
            trial.try_out(MATTE, session)


def test_the_device_of_each_node_is_reported() -> None:
    """On a CPU, all nodes; the tests on a GPU rely on this report."""
    path = entry(INPAINTER).files["fp32"][0]
    pictures = picture_nodes(path)
    assert {"Conv", "GridSample", "Exp", "Resize"} <= set(pictures.values())
    assert "Shape" not in pictures.values()
    assert pictures.keys() <= placed(path, "cpu")[CPU]


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is available")
def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(RequestError, match="CUDA is not available"):
        choose_device("cuda")


def test_the_fakes_keep_the_contract() -> None:
    """Names and shapes of their outputs match the specification."""
    sizes = {"batch": 2, "time": 3, "frames": 5, "height": 32, "width": 64}
    stand_ins = fake.networks()
    for network in NETWORKS:
        rng = np.random.default_rng(1)
        shape_of = {t.name: t.sized(sizes) for t in (*network.inputs, *network.outputs)}
        inputs = {t.name: rng.uniform(t.low, t.high, shape_of[t.name]).astype(np.float32) for t in network.inputs}
        first, second = getattr(stand_ins, network.name).run(
            [{name: value[i] for name, value in inputs.items()} for i in range(sizes["batch"])]
        )
        answer = {name: np.stack([first[name], second[name]]) for name in first}
        assert answer.keys() == {t.name for t in network.outputs}
        for name, value in answer.items():
            assert value.shape == shape_of[name]
            assert value.dtype == np.float32
            assert 0 <= value.min() <= value.max() <= 1


def resident_bytes() -> int:
    """The memory that this process has now, without swapped pages."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_large_run_took_is_given_back_and_the_network_goes_on() -> None:
    session = OnnxSession(entry(MATTE).files["fp32"][0], MATTE, "cpu", threads=1)
    small = trial.inputs(MATTE, trial.small_sizes(MATTE))
    large = trial.inputs(MATTE, trial.small_sizes(MATTE) | {"height": 448, "width": 448})
    first = session.run(small)
    session.run(large)
    kept = resident_bytes()
    session.give_back()
    assert kept - resident_bytes() > 50 * 2**20  # of about 160
    for name, value in session.run(small).items():
        np.testing.assert_array_equal(value, first[name])


def test_networks_without_anything_to_give_back_are_left_alone() -> None:
    networks = fake.networks()
    networks.give_back()
    pictures = np.ones((1, 3, 32, 32), np.float32)
    (answer,) = networks.segmenter.run([{"frames": pictures}])
    assert answer["probability"][0, 0].min() == 1
    networks.close()
