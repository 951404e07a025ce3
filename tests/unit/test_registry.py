"""The manifest names the networks' files, and they are the ones that it names."""

import hashlib
from pathlib import Path

import pytest

from models.registry import MANIFEST, WeightsError, find
from models.spec import CONTRACT_VERSION, MATTE, NETWORKS, NetworkSpec

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENTRY = f'[matte]\nfile = "weights/matte.onnx"\nsha256 = "{SHA256}"\nversion = "7-abc"\ncontract = {CONTRACT_VERSION}\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "matte.onnx").write_bytes(CONTENT)
    (tmp_path / "manifest.toml").write_text(ENTRY)
    return tmp_path / "manifest.toml"


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_each_shipped_network_has_the_sha256_of_the_manifest(spec: NetworkSpec) -> None:
    weights = find(spec)
    assert weights.path.parent == MANIFEST.parent / "weights"
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
def test_what_is_wrong_is_said(manifest: Path, entry: str, message: str) -> None:
    manifest.write_text(entry)
    with pytest.raises(WeightsError, match=message):
        find(MATTE, manifest)


def test_a_manifest_that_is_not_text_or_not_there_is_refused(manifest: Path) -> None:
    manifest.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="missing"):
        find(MATTE, manifest)
    manifest.unlink()
    with pytest.raises(WeightsError, match="missing"):
        find(MATTE, manifest)
