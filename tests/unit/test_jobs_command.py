"""`cleanplate jobs` and `cleanplate submit` against the real native API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.api.native import FACADE
from service.cli import run_command
from service.client import Client
from service.remote_job import RemoteJob
from tests.workerless_server import CLEAN, Customer, WorkerlessServer, workerless_server

VIDEO = "http://example.com/clip.mp4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("command"), FACADE) as server:
        yield server


@pytest.fixture
def customer(server: WorkerlessServer, monkeypatch: pytest.MonkeyPatch) -> Customer:
    customer = server.customer(credits=5)
    monkeypatch.setenv("CLEANPLATE_URL", str(server.client.base_url))
    monkeypatch.setenv("CLEANPLATE_KEY", customer.key)
    return customer


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command prints that ends with this code."""
    assert run_command(list(words)) == code
    return capsys.readouterr().out


@pytest.mark.usefixtures("customer")
def test_jobs_are_listed_with_headings_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "jobs", "list").split()[:2] == ["ID", "STATE"]
    ids = [printed(capsys, "submit", VIDEO).strip() for _ in range(2)]
    heading, *lines = printed(capsys, "jobs", "list").splitlines()
    assert [line.split()[:4] for line in lines] == [[job_id, "queued", "0", "clean"] for job_id in reversed(ids)]
    assert all(line.index("queued") == heading.index("STATE") for line in lines)
    assert [job["id"] for job in json.loads(printed(capsys, "jobs", "list", "--json", "--limit", "1"))] == ids[1:]


@pytest.mark.usefixtures("customer")
def test_each_job_is_cancelled_and_deleted_whatever_is_wrong_with_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (printed(capsys, "submit", VIDEO).strip() for _ in range(2))
    assert run_command(["jobs", "delete", first, "job_of_nobody"]) == 7
    assert capsys.readouterr().err.splitlines() == [
        f"cleanplate: {first}: the job is queued; cancel it first",
        "cleanplate: job_of_nobody: there is no such job",
    ]
    assert printed(capsys, "jobs", "cancel", first, "job_of_nobody", second, code=7) == f"{first}: cancelled\n{second}: cancelled\n"
    assert printed(capsys, "jobs", "delete", first, second) == f"{first}: files deleted\n{second}: files deleted\n"


def test_a_preview_is_submitted(server: WorkerlessServer, customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    entry = json.loads(printed(capsys, "submit", VIDEO, "--preview", "3@12.5", "--json"))
    spec = server.job_of(customer).spec
    assert (entry["id"], entry["state"]) == (server.job_of(customer).id, "queued")
    assert (spec.preview_first_seconds, spec.preview_seconds) == (12.5, 3)
    assert run_command(["submit", VIDEO, "--preview", "soon"]) == 2


@pytest.mark.usefixtures("customer")
def test_a_result_is_downloaded_and_told_as_json(
    server: WorkerlessServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = Client.wait

    def finished(client: Client, job_id: str, on_progress: Callable[[RemoteJob], object]) -> RemoteJob:
        server.start(job_id)
        server.succeed(job_id)
        return wait(client, job_id, on_progress)

    monkeypatch.setattr(Client, "wait", finished)
    entry = json.loads(printed(capsys, "submit", VIDEO, "-o", str(tmp_path / "clean.mp4"), "--json"))
    assert (entry["state"], entry["output"]) == ("succeeded", str(tmp_path / "clean.mp4"))
    assert (tmp_path / "clean.mp4").read_bytes() == CLEAN


def test_a_key_is_needed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEANPLATE_KEY", raising=False)
    for words in (["jobs", "list"], ["jobs", "cancel", "job_1"], ["submit", VIDEO], ["mcp"]):
        assert run_command(words) == 2
        assert capsys.readouterr().err == "cleanplate: a key is required: set CLEANPLATE_KEY, or use --key\n"
