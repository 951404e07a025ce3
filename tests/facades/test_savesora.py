"""The savesora dialect: a request that is held until the video is clean, and each code by its real cause."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service.api.savesora import FACADE
from service.errors import FetchRefused, JobTimeout, MediaAddressInvalid, TooLong
from service.jobs.credits import Fund
from service.jobs.job import Post, State
from tests.front_desk import CLEAN, SOURCE, Customer, FrontDesk, front_desk, until

POST_ID = "s_68dc40f1f5a481919a01594fef247dd4"
POST = f"https://sora.chatgpt.com/p/{POST_ID}"
VIDEO = "http://127.0.0.1:9/video.mp4"  # nothing fetches it: there is no worker
FAILED = '{"code":5002,"msg":"watermark removal failed","data":null}'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDesk]:
    with front_desk(tmp_path_factory.mktemp("savesora"), FACADE) as desk:
        yield desk


Download = Callable[..., Future[httpx.Response]]


@pytest.fixture
def download(desk: FrontDesk) -> Iterator[Download]:
    """Sends a request that will be held, and gives its answer's future."""
    with ThreadPoolExecutor() as threads:

        def send(customer: Customer, url: str = VIDEO, prefix: str = "", **options: Any) -> Future[httpx.Response]:
            body = {"api_key": customer.key, "video_url": url}
            return threads.submit(desk.client.post, f"{prefix}/api/v1/download", json=body, **options)

        yield send


def answer(desk: FrontDesk, path: str = "/api/v1/download", **body: object) -> httpx.Response:
    return desk.client.post(path, json=body)


def test_the_documented_answer(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer(credits=100)
    held = download(customer, POST)
    desk.succeed(desk.job_of(customer).id, Post(POST_ID, "A cinematic shot of...", "https://example.com/thumbnail.jpg"))
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
    assert (desk.client.get(links["mp4"]).content, desk.client.get(links["mp4_source"]).content) == (CLEAN, SOURCE)


def test_an_address_without_a_post_has_an_id_and_a_thumbnail_all_the_same(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer()
    held = download(customer)
    job = desk.job_of(customer)
    desk.succeed(job.id)
    data = held.result().json()["data"]
    assert (data["post_id"], data["prompt"]) == (job.id, "")
    assert desk.client.get(data["thumbnail"]).status_code == 200


def test_the_same_request_again_answers_at_once_and_costs_nothing(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer(credits=2)
    held = download(customer)
    desk.succeed(desk.job_of(customer).id)
    first, again = held.result().json()["data"], download(customer).result().json()["data"]
    assert (again["post_id"], again["credits_used"], again["remaining_credits"]) == (first["post_id"], 1, 1)
    assert len(desk.context.job_service.jobs(customer.id, 10)) == 1


def test_a_client_that_leaves_loses_neither_job_nor_credit(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer(credits=2)
    with pytest.raises(httpx.ReadTimeout):
        download(customer, timeout=httpx.Timeout(20, read=0.1)).result()
    desk.job_of(customer)
    desk.wait_for_silence()
    job = desk.job_of(customer)
    assert (job.state, job.cancel_asked) == (State.QUEUED, False)
    desk.succeed(job.id)
    data = download(customer).result().json()["data"]
    assert (data["post_id"], data["remaining_credits"]) == (job.id, 1)


def test_a_job_that_waits_too_long_is_cancelled_and_refunded(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer(credits=2)
    assert download(customer, prefix="/impatient").result().text == FAILED
    assert desk.job_of(customer).state is State.CANCELLED
    assert desk.context.job_service.balance(customer.id).total_credits == 2


def test_a_job_that_is_done_before_it_can_be_cancelled_is_a_success(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer(credits=2)
    held = download(customer, prefix="/impatient")
    job_id = desk.job_of(customer).id
    desk.start(job_id)
    until(lambda: desk.job_of(customer).cancel_asked)
    desk.succeed(job_id)
    assert held.result().json()["code"] == 200


@pytest.mark.parametrize("error", [FetchRefused("403"), TooLong("too long"), JobTimeout("too slow"), KeyError("unforeseen")])
def test_a_failure_is_refunded(desk: FrontDesk, download: Download, error: Exception) -> None:
    customer = desk.customer(credits=2)
    held = download(customer)
    desk.fail(desk.job_of(customer).id, error)
    assert held.result().text == FAILED
    assert desk.context.job_service.balance(customer.id).total_credits == 2


def test_an_address_that_turns_out_wrong(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer()
    held = download(customer)
    desk.fail(desk.job_of(customer).id, MediaAddressInvalid("no video there"))
    assert held.result().json()["code"] == 4006


def test_a_failed_request_can_be_tried_again(desk: FrontDesk, download: Download) -> None:
    customer = desk.customer()
    held = download(customer)
    desk.fail(desk.job_of(customer).id, FetchRefused("403"))
    held.result()
    again = download(customer)
    until(lambda: len(desk.context.job_service.jobs(customer.id, 10)) == 2)
    desk.succeed(desk.job_of(customer).id)
    assert again.result().json()["code"] == 200


def test_the_codes_of_keys(desk: FrontDesk) -> None:
    gone, banned = desk.customer(), desk.customer()
    desk.accounts.delete(gone.account)
    desk.accounts.set_banned(banned.account, True)
    for path in ("/api/v1/download", "/api/v1/credits"):
        assert answer(desk, path, video_url=VIDEO).text == '{"code":4001,"msg":"api_key is required","data":null}'
        assert answer(desk, path, api_key="no", video_url=VIDEO).text == '{"code":4003,"msg":"invalid api_key","data":null}'
        assert answer(desk, path, api_key=["no"], video_url=VIDEO).json()["code"] == 4003
        assert desk.client.post(path, content=b'{"api_key":"\\ud800","video_url":"x"}').json()["code"] == 4003
        assert answer(desk, path, api_key=gone.key, video_url=VIDEO).text == '{"code":4004,"msg":"user not found","data":null}'
        assert answer(desk, path, api_key=banned.key, video_url=VIDEO).text == '{"code":4005,"msg":"user account is banned","data":null}'
        assert desk.client.post(path, content=b"{").json()["code"] == 4001


@pytest.mark.parametrize(
    "url", ["not an address", "ftp://example.com/video.mp4", "http://", "http://[", ["list"], "http://me:secret@example.com/"]
)
def test_an_address_that_is_none(desk: FrontDesk, url: object) -> None:
    text = answer(desk, api_key=desk.customer().key, video_url=url).text
    assert text == '{"code":4006,"msg":"invalid video url","data":null}'


def test_an_address_of_half_a_letter(desk: FrontDesk) -> None:
    body = json.dumps({"api_key": desk.customer().key, "video_url": "http://example.com/\ud800"})
    assert desk.client.post("/api/v1/download", content=body).json()["code"] == 4006


def test_no_address(desk: FrontDesk) -> None:
    assert answer(desk, api_key=desk.customer().key).text == '{"code":4002,"msg":"video_url is required","data":null}'


def test_share_links_only(desk: FrontDesk, download: Download) -> None:
    assert download(desk.customer(), prefix="/sora").result().json()["code"] == 4006
    customer = desk.customer()
    held = download(customer, POST, prefix="/sora")
    desk.succeed(desk.job_of(customer).id)
    assert held.result().json()["data"]["post_id"] == POST_ID


def test_no_credits(desk: FrontDesk) -> None:
    expected = '{"code":4007,"msg":"insufficient credits","data":{"current_credits":0,"required_credits":1}}'
    assert answer(desk, api_key=desk.customer(credits=0).key, video_url=VIDEO).text == expected


def test_maintenance(desk: FrontDesk, download: Download) -> None:
    assert download(desk.customer(), prefix="/closed").result().text == '{"code":5001,"msg":"internal server error","data":null}'


def test_credits(desk: FrontDesk) -> None:
    customer = desk.customer(credits=50)
    desk.grant(customer.id, Fund.ONE_TIME, 50)
    expected = '{"code":200,"msg":"success","data":{"paid_credits":50,"onetime_credits":50,"total_credits":100}}'
    assert answer(desk, "/api/v1/credits", api_key=customer.key).text == expected
