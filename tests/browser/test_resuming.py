"""A large file goes on where it stopped: after a lost connection, and after the page was loaded again and the same file chosen."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.visitor import Visit, Visitor, words
from tests.fixture_host import eventually
from tests.service_process import Service, running

EN = words()
MIB = 2**20
PIECE_BYTES = 8 * MIB
FILE = b"\x00\x00\x00\x18ftypmp42" + os.urandom(MIB) * 20
LARGE = {"upload_bytes": str(64 * MIB), "limits__file_bytes": str(64 * MIB)}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("resuming"), worker=False, **LARGE) as service:
        yield service


def test_a_large_file_goes_on_after_a_lost_connection_and_after_a_reload(visit: Visit, large: Service, tmp_path: Path) -> None:
    file = tmp_path / "Ferien.mp4"
    file.write_bytes(FILE)
    visitor, account = visit(large), large.account()
    visitor.enter(account)
    offsets: list[int] = []
    held: list[Route] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))

    def break_off(route: Route) -> None:
        if route.request.method != "PATCH" or offsets[-1] == 0:
            route.fallback()
        elif offsets.count(PIECE_BYTES) == 1:
            route.abort()  # the connection is lost
        else:
            held.append(route)  # and then nothing happens any more

    visitor.page.on("request", note)
    visitor.page.on("dialog", lambda dialog: dialog.accept())  # yes, leave
    visitor.page.route("**/v1/uploads/resumable/*", break_off)
    visitor.find("#file").set_input_files(file)
    eventually(lambda: visitor.page.evaluate("1") and held)
    assert offsets == [0, PIECE_BYTES, PIECE_BYTES]
    visitor.page.unroute("**/v1/uploads/resumable/*")
    visitor.page.reload()
    visitor.find("#file").set_input_files(file)
    expect(visitor.find("#work-state")).to_have_text(EN["state.queued"])
    assert offsets[3:] == [PIECE_BYTES, 2 * PIECE_BYTES]
    job = large.context.job_service.jobs(account.id, 1)[0]
    assert job.name == "Ferien.mp4"
    assert job.spec.source_key
    assert b"".join(large.core.storage.read(job.spec.source_key)) == FILE


def first_held(visitor: Visitor, address: str) -> list[Route]:
    """The first request to an address, once it is made: it waits until it is continued, and no other does."""
    held: list[Route] = []
    visitor.page.route(address, lambda route: route.fallback() if held else held.append(route))
    return held


@pytest.fixture
def sending(visit: Visit, large: Service, tmp_path: Path) -> tuple[Visitor, Path]:
    """A visitor who is signed in, and a large file."""
    file = tmp_path / "large.mp4"
    file.write_bytes(FILE)
    visitor = visit(large)
    visitor.enter(large.account())
    return visitor, file


def test_a_file_chosen_while_the_page_signs_in_is_sent(sending: tuple[Visitor, Path]) -> None:
    visitor, file = sending
    account, pieces = (first_held(visitor, address) for address in ("**/v1/account", "**/v1/uploads/resumable/*"))
    visitor.page.reload()
    visitor.find("#file").set_input_files(file)
    eventually(lambda: visitor.page.evaluate("1") and account and pieces)
    with visitor.page.expect_response("**/v1/limits"):
        account[0].continue_()
    expect(visitor.find("#work")).to_be_visible()
    pieces[0].continue_()
    expect(visitor.find("#work-state")).to_have_text(EN["state.queued"])


def test_back_does_not_end_an_upload(sending: tuple[Visitor, Path]) -> None:
    visitor, file = sending
    visitor.page.evaluate("history.pushState(null, '', '#')")
    pieces = first_held(visitor, "**/v1/uploads/resumable/*")
    visitor.find("#file").set_input_files(file)
    eventually(lambda: visitor.page.evaluate("1") and pieces)
    visitor.page.go_back()
    pieces[0].continue_()
    expect(visitor.find("#work-state")).to_have_text(EN["state.queued"])


def test_a_cancelled_upload_leaves_nothing(visit: Visit, large: Service, tmp_path: Path) -> None:
    file = tmp_path / "cancelled.mp4"
    file.write_bytes(FILE)
    visitor, account = visit(large), large.account()
    visitor.enter(account)
    held: list[Route] = []
    visitor.page.route(
        "**/v1/uploads/resumable/*", lambda route: held.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    visitor.find("#file").set_input_files(file)
    eventually(lambda: visitor.page.evaluate("1") and held)
    with visitor.page.expect_response(lambda response: response.request.method == "DELETE"):
        visitor.find("#cancel").click()
    assert visitor.page.evaluate("localStorage.getItem('cleanplate.uploads')") == "{}"
    assert list((large.core.settings.data_dir / "half-uploads").glob("*")) == []
