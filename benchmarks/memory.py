"""Measures the CPU time and the peak memory of a command and all its descendants; memory by sampling while it runs."""

import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL_SECONDS = 0.05
_KIB = 1024


@dataclass(frozen=True)
class Usage:
    """A finished command: its output, duration, and the peak memory and CPU time of its process tree.

    Memory shared between its processes is counted once (proportional set size). CPU time: user and system time of all that were waited for.
    """

    output: str
    seconds: float
    peak_bytes: int
    samples: int
    cpu_seconds: float = 0.0


def run(command: Sequence[str], cwd: Path | None = None) -> Usage:
    """Run a command and sample its process tree; its stderr is passed through. One at a time. Raises CalledProcessError if it fails."""
    began, cpu_before, peak, samples = time.perf_counter(), _children_cpu_seconds(), 0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
        while True:
            peak, samples = max(peak, tree_bytes(process.pid)), samples + 1
            try:
                output, _ = process.communicate(timeout=INTERVAL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Usage(output, time.perf_counter() - began, peak, samples, _children_cpu_seconds() - cpu_before)


def _children_cpu_seconds() -> float:
    """CPU time of all ended descendants of this process."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tree_bytes(pid: int) -> int:
    """The current memory of a process and its descendants; 0 if it is gone."""
    return sum(process_bytes(member) for member in tree(pid))


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for member in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        children.setdefault(_parent(member), []).append(member)
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _parent(pid: int) -> int:
    """The parent's id, or -1 if the process is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    return int(status.rpartition(")")[2].split()[1])  # the name in brackets may itself contain spaces and brackets


def process_bytes(pid: int) -> int:
    """The current memory of one process; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("Pss:"))
