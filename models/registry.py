"""Finds the networks' files and checks that they are the ones the manifest names. No torch."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from models.spec import CONTRACT_VERSION, NetworkSpec

MANIFEST = Path(__file__).parent / "manifest.toml"


class WeightsError(Exception):
    """Weights are missing, damaged, or made for another contract."""


@dataclass(frozen=True)
class Weights:
    """A network's file, verified, and the version that the manifest gives it."""

    path: Path
    version: str


def find(spec: NetworkSpec, manifest: Path = MANIFEST) -> Weights:
    """The network's ONNX file beside the manifest, its sha256 checked. Raises WeightsError."""
    try:
        entry = tomllib.loads(manifest.read_text(encoding="utf-8"))[spec.name]
        file, sha256, version, contract = (entry[key] for key in ("file", "sha256", "version", "contract"))
        path = manifest.parent / file
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, KeyError, TypeError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        raise WeightsError(f"the weights of the {spec.name} are missing: {type(error).__name__}") from error
    if contract != CONTRACT_VERSION:
        raise WeightsError(f"the weights of the {spec.name} follow contract {contract}, this version needs {CONTRACT_VERSION}")
    if digest != sha256:
        raise WeightsError(f"the weights of the {spec.name} are damaged: sha256 differs from the manifest")
    return Weights(path, str(version))
