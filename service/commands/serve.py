"""`cleanplate serve` and `cleanplate worker`: the whole service on one machine, or a worker of a fleet."""

import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated, Final

import typer

from service import logs, metrics, settings, tracing
from service.api.connection import listen, server_of
from service.api.unrouted import refusal_of
from service.app import create_app
from service.core import FACADES, FIRST_ACCOUNT, bootstrap, opened
from service.inference.device import require_runtime
from service.private_folder import make_files_private, private_file, private_folder
from service.scratch import SCRATCH_FOLDER, Scratch, folder_in_memory
from service.settings import Settings
from service.supervisor import WorkerProcess

SWITCH_SECONDS: Final = (
    0.0005  # after which a thread that computes lets another: a query changes hands ten times, and by default waits 5 ms for each
)
FIRST_SECRETS: Final = ("CLEANPLATE_BOOTSTRAP_KEY", "CLEANPLATE_BOOTSTRAP_AIDGE")  # of the first start; a worker has no use for them
FIRST_KEY_FILE: Final = "first-account.key"  # within the data folder
PROGRAM: Final = __name__.removesuffix(".commands.serve")  # what `python -m` runs: in a wheel it is not called `service`
WORKER: Final = ("nice", "-n", "10", sys.executable, "-m", PROGRAM, "worker", "--beside")  # beside the service: answering comes first

NoWorker = Annotated[
    bool, typer.Option("--no-worker", help="Serve requests only; workers run elsewhere with the same database and storage.")
]
Beside = Annotated[bool, typer.Option("--beside", hidden=True, help="Stop when standard input ends.")]


def serve(no_worker: NoWorker = False) -> None:
    """Run the service: all APIs and one worker. Ctrl-C or SIGTERM stops it."""
    chosen = settings.read()
    if not no_worker and chosen.networks == "shipped":
        require_runtime()  # or the worker beside us would die of it, again and again
    logs.setup(chosen.log_level.upper(), chosen.log_format == "text")
    tracing.start("api")
    faulthandler.enable()  # a process that a signal kills says where it was
    sys.setswitchinterval(SWITCH_SECONDS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())  # uvicorn shuts down and raises the signal again; this handler then exits cleanly
    make_files_private()
    temporary = private_folder(chosen.data_dir) / SCRATCH_FOLDER
    with (
        listen(chosen.host, chosen.port) as listener,
        Scratch(temporary).opened(),
        Scratch(folder_in_memory() or temporary).made() as in_memory,
    ):
        chosen = chosen.model_copy(update={"port": listener.getsockname()[1]})
        shared = None if no_worker else in_memory.own / "metrics"
        if shared is not None:
            metrics.share_in_folder(shared)
        with opened(chosen) as core:
            _print_address(chosen, bootstrap(core))
            app = create_app(core, shared)
            gc.collect()
            gc.freeze()  # what lives as long as the process: looking through it took 0.1 s each time
            variables = dict.fromkeys(FIRST_SECRETS) | {"CLEANPLATE_PORT": str(chosen.port)}
            with nullcontext() if no_worker else WorkerProcess(WORKER, variables, chosen.stop_seconds):
                try:
                    server_of(app, refusal=refusal_of(FACADES.values())).run(sockets=[listener])
                finally:
                    tracing.stop()


def worker(beside: Beside = False) -> None:
    """Run a worker of the fleet. It takes jobs until Ctrl-C or SIGTERM, then finishes or hands back what it runs."""
    from service.worker import END_SECONDS, work  # a service without a worker need not load the networks

    chosen = settings.read()
    metrics.reserve_space()
    logs.setup(chosen.log_level.upper(), chosen.log_format == "text")
    tracing.start("worker")
    faulthandler.enable()
    stopping = threading.Event()

    def stop(*_: object) -> None:
        # If anything hangs, dump every thread's stack and exit; the jobs are taken over.
        faulthandler.dump_traceback_later(chosen.stop_seconds + END_SECONDS, exit=True)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    make_files_private()
    if beside:
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    with opened(chosen) as core:
        work(core, stopping)
        tracing.stop()
        sys.stderr.flush()
        os._exit(0)  # a handed-back job still has its thread


def _stop_at_end_of_input(stop: Callable[[], None]) -> None:
    """Stop when standard input ends: the service holds its other end, so it closes however the service ends."""
    sys.stdin.buffer.read()
    stop()


def _print_address(chosen: Settings, key: str | None) -> None:
    """Print where the service listens, and the first account's new key: only on a terminal, as anything else may be a log."""
    if key is not None and sys.stdout.isatty():
        typer.echo(f"key of the first account, shown this once: {key}")
    elif key is not None:
        path = chosen.data_dir / FIRST_KEY_FILE
        private_file(path)
        path.write_text(f"{key}\n", encoding="ascii")
        typer.echo(f"key of the first account: in the file {path}")
    if key is not None and "admin" not in chosen.features_off:
        address = chosen.public_url or f"http://{chosen.host}:{chosen.port}"
        typer.echo(f"operator's page: {address.rstrip('/')}/admin; its key: cleanplate keys create {FIRST_ACCOUNT} --scope admin")
    typer.echo(f"listening on http://{chosen.host}:{chosen.port}")
    sys.stdout.flush()
