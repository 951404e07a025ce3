"""Measures an idle service: the time until it is ready, and its memory."""

import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.fleet import PAUSE_SECONDS, Part, free_port, within
from benchmarks.memory import tree, tree_bytes
from service.settings import PREFIX

READY_SECONDS = 60.0
REST_SECONDS = 10.0
END_SECONDS = 60.0
WORKER = "cleanplate_workers 1.0"  # in /metrics, when the worker sends heartbeats


@dataclass(frozen=True)
class Idle:
    """Seconds from the start until /readyz succeeds and until the worker is up; memory ten seconds later.

    Memory is of all processes; shared memory is counted once (proportional set size).
    """

    ready_seconds: float
    worker_seconds: float
    memory_bytes: int
    processes: int


def measure(folder: Path) -> Idle:
    """Start `cleanplate serve` with the shipped networks on a data folder, measure it, and stop it."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    folder.mkdir(parents=True, exist_ok=True)
    part, started = Part("serve", folder.with_suffix(".log")), time.monotonic()
    part.start({f"{PREFIX}DATA_DIR": str(folder), f"{PREFIX}PORT": str(port)})
    assert part.process is not None
    with httpx.Client(base_url=url, trust_env=False) as client:
        try:
            ready = _seconds_until(client, "/readyz", "", started)
            worker = _seconds_until(client, "/metrics", WORKER, started)
            time.sleep(REST_SECONDS)
            return Idle(ready, worker, tree_bytes(part.process.pid), len(tree(part.process.pid)))
        finally:
            part.process.terminate()
            part.process.wait(END_SECONDS)


def _seconds_until(client: httpx.Client, path: str, text: str, started: float) -> float:
    """Seconds from `started` until the path is answered with 200 and this text in it."""

    def answers() -> bool:
        try:
            answer = client.get(path)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and text in answer.text

    if not within(READY_SECONDS, answers, PAUSE_SECONDS):
        raise RuntimeError(f"{path} is not ready within {READY_SECONDS:g} s")
    return round(time.monotonic() - started, 2)
