"""Chromium and Firefox play every mp4 and webm result of the codecs that they know, and show the right picture where they seek."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.players import COMMANDS, FILES, faults, make_results, report_of

REPORT_SECONDS = 300.0  # on a machine with much else to do; some ten seconds else


@pytest.fixture(scope="module")
def results() -> Iterator[list[Path]]:
    with TemporaryDirectory() as folder:
        yield make_results(Path(folder))


@pytest.mark.parametrize("browser", COMMANDS)
def test_a_browser_plays_and_seeks_our_results(browser: str, results: list[Path]) -> None:
    if os.environ.get("CLEANPLATE_TEST_BROWSER") == "off":
        pytest.skip("CLEANPLATE_TEST_BROWSER=off")
    if shutil.which(browser) is None:
        pytest.fail(f"{browser} is not installed: see .ci/servers, or set CLEANPLATE_TEST_BROWSER=off", pytrace=False)
    found = {file["name"]: list(faults(file)) for file in report_of(browser, results, REPORT_SECONDS)}
    assert found == {name: [] for name, *_ in FILES}
