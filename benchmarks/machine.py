"""Where and with what a figure was measured: commit, machine, versions, date; stamped on every result line."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
SPLITS = ("eval", "test")  # folders of it that training never sees: thresholds are tuned on the first, the second is only scored
DATA = SHARED / "eval"
CACHE = ROOT / "build" / "benchmarks"
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("numpy", "av", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "pillow", "rapidocr")

# What decides a figure. Two commits with equal bytes here measure the same thing.
MEASURED = ("service/**/*.py", "models/**/*.py", "models/manifest.toml", "models/weights/*", "training/metrics.py", "training/glyphs.py",
            "training/vocabulary.py", "training/watermarks.py", "training/benchmark_marks.py", "training/patches.py",
            "benchmarks/*.py")  # fmt: skip


@dataclass(frozen=True)
class Stamp:
    """`code`: digest of the files that decide a figure. `load`: running processes over the last minute, at the start."""

    commit: str
    dirty: bool
    code: str
    cpu: str
    cores: int
    gpu: str | None
    load: float
    system: str
    python: str
    packages: dict[str, str]
    date: str


def stamp(root: Path = ROOT) -> Stamp:
    """The stamp of this machine and working tree, now."""
    return Stamp(
        commit=_git(root, "rev-parse", "HEAD") or "unknown",
        dirty=bool(_git(root, "status", "--porcelain")),
        code=digest(path for pattern in MEASURED for path in root.glob(pattern)),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        gpu=gpu_name(),
        load=round(os.getloadavg()[0], 2),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        packages=_versions(PACKAGES),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def digest(paths: Iterable[Path]) -> str:
    """Twelve hex digits that change with any byte or name of the files."""
    total = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]


def gpu_name() -> str | None:
    """Name and driver of the first NVIDIA GPU, or None."""
    return _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").partition("\n")[0] or None


def _git(root: Path, *arguments: str) -> str:
    return _output("git", "-C", str(root), *arguments)


def _output(*command: str) -> str:
    """What a command prints; empty when it is not installed or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
