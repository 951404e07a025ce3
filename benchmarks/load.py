"""What the service bears: orders while it works, a long queue, and what it costs when idle.

    python -m benchmarks.load                                          # all, on SQLite
    python -m benchmarks.load --only submit --dialects kie,kaze
    python -m benchmarks.load --only drain --drain-dialect native --database postgresql+psycopg://...   # a server to make databases on

One line a figure, added to results/load.jsonl. Every one has a new service of real processes, and a new database.
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
from benchmarks.machine import RESULTS, Stamp, stamp
from benchmarks.stranger import stranger
from benchmarks.wire import ASK

QUESTIONS = "submit,drain,idle"
PACES: tuple[latency.Pace, ...] = ("paced", "closed")
STARTS: tuple[Literal["cold", "warm"], ...] = ("cold", "warm")


@contextmanager
def fresh(database: str | None, **more: str) -> Iterator[Fleet]:
    """A new service; on a new database of the server at this address if there is one."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder, Fleet.running(Path(folder), _fresh_database(database), **more) as fleet:
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
    only: Annotated[str, typer.Option(help="Which questions.")] = QUESTIONS,
    dialects: Annotated[str, typer.Option(help="Of the orders.")] = ",".join(ASK),
    clients: Annotated[int, typer.Option(min=1)] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Of each pace.")] = 20,
    drain_dialect: Annotated[str, typer.Option(help="kaze for images; any other for videos.")] = "kie",
    accounts: Annotated[int, typer.Option(min=2)] = 20,
    jobs: Annotated[int, typer.Option(min=2, help="Of the long queue.")] = 1000,
    database: Annotated[str | None, typer.Option(help="Address of a PostgreSQL server; else SQLite.")] = None,
    path: Annotated[Path, typer.Option("--results", help="Result file, appended to.")] = RESULTS / "load.jsonl",
) -> None:
    """Ask the questions one after the other."""
    kind = "postgresql" if database else "sqlite"
    if "submit" in only:
        for dialect in dialects.split(","):
            for pace in PACES:
                case, mark = {"question": "submit", "dialect": dialect, "pace": pace, "clients": clients, "database": kind}, stamp()
                with stranger() as host, fresh(database, **latency.SETTINGS) as fleet:
                    latency.keep_busy(fleet, host)
                    tell(path, case, latency.measure(fleet, host, dialect, pace, clients, seconds), mark)
    if "drain" in only:
        case, mark = {"question": "drain", "dialect": drain_dialect, "accounts": accounts, "jobs": jobs, "database": kind}, stamp()
        with stranger() as host, fresh(database, **drain.SETTINGS) as fleet:
            tell(path, case, drain.measure(fleet, host, drain_dialect, accounts, jobs), mark)
    if "idle" in only:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            for start in STARTS:
                mark = stamp()
                tell(path, {"question": "idle", "start": start}, idle.measure(Path(folder) / "data"), mark)


def tell(path: Path, case: dict[str, object], figures: Any, mark: Stamp) -> None:
    """Print a result and keep it."""
    results.append(path, case, asdict(figures), mark)
    print(*case.values(), asdict(figures), flush=True)


if __name__ == "__main__":
    typer.run(main)
