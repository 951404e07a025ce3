"""The page of formats is true: a sample of its files is made and cleaned by the service's own processes; all of them when asked.

CLEANPLATE_TEST_FORMATS=all pytest tests/e2e/test_formats.py        # about three minutes on two idle cores
"""

import os

import pytest

from service.inference import fake
from tests.formats import page
from tests.formats.in_process import in_process
from tests.formats.walk import Cell, Verdict, judge, walk

CELLS = page.cells()
PAGE = page.listed(page.DOCUMENT.read_text(encoding="utf-8"))
LEAST_CELLS = 400
SAMPLE = 16


def sample() -> list[Cell]:
    """Cells from all over the page."""
    listed = [cell for cell in CELLS if cell.place in PAGE]
    return listed[SAMPLE // 2 :: len(listed) // SAMPLE]


def as_listed(verdict: Verdict | None) -> Verdict | None:
    return None if verdict is None else Verdict(verdict.fate, page.general(verdict.notes))


@pytest.mark.parametrize("cell", sample(), ids=lambda cell: cell.id)
def test_a_file_comes_back_as_the_page_says(cell: Cell) -> None:
    assert as_listed(judge(cell, fake.networks())) == PAGE[cell.place], "write it anew: make formats"


def test_the_page_lists_the_cells_of_the_matrix() -> None:
    """Each at most once, without a fault."""
    assert len({cell.place for cell in CELLS}) == len(CELLS)
    assert PAGE.keys() <= {cell.place for cell in CELLS}
    assert len(PAGE) >= LEAST_CELLS
    assert {verdict.fate for verdict in PAGE.values()} == set(page.FATES)


def test_a_page_can_be_read_again() -> None:
    found = {
        ("Sound", "aac", "mp4"): Verdict("kept"),
        ("Sound", "aac", "mkv to mp4"): Verdict("converted", ("a: b (c)", "d: e")),
        ("Sound", "mp3", "mp4"): Verdict("refused", ("d: e",)),
        ("Tags", "aac", "mp4"): Verdict("not kept", ("tags (x): lost",)),
    }
    shown = found | {("Tags", "aac", "mp4"): Verdict("not kept", ("tags: lost",))}
    assert page.listed(page.written(found)) == shown


@pytest.mark.skipif(
    os.environ.get("CLEANPLATE_TEST_FORMATS") != "all", reason="walks more than a thousand files: CLEANPLATE_TEST_FORMATS=all"
)
def test_every_file_comes_back_as_the_page_says() -> None:
    with in_process():
        found = {cell.place: verdict for cell, verdict in walk(CELLS)}
    assert {place: as_listed(verdict) for place, verdict in found.items() if verdict} == PAGE
