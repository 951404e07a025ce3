"""Settings from the environment: defaults, documentation, and a one-line error for each invalid value."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from service import settings
from service.app import create_app
from service.core import DATABASE_FILE, bootstrap, opened
from service.errors import SettingsError
from service.jobs.database import Database
from service.jobs.vault import KEY_FILE
from service.pipeline.video import Limits
from service.scratch import Scratch
from tests.conftest import ROOT, Command

DOCUMENT = ROOT / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEANPLATE_DEVICE", raising=False)


def test_defaults_are_those_of_the_limits() -> None:
    assert settings.read().limits == Limits()
    assert settings.read().device == "auto"


def test_one_limit_is_set_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANPLATE_LIMITS__DURATION_SECONDS", "12.5")
    assert settings.read().limits == Limits(duration_seconds=12.5)


def test_words_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANPLATE_FEATURES_OFF", "kie, image,,")
    assert settings.read().features_off == {"kie", "image"}


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANPLATE_PORT", "")
    monkeypatch.setenv("CLEANPLATE_DATABASE_URL", "")
    assert (settings.read().port, settings.read().database_url) == (8000, None)


WRONG = [
    ("CLEANPLATE_LIMITS__FILE_BYTES", "much"),
    ("CLEANPLATE_DEVICE", "abacus"),
    ("CLEANPLATE_PORT", "65536"),
    ("CLEANPLATE_CHARGE_UNMARKED", "native,kay"),
    ("CLEANPLATE_PRICE_DETECTION_CREDITS", "-1"),
    ("CLEANPLATE_PORT", "http"),
    ("CLEANPLATE_NETWORKS", "none"),
    ("CLEANPLATE_SHARE_LINKS", "maybe"),
    ("CLEANPLATE_MAINTENANCE", "perhaps"),
    ("CLEANPLATE_WORKER_JOBS", "0"),
    ("CLEANPLATE_ACCOUNT_JOBS", "-1"),
    ("CLEANPLATE_JOB_SECONDS", "0"),
    ("CLEANPLATE_FETCH_SECONDS", "soon"),
    ("CLEANPLATE_KEEP_JOBS_SECONDS", "-5"),
    ("CLEANPLATE_PRICE_VIDEO_CREDITS", "-1"),
    ("CLEANPLATE_PRICE_IMAGE_CREDITS", "1000001"),
    ("CLEANPLATE_BOOTSTRAP_CREDITS", "1000000000001"),
    ("CLEANPLATE_LIMITS__DECODER_MEMORY_BYTES", "400000000"),
    ("CLEANPLATE_LIMITS__DURATION_SECONDS", "0"),
    ("CLEANPLATE_ACCOUNT_WAITS", "0"),
    ("CLEANPLATE_BODY_BYTES", "1.5"),
    ("CLEANPLATE_LOG_LEVEL", "loud"),
    ("CLEANPLATE_LOG_FORMAT", "xml"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_invalid_value_names_its_variable_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as wrong:
        settings.read()
    assert "\n" not in str(wrong.value)


def test_an_invalid_value_stops_the_start_with_one_line(cleanplate: Command, tmp_path: Path) -> None:
    done = cleanplate("serve", CLEANPLATE_DATA_DIR=str(tmp_path), CLEANPLATE_WORKER_JOBS="none")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cleanplate: CLEANPLATE_WORKER_JOBS: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "nonsense", "^CLEANPLATE_DATABASE_URL: "),
        ("DATABASE_URL", "mysql://localhost/x", "^CLEANPLATE_DATABASE_URL: "),
        ("DATABASE_URL", "postgresql://someone:a-password@127.0.0.1:9/x", "^CLEANPLATE_DATABASE_URL: .*Connection refused$"),
        ("STORAGE_URL", "floppy://a", "^CLEANPLATE_STORAGE_URL: "),
        ("SECRET_KEY", "short", "^CLEANPLATE_SECRET_KEY"),
        ("FETCH_ALLOW", "300.0.0.0/8", "^CLEANPLATE_FETCH_ALLOW: "),
        ("BOOTSTRAP_AIDGE", "nameonly", "^CLEANPLATE_BOOTSTRAP_AIDGE: "),
        ("RATE_SUBMIT", "often", "^rate limits: "),
        ("RATE_STORE", "nowhere://", "^rate limits: "),
    ],
)
def test_an_unusable_value_gives_one_line_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, message: str) -> None:
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(f"CLEANPLATE_{name}", value)
    with pytest.raises(SettingsError, match=message) as wrong:
        start()
    assert "\n" not in str(wrong.value)
    assert str(tmp_path) not in str(wrong.value)


def be_a_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


def have_a_damaged_database(folder: Path) -> None:
    (folder / DATABASE_FILE).write_bytes(bytes(range(256)) * 64)


def have_a_database_of_a_newer_version(folder: Path) -> None:
    database = Database(f"sqlite:///{folder / DATABASE_FILE}").migrate()
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()


def have_a_folder_as_its_key(folder: Path) -> None:
    (folder / KEY_FILE).mkdir()


def have_a_key_that_is_no_text(folder: Path) -> None:
    (folder / KEY_FILE).write_bytes(b"\xff" * 32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (be_a_file, "cannot be created: file exists"),
        (have_a_damaged_database, "file is not a database"),
        (have_a_database_of_a_newer_version, "a newer version of Cleanplate"),
        (have_a_folder_as_its_key, "its secret.key cannot be used: is a directory"),
        (have_a_key_that_is_no_text, "its secret.key cannot be used: not plain text"),
    ],
)
def test_a_data_folder_that_cannot_be_used_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("CLEANPLATE_DATA_DIR", str(tmp_path / "data"))
    spoil(tmp_path / "data")
    with pytest.raises(SettingsError, match=f"^CLEANPLATE_DATA_DIR: .*{message}") as wrong:
        start()
    assert "\n" not in str(wrong.value)
    assert str(tmp_path) not in str(wrong.value)


def test_no_folder_for_temporary_files_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "scratch").touch()
    with pytest.raises(SettingsError, match=r"^CLEANPLATE_DATA_DIR: no folder for temporary files"), Scratch(tmp_path / "scratch").opened():
        pass


def start() -> None:
    """Build everything that a service builds from its settings."""
    with opened(settings.read()) as core:
        bootstrap(core)
        create_app(core)


def test_the_document_contains_the_table() -> None:
    assert settings.table() in DOCUMENT.read_text(encoding="utf-8"), "regenerate it with `cleanplate settings table`"


def test_the_table_describes_every_variable() -> None:
    rows = [line.split(" | ") for line in settings.table().splitlines()[2:]]
    nested = len(vars(Limits())) + len(settings.ContentCredentials.model_fields)
    assert len(rows) == len(settings.Settings.model_fields) - 2 + nested
    assert all(len(meaning.strip(" |")) > 5 for _, _, meaning in rows)
