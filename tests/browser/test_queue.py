"""Several files at once: a queue in which one bad file does not stop the rest, and one archive of all results."""

import zipfile
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, file

EN = words()
FILES = 10
BAD = 3  # the place of one that is no video


def names_of(visitor: Visitor) -> list[str]:
    return visitor.find(".queued .name").all_inner_texts()


def test_ten_dropped_files_are_cleaned_in_order_and_downloaded_as_one(visit: Visit, service: Service, tmp_path: Path) -> None:
    visitor = visit()
    visitor.enter(service.account())
    files = {f"clip {number}.mp4": b"nothing" if number == BAD else file("marked")[0] for number in range(FILES)}
    visitor.drop_all(files)
    assert names_of(visitor) == [*files]
    expect(visitor.find(".queued[data-state=succeeded]")).to_have_count(FILES - 1)
    expect(visitor.find(".queued").nth(BAD).locator(".state")).to_have_text(EN["problem.not-media"])
    expect(visitor.find("#queue-title")).to_have_text("9 of 10 done")
    with visitor.page.expect_download() as download:
        visitor.button(EN["queue.download"]).click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"clip {number}_clean.mp4" for number in range(FILES) if number != BAD]
    visitor.button("Open clip 5.mp4").click()
    visitor.see_result()
    expect(visitor.find("#result-title")).to_have_text("clip 5.mp4")


def test_a_folder_is_queued_by_name_without_hidden_files(visit: Visit, service: Service, tmp_path: Path) -> None:
    for name in ("b/2.mp4", "b/10.mp4", "a.mp4", ".hidden.mp4"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nothing")
    visitor = visit()
    visitor.enter(service.account())
    visitor.find("#folder").set_input_files(tmp_path / "films")
    expect(visitor.find(".queued[data-state=failed]")).to_have_count(3)
    assert names_of(visitor) == ["a.mp4", "2.mp4", "10.mp4"]
    visitor.button(EN["queue.clear"]).click()
    expect(visitor.find("#queue")).to_be_hidden()


def test_a_file_that_comes_during_an_upload_waits_for_its_turn(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    held: list[Route] = []
    visitor.page.route("**/v1/jobs", lambda route: held.append(route) if route.request.method == "POST" else route.fallback())
    visitor.drop("first.mp4", file("marked")[0])
    expect(visitor.find("#work-state")).to_have_text(EN["state.sending"])
    visitor.drop("second.mp4", file("marked")[0])
    expect(visitor.find(".queued .state")).to_have_text(EN["state.waiting"])
    held[0].continue_()
    visitor.page.unroute("**/v1/jobs")
    expect(visitor.find(".queued[data-state=succeeded]")).to_have_count(1)
    visitor.see_result()
    expect(visitor.find("#result-title")).to_have_text("first.mp4")
