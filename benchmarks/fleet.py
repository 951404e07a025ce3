"""Runs the service as real processes that can be killed: one `serve` on SQLite, or `serve --no-worker` and two workers on PostgreSQL.

    with Fleet.running(folder, database_url) as fleet:
        fleet.kill("worker")        # SIGKILL; `fleet.victims` has the names
        fleet.restart_dead()           # restart dead processes

The networks are the fakes of `service/inference/fake.py`: everything around them is tested.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import sqlalchemy as sa

from benchmarks.machine import ROOT
from benchmarks.memory import tree
from service.core import Core, opened
from service.jobs.fleet import is_running
from service.jobs.tables import WORKERS
from service.settings import PREFIX, Settings

READY_SECONDS = 300.0  # on a machine that others fill; an idle one takes three
PAUSE_SECONDS = 0.02
WRONG_CLOCK = Path(__file__).with_name("wrong_clock.c")
ALONE = ("serve",)
APART = ("serve --no-worker", "worker", "worker")
STUB = "stub_worker"  # in place of `worker`: see `benchmarks/stub_worker.py`
SETTINGS = {
    "networks": "fake",
    "fetch_allow": "127.0.0.0/8",
    "webhook_key": "whsec_crash",
    "rate_submit": "100000/10 second",
    "rate_read": "100000/10 second",
    "bootstrap_credits": "0",
    "price_video_credits": "3",
    "price_image_credits": "2",
    "stop_seconds": "1",  # short, so that a worker whose service was killed usually hands its job back
    "log_format": "text",
    "log_level": "info",
}


@dataclass
class Part:
    """A process of the fleet, and its command."""

    command: str
    log: Path
    clock: dict[str, str] = field(default_factory=dict)  # variables that set its wall clock wrong: see `wrong_clock`
    process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start the process, appending its output to the log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(["benchmarks.stub_worker"] if self.command == STUB else ["service", *self.command.split()])],
                cwd=ROOT,
                env=os.environ | environment | self.clock,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if it is dead."""
        return self.process.pid if self.process and self.process.poll() is None else None


@dataclass
class Fleet:
    """The processes, and the core, opened in this process too, to observe them."""

    folder: Path
    url: str
    environment: dict[str, str]
    core: Core
    parts: list[Part]
    client: httpx.Client

    @classmethod
    @contextmanager
    def running(
        cls, folder: Path, database_url: str | None = None, *, clocks: Sequence[float] = (), stubbed: bool = False, **more: str
    ) -> Iterator[Self]:
        """A ready fleet for the length of the block; without a database URL, a single `serve` on SQLite.

        `clocks`: for an API and one worker for each of them, whose wall clock is off by so many seconds. `stubbed`: an API, and one worker
        that cleans nothing.
        """
        values = SETTINGS | {"data_dir": str(folder.resolve()), "port": str(free_port())} | more
        if database_url:
            values["database_url"] = database_url
        url = f"http://127.0.0.1:{values['port']}"
        usual = APART if database_url else ALONE
        commands = (APART[0], STUB) if stubbed else (APART[0], *("worker" for _ in clocks)) if clocks else usual
        folder.mkdir(parents=True, exist_ok=True)
        parts = [Part(command, folder / f"{number}.log") for number, command in enumerate(commands)]
        for part, seconds in zip(parts[1:], clocks, strict=bool(clocks)):
            part.clock = wrong_clock(folder, seconds) if seconds else {}
        environment = {PREFIX + name.upper(): value for name, value in values.items()}
        with opened(Settings.model_validate(values)) as core, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            fleet = cls(folder, url, environment, core, parts, client)
            try:
                fleet.restart_dead()
                fleet.wait_until_ready()
                yield fleet
            finally:
                fleet.stop()

    @property
    def is_alone(self) -> bool:
        """Whether API and worker are one `serve`."""
        return len(self.parts) == len(ALONE)

    @property
    def victims(self) -> tuple[str, ...]:
        """The names that `kill` accepts."""
        return ("api", "worker", "both") if self.is_alone else ("api", "worker", "other worker", "workers", "both")

    def kill(self, victim: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill the API, a worker, or both; on PostgreSQL, `workers` are both workers and `both` is all three processes."""
        pids = self.pids(victim)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        for part in self.parts:
            if part.process and part.process.pid in pids and number == signal.SIGKILL:
                part.process.wait(10)

    def pids(self, victim: str) -> list[int]:
        """The ids of the running processes of a victim."""
        running = [part.pid for part in self.parts]
        api = running[0]
        workers = child_worker(api) if self.is_alone else running[1:]
        chosen = {"api": [api], "worker": workers[:1], "other worker": workers[1:], "workers": workers, "both": [api, *workers]}
        return [pid for pid in chosen[victim] if pid is not None]

    def restart_dead(self) -> None:
        """Restart dead processes. On SQLite, the API itself restarts its worker."""
        for part in self.parts:
            if part.pid is None:
                part.start(self.environment)

    def wait_until_ready(self) -> None:
        """Wait until the API answers and a worker sends heartbeats. Raises RuntimeError on a timeout, or if a process ended by itself."""
        if not within(READY_SECONDS, lambda: self._ended() or (self._answers() and self.live_workers())) or self._ended():
            last = [part.log.read_text(errors="replace")[-300:] for part in self.parts if part.log.exists()]
            raise RuntimeError(f"the fleet is not ready: {last}")

    def live_workers(self) -> list[int]:
        """The ids of the running workers that send heartbeats."""
        with self.core.database.read() as connection:
            rows = connection.execute(sa.select(WORKERS)).all()
        return [row.process_id for row in rows if is_running(row.process_id, row.process_started)]

    def strays(self) -> list[int]:
        """Processes with this fleet's environment that are not children of its running parts."""
        kept = {member for part in self.parts if part.pid for member in tree(part.pid)} | {os.getpid()}
        return sorted(processes_of(self.environment[f"{PREFIX}DATA_DIR"]) - kept)

    def stop(self) -> None:
        """Send SIGTERM to all. Raises RuntimeError if processes remain, which are killed."""
        for part in self.parts:
            if part.process and part.pid:
                part.process.terminate()
        for part in self.parts:
            if part.process:
                part.process.wait(90)
        if not within(30, lambda: not self.strays()):
            for pid in self.strays():
                os.kill(pid, signal.SIGKILL)
            raise RuntimeError("processes remained after the fleet had stopped")

    def _ended(self) -> bool:
        return any(part.pid is None for part in self.parts)

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


def wrong_clock(folder: Path, seconds: float) -> dict[str, str]:
    """Variables for a process whose wall clock is to be off by so many seconds; needs a C compiler."""
    library = folder.resolve() / WRONG_CLOCK.with_suffix(".so").name
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, WRONG_CLOCK], check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_OFF_SECONDS": f"{seconds:.0f}"}


def within(seconds: float, condition: Callable[[], object], pause_seconds: float = PAUSE_SECONDS) -> bool:
    """Poll the condition until it is true or `seconds` have passed; whether it became true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause_seconds)
    return True


def child_worker(api: int | None) -> Sequence[int]:
    """The id of the worker that a `serve` has started, if it is running."""
    return [pid for pid in tree(api)[1:] if "worker" in _read(pid, "cmdline")] if api else []


def processes_of(data_folder: str) -> set[int]:
    """The ids of all running processes whose environment has this data folder."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return {pid for pid in pids if f"{PREFIX}DATA_DIR={data_folder}" in _read(pid, "environ")}


def _read(pid: int, name: str) -> list[str]:
    """The entries of a process's command line or environment; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace").split("\0")
    except OSError:
        return []


def free_port() -> int:
    """A free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
