"""The manifest names the networks' files, and only files with its checksums are accepted."""

import hashlib
from pathlib import Path

import pytest

from models.registry import MANIFEST, VARIANTS, Weights, WeightsError, entry, find, has
from models.spec import CONTRACT_VERSION, INPAINTER, MATTE, NETWORKS, NetworkSpec

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALVES = b"halves"
ENTRY = f'[matte]\nfile = "weights/matte.onnx"\nsha256 = "{SHA256}"\nversion = "7-abc"\ncontract = {CONTRACT_VERSION}\n'
HALF = f'[matte.fp16]\nfile = "weights/matte.fp16.onnx"\nsha256 = "{hashlib.sha256(HALVES).hexdigest()}"\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "matte.onnx").write_bytes(CONTENT)
    (tmp_path / "weights" / "matte.fp16.onnx").write_bytes(HALVES)
    (tmp_path / "manifest.toml").write_text(ENTRY)
    return tmp_path / "manifest.toml"


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_network_matches_its_sha256_in_the_manifest(spec: NetworkSpec) -> None:
    for precision in entry(spec).files:
        weights = find(spec, precision=precision)
        assert weights.path.parent == MANIFEST.parent / "weights"
        assert weights.precision == precision
        assert weights.version


def test_the_file_and_its_version_are_found(manifest: Path) -> None:
    weights = find(MATTE, manifest)
    assert (weights.path.read_bytes(), weights.version) == (CONTENT, "7-abc")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY.replace(SHA256, "0" * 64), "damaged"),
        (ENTRY.replace(f"contract = {CONTRACT_VERSION}", "contract = 99"), "contract 99"),
        (ENTRY.replace("[matte]", "[other]"), "missing"),
        (ENTRY.replace("weights/matte.onnx", "weights/none.onnx"), "missing"),
        (ENTRY.replace(f'sha256 = "{SHA256}"\n', ""), "missing"),
        (ENTRY.replace(f"contract = {CONTRACT_VERSION}\n", ""), "missing"),
        (ENTRY.replace('"weights/matte.onnx"', "7"), "missing"),
        ("matte = 7", "missing"),
        ("not TOML", "missing"),
    ],
)
def test_the_error_names_what_is_wrong(manifest: Path, entry: str, message: str) -> None:
    manifest.write_text(entry)
    with pytest.raises(WeightsError, match=message):
        find(MATTE, manifest)


def test_a_missing_or_binary_manifest_is_refused(manifest: Path) -> None:
    manifest.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="missing"):
        find(MATTE, manifest)
    manifest.unlink()
    with pytest.raises(WeightsError, match="missing"):
        find(MATTE, manifest)


def test_a_variant_has_its_own_file_and_the_version_of_its_network(manifest: Path) -> None:
    manifest.write_text(ENTRY + "f1 = 0.5\nsteps = 7\n" + HALF)
    weights = find(MATTE, manifest, "fp16")
    assert (weights.path.read_bytes(), weights.version, weights.precision) == (HALVES, "7-abc", "fp16")
    assert set(entry(MATTE, manifest).files) == {"fp32", "fp16"}
    assert entry(MATTE, manifest).metrics == {"f1": 0.5}


@pytest.mark.parametrize("precision", VARIANTS)
def test_a_variant_without_an_entry_is_missing(manifest: Path, precision: str) -> None:
    with pytest.raises(WeightsError, match=f"none in {precision}"):
        find(MATTE, manifest, precision)


def test_a_damaged_variant_is_refused(manifest: Path) -> None:
    manifest.write_text(ENTRY + HALF)
    (manifest.parent / "weights" / "matte.fp16.onnx").write_bytes(CONTENT)
    find(MATTE, manifest)
    with pytest.raises(WeightsError, match="damaged"):
        find(MATTE, manifest, "fp16")


def test_has_reports_the_networks_with_an_entry(manifest: Path) -> None:
    assert has(MATTE, manifest)
    assert not has(INPAINTER, manifest)
    manifest.unlink()
    with pytest.raises(WeightsError, match="manifest"):
        has(MATTE, manifest)


def test_a_label_shows_the_precision_and_weights_that_are_not_shipped() -> None:
    shipped, own = MANIFEST.parent / "weights" / "matte.onnx", Path("/elsewhere/weights/matte.onnx")
    assert Weights(shipped, "7-abc", SHA256).label == "7-abc"
    assert Weights(shipped, "7-abc", SHA256, "fp16").label == "7-abc+fp16"
    assert Weights(own, "7-abc", SHA256).label == f"7-abc+{SHA256[:12]}"
