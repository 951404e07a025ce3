"""No mark found: in every dialect a success in its documented shape, with the file as it was, and no credit taken."""

import pytest

from tests.facades.dialects import DIALECTS, Dialect
from tests.service_process import Service, file


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_file_without_a_mark_costs_nothing(service: Service, dialect: Dialect) -> None:
    account, kind = service.account(credits=3), "clean" if dialect.media == "video" else "clean_image"
    outcome = dialect.cleaned(service, account, service.video_url(kind))
    assert outcome.code == dialect.success
    assert outcome.clean_url
    assert service.client.get(outcome.clean_url).status_code == 200
    (job,) = service.context.job_service.jobs(account.id, 2)
    assert (job.result is not None and job.result.mark_found, job.credits_used) == (False, 0)
    assert service.context.job_service.balance(account.id).total_credits == 3
    assert dialect.credits(service, account) in (3, None)


def test_the_native_api_says_what_to_do_next(service: Service) -> None:
    account = service.account(credits=3)
    sent = service.client.post("/v1/jobs", headers=account.bearer, files={"file": ("a.png", file("clean_image")[0])}).json()
    service.wait(account, sent["id"])
    job = service.client.get(f"/v1/jobs/{sent['id']}", headers=account.bearer).json()
    assert (job["state"], job["credits_used"], job["result"]["mark_found"]) == ("succeeded", 0, False)
    assert "boxes" in job["result"]["advice"]
    assert service.client.get("/v1/account", headers=account.bearer).json()["spent_credits"] == 0


def test_a_mark_that_was_found_is_charged_and_needs_no_advice(service: Service) -> None:
    account = service.account(credits=3)
    sent = service.client.post("/v1/jobs", headers=account.bearer, files={"file": ("a.png", file("image")[0])}).json()
    service.wait(account, sent["id"])
    job = service.client.get(f"/v1/jobs/{sent['id']}", headers=account.bearer).json()
    assert (job["credits_used"], job["result"]["mark_found"], job["result"]["advice"]) == (1, True, None)
