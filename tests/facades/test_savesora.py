"""The savesora facade: a request that waits until the video is clean, and each code by its real cause."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service.api.savesora import FACADE
from service.api.upload import named_key
from service.errors import FetchRefused, JobTimeout, MediaAddressInvalid, TooLong
from service.jobs.credits import Fund
from service.jobs.job import Post, State
from tests.workerless_server import ACCOUNT_WAITS, CLEAN, SOURCE, Customer, WorkerlessServer, until, workerless_server

POST_ID = "s_68dc40f1f5a481919a01594fef247dd4"
POST = f"https://sora.chatgpt.com/p/{POST_ID}"
VIDEO = "http://127.0.0.1:9/video.mp4"  # never fetched, as there is no worker
FAILED = '{"code":5002,"msg":"watermark removal failed","data":{}}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("savesora"), FACADE) as server:
        yield server


Download = Callable[..., Future[httpx.Response]]


@pytest.fixture
def download(server: WorkerlessServer) -> Iterator[Download]:
    """Sends a request that waits for its result; returns the future of its response."""
    with ThreadPoolExecutor() as threads:

        def send(customer: Customer, url: str = VIDEO, prefix: str = "", **options: Any) -> Future[httpx.Response]:
            body = {"api_key": customer.key, "video_url": url}
            return threads.submit(server.client.post, f"{prefix}/api/v1/download", json=body, **options)

        yield send


def answer(server: WorkerlessServer, path: str = "/api/v1/download", **body: object) -> httpx.Response:
    return server.client.post(path, json=body)


def test_the_documented_answer(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=100)
    held = download(customer, POST)
    server.succeed(server.job_of(customer).id, Post(POST_ID, "A cinematic shot of...", "https://example.com/thumbnail.jpg"))
    text = held.result().text
    links = json.loads(text)["data"]["download_links"]
    assert text == json.dumps(
        {
            "code": 200,
            "msg": "watermark removed successfully",
            "data": {
                "post_id": POST_ID,
                "prompt": "A cinematic shot of...",
                "thumbnail": "https://example.com/thumbnail.jpg",
                "download_links": {"mp4": links["mp4"], "mp4_source": links["mp4_source"]},
                "credits_used": 1,
                "remaining_credits": 99,
            },
        },
        separators=(",", ":"),
    )
    assert (server.client.get(links["mp4"]).content, server.client.get(links["mp4_source"]).content) == (CLEAN, SOURCE)


def test_a_plain_url_has_an_id_and_a_thumbnail_too(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer()
    held = download(customer)
    job = server.job_of(customer)
    server.succeed(job.id)
    data = held.result().json()["data"]
    assert (data["post_id"], data["prompt"]) == (job.id, "")
    assert server.client.get(data["thumbnail"]).status_code == 200


def test_a_repeated_request_is_answered_at_once_and_free(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    held = download(customer)
    server.succeed(server.job_of(customer).id)
    first, again = held.result().json()["data"], download(customer).result().json()["data"]
    assert (first["credits_used"], again["credits_used"], again["remaining_credits"]) == (1, 0, 1)
    assert again["post_id"] == first["post_id"]
    assert again["download_links"] == first["download_links"], "the same text, as clients know a video by it"
    assert len(server.context.job_service.jobs(customer.id, 10)) == 1


@pytest.mark.parametrize(
    "other", [f"{POST}/", f"{POST}?psh=abc#top", POST.replace("https", "http"), POST.replace("sora.chatgpt.com", "sora.com"), POST.upper()]
)
def test_a_post_is_the_same_however_it_is_spelt(server: WorkerlessServer, download: Download, other: str) -> None:
    customer = server.customer(credits=2)
    held = download(customer, POST)
    server.succeed(server.job_of(customer).id)
    first, again = held.result().json()["data"], download(customer, other).result().json()["data"]
    assert (again["post_id"], again["credits_used"], again["remaining_credits"]) == (first["post_id"], 0, 1)


def test_a_file_of_ours_is_the_same_by_any_of_its_links(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    key = f"uploads/{customer.id}/1/clip.mp4"
    held = download(customer, server.links.url(key, 600))
    server.succeed(server.job_of(customer).id)
    assert held.result().json()["data"]["credits_used"] == 1
    assert download(customer, server.links.url(key, 900)).result().json()["data"]["credits_used"] == 0


def test_a_file_that_may_have_been_replaced_is_another_job(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    for seconds in (600, 900):
        held = download(customer, server.links.url(named_key(customer.id, "clip.mp4"), seconds))
        until(lambda number=seconds // 300 - 1: len(server.context.job_service.jobs(customer.id, 10)) == number)
        server.succeed(server.job_of(customer).id)
        assert held.result().json()["data"]["credits_used"] == 1


def test_a_client_that_disconnects_loses_neither_job_nor_credit(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    with pytest.raises(httpx.ReadTimeout):
        download(customer, timeout=httpx.Timeout(20, read=0.1)).result()
    server.job_of(customer)
    server.wait_for_silence()
    job = server.job_of(customer)
    assert (job.state, job.cancel_asked) == (State.QUEUED, False)
    server.succeed(job.id)
    data = download(customer).result().json()["data"]
    assert (data["post_id"], data["remaining_credits"]) == (job.id, 1)


def test_a_job_that_waits_too_long_is_cancelled_and_refunded(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    assert download(customer, prefix="/impatient").result().text == FAILED
    assert server.job_of(customer).state is State.CANCELLED
    assert server.context.job_service.balance(customer.id).total_credits == 2


def test_a_job_that_finishes_before_its_cancellation_succeeds(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    held = download(customer, prefix="/impatient")
    job_id = server.job_of(customer).id
    server.start(job_id)
    until(lambda: server.job_of(customer).cancel_asked)
    server.succeed(job_id)
    assert held.result().json()["code"] == 200


def test_a_held_request_ends_soon_after_its_account_is_banned(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    held = download(customer)
    job = server.job_of(customer)
    server.accounts.set_banned(customer.account, True)
    assert held.result().json()["code"] == 4005
    assert not server.context.job_service.find(customer.id, job.id).cancel_asked, "its job goes on"


def test_an_account_holds_few_requests_at_once_and_orders_nothing_beyond(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=9)
    held = [download(customer, f"{VIDEO}?{number}") for number in range(ACCOUNT_WAITS)]
    until(lambda: len(server.context.job_service.jobs(customer.id, 9)) == ACCOUNT_WAITS)
    refused = download(customer, f"{VIDEO}?more").result()
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (200, 5001, "10")
    jobs = server.context.job_service.jobs(customer.id, 9)
    assert len(jobs) == ACCOUNT_WAITS
    for job in jobs:
        server.succeed(job.id)
    assert [each.result().json()["code"] for each in held] == [200] * ACCOUNT_WAITS
    assert server.context.job_service.balance(customer.id).total_credits == 9 - ACCOUNT_WAITS


@pytest.mark.parametrize("error", [FetchRefused("403"), TooLong("too long"), JobTimeout("too slow"), KeyError("unforeseen")])
def test_a_failure_is_refunded(server: WorkerlessServer, download: Download, error: Exception) -> None:
    customer = server.customer(credits=2)
    held = download(customer)
    server.fail(server.job_of(customer).id, error)
    assert held.result().text == FAILED
    assert server.context.job_service.balance(customer.id).total_credits == 2


def test_a_url_that_proves_invalid(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer()
    held = download(customer)
    server.fail(server.job_of(customer).id, MediaAddressInvalid("no video there"))
    assert held.result().json()["code"] == 4006


def test_a_failed_request_can_be_repeated(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer()
    held = download(customer)
    server.fail(server.job_of(customer).id, FetchRefused("403"))
    held.result()
    again = download(customer)
    until(lambda: len(server.context.job_service.jobs(customer.id, 10)) == 2)
    server.succeed(server.job_of(customer).id)
    assert again.result().json()["code"] == 200


def test_a_video_whose_files_were_deleted_is_cleaned_again(server: WorkerlessServer, download: Download) -> None:
    customer = server.customer(credits=2)
    held = download(customer)
    first = server.succeed(server.job_of(customer).id)
    assert held.result().json()["data"]["credits_used"] == 1
    assert server.context.account_files.clear_job(first)
    again = download(customer)
    until(lambda: len(server.context.job_service.jobs(customer.id, 10)) == 2)
    server.succeed(server.job_of(customer).id)
    data = again.result().json()["data"]
    assert (data["credits_used"], data["remaining_credits"]) == (1, 0)
    assert server.client.get(data["download_links"]["mp4"]).content == CLEAN


def test_the_codes_of_keys(server: WorkerlessServer) -> None:
    gone, banned = server.customer(), server.customer()
    server.accounts.delete(gone.account)
    server.accounts.set_banned(banned.account, True)
    for path in ("/api/v1/download", "/api/v1/credits"):
        assert answer(server, path, video_url=VIDEO).text == '{"code":4001,"msg":"api_key is required","data":{}}'
        assert answer(server, path, api_key="no", video_url=VIDEO).text == '{"code":4003,"msg":"invalid api_key","data":{}}'
        assert answer(server, path, api_key=["no"], video_url=VIDEO).json()["code"] == 4003
        assert server.client.post(path, content=b'{"api_key":"\\ud800","video_url":"x"}').json()["code"] == 4003
        assert answer(server, path, api_key=gone.key, video_url=VIDEO).text == '{"code":4004,"msg":"user not found","data":{}}'
        assert answer(server, path, api_key=banned.key, video_url=VIDEO).text == '{"code":4005,"msg":"user account is banned","data":{}}'
        assert server.client.post(path, content=b"{").json()["code"] == 4001


@pytest.mark.parametrize(
    "url", ["not an address", "ftp://example.com/video.mp4", "http://", "http://[", ["list"], "http://me:secret@example.com/"]
)
def test_an_invalid_url(server: WorkerlessServer, url: object) -> None:
    text = answer(server, api_key=server.customer().key, video_url=url).text
    assert text == '{"code":4006,"msg":"invalid video url","data":{}}'


def test_a_url_with_an_unpaired_surrogate(server: WorkerlessServer) -> None:
    body = json.dumps({"api_key": server.customer().key, "video_url": "http://example.com/\ud800"})
    assert server.client.post("/api/v1/download", content=body).json()["code"] == 4006


def test_a_missing_url(server: WorkerlessServer) -> None:
    assert answer(server, api_key=server.customer().key).text == '{"code":4002,"msg":"video_url is required","data":{}}'


def test_share_links_only(server: WorkerlessServer, download: Download) -> None:
    assert download(server.customer(), prefix="/sora").result().json()["code"] == 4006
    customer = server.customer()
    held = download(customer, POST, prefix="/sora")
    server.succeed(server.job_of(customer).id)
    assert held.result().json()["data"]["post_id"] == POST_ID


def test_no_credits(server: WorkerlessServer) -> None:
    expected = '{"code":4007,"msg":"insufficient credits","data":{"current_credits":0,"required_credits":1}}'
    assert answer(server, api_key=server.customer(credits=0).key, video_url=VIDEO).text == expected


def test_maintenance(server: WorkerlessServer, download: Download) -> None:
    assert download(server.customer(), prefix="/closed").result().text == '{"code":5001,"msg":"internal server error","data":{}}'


def test_credits(server: WorkerlessServer) -> None:
    customer = server.customer(credits=50)
    server.grant(customer.id, Fund.ONE_TIME, 50)
    expected = '{"code":200,"msg":"success","data":{"paid_credits":50,"onetime_credits":50,"total_credits":100}}'
    assert answer(server, "/api/v1/credits", api_key=customer.key).text == expected
