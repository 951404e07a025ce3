"""What the service costs before anybody uses it: the time until it answers, and the memory it holds."""

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
WORKER = "cleanplate_workers 1.0"  # so /metrics tells that it beats


@dataclass(frozen=True)
class Idle:
    """From the start of the process until /readyz says yes, and until the worker beside it is there; memory ten seconds later.

    Memory is that of all processes; what they share is counted once (proportional set size).
    """

    ready_seconds: float
    worker_seconds: float
    memory_bytes: int
    processes: int


def measure(folder: Path) -> Idle:
    """Start `cleanplate serve` with the real networks on a data folder, and stop it."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    folder.mkdir(parents=True, exist_ok=True)
    part, began = Part("serve", folder.with_suffix(".log")), time.monotonic()
    part.start({f"{PREFIX}DATA_DIR": str(folder), f"{PREFIX}PORT": str(port)})
    assert part.process is not None
    with httpx.Client(base_url=url, trust_env=False) as client:
        try:
            ready = _seconds_until(client, "/readyz", "", began)
            worker = _seconds_until(client, "/metrics", WORKER, began)
            time.sleep(REST_SECONDS)
            return Idle(ready, worker, tree_bytes(part.process.pid), len(tree(part.process.pid)))
        finally:
            part.process.terminate()
            part.process.wait(END_SECONDS)


def _seconds_until(client: httpx.Client, path: str, words: str, began: float) -> float:
    """When a path is answered with 200 and these words in it."""

    def answers() -> bool:
        try:
            answer = client.get(path)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and words in answer.text

    if not within(READY_SECONDS, answers, PAUSE_SECONDS):
        raise RuntimeError(f"{path} does not say so within {READY_SECONDS:g} s")
    return round(time.monotonic() - began, 2)
