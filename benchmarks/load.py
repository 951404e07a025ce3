"""Load tests of the service: orders while it works, a long queue, and an idle service.

    python -m benchmarks.load                                          # all, on SQLite
    python -m benchmarks.load --only submit --dialects kie,kaze
    python -m benchmarks.load --only drain --stubbed --accounts 100 --jobs 10000
    python -m benchmarks.load --only drain --drain-dialect native --database postgresql+psycopg://...   # creates databases

Appends a line per measurement to results/load.jsonl. Each measurement has a new service of real processes and a new database.
"""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import sqlalchemy as sa
import typer

from benchmarks import drain, idle, latency, results
from benchmarks.fleet import Fleet
from benchmarks.loopback_host import loopback_host
from benchmarks.machine import RESULTS, Stamp, stamp
from benchmarks.wire import REQUESTS

QUESTIONS = "submit,drain,idle"
PACES: tuple[latency.Pace, ...] = ("paced", "closed")
STARTS: tuple[Literal["cold", "warm"], ...] = ("cold", "warm")


@contextmanager
def fresh(database: str | None, *, stubbed: bool = False, **more: str) -> Iterator[Fleet]:
    """A new service; with a server URL, on a new database of that server. `stubbed`: its worker cleans nothing."""
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        Fleet.running(Path(folder), _fresh_database(database), stubbed=stubbed, **more) as fleet,
    ):
        yield fleet


def _fresh_database(url: str | None) -> str | None:
    if url is None:
        return None
    name = f"load_{secrets.token_hex(6)}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    return server.url.set(database=name).render_as_string(hide_password=False)


def main(
    only: Annotated[str, typer.Option(help="Measurements to run, separated by commas.")] = QUESTIONS,
    dialects: Annotated[str, typer.Option(help="Dialects of the orders, separated by commas.")] = ",".join(REQUESTS),
    clients: Annotated[int, typer.Option(min=1)] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each pace.")] = 20,
    drain_dialect: Annotated[str, typer.Option(help="kaze for images; any other for videos.")] = "kie",
    accounts: Annotated[int, typer.Option(min=2)] = 20,
    jobs: Annotated[int, typer.Option(min=2, help="Length of the long queue.")] = 1000,
    stubbed: Annotated[bool, typer.Option(help="Drain with a worker that cleans nothing: the queue alone, for long ones.")] = False,
    database: Annotated[str | None, typer.Option(help="URL of a PostgreSQL server; default: SQLite.")] = None,
    path: Annotated[Path, typer.Option("--results", help="Result file to append to.")] = RESULTS / "load.jsonl",
) -> None:
    """Run the measurements one after the other."""
    kind = "postgresql" if database else "sqlite"
    if "submit" in only:
        for dialect in dialects.split(","):
            for pace in PACES:
                case, stamped = {"question": "submit", "dialect": dialect, "pace": pace, "clients": clients, "database": kind}, stamp()
                with loopback_host() as host, fresh(database, **latency.SETTINGS) as fleet:
                    latency.keep_busy(fleet, host)
                    record(path, case, latency.measure(fleet, host, dialect, pace, clients, seconds), stamped)
    if "drain" in only:
        case, stamped = {"question": "drain", "dialect": drain_dialect, "accounts": accounts, "jobs": jobs, "database": kind}, stamp()
        case |= {"stubbed": True} if stubbed else {}
        settings = drain.STUBBED_SETTINGS if stubbed else drain.SETTINGS
        with loopback_host() as host, fresh(database, stubbed=stubbed, **settings) as fleet:
            record(path, case, drain.measure(fleet, host, drain_dialect, accounts, jobs, stubbed=stubbed), stamped)
    if "idle" in only:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            for start in STARTS:
                stamped = stamp()
                record(path, {"question": "idle", "start": start}, idle.measure(Path(folder) / "data"), stamped)


def record(path: Path, case: dict[str, object], metrics: Any, stamped: Stamp) -> None:
    """Append a result to the file and print it."""
    results.append(path, case, asdict(metrics), stamped)
    print(*case.values(), asdict(metrics), flush=True)


if __name__ == "__main__":
    typer.run(main)
