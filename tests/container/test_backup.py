"""Runs the backup and restore commands of docs/operating.md against a database in use."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from service.core import DATABASE_FILE
from service.errors import UnknownJob
from tests.docs.markdown import blocks
from tests.jobs.bench import Bench, bench
from tests.postgres_server import USER, programs

ROOT = Path(__file__).parents[2]
BLOCKS = blocks((ROOT / "docs" / "operating.md").read_text(encoding="utf-8"))
IN_CONTAINER = re.compile(r"docker compose exec --no-TTY postgres ")


def command(beginning: str) -> str:
    """The only command of the document that contains these words, on one line."""
    lines = [line for block in BLOCKS for line in block.text.replace("\\\n", " ").splitlines() if beginning in line]
    (line,) = lines
    return line


@contextmanager
def ordering(bench: Bench) -> Iterator[None]:
    """Submit jobs continuously during the block."""
    account, enough = bench.customer(paid=3_000_000), threading.Event()
    patient = bench.with_rules(account_queue_jobs=10**6, total_queue_jobs=10**6)

    def order() -> None:
        while not enough.is_set():
            patient.order(account)

    customers = threading.Thread(target=order)
    customers.start()
    try:
        yield
    finally:
        enough.set()
        customers.join()


def test_sqlite_is_backed_up_consistently_while_jobs_are_submitted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "backup").mkdir()
    with bench(f"sqlite:///{tmp_path / 'data' / DATABASE_FILE}") as used:
        account = used.customer(paid=9)
        job = used.order(account)
        with ordering(used):
            variables = os.environ | {"CLEANPLATE_DATA_DIR": str(tmp_path / "data")}
            subprocess.run(["bash", "-euc", command("VACUUM INTO")], cwd=tmp_path, env=variables, check=True)
        used.succeed(job)
    with bench(f"sqlite:///{tmp_path / 'backup' / DATABASE_FILE}") as restored:
        assert_as_before(restored, job.id, account.id)
        with restored.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert restored.job_service.read_metrics().queued_jobs > 0
        for each in restored.accounts.all():
            assert restored.balance(each).held_credits == sum(one.price_credits for one in restored.job_service.jobs(each.id, 10**6))


def test_postgres_is_restored_over_later_changes(database: str, tmp_path: Path) -> None:
    url, tools = make_url(database), programs()
    assert tools
    variables = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGPASSWORD": str(url.password),
    }

    def typed(beginning: str) -> None:
        line = command(beginning)
        assert IN_CONTAINER.match(line)
        assert f"--username={USER}" in line
        there = IN_CONTAINER.sub("", line).replace("--dbname=cleanplate", f"--dbname={url.database}")
        subprocess.run(["bash", "-euc", there], cwd=tmp_path, env=variables, check=True)

    with bench(database) as used:
        account = used.customer(paid=9)
        job = used.order(account)
        typed("pg_dump")
        used.succeed(job)
        later = used.order(account)
    typed("pg_restore")
    with bench(database) as restored:
        assert_as_before(restored, job.id, account.id)
        with pytest.raises(UnknownJob):
            restored.job_service.find(account.id, later.id)
        assert restored.succeed(restored.job_service.find(account.id, job.id)).ended, "it goes on from there"


def assert_as_before(bench: Bench, job_id: str, account_id: int) -> None:
    """Check that the job is queued again, in the workflow engine's queue too, and that its credits are held."""
    (account,) = (one for one in bench.accounts.all() if one.id == account_id)
    job = bench.job_service.find(account_id, job_id)
    assert not job.ended
    assert bench.balance(account).held_credits == job.price_credits
    assert bench.queues.finished([job_id]) == []
