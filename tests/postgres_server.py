"""A private PostgreSQL for the tests: in a temporary folder, on a free loopback port, removed at the end.

Fixtures: `postgres`, the server's URL, and `database`, the URL of a new database for one test. Code outside pytest
uses `serving()` and `fresh_database(url)`. `CLEANPLATE_TEST_POSTGRES=off` skips the tests that need a server; otherwise they fail
if none is installed, so that an incomplete run is not mistaken for a full one.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url, text

USER = "cleanplate"
MISSING = "PostgreSQL's server is not installed: see .ci/servers, or set CLEANPLATE_TEST_POSTGRES=off to skip what needs it"
CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
fsync = off
full_page_writes = off
synchronous_commit = off
"""  # nothing here needs to survive a crash of the machine


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server that all tests of this run share."""
    if os.environ.get("CLEANPLATE_TEST_POSTGRES") == "off":
        pytest.skip("CLEANPLATE_TEST_POSTGRES=off")
    if programs() is None:
        pytest.fail(MISSING, pytrace=False)
    with serving() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def serving() -> Iterator[str]:
    """Run a server; yields the URL of its database `postgres`."""
    folder = programs()
    if folder is None:
        raise FileNotFoundError(MISSING)
    with tempfile.TemporaryDirectory(prefix="postgres-") as made:
        data, owner = Path(made) / "data", _owner()
        os.chown(made, owner.pw_uid, owner.pw_gid)
        url = _initialise(folder, data, owner)
        _run(owner, folder / "pg_ctl", "start", "--wait", "--silent", "--pgdata", data, "--log", data / "log", log=data / "log")
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            _run(owner, folder / "pg_ctl", "stop", "--silent", "--mode=immediate", "--pgdata", data)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Create an empty database on the server at `url`; at the end its connections are closed and it is dropped."""
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def programs() -> Path | None:
    """The folder of the server's programs, which Debian does not put on the PATH."""
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    return next((folder for folder in [*on_path, *packaged] if all((folder / name).exists() for name in ("initdb", "pg_ctl"))), None)


def _initialise(folder: Path, data: Path, owner: pwd.struct_passwd) -> URL:
    """Create the files of a server. It has a password, as a loopback port is open to all local users."""
    password, port = secrets.token_urlsafe(16), _free_port()
    (secret := data.parent / "password").write_text(password, encoding="utf-8")
    os.chown(secret, owner.pw_uid, owner.pw_gid)
    options = (f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
    _run(owner, folder / "initdb", *options, "--pgdata", data)
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(port=port))
    return URL.create("postgresql+psycopg", USER, password, "127.0.0.1", port, "postgres")


def _run(owner: pwd.struct_passwd, *words: str | Path, log: Path | None = None) -> None:
    """Run one of the server's programs as its owner. Raises RuntimeError with its output and log if it fails."""
    identity: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, **identity)
    if done.returncode:
        logged = log.read_text(encoding="utf-8") if log and log.exists() else ""
        raise RuntimeError(f"{Path(words[0]).name}: {done.stdout}{done.stderr}{logged}")


def _owner() -> pwd.struct_passwd:
    """The user that runs the server: this one, or an unprivileged one instead of root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
