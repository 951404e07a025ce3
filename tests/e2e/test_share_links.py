"""Share links end to end: the page is resolved, its video cleaned, its texts returned."""

from collections.abc import Iterator

import pytest

from tests.fixture_host import POST_ID, Host, host
from tests.service_process import Service, file, running

LINK = f"https://sora.chatgpt.com/p/{POST_ID}"


@pytest.fixture(scope="module", params=["json", "page"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Host]]:
    """A service that accepts only share links, and the host that replaces their site."""
    with host() as there:
        video = there.serve("/marked.mp4", file("marked")[0])
        share = there.share_json if request.param == "json" else there.share_page
        share(POST_ID, video_url=video, prompt="A cat, asleep", thumbnail_url=f"{there.url}/cat.jpg")
        with running(
            tmp_path_factory.mktemp("share"), share_links=request.param, share_links_url=there.url, sora_links_only="true"
        ) as service:
            yield service, there


def test_a_share_link_is_resolved_and_its_video_cleaned(site: tuple[Service, Host]) -> None:
    service, there = site
    account = service.account(credits=2)
    answer = service.client.post("/api/v1/download", json={"api_key": account.key, "video_url": LINK}).json()
    assert (answer["code"], answer["msg"]) == (200, "watermark removed successfully")
    data = answer["data"]
    assert (data["post_id"], data["prompt"], data["thumbnail"]) == (POST_ID, "A cat, asleep", f"{there.url}/cat.jpg")
    assert (data["credits_used"], data["remaining_credits"]) == (1, 1)
    assert service.client.get(data["download_links"]["mp4_source"]).content == file("marked")[0]
    assert service.client.get(data["download_links"]["mp4"]).content not in (b"", file("marked")[0])


def test_other_addresses_are_refused_as_documented(site: tuple[Service, Host]) -> None:
    service, there = site
    account = service.account(credits=1)
    url = there.serve("/other.mp4", file("marked")[0])
    assert service.client.post("/api/v1/download", json={"api_key": account.key, "video_url": url}).json()["code"] == 4006
    task = {"model": "sora-watermark-remover", "input": {"video_url": url}}
    assert service.client.post("/api/v1/jobs/createTask", headers=account.bearer, json=task).json()["code"] == 422
    assert service.context.job_service.balance(account.id).total_credits == 1
