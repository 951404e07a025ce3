"""Runs the service on loopback for a test: a real uvicorn in a thread, a real worker process with fake networks, real files.

    with running(tmp_path) as service:                            # `worker=False`: serves requests only, jobs wait for ever
        account = service.account(credits=3)
        service.client.post("/v1/jobs", headers=account.bearer, json={"source_url": service.video_url("marked")})
        job = service.wait(account, job_id)

Settings are given by the names of their variables: `running(tmp_path, maintenance="true", limits__duration_seconds="2")`.
"""

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from service import settings
from service.api.connection import server_of
from service.api.facade import AppContext
from service.api.unrouted import refusal_of
from service.app import create_app
from service.core import FACADES, Core, opened
from service.jobs.accounts import Account
from service.jobs.credits import Fund
from service.jobs.job import Job
from tests.fixture_host import Host, eventually, host
from tests.footage import Box, marked, scene
from tests.video.clips import Spec, make_clip

JOB_SECONDS = 120.0  # a job takes two, but the machine may be under load
FILE_BYTES = 200_000  # limits of the service under test
DURATION_SECONDS = 2.0
MARK = Box(20, 20, 60, 36)


@dataclass(frozen=True)
class TestAccount:
    """An account with its secrets."""

    __test__ = False

    account: Account
    key: str
    signer: str
    secret: str

    @property
    def id(self) -> int:
        return self.account.id

    @property
    def name(self) -> str:
        return self.account.name

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class Service:
    """The running service, and the host for its sources and callbacks."""

    url: str
    core: Core
    app: FastAPI
    client: httpx.Client
    host: Host

    @property
    def context(self) -> AppContext:
        context: AppContext = self.app.state.context
        return context

    def account(self, credits: int = 100, name: str | None = None, fund: Fund = Fund.ONE_TIME) -> TestAccount:
        """A new account with a key, a signer and credits."""
        account = self.core.accounts.create(name or f"account {secrets.token_hex(6)}")
        if credits:
            self.core.administration.grant(account, fund, credits, "test")
        signer = f"app{secrets.token_hex(4)}"
        return TestAccount(account, self.core.accounts.add_key(account), signer, self.core.accounts.add_signer(account, signer))

    def ban(self, account: TestAccount) -> None:
        self.core.accounts.set_banned(account.account, True)

    def delete(self, account: TestAccount) -> None:
        self.core.accounts.delete(account.account)

    def video_url(self, kind: str = "marked") -> str:
        """The URL of a file: marked, clean, image, smear, mask, or one that fails: see `file`. `missing` is a 404, `down` a 503."""
        if kind in ("missing", "down"):
            return self.host.serve(f"/{kind}.mp4", b"", status=404 if kind == "missing" else 503)
        data, suffix = file(kind)
        return self.host.serve(f"/{kind}{suffix}", data)

    def wait(self, account: TestAccount, job_id: str) -> Job:
        """Wait for the job's end and return it."""
        eventually(lambda: self.context.job_service.find(account.id, job_id).ended, JOB_SECONDS)
        return self.context.job_service.find(account.id, job_id)


@contextmanager
def running(folder: Path, worker: bool = True, **variables: str) -> Iterator[Service]:
    """Run the service during the block."""
    with ExitStack() as stack:
        there = stack.enter_context(host())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        environment = _variables(folder, listener.getsockname()[1], variables)
        with patch.dict(os.environ, environment):
            core = stack.enter_context(opened(settings.read()))
        app = create_app(core)
        stack.enter_context(serving(app, listener))
        if worker:
            stack.enter_context(working(environment))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = stack.enter_context(httpx.Client(base_url=url, timeout=JOB_SECONDS, trust_env=False))
        yield Service(url, core, app, client, there)


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """Serve the application on this socket, in a thread."""
    server = server_of(app, close_seconds=1, refusal=refusal_of(FACADES.values()))  # as `serve` does
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def working(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process; at the end it is asked to stop, as in production."""
    command = [sys.executable, "-m", "service", "worker"]
    process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(30)


def _variables(folder: Path, port: int, more: dict[str, str]) -> dict[str, str]:
    values = {
        "data_dir": str(folder),
        "port": str(port),
        "networks": "fake",
        "fetch_allow": "127.0.0.0/8",
        "webhook_key": "whsec_test",
        "limits__file_bytes": str(FILE_BYTES),
        "limits__duration_seconds": str(DURATION_SECONDS),
        "limits__long_side_pixels": "256",
        "limits__short_side_pixels": "256",
        "limits__still_pixels": "65536",
        "rate_submit": "1000/10 second",
        "rate_wrong_keys": "1000000/second",
        "log_level": "warning",
        "log_format": "text",
        "stop_seconds": "1",
    }
    return {f"CLEANPLATE_{name.upper()}": value for name, value in {**values, **more}.items()}


@cache
def file(kind: str) -> tuple[bytes, str]:
    """The bytes and the suffix of a file: marked, clean, image, smear, mask; or broken, wrong_format, long, large, huge."""
    pictures = {"image": marked(scene(0), MARK), "clean_image": scene(0), "large_image": np.zeros((300, 300, 3), np.uint8)}
    with TemporaryDirectory() as folder:
        if kind in ("smear", "mask", "blank_smear", "small_smear"):
            return _drawn(kind, Path(folder) / "drawn.png"), ".png"
        if kind in pictures:
            path = Path(folder) / "picture.png"
            Image.fromarray(pictures[kind]).save(path)
            return path.read_bytes(), ".png"
        if kind == "broken":
            return file("marked")[0][:1500], ".mp4"
        if kind == "wrong_format":
            return b"GIF89a" + bytes(100), ".gif"
        if kind == "huge":
            return file("marked")[0] + bytes(FILE_BYTES), ".mp4"
        return _clip(kind, Path(folder) / "clip.mp4").read_bytes(), ".mp4"


def _drawn(kind: str, path: Path) -> bytes:
    """A mask (white = remove), or coloured strokes on black."""
    size = (64, 48) if kind == "small_smear" else (128, 96)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    if kind != "blank_smear":
        picture[MARK.slices] = 255 if kind == "mask" else (200, 30, 60)
    Image.fromarray(picture).save(path)
    return path.read_bytes()


def _clip(kind: str, path: Path) -> Path:
    spec = Spec(width=128, height=96, options=(("crf", "23"),), audio="aac")
    if kind == "long":
        return make_clip(path, replace(spec, pts=tuple(range(0, 25 * 3, 5))))
    if kind == "large":
        return make_clip(path, replace(spec, width=320, height=320, pts=(0, 1)))
    if kind == "clean":
        return make_clip(path, spec)
    return make_marked(path, spec)


def make_marked(path: Path, spec: Spec) -> Path:
    """A clip with a white box, which the fake networks treat as a mark."""
    with patch("tests.video.clips.picture_rgb", lambda width, height, index: marked(scene(index, width, height), MARK)):
        return make_clip(path, spec)
