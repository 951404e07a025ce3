"""A disk that fills up during uploads, orders and jobs: every request is answered, no process dies, and all goes on once there is space."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from fastapi import FastAPI

from service import settings
from service.core import Core, opened
from service.jobs.credits import balance_of
from service.jobs.job import State
from service.jobs.job_service import JobService, Rules
from service.jobs.ledger import entry_of, lines
from tests.conftest import ROOT
from tests.facades.dialects import Aidge, Dialect, Kaze, Kie, SaveSora
from tests.fixture_host import Host, eventually, host
from tests.service_process import Service, TestAccount, file
from tests.small_disk import filled, small_disk

PATIENCE_SECONDS = 300.0  # a niced worker on a loaded machine
ORDERS = 400  # so many at most until the database is full
VARIABLES = {
    "networks": "fake",
    "port": "0",
    "fetch_allow": "127.0.0.0/8",
    "rate_submit": "100000/10 second",
    "rate_read": "100000/10 second",
    "account_queue_jobs": "100000",
    "free_disk_bytes": str(2**22),
    "hold_seconds": "0.5",
    "stop_seconds": "1",
    "log_format": "text",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@dataclass(frozen=True)
class Served:
    """`cleanplate serve` as a process, and its log."""

    service: Service
    process: subprocess.Popen[str]
    log: Path

    def children(self) -> set[int]:
        """The process ids of the service's children: its worker."""
        files = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(child) for path in files for child in path.read_text(encoding="ascii").split()}

    def wait(self, account: TestAccount, job_id: str) -> State:
        """How the job ends."""
        jobs = JobService(
            self.service.core.database, self.service.core.accounts, self.service.core.queues, self.service.core.finalizer, Rules()
        )
        eventually(lambda: jobs.find(account.id, job_id).ended, PATIENCE_SECONDS)
        return jobs.find(account.id, job_id).state


@contextmanager
def served(folder: Path, there: Host) -> Iterator[Served]:
    environment = {f"CLEANPLATE_{name.upper()}": value for name, value in {**VARIABLES, "data_dir": str(folder)}.items()}
    log = folder.parent / "log"
    command = [sys.executable, "-m", "service", "serve"]
    with ExitStack() as stack:
        written = stack.enter_context(log.open("w", encoding="utf-8"))
        process = stack.enter_context(
            subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=written, text=True)
        )
        stack.callback(process.kill)
        stack.callback(lambda: sys.stderr.write(log.read_text(encoding="utf-8")[-6000:]))  # shown if a test fails
        assert process.stdout
        address = next(match[1] for match in map(re.compile(r"listening on (\S+)").match, process.stdout) if match)
        with patch.dict(os.environ, environment):
            core: Core = stack.enter_context(opened(settings.read()))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, trust_env=False))
        yield Served(Service(address, core, FastAPI(), client, there), process, log)
        process.terminate()
        assert process.wait(60) == 0


def code_on_a_full_disk(dialect: Dialect, served: Served, account: TestAccount) -> int:
    """The code of the first refused order: the database still has some room for others."""
    for _ in range(ORDERS):
        answer = dialect.submit(served.service, account, served.service.host.url + "/held.mp4")
        assert answer.status_code == 200, answer.text
        if dialect.code(answer) not in (dialect.success, 5002):  # savesora's, for a job that is not done in time
            return dialect.code(answer)
    raise AssertionError("no order was refused")


def test_a_full_disk(disk: Path) -> None:
    video, _ = file("marked")
    with host() as there, served(disk, there) as it:
        service, client = it.service, it.service.client
        account = service.account(credits=10_000)
        release = there.hold("/held.mp4", video)
        held = client.post("/v1/jobs", headers=account.bearer, json={"source_url": there.url + "/held.mp4"}).json()["id"]
        eventually(lambda: any(asked.path == "/held.mp4" for asked in there.asked), PATIENCE_SECONDS)
        children = it.children()
        with filled(disk):
            codes = [code_on_a_full_disk(dialect, it, account) for dialect in (Kie(), Aidge(), Kaze(), SaveSora())]
            assert codes == [500, 500, 1100, 5001]
            refused = client.post("/v1/jobs", headers=account.bearer, json={"source_url": there.url + "/held.mp4"})
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:cleanplate:problem:storage-full")
            assert int(refused.headers["Retry-After"]) > 0
            form = {"files": {"file": ("clip", video + bytes(2**21))}, "headers": account.bearer}
            uploaded = client.post("/api/file-stream-upload", data={"uploadPath": "a"}, **form)
            assert (uploaded.status_code, uploaded.json()["code"]) == (200, 500)
            assert client.post("/v1/jobs", data={"options": json.dumps({})}, **form).status_code == 503
            by_url = {"fileUrl": there.serve("/marked.mp4", video), "uploadPath": "a"}
            assert client.post("/api/file-url-upload", headers=account.bearer, json=by_url).json()["code"] == 500
            assert client.get("/healthz").status_code == 200
            assert client.get(f"/v1/jobs/{held}", headers=account.bearer).json()["state"] == "fetching"
            assert client.get("/readyz").json()["checks"]["disk"] == "failed"
            assert client.get("/metrics").status_code == 200
            release.set()
            eventually(lambda: "waits for space" in it.log.read_text(encoding="utf-8"), PATIENCE_SECONDS)
            assert client.get(f"/v1/jobs/{held}", headers=account.bearer).json()["state"] == "fetching"
        assert it.wait(account, held) is State.SUCCEEDED
        assert client.post("/api/file-stream-upload", data={"uploadPath": "a"}, **form).json()["code"] == 200
        created = client.post("/v1/jobs", headers=account.bearer, json={"source_url": by_url["fileUrl"], "priority": 1})
        assert it.wait(account, created.json()["id"]) is State.SUCCEEDED
        assert it.process.poll() is None
        assert it.children() >= children, "the worker is still the same"
        with service.core.database.read() as connection:
            assert balance_of(map(entry_of, lines(connection, account.id))).total_credits <= 9_998
