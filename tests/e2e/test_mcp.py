"""The tools for agents, called with the protocol's own client: over stdio and over HTTP, as a process of its own beside a real service."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import ROOT
from tests.fixture_host import eventually
from tests.service_process import Service, TestAccount, file, running

TOOLS = {"estimate", "detect", "clean", "status", "cancel", "download"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as found:
        yield found


def stdio(service: Service, account: TestAccount, folder: Path) -> StdioServerParameters:
    arguments = ["-m", "service", "mcp", "--url", service.url, "--folder", str(folder)]
    environment = {"CLEANPLATE_KEY": account.key, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=ROOT)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool returns. Raises AssertionError with what it said if it failed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content or {})


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """What a tool says that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


def test_an_agent_finds_and_removes_marks_over_stdio(service: Service, tmp_path: Path) -> None:
    account = service.account(credits=5)
    (tmp_path / "marked.mp4").write_bytes(file("marked")[0])

    async def converse() -> None:
        async with Client(stdio(service, account, tmp_path), read_timeout_seconds=300) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == TOOLS
            assert all(tool.description for tool in tools)
            assert (await call(client, "estimate"))["credits"] == 1
            found = await call(client, "detect", source="marked.mp4", wait_seconds=200)
            (mark,) = found["marks"]
            assert set(mark) == {"id", "box", "first_seconds", "last_seconds", "confidence"}
            job = await call(client, "clean", detection=found["job"]["id"], marks=[mark["id"]], wait_seconds=200)
            assert (job["state"], job["ended"], job["error"]) == ("succeeded", True, None)
            assert (await call(client, "status", job_id=job["id"]))["progress_percent"] == 100
            written = await call(client, "download", job_id=job["id"], path="clean.mp4")
            assert written["path"] == str(tmp_path / "clean.mp4")
            link = (await call(client, "download", job_id=job["id"]))["url"]
            assert (tmp_path / "clean.mp4").read_bytes() == service.client.get(link).content
            assert (await call(client, "cancel", job_id=job["id"]))["state"] == "succeeded"
            await refused(client)

    async def refused(client: Client) -> None:
        """What an agent may not do, and is told why."""
        assert "outside the folder" in await refusal(client, "detect", source="../secret.mp4")
        assert "outside the folder" in await refusal(client, "clean", source="/etc/hostname")
        assert "no such file" in await refusal(client, "detect", source="gone.mp4")
        assert "outside the folder" in await refusal(client, "download", job_id="job_1", path="/tmp/clean.mp4")
        assert "there is no such job" in await refusal(client, "status", job_id="job_1")
        assert "either a source or a detection" in await refusal(client, "clean")
        failed = await call(client, "clean", source=service.video_url("missing"), wait_seconds=200)
        assert (failed["state"], "404" in failed["error"]) == ("failed", True)

    anyio.run(converse)
    assert service.context.job_service.balance(account.id).total_credits == 4


@contextmanager
def over_http(service: Service) -> Iterator[str]:
    """The server over HTTP; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", "service", "mcp", "--transport", "http", "--port", str(port), "--url", service.url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(port), 120)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def caller(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=300) as client,
    ):
        yield client


def test_callers_over_http_use_their_own_keys_and_no_files(service: Service, tmp_path: Path) -> None:
    account = service.account(credits=5)
    (tmp_path / "marked.mp4").write_bytes(file("marked")[0])

    async def converse(url: str) -> None:
        async with caller(url, account.bearer) as client:
            job = await call(client, "clean", source=service.video_url(), wait_seconds=200)
            assert job["state"] == "succeeded"
            assert (await call(client, "download", job_id=job["id"]))["url"] == job["result_url"]
            for tool, arguments in (
                ("detect", {"source": str(tmp_path / "marked.mp4")}),
                ("download", {"job_id": job["id"], "path": "clean.mp4"}),
            ):
                assert "only web addresses" in await refusal(client, tool, **arguments)
        async with caller(url, service.account().bearer) as stranger:
            assert "there is no such job" in await refusal(stranger, "status", job_id=job["id"])
        async with caller(url, {}) as nobody:
            assert "Authorization: Bearer KEY" in await refusal(nobody, "estimate")
        async with caller(url, {"Authorization": "Bearer cp_wrong"}) as wrong:
            assert "unknown or revoked" in await refusal(wrong, "estimate")

    with over_http(service) as url:
        anyio.run(converse, url)


@pytest.fixture(scope="module")
def tools(service: Service) -> Iterator[str]:
    with over_http(service) as url:
        yield url


def test_a_page_of_another_origin_cannot_call(tools: str) -> None:
    answer = httpx2.post(tools, headers={"Origin": "https://evil.example"}, json={}, trust_env=False)
    assert answer.status_code in (400, 403)
    answer = httpx2.post(tools, headers={"Host": "evil.example"}, json={}, trust_env=False)
    assert answer.status_code in (400, 403, 421)


@pytest.mark.parametrize(("head", "status"), [("X: y\r\n" * 101, 431), ("X: " + "y" * 40_000 + "\r\n", 431)])
def test_heads_over_http_have_the_limits_of_the_apis(tools: str, head: str, status: int) -> None:
    address = httpx2.URL(tools)
    with socket.create_connection((address.host, address.port or 0), 60) as line:
        line.sendall(f"GET /mcp HTTP/1.1\r\n{head}\r\n".encode())
        assert line.makefile("rb").readline().split()[1] == str(status).encode()


def test_a_port_in_use_gives_one_line(tools: str) -> None:
    words = [sys.executable, "-m", "service", "mcp", "--transport", "http", "--port", str(httpx2.URL(tools).port)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "cannot listen on 127.0.0.1 port" in done.stderr
    assert "Traceback" not in done.stderr
