"""The clients send large files in pieces, over connections that are lost, and go on where an earlier program stopped."""

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from service.async_client import AsyncClient
from service.client import Client
from service.errors import FetchUnavailable, TooLarge
from service.jobs.job import Job
from service.remote_upload import LARGE_BYTES, PIECE_BYTES
from tests.service_process import Service, TestAccount, running

FILE = b"\x00\x00\x00\x18ftypmp42" + os.urandom(2**20) * 17
AT_ONCE = (0.0, 0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("large"), worker=False, upload_bytes=str(32 * 2**20)) as service:
        yield service


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Ferien am Meer.mp4"
    path.write_bytes(FILE)
    return path


class Line:
    """A line to the service that breaks: connections are cut after `most_bytes` from the client; `is_down`: there are none at all."""

    def __init__(self, url: str) -> None:
        self._target = httpx.URL(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.most_bytes = 2**40
        self.is_down = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                server = socket.create_connection((self._target.host, self._target.port or 80))
                for source, sink, limit in ((client, server, self.most_bytes), (server, client, 2**40)):
                    threading.Thread(target=self._pass_on, args=(source, sink, limit), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, limit_bytes: int) -> None:
        passed = 0
        with suppress(OSError):
            while (data := source.recv(65536)) and passed < limit_bytes:
                sink.sendall(data)
                passed += len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def line(service: Service) -> Iterator[Line]:
    line = Line(service.url)
    yield line
    line.close()


def source_of(service: Service, account: TestAccount, job_id: str) -> Job:
    """The job, after a look at its source."""
    job = service.context.job_service.find(account.id, job_id)
    assert job.spec.source_key
    data = b"".join(service.core.storage.read(job.spec.source_key))
    assert hashlib.sha256(data).digest() == hashlib.sha256(FILE).digest()
    return job


def test_a_large_file_is_sent_in_pieces_over_a_line_that_breaks(service: Service, line: Line, file: Path) -> None:
    account = service.account()
    assert len(FILE) > LARGE_BYTES
    line.most_bytes = PIECE_BYTES + PIECE_BYTES // 2  # of a connection: the second piece on it is cut
    with Client(line.url, account.key, pauses_seconds=AT_ONCE) as client:
        job = client.submit(str(file), classes=["overlay"])
    assert source_of(service, account, job.id).name == "Ferien am Meer.mp4"


def test_another_program_goes_on_where_the_first_one_stopped(service: Service, line: Line, file: Path, tmp_path: Path) -> None:
    account, seen = service.account(), list[float]()

    def cut(fraction: float) -> None:
        line.is_down = fraction > 0

    line.most_bytes = PIECE_BYTES + 65536  # the second piece is lost, and then there is no connection at all
    with Client(line.url, account.key, pauses_seconds=AT_ONCE, resume_folder=tmp_path) as client, pytest.raises(FetchUnavailable):
        client.upload(file, cut)
    line.is_down, line.most_bytes = False, 2**40
    with Client(line.url, account.key, resume_folder=tmp_path) as client:
        url = client.upload(file, seen.append)
    assert seen[0] >= PIECE_BYTES / len(FILE)
    assert list(tmp_path.glob("*.upload")) == []
    assert httpx.get(url, trust_env=False).content == FILE


def test_the_async_client_does_the_same(service: Service, line: Line, file: Path) -> None:
    account = service.account()
    line.most_bytes = PIECE_BYTES + PIECE_BYTES // 2

    async def submitted() -> str:
        async with AsyncClient(line.url, account.key, pauses_seconds=AT_ONCE) as client:
            return (await client.submit(str(file))).id

    source_of(service, account, asyncio.run(submitted()))


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(service: Service, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(33 * 2**20)
    with Client(service.url, service.account().key) as client, pytest.raises(TooLarge, match="the limit is 33554432"):
        client.submit(str(large))
