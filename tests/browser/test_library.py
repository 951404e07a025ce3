"""The account's files: their names in every session, search, renaming, deleting, and Back from one to the other."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from service.jobs import store
from tests.browser.visitor import Visit, words
from tests.service_process import Service, TestAccount, file

EN = words()


def uploaded(service: Service, account: TestAccount, name: str, kind: str = "marked") -> str:
    job = service.client.post("/v1/jobs", headers=account.bearer, files={"file": (name, file(kind)[0])}).json()
    service.wait(account, job["id"])
    return str(job["id"])


def test_names_are_kept_searched_changed_and_deleted(visit: Visit, service: Service) -> None:
    account = service.account()
    holiday, birthday = (uploaded(service, account, name) for name in ("holiday.mp4", "birthday.mp4"))
    visitor = visit()
    visitor.enter(account)
    names = visitor.find(".job .name")
    expect(names).to_have_text(["birthday.mp4", "holiday.mp4"])
    visitor.find("#search-name").fill("HOLI")
    expect(names).to_have_text(["holiday.mp4"])
    visitor.find("#search-state").select_option("failed")
    expect(visitor.find("#no-match")).to_be_visible()
    visitor.find("#search-state").select_option("")
    visitor.find(f"[data-job={holiday}]").click()
    visitor.see_result()
    visitor.button(EN["jobs.rename"]).click()
    visitor.find("#new-name").fill("holiday at the sea.mp4")
    visitor.find("#new-name").press("Enter")
    expect(visitor.find("#result-title")).to_have_text("holiday at the sea.mp4")
    expect(names).to_have_text(["holiday at the sea.mp4"])
    with visitor.page.expect_download() as download:
        visitor.link(EN["result.download"]).click()
    assert download.value.suggested_filename == "holiday at the sea_clean.mp4"
    visitor.find("#search-name").fill("")
    expect(names).to_have_count(2)
    visitor.page.once("dialog", lambda dialog: dialog.accept())
    visitor.button("Delete birthday.mp4").click()
    expect(names).to_have_text(["holiday at the sea.mp4"])
    assert service.context.job_service.find(account.id, birthday).cleared_ms is not None


def test_a_copied_link_opens_the_result_without_a_key(visit: Visit, service: Service, resident: TestAccount, cleaned_video: str) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.enter(resident, cleaned_video)
    visitor.button(EN["result.share"]).click()
    expect(visitor.button(EN["result.shared"])).to_be_visible()
    link = visitor.page.evaluate("() => navigator.clipboard.readText()")
    assert resident.key not in link
    assert {"expires", "signature"} <= parse_qs(urlsplit(link).query).keys()
    answer = service.client.get(link)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert service.client.get(link.replace("signature=", "signature=0")).status_code in (401, 403)


def test_back_goes_from_file_to_file_and_to_the_start(visit: Visit, resident: TestAccount, cleaned_image: str, cleaned_video: str) -> None:
    visitor = visit()
    visitor.enter(resident)
    for job in (cleaned_image, cleaned_video):
        visitor.find(f"[data-job={job}]").click()
        visitor.see_result()
        assert visitor.job_id == job
    visitor.page.go_back()
    expect(visitor.page.get_by_test_id("after").locator("img")).to_be_visible()
    assert visitor.job_id == cleaned_image
    visitor.page.go_back()
    expect(visitor.find("#new-job")).to_be_visible()
    visitor.page.go_forward()
    expect(visitor.page.get_by_test_id("after").locator("img")).to_be_visible()


def test_what_a_result_lacks_is_said(visit: Visit, service: Service) -> None:
    account = service.account()
    job_id = uploaded(service, account, "a.mp4")
    result = service.context.job_service.find(account.id, job_id).result
    assert result
    lost = replace(result, not_kept=({"what": "data track (bin_data)", "reason": "no container takes over such a track"},))
    with service.core.database.write() as connection:
        store.update(connection, job_id, result=lost.to_json())
    visitor = visit()
    visitor.enter(account, job_id)
    visitor.find("#not-kept summary").click()
    expect(visitor.find("#not-kept-list li")).to_have_text(["data track (bin_data): no container takes over such a track"])


def test_limits_and_prices_are_said_and_a_refusal_names_both_figures(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    expect(visitor.find("#limits")).to_have_text(
        "Up to 200 kB; videos up to 2 seconds and 256 × 256 pixels. Credits: 1 per video, 1 per image."
    )
    asked = len(visitor.asked)
    for kind, figures in {"huge": "Limit: 200 kB", "long": "Limit: 0:02", "large": "This file: 320 × 320. Limit: 256 × 256"}.items():
        visitor.choose("file.mp4", file(kind)[0])
        expect(visitor.page.get_by_role("alert")).to_contain_text(figures)
    assert not [url for url in visitor.asked[asked:] if "/v1/jobs" in url], "nothing was uploaded"
