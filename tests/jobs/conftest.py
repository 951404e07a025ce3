"""Benches for the tests: shared ones on SQLite and PostgreSQL, and a fresh one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.jobs.database import Database
from tests.jobs.bench import Bench, bench
from tests.postgres_server import fresh_database


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(f"sqlite:///{tmp_path_factory.mktemp('lite') / 'test.sqlite'}") as found:
        yield found


@pytest.fixture(scope="session")
def postgres_bench(postgres: str) -> Iterator[Bench]:
    with fresh_database(postgres) as url, bench(url) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Bench:
    """Runs a test on each kind of database. Tests share them, so each uses its own accounts."""
    found: Bench = request.getfixturevalue("lite" if request.param == "sqlite" else "postgres_bench")
    return found


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("empty") / "empty.sqlite"
    Database(f"sqlite:///{path}").migrate().close()
    return path


@pytest.fixture
def fresh(empty_file: Path, tmp_path: Path) -> Iterator[Bench]:
    """A bench for this test only."""
    shutil.copy(empty_file, tmp_path / "fresh.sqlite")
    with bench(f"sqlite:///{tmp_path / 'fresh.sqlite'}") as found:
        yield found
