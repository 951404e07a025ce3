"""The service as a separate process, as users run it: its first output, a dying worker, its shutdown; and as a fleet."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import sqlalchemy as sa

from service import settings
from service.cli import run_command
from service.commands.serve import FIRST_KEY_FILE
from service.core import opened
from service.jobs.tables import DELIVERIES
from tests.conftest import ROOT
from tests.fixture_host import Host, eventually, host
from tests.s3_server import s3
from tests.service_process import JOB_SECONDS, file, running

KEY_LINE = re.compile(r"key of the first account: in the file (\S+)")
ADDRESS_LINE = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
VARIABLES = {
    "CLEANPLATE_PORT": "0",
    "CLEANPLATE_NETWORKS": "fake",
    "CLEANPLATE_FETCH_ALLOW": "127.0.0.0/8",
    "CLEANPLATE_RATE_SUBMIT": "1000/second",
    "CLEANPLATE_RATE_READ": "1000/second",
    "CLEANPLATE_STOP_SECONDS": "1",
}


@dataclass(frozen=True)
class Served:
    """`cleanplate serve`, its first output, and a client with the first account's key, if one was made."""

    process: subprocess.Popen[str]
    words: list[str]
    client: httpx.Client

    def worker(self) -> int | None:
        """The worker's process id."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        found = [int(child) for path in children for child in path.read_text(encoding="ascii").split()]
        return next((child for child in found if b"worker" in Path(f"/proc/{child}/cmdline").read_bytes()), None)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def served(folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    """Run the service in a data folder; it is killed at the end if the test has not stopped it."""
    environment = os.environ | VARIABLES | {"CLEANPLATE_DATA_DIR": str(folder)} | variables
    command = [sys.executable, "-m", "service", "serve", *options]
    with (
        (folder.parent / "stderr.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout
            words: list[str] = []
            while not (words and ADDRESS_LINE.match(words[-1])):
                words.append(line := process.stdout.readline())
                assert line, "it ended before it listened"
            key = next((Path(match[1]).read_text("ascii").strip() for match in map(KEY_LINE.match, words) if match), "")
            address = ADDRESS_LINE.match(words[-1])
            assert address
            with httpx.Client(
                base_url=address[1], headers={"Authorization": f"Bearer {key}"}, timeout=JOB_SECONDS, trust_env=False
            ) as client:
                yield Served(process, words, client)
        finally:
            process.kill()
            sys.stderr.write((folder.parent / "stderr.log").read_text(encoding="utf-8"))  # shown if a test fails


@pytest.fixture(scope="module")
def there() -> Iterator[Host]:
    with host() as there:
        yield there


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve") / "data"


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Served]:
    """A service on its first start."""
    with served(folder) as service:
        yield service


def create(service: Served, url: str, **more: str) -> str:
    answer = service.client.post("/v1/jobs", json={"source_url": url, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ended(service: Served, job_id: str) -> dict[str, object]:
    """Wait for the job's end and return it."""
    found: dict[str, object] = {}

    def over() -> bool:
        found.update(service.client.get(f"/v1/jobs/{job_id}").json())
        return found["state"] in ("succeeded", "failed", "cancelled")

    eventually(over, JOB_SECONDS)
    return found


def test_the_first_start_tells_where_the_key_is_and_the_address(service: Served, folder: Path) -> None:
    assert len(service.words) == 3
    assert service.words[1] == f"operator's page: {service.client.base_url}/admin; its key: cleanplate keys create first --scope admin\n"
    assert service.words[0] == f"key of the first account: in the file {folder / FIRST_KEY_FILE}\n"
    assert "cp_" not in "".join(service.words)
    paths = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    account = service.client.get("/v1/account").json()
    assert (account["name"], account["total_credits"]) == ("first", 100)
    assert service.client.get("/healthz").json()["status"] == "ok"
    assert service.client.get("/readyz").json()["status"] == "ready"


def test_a_key_is_shown_on_a_terminal_alone_and_the_operators_never(tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    environment = os.environ | VARIABLES | {"CLEANPLATE_DATA_DIR": str(tmp_path / "data"), "CLEANPLATE_LOG_LEVEL": "debug"}
    command = [sys.executable, "-m", "service", "serve", "--no-worker"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=end, stderr=subprocess.PIPE, text=True) as process:
        os.close(end)
        with os.fdopen(terminal, encoding="ascii") as lines:
            assert re.match(r"key of the first account, shown this once: cp_\S+\n", lines.readline())
            assert "/admin" in lines.readline()
            assert ADDRESS_LINE.match(lines.readline())
        process.terminate()
        assert "cp_" not in process.communicate(timeout=60)[1]
    assert not (tmp_path / "data" / FIRST_KEY_FILE).exists()
    chosen = "chosen by the operator, not made here"
    with served(tmp_path / "other", "--no-worker", CLEANPLATE_BOOTSTRAP_KEY=chosen) as service:
        assert len(service.words) == 1
        assert service.client.get("/v1/account", headers={"Authorization": f"Bearer {chosen}"}).status_code == 200
    assert chosen not in (tmp_path / "stderr.log").read_text(encoding="utf-8")
    assert not (tmp_path / "other" / FIRST_KEY_FILE).exists()


def test_a_port_in_use_gives_one_error_line(service: Served, tmp_path: Path) -> None:
    port = str(service.client.base_url.port)
    environment = os.environ | VARIABLES | {"CLEANPLATE_DATA_DIR": str(tmp_path), "CLEANPLATE_PORT": port}
    command = [sys.executable, "-m", "service", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cleanplate: cannot listen on 127.0.0.1 port {port}: address already in use\n"


@pytest.mark.parametrize(("weights", "status"), [("", 200), ("elsewhere", 503)])
def test_it_is_ready_only_if_the_configured_networks_exist(tmp_path: Path, weights: str, status: int) -> None:
    chosen = {"CLEANPLATE_WEIGHTS": str(tmp_path / weights)} if weights else {"XDG_CONFIG_HOME": str(tmp_path)}
    with served(tmp_path / "data", "--no-worker", CLEANPLATE_NETWORKS="shipped", **chosen) as answering:
        answer = answering.client.get("/readyz")
        assert answer.status_code == status, answer.text


def test_serving_without_a_worker_loads_neither_onnx_runtime_nor_opencv() -> None:
    code = "import sys, service.app; sys.exit(any(name in sys.modules for name in ('onnxruntime', 'cv2', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_job_survives_its_worker(service: Served, there: Host) -> None:
    release = there.hold("/held.mp4", file("marked")[0])
    job_id = create(service, f"{there.url}/held.mp4")
    eventually(lambda: service.client.get(f"/v1/jobs/{job_id}").json()["state"] == "fetching", JOB_SECONDS)
    first = service.worker()
    assert first
    os.kill(first, signal.SIGKILL)
    release.set()
    assert ended(service, job_id)["state"] == "succeeded"
    assert service.worker() not in (first, None)
    account = service.client.get("/v1/account").json()
    assert (account["spent_credits"], account["held_credits"]) == (1, 0)

    link = service.client.get(f"/v1/jobs/{job_id}/result")
    whole = service.client.get(link.headers["location"])
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "video/mp4")
    part = service.client.get(link.headers["location"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"


def test_callbacks_are_retried_and_a_silent_receiver_delays_no_other(service: Served, there: Host) -> None:
    missing = there.serve("/missing.mp4", b"", status=404)  # the fastest way to end a job
    silent = there.never_answer("/silent")
    for _ in range(3):
        create(service, missing, callback_url=silent)
    there.wait_for_posts(3, "/silent")
    flaky = there.callback("/flaky", 500, 200)
    job_id = create(service, missing, callback_url=flaky)
    first, again = there.wait_for_posts(2, "/flaky")  # while the three others still wait for a response
    assert first.body == again.body
    assert json.loads(first.body)["data"]["id"] == job_id
    eventually(lambda: 'cleanplate_callbacks{outcome="delivered"} 1.0' in service.client.get("/metrics").text)


def test_it_stops_in_order_and_starts_again_without_a_key(service: Served, folder: Path) -> None:
    jobs = service.client.get("/v1/jobs").json()["data"]
    worker = service.worker()
    assert service.stop() == 0
    assert worker
    assert not Path(f"/proc/{worker}").exists()
    left = [path for path in (folder / "scratch").rglob("*") if path.is_file()]
    assert left == []
    with served(folder) as again:
        assert len(again.words) == 1
        answer = again.client.get("/v1/jobs", headers={"Authorization": service.client.headers["Authorization"]})
        assert [job["id"] for job in answer.json()["data"]] == [job["id"] for job in jobs]
        assert again.stop() == 0


def test_a_worker_that_hangs_while_stopping_dumps_its_stacks_and_exits(tmp_path: Path) -> None:
    code = """
import threading
import service.worker
from service.commands.serve import worker

def hanging(*_):
    print("up", flush=True)
    threading.Event().wait()

service.worker.work, service.worker.END_SECONDS = hanging, 0.2
worker()
"""
    environment = os.environ | VARIABLES | {"CLEANPLATE_DATA_DIR": str(tmp_path), "CLEANPLATE_STOP_SECONDS": "0"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert " in hanging\n" in process.communicate(timeout=60)[1]
        assert process.returncode == 1


def test_a_fleet_shares_a_database_and_a_bucket(database: str, tmp_path: Path) -> None:
    bucket = s3()
    with patch.dict(os.environ, bucket.environment):
        storage = f"{bucket.bucket}/{tmp_path.name}"
        with running(tmp_path, database_url=database, storage_url=storage, secret_key="the same for the whole fleet") as fleet:
            account = fleet.account(credits=1)
            body = {"model": "sora-watermark-remover", "input": {"video_url": fleet.video_url()}}
            task = fleet.client.post("/api/v1/jobs/createTask", headers=account.bearer, json=body).json()["data"]["taskId"]
            fleet.wait(account, task)
            record = fleet.client.get("/api/v1/jobs/recordInfo", headers=account.bearer, params={"taskId": task}).json()["data"]
            assert record["state"] == "success", record
            urls = json.loads(record["resultJson"])
            direct = fleet.client.post("/api/v1/common/download-url", headers=account.bearer, json={"url": urls["resultUrls"][0]})
            assert direct.json()["data"].startswith(bucket.url), "the bucket's own link, signed for 20 minutes"
            clean = httpx.get(direct.json()["data"], headers={"Range": "bytes=0-99"}, trust_env=False)
            assert (clean.status_code, len(clean.content), clean.content[4:8]) == (206, 100, b"ftyp")
            source = httpx.get(urls["resultWaterMarkUrls"][0], follow_redirects=True, trust_env=False)
            assert source.content == file("marked")[0]
            assert not (tmp_path / "files").exists()


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit code, stdout and stderr."""
    code = run_command(arguments)
    captured = capsys.readouterr()
    return code, captured.out.strip(), captured.err.strip()


def listed(capsys: pytest.CaptureFixture[str], group: str) -> list[dict[str, Any]]:
    """What `cleanplate GROUP list --json` prints."""
    rows: list[dict[str, Any]] = json.loads(run_cli(capsys, group, "list", "--json")[1])
    return rows


def test_accounts_keys_and_credits_are_administered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path))
    code, key, _ = run_cli(capsys, "accounts", "create", "ann")
    assert (code, key[:3]) == (0, "cp_")
    assert run_cli(capsys, "accounts", "create", "ann") == (2, "", "cleanplate: the account ann already exists")
    assert run_cli(capsys, "credits", "grant", "ann", "5")[0] == 0
    assert run_cli(capsys, "credits", "grant", "ann", "7", "--one-time", "--note", "a gift")[0] == 0
    assert run_cli(capsys, "credits", "grant", "ann", "--", "-1")[0] == 2
    assert run_cli(capsys, "credits", "grant", "ann", str(10**12 + 1))[0] == 2
    assert "999999999988 more can be granted" in run_cli(capsys, "credits", "grant", "ann", str(10**12))[2]
    assert listed(capsys, "accounts")[0].items() >= {"account": "ann", "state": "active", "one_time": 7, "paid": 5, "rights": None}.items()
    assert run_cli(capsys, "credits", "correct", "ann", "6", "--one-time", "--note", "seven was one")[0] == 0
    assert run_cli(capsys, "credits", "correct", "ann", "6", "--note", "too many") == (
        2,
        "",
        "cleanplate: the account has 5 free paid credits; 6 cannot be removed",
    )
    heads, row = run_cli(capsys, "accounts", "list")[1].splitlines()
    assert heads.split()[1:6] == ["ACCOUNT", "STATE", "ONE_TIME", "PAID", "HELD"]
    assert row.split()[1:6] == ["ann", "active", "1", "5", "0"]
    assert row.index("active") == heads.index("STATE"), "columns stand below their names"
    lines = run_cli(capsys, "credits", "ledger", "ann")[1].splitlines()
    assert [line.split()[1:5] for line in lines] == [
        ["KIND", "FUND", "FREE", "HELD"],
        ["grant", "paid", "+5", "+0"],
        ["grant", "one_time", "+7", "+0"],
        ["correct", "one_time", "-6", "+0"],
    ]
    notes = [line["note"] for line in json.loads(run_cli(capsys, "credits", "ledger", "ann", "--json")[1])]
    assert notes == ["", "a gift", "seven was one"]
    assert run_cli(capsys, "accounts", "ban", "ann")[0] == 0
    assert listed(capsys, "accounts")[0]["state"] == "banned"
    assert run_cli(capsys, "accounts", "unban", "ann")[0] == 0
    second = run_cli(capsys, "keys", "create", "ann")[1]
    assert run_cli(capsys, "keys", "revoke", key)[0] == 0
    assert run_cli(capsys, "keys", "revoke", key) == (2, "", "cleanplate: there is no such key")
    shown = run_cli(capsys, "keys", "list", "ann")[1]
    assert [line.split()[-1] for line in shown.splitlines()] == ["STATE", "revoked", "active"]
    assert key not in shown
    assert second not in shown
    operators = run_cli(capsys, "keys", "create", "ann", "--scope", "admin", "--days", "1")[1]
    *_, last = listed(capsys, "keys")
    assert (last["scopes"], last["key"], last["expires"] > last["created"]) == (["admin"], f"{operators[:7]}...", True)
    for name in (shown.splitlines()[-1].split()[0], last["key"]):  # an id and first characters, as they are printed
        assert run_cli(capsys, "keys", "revoke", name)[0] == 0
    assert {row["state"] for row in listed(capsys, "keys")} == {"revoked"}
    assert run_cli(capsys, "accounts", "limit", "ann", "--queue-jobs", "3")[0] == 0
    assert run_cli(capsys, "accounts", "limit", "ann", "--storage-bytes", "9")[0] == 0
    assert (listed(capsys, "accounts")[0]["queue_jobs"], listed(capsys, "accounts")[0]["storage_bytes"]) == (3, 9)
    assert len(run_cli(capsys, "signers", "create", "ann", "app")[1]) > 20
    assert run_cli(capsys, "signers", "revoke", "app")[0] == 0
    (signer,) = listed(capsys, "signers")
    assert (signer["signer"], signer["account"], signer["state"]) == ("app", "ann", "revoked")
    assert run_cli(capsys, "accounts", "delete", "ann")[0] == 0
    with opened(settings.read()) as core:
        recorded = core.administration.audit.latest(100)
    assert [(line.action, line.subject, line.outcome, line.actor) for line in recorded[:2]] == [
        ("account.delete", "ann", "done", None),
        ("signer.revoke", "app", "done", None),
    ]
    assert ("key.revoke", key[:7], "ParameterError") in {(line.action, line.subject, line.outcome) for line in recorded}
    assert not [line for line in recorded for secret in (key, second, operators) if secret in f"{line.subject}{line.given}"]
    assert listed(capsys, "accounts") == []
    assert run_cli(capsys, "credits", "ledger", "ann") == (2, "", "cleanplate: there is no account ann")


def test_callbacks_are_sent_again_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, worker=False) as service:
        monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path))
        account = service.account()
        order = {"source_url": "http://127.0.0.1:9/a.mp4", "callback_url": "http://127.0.0.1:9/ended"}
        job_id = service.client.post("/v1/jobs", headers=account.bearer, json=order).json()["id"]
        assert run_cli(capsys, "redeliver", job_id) == (2, "", f"cleanplate: {job_id} has no callback, or has not ended")
        service.client.post(f"/v1/jobs/{job_id}/cancel", headers=account.bearer)
        assert run_cli(capsys, "redeliver", job_id) == (0, "", "")
        assert run_cli(capsys, "redeliver", "--given-up") == (0, "0 callbacks will be sent again", "")
        with service.core.database.write() as connection:
            connection.execute(sa.update(DELIVERIES).values(outcome="given_up"))
        assert run_cli(capsys, "redeliver", "--given-up") == (0, "1 callbacks will be sent again", "")
        path = f"/v1/jobs/{job_id}/callback"
        assert service.client.get(path, headers=account.bearer).json()["outcome"] == "pending"
        for wrong in (["redeliver"], ["redeliver", job_id, "--given-up"]):
            assert run_cli(capsys, *wrong)[0] == 2
        secret = run_cli(capsys, "accounts", "webhook-secret", account.name)[1]
        assert service.core.webhook_secrets.keys_of(account.id).keys == (secret,)
