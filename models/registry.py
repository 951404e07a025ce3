"""Finds the networks' files and verifies them against the manifest. No torch.

A folder of weights holds `manifest.toml` and the files that it names. A network has a float32 file, and may have cheaper variants:

    [matte]
    file = "weights/matte.onnx"
    sha256 = "..."
    version = "2800-668a676"
    contract = 2

    [matte.fp16]
    file = "weights/matte.fp16.onnx"
    sha256 = "..."
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from models.spec import CONTRACT_VERSION, NetworkSpec

SHIPPED: Final = Path(__file__).parent
MANIFEST_FILE: Final = "manifest.toml"
MANIFEST: Final = SHIPPED / MANIFEST_FILE

Precision = Literal["fp32", "fp16", "int8"]
VARIANTS: Final[tuple[Precision, ...]] = ("fp16", "int8")
NOT_METRICS: Final = ("contract", "steps")


class WeightsError(Exception):
    """Weights are missing or damaged, or follow another contract."""


@dataclass(frozen=True)
class Weights:
    """A network's verified file, with its version from the manifest."""

    path: Path
    version: str
    sha256: str
    precision: Precision = "fp32"

    @property
    def label(self) -> str:
        """The weights' name in reports: version, precision unless float32, and the start of the sha256 unless shipped."""
        parts = [self.version]
        if self.precision != "fp32":
            parts.append(self.precision)
        if not self.path.is_relative_to(SHIPPED):
            parts.append(self.sha256[:12])
        return "+".join(parts)


@dataclass(frozen=True)
class Entry:
    """A network's entry in a manifest: version, contract, each precision's file and sha256, and the metrics of its training run."""

    version: str
    contract: int
    files: Mapping[Precision, tuple[Path, str]]
    metrics: Mapping[str, float]


def has(spec: NetworkSpec, manifest: Path = MANIFEST) -> bool:
    """Whether the manifest has an entry for the network. Raises WeightsError if the manifest cannot be read."""
    try:
        return spec.name in tomllib.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"the manifest of the weights is missing: {manifest.name}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise WeightsError(f"the manifest of the weights cannot be read: {manifest.name}") from error


def entry(spec: NetworkSpec, manifest: Path = MANIFEST) -> Entry:
    """The network's entry, without opening its files. Raises WeightsError if the entry is missing or malformed."""
    try:
        table = tomllib.loads(manifest.read_text(encoding="utf-8"))[spec.name]
        tables = {"fp32": table, **{precision: table[precision] for precision in VARIANTS if precision in table}}
        return Entry(
            version=str(table["version"]),
            contract=table["contract"],
            files={precision: (manifest.parent / of["file"], of["sha256"]) for precision, of in tables.items()},
            metrics={key: value for key, value in table.items() if isinstance(value, int | float) and key not in NOT_METRICS},
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"the weights of the {spec.name} are missing: {type(error).__name__}") from error


def find(spec: NetworkSpec, manifest: Path = MANIFEST, precision: Precision = "fp32") -> Weights:
    """The network's ONNX file of this precision, its sha256 verified. Raises WeightsError if missing, damaged or of another contract."""
    known = entry(spec, manifest)
    if known.contract != CONTRACT_VERSION:
        raise WeightsError(f"the weights of the {spec.name} follow contract {known.contract}, this version needs {CONTRACT_VERSION}")
    if precision not in known.files:
        raise WeightsError(f"the weights of the {spec.name} are missing: there are none in {precision}")
    path, sha256 = known.files[precision]
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"the weights of the {spec.name} are missing: {type(error).__name__}") from error
    if digest != sha256:
        raise WeightsError(f"the weights of the {spec.name} are damaged: sha256 differs from the manifest")
    return Weights(path, known.version, digest, precision)
