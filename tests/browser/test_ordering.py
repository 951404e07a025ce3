"""Creating jobs: files and URLs, the way to their results, and the messages when there is none."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visit, words
from tests.service_process import Service, file, running

EN = words()


@pytest.fixture(scope="module")
def unstaffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker: whatever is ordered there waits."""
    with running(tmp_path_factory.mktemp("unstaffed"), worker=False) as service:
        yield service


def test_a_dropped_file_is_cleaned_and_can_be_downloaded(visit: Visit, service: Service, video: bytes) -> None:
    visitor, account = visit(), service.account(credits=3)
    visitor.enter(account)
    expect(visitor.find("#credits")).to_have_text("Credits: 3")
    visitor.drop("my film.mp4", video)
    visitor.see_result()
    expect(visitor.find("#result-title")).to_have_text("my film.mp4")
    expect(visitor.find("#result-summary")).to_contain_text("Cleaned 44 frames in")
    expect(visitor.find("#credits")).to_have_text("Credits: 2")
    expect(visitor.page.get_by_role("status")).to_have_text(EN["state.succeeded"])
    with visitor.page.expect_download() as download:
        visitor.link(EN["result.download"]).click()
    result = service.context.job_service.find(account.id, visitor.job_id).result
    assert result
    assert download.value.path().stat().st_size == result.bytes
    assert download.value.suggested_filename.endswith(".mp4")


def test_an_image_has_a_result_without_a_player(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    visitor.choose("picture.png", file("image")[0], "image/png")
    visitor.see_result()
    expect(visitor.find("#result-summary")).to_contain_text("Cleaned in")
    expect(visitor.find("#player")).to_be_hidden()
    for side in ("before", "after"):
        assert visitor.page.get_by_test_id(side).locator("img").evaluate("image => image.naturalWidth") == 128


def test_options_are_sent_with_the_url(visit: Visit, service: Service) -> None:
    visitor, account = visit(), service.account()
    visitor.enter(account)
    visitor.find("#rights").select_option("licensed")
    visitor.find("#scene-text").check()
    visitor.find("#silent").check()
    visitor.paste_address(service.video_url())
    visitor.see_result()
    expect(visitor.find("#result-title")).to_have_text("marked.mp4")
    job = service.context.job_service.find(account.id, visitor.job_id)
    assert (job.rights, job.spec.classes, job.spec.remove_audio) == ("licensed", ("overlay", "scene_text"), True)


def test_a_job_can_be_left_and_cancelled_later(visit: Visit, service: Service) -> None:
    visitor, account = visit(), service.account(credits=1)
    visitor.enter(account)
    visitor.paste_address(service.host.trickle("/endless.mp4"))
    expect(visitor.find("#work-state")).to_have_text(EN["state.fetching"])
    visitor.button(EN["work.another"]).click()
    expect(visitor.find("#new-job")).to_be_visible()
    visitor.find(".job").click()
    visitor.button(EN["work.cancel"]).click()
    expect(visitor.find(".job .state")).to_contain_text(EN["state.cancelled"])
    expect(visitor.find("#new-job")).to_be_visible()
    expect(visitor.find("#credits")).to_have_text("Credits: 1")


def test_the_card_of_each_job_has_a_line_of_name_and_at_most_two_of_state(visit: Visit, unstaffed: Service) -> None:
    visitor = visit(unstaffed)
    visitor.enter(unstaffed.account())
    for number in range(3):
        visitor.paste_address(f"{unstaffed.host.url}/a-clip-with-a-name-that-is-longer-than-its-card-{number}.mp4")
        visitor.button(EN["work.another"]).click()
    expect(visitor.find(".job[data-state=queued]")).to_have_count(3)
    texts = visitor.find(".job .name, .job .state")
    expect(texts).to_have_count(6)
    assert texts.evaluate_all("all => Math.max(...all.map((each) => each.getBoundingClientRect().height))") < 50
    assert texts.evaluate_all("all => all.every((each) => each.clientWidth <= each.parentElement.clientWidth)")


def test_a_result_without_a_mark_opens_the_tools_and_compares_nothing(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account(credits=1))
    visitor.paste_address(service.video_url("clean"))
    expect(visitor.find("#result-summary")).to_have_text(EN["result.nothing_free"])
    expect(visitor.page.get_by_role("status")).to_have_text(EN["state.nothing"])
    expect(visitor.find("#credits")).to_have_text("Credits: 1")
    expect(visitor.tool("box")).to_be_checked()
    expect(visitor.find("#stage video")).to_have_count(1)
    for shown in (".handle", ".tag-before", ".tag-after", "#divider"):
        expect(visitor.find(shown)).to_be_hidden()
    assert EN["compare.after"] not in visitor.find("#result").inner_text()
    visitor.draw((0.2, 0.2), (0.5, 0.5))
    before = visitor.job_id
    visitor.button(EN["draw.run"]).click()
    expect(visitor.page).not_to_have_url(f"{service.url}/#{before}")
    visitor.see_result()
    expect(visitor.find(".handle")).to_be_visible()
    assert {placement["kind"] for placement in visitor.report()["placements"]} == {"user"}


# Errors are shown as sentences on the page.


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("wrong_format", "unsupported-format"),
        ("huge", "too-large"),
        ("broken", "truncated"),
        ("long", "too-long"),
        ("large", "too-many-pixels"),
    ],
)
def test_an_unsupported_file(visit: Visit, service: Service, kind: str, problem: str) -> None:
    data, suffix = file(kind)
    visitor = visit()
    visitor.enter(service.account(credits=1))
    visitor.choose(f"file{suffix}", data)
    assert_shown(visitor.complaint(), problem)
    expect(visitor.find("#new-job")).to_be_visible()
    expect(visitor.find("#credits")).to_have_text("Credits: 1")


def test_an_unreachable_url(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    visitor.paste_address(service.video_url("missing"))
    assert_shown(visitor.complaint(), "fetch-refused")
    expect(visitor.find(".job .state")).to_contain_text(EN["state.failed"])


def test_an_unknown_key(visit: Visit) -> None:
    visitor = visit()
    visitor.find("#key").fill("cp_wrong")
    visitor.button(EN["key.use"]).click()
    assert_shown(visitor.complaint(), "key-invalid")
    expect(visitor.find("#key")).to_be_focused()
    expect(visitor.find("#new-job")).to_be_hidden()


def test_too_few_credits(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account(credits=0))
    visitor.choose("video.mp4", file("marked")[0])
    shown = visitor.complaint()
    assert shown == EN["problem.insufficient-credits"].replace("{required}", "1").replace("{current}", "0")


def test_a_service_that_does_not_respond(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    visitor.page.context.set_offline(True)
    visitor.paste_address(service.video_url())
    assert_shown(visitor.complaint(), "network")
    visitor.page.context.set_offline(False)
    visitor.button(EN["new.fetch"]).click()
    expect(visitor.find("#work")).to_be_visible()
    expect(visitor.page.get_by_role("alert")).to_be_hidden()


def assert_shown(shown: str, problem: str) -> None:
    """This problem's text comes first; the service's message may follow, without traces of a program."""
    first, *more = [line for line in shown.splitlines() if line]
    assert first == EN[f"problem.{problem}"]
    assert len(more) <= 1
    assert not [word for word in ("Traceback", "Error", "{", "undefined", "null") if word in shown]
