"""Uploads a large file whose connection is lost again and again, and measures the API process meanwhile.

    python -m benchmarks.resume                                  # 1 GiB, lost five times
    python -m benchmarks.resume --mebibytes 64 --losses 2

The file has the announced checksum at the end, or the service would refuse it, and is downloaded and compared as well. Appends a line to
results/resume.jsonl.
"""

import base64
import hashlib
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer

from benchmarks import results
from benchmarks.fleet import SETTINGS, Part, free_port, within
from benchmarks.latency import process_seconds
from benchmarks.machine import RESULTS, stamp
from benchmarks.memory import process_bytes
from benchmarks.orders import Customer
from benchmarks.wire import HOST
from service.core import opened
from service.settings import PREFIX, Settings

MIB = 2**20
HEAD = b"\x00\x00\x00\x18ftypmp42"
MARK_BYTES = 16 * MIB  # between the bytes that differ from zero, so that no part of the file is like another
READY_SECONDS = 600.0  # on a machine under load; an idle one takes three
LOOK_SECONDS = 0.5  # between two looks whether it is ready
SAMPLE_SECONDS = 0.2
VERSION = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Resumed:
    """The outcome. `kept_bytes`: what had arrived after each loss. Memory is the API process's."""

    sent_bytes: int
    losses: int
    kept_bytes: list[int]
    same_checksum: bool
    seconds: float
    api_cpu_seconds: float
    idle_bytes: int
    peak_bytes: int


def main(
    mebibytes: Annotated[int, typer.Option(min=1)] = 1024,
    losses: Annotated[int, typer.Option(min=0)] = 5,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "resume.jsonl",
) -> None:
    """Upload once; exit with status 1 unless the file arrived as it was."""
    stamped = stamp()
    with tempfile.TemporaryDirectory(prefix="resume-") as folder:
        file = Path(folder) / "large.mp4"
        write(file, mebibytes * MIB)
        with service(Path(folder) / "service", mebibytes * MIB) as (part, client):
            resumed = upload(file, losses, part, client)
    print(resumed)
    results.append(path, {"mebibytes": mebibytes, "losses": losses}, asdict(resumed), stamped)
    sys.exit(0 if resumed.same_checksum else 1)


def write(path: Path, size_bytes: int) -> None:
    """A file that is nearly all zeros, which take no space."""
    with path.open("wb") as file:
        file.write(HEAD)
        for first in range(MARK_BYTES, size_bytes, MARK_BYTES):
            file.seek(first)
            file.write(first.to_bytes(8, "big"))
        file.truncate(size_bytes)


@contextmanager
def service(folder: Path, most_bytes: int) -> Iterator[tuple[Part, httpx.Client]]:
    """An API process without a worker, and a client with a key."""
    port = free_port()
    values = SETTINGS | {"data_dir": str(folder), "port": str(port), "upload_bytes": str(most_bytes), "free_disk_bytes": "0"}
    with opened(Settings.model_validate(values)) as core:
        key = Customer.new(core, "sender", 10).key
    part = Part("serve --no-worker", folder / "api.log")
    part.start({PREFIX + setting.upper(): value for setting, value in values.items()})
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://{HOST}:{port}", headers=bearer, timeout=READY_SECONDS, trust_env=False) as client:
        try:
            if not within(READY_SECONDS, lambda: _answers(client), LOOK_SECONDS):
                raise RuntimeError(f"the service is not ready: {part.log.read_text()[-300:]}")
            yield part, client
        finally:
            assert part.process is not None
            part.process.kill()
            part.process.wait()


def upload(file: Path, losses: int, part: Part, client: httpx.Client) -> Resumed:
    """Send the file; the connection is lost after equal parts of it."""
    assert part.pid is not None
    size_bytes, digest = file.stat().st_size, _digest(file)
    idle_bytes, cpu_before, began = process_bytes(part.pid), process_seconds(part.pid), time.monotonic()
    kept: list[int] = []
    with _peak(part.pid) as peak:
        announced = {"Upload-Length": str(size_bytes), "Upload-Metadata": f"sha256 {base64.b64encode(digest.encode()).decode()}"}
        place = client.post("/v1/uploads/resumable", headers=VERSION | announced).headers["location"]
        for number in range(1, losses + 2):
            offset = int(client.head(place, headers=VERSION).headers["upload-offset"])
            kept += [offset] if number > 1 else []
            _send(file, offset, size_bytes if number > losses else number * size_bytes // (losses + 1), client, place)
        found = client.get(place.replace("/resumable", "")).json()
    seconds, cpu_seconds = time.monotonic() - began, process_seconds(part.pid) - cpu_before
    arrived = hashlib.sha256()
    with client.stream("GET", found["url"]) as answer:
        for data in answer.iter_bytes():
            arrived.update(data)
    same = found["state"] == "finished" and arrived.hexdigest() == digest
    return Resumed(size_bytes, losses, kept, same, round(seconds, 1), round(cpu_seconds, 2), idle_bytes, peak[0])


def _send(file: Path, offset: int, end: int, client: httpx.Client, place: str) -> None:
    """Announce the rest of the file and send it up to `end`; if that is not all, the connection is closed there."""
    size_bytes = file.stat().st_size
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=READY_SECONDS)
    connection.putrequest("PATCH", place)
    headers = {"Authorization": client.headers["authorization"], "Content-Type": "application/offset+octet-stream"}
    for name, value in (headers | VERSION | {"Upload-Offset": str(offset), "Content-Length": str(size_bytes - offset)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    with file.open("rb") as source:
        connection.sock.sendfile(source, offset, end - offset)
    if end == size_bytes:
        answer = connection.getresponse()
        if answer.status != http.client.NO_CONTENT:
            raise RuntimeError(f"the service answered with status {answer.status}: {answer.read()!r}")
    connection.close()


@contextmanager
def _peak(pid: int) -> Iterator[list[int]]:
    """The most memory that a process has during the block, in bytes."""
    peak, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], process_bytes(pid))

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield peak
    finally:
        over.set()
        sampling.join()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    typer.run(main)
