"""The kaze dialect over real HTTP: an image by address or as text, with strokes or without, quota, and every refusal."""

import base64
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from service.api.kaze import FACADE
from service.api.picture import picture_of
from service.errors import (
    DecodeFailed,
    FetchRefused,
    FetchUnavailable,
    JobTimeout,
    ModelError,
    NotMedia,
    ParameterError,
    RequestError,
    StorageError,
    Truncated,
    UnsupportedFormat,
)
from service.jobs.job import JobSpec
from tests.front_desk import CLEAN, Customer, FrontDesk, front_desk

PREFIX = "/api/ext/v1"
PATHS = ("submit_watermark_removal", "get_task_result", "get_quota")
IMAGE = "http://127.0.0.1:9/image.png"  # nothing fetches it: there is no worker


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDesk]:
    with front_desk(tmp_path_factory.mktemp("kaze"), FACADE) as desk:
        yield desk


def picture(file_format: str = "PNG", size: tuple[int, int] = (64, 48), colour: str = "grey") -> bytes:
    data = BytesIO()
    Image.new("RGB", size, colour).save(data, file_format)
    return data.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def smear(size: tuple[int, int] = (64, 48)) -> str:
    """Black, with a red stroke."""
    image = Image.new("RGB", size)
    image.paste((255, 0, 0), (10, 10, 30, 20))
    data = BytesIO()
    image.save(data, "PNG")
    return encoded(data.getvalue())


def ask(desk: FrontDesk, customer: Customer, name: str, body: dict[str, object] | None = None) -> dict[str, Any]:
    return answer(desk.client.post(f"{PREFIX}/{name}", json=body or {}, headers=customer.bearer))


def answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    assert set(body) == {"code", "message", "data"}
    return body


def submitted(desk: FrontDesk, customer: Customer, **body: object) -> str:
    told = ask(desk, customer, "submit_watermark_removal", body)
    task_id = told["data"]["task_id"]
    assert told == {"code": 0, "message": "success", "data": {"task_id": task_id}}
    return str(task_id)


def refused(told: dict[str, Any], code: int) -> str:
    assert (told["code"], told["data"]) == (code, None)
    assert told["message"]
    return str(told["message"])


def result(desk: FrontDesk, customer: Customer, task_id: str) -> Any:
    told = ask(desk, customer, "get_task_result", {"task_id": task_id})
    assert (told["code"], told["message"]) == (0, "success")
    return told["data"]


def stored(desk: FrontDesk, customer: Customer) -> list[str]:
    return list(desk.context.storage.list_under(f"uploads/{customer.id}"))


def wish_of(desk: FrontDesk, customer: Customer, task_id: str) -> JobSpec:
    return desk.context.job_service.find(customer.id, task_id).spec


def test_a_task_is_followed_to_its_image(desk: FrontDesk) -> None:
    customer = desk.customer()
    task_id = submitted(desk, customer, image_url=IMAGE)
    assert wish_of(desk, customer, task_id) == JobSpec("image", source_url=IMAGE)
    assert result(desk, customer, task_id) == {"status": "processing", "images": [], "err_msg": None}
    desk.start(task_id)
    assert result(desk, customer, task_id) == {"status": "processing", "images": [], "err_msg": None}
    desk.succeed(task_id)
    told = result(desk, customer, task_id)
    (image,) = told["images"]
    assert told == {"status": "success", "images": [{"url": image["url"]}], "err_msg": None}
    assert desk.client.get(image["url"]).content == CLEAN


@pytest.mark.parametrize(("file_format", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_an_image_may_come_as_text_with_strokes_over_what_is_to_go(desk: FrontDesk, file_format: str, suffix: str) -> None:
    customer = desk.customer()
    data = picture(file_format)
    wish = wish_of(desk, customer, submitted(desk, customer, image_base64=encoded(data), smear_base64=smear()))
    assert wish == JobSpec("image", source_key=wish.source_key, mask_key=wish.mask_key, mask_is_smear=True, detect=False)
    assert wish.source_key is not None
    assert wish.source_key.endswith(f"/image.{suffix}")
    assert desk.storage.get_bytes(wish.source_key) == data
    assert sorted(stored(desk, customer)) == sorted([wish.source_key, str(wish.mask_key)])


def test_addresses_and_text_mix(desk: FrontDesk) -> None:
    customer = desk.customer()
    wish = wish_of(desk, customer, submitted(desk, customer, image_base64=encoded(picture()), smear_url=IMAGE))
    assert wish == JobSpec("image", source_key=wish.source_key, mask_url=IMAGE, mask_is_smear=True, detect=False)


def test_a_result_may_be_cleaned_again_but_by_its_owner_only(desk: FrontDesk) -> None:
    owner, other = desk.customer(), desk.customer()
    task_id = submitted(desk, owner, image_url=IMAGE)
    done = desk.succeed(task_id)
    (image,) = result(desk, owner, task_id)["images"]
    assert done.result is not None
    assert wish_of(desk, owner, submitted(desk, owner, image_url=image["url"])).source_key == done.result.clean_key
    refused(ask(desk, other, "submit_watermark_removal", {"image_url": image["url"]}), 1000)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotMedia("words"), "failed", 1000),
        (RequestError("the mask is 10x10 pixels, the picture 64x48"), "failed", 1000),
        (FetchRefused("404"), "failed", 1101),
        (FetchUnavailable("503"), "failed", 1101),
        (StorageError("away"), "failed", 1101),
        (ModelError("none"), "failed", 1102),
        (DecodeFailed("died"), "failed", 1102),
        (JobTimeout("too late"), "timeout", 1103),
        (ValueError("unforeseen"), "failed", 1100),
    ],
)
def test_a_failed_task_says_why_and_costs_nothing(desk: FrontDesk, error: Exception, status: str, code: int) -> None:
    customer = desk.customer(1)
    task_id = submitted(desk, customer, image_url=IMAGE)
    desk.fail(task_id, error)
    words = "internal error" if isinstance(error, ValueError) else str(error)
    assert result(desk, customer, task_id) == {"status": status, "images": [], "err_msg": words, "err_code": code}
    assert ask(desk, customer, "get_quota")["data"] == {"limit": 1, "usage": 0, "remaining": 1}


def test_a_cancelled_task_has_failed(desk: FrontDesk) -> None:
    customer = desk.customer()
    task_id = submitted(desk, customer, image_url=IMAGE)
    desk.context.job_service.cancel(customer.id, task_id)
    assert result(desk, customer, task_id)["status"] == "failed"


def test_quota_counts_what_is_spent_and_what_is_held(desk: FrontDesk) -> None:
    customer = desk.customer(5)
    assert ask(desk, customer, "get_quota") == {"code": 0, "message": "Success", "data": {"limit": 5, "usage": 0, "remaining": 5}}
    task_id = submitted(desk, customer, image_base64=encoded(picture()))
    used = {"limit": 5, "usage": 1, "remaining": 4}
    assert ask(desk, customer, "get_quota")["data"] == used
    desk.succeed(task_id)
    assert ask(desk, customer, "get_quota")["data"] == used


def test_a_token_may_stand_alone(desk: FrontDesk) -> None:
    customer = desk.customer()
    for header in (customer.key, f"Bearer {customer.key}", f"bearer  {customer.key}"):
        assert answer(desk.client.post(f"{PREFIX}/get_quota", headers={"Authorization": header}))["code"] == 0


@pytest.mark.parametrize("name", PATHS)
def test_whoever_may_not_ask_is_turned_away_before_the_parameters_are_read(desk: FrontDesk, name: str) -> None:
    banned, gone = desk.customer(), desk.customer()
    desk.accounts.set_banned(banned.account, True)
    desk.accounts.delete(gone.account)
    for header in ("", "Bearer", "Bearer nobody", "Basic abc", f"Bearer {banned.key}", f"Bearer {gone.key}"):
        response = desk.client.post(f"{PREFIX}/{name}", content=b"{", headers={"Authorization": header})
        refused(answer(response), 1002)
    refused(answer(desk.client.post(f"{PREFIX}/{name}")), 1002)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_has_a_code_of_its_own(desk: FrontDesk, name: str, method: str) -> None:
    refused(answer(desk.client.request(method, f"{PREFIX}/{name}")), 1001)


def test_other_paths_are_not_there(desk: FrontDesk) -> None:
    assert desk.client.get(f"{PREFIX}/get_nothing").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image_url": ""},
        {"image_url": 7.5},
        {"image_url": "image.png"},
        {"image_url": "file:///etc/passwd"},
        {"image_url": IMAGE, "image_base64": encoded(picture())},
        {"image_url": IMAGE, "smear_url": IMAGE, "smear_base64": smear()},
        {"image_base64": "no base64!"},
        {"image_base64": "A"},
        {"image_base64": encoded(b"plain text")},
        {"image_base64": encoded(b"\0\0\0\x20ftypisom")},
        {"image_base64": encoded(picture()[:20])},
        {"image_base64": encoded(picture()), "smear_base64": smear((63, 48))},
        {"image_base64": encoded(picture()), "smear_url": "nowhere"},
        {"smear_base64": smear()},
    ],
)
def test_a_bad_parameter_is_refused_and_leaves_nothing(desk: FrontDesk, body: dict[str, object]) -> None:
    customer = desk.customer()
    refused(ask(desk, customer, "submit_watermark_removal", body), 1000)
    assert stored(desk, customer) == []
    assert desk.context.job_service.jobs(customer.id, 10) == []


def test_a_body_that_is_no_json_is_refused(desk: FrontDesk) -> None:
    headers = {"Authorization": desk.customer().key}
    for content in (b"{", b"[]", b"[" * 100_000):
        refused(answer(desk.client.post(f"{PREFIX}/submit_watermark_removal", content=content, headers=headers)), 1000)


def test_in_maintenance_nothing_is_taken_and_nothing_kept(desk: FrontDesk) -> None:
    customer = desk.customer()
    body = {"image_base64": encoded(picture())}
    refused(answer(desk.client.post(f"/closed{PREFIX}/submit_watermark_removal", json=body, headers=customer.bearer)), 1100)
    assert stored(desk, customer) == []


def test_too_many_submissions_are_told_when_to_come_again(desk: FrontDesk) -> None:
    customer = desk.customer()
    for _ in range(20):
        refused(ask(desk, customer, "submit_watermark_removal"), 1000)
    response = desk.client.post(f"{PREFIX}/submit_watermark_removal", headers=customer.bearer)
    assert (response.status_code, response.json()["code"]) == (429, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 10


def test_without_credits_nothing_is_taken_and_nothing_kept(desk: FrontDesk) -> None:
    customer = desk.customer(0)
    refused(ask(desk, customer, "submit_watermark_removal", {"image_base64": encoded(picture()), "smear_base64": smear()}), 1003)
    assert stored(desk, customer) == []


def test_unknown_tasks_are_refused_and_so_are_others(desk: FrontDesk) -> None:
    owner, other = desk.customer(), desk.customer()
    task_id = submitted(desk, owner, image_url=IMAGE)
    for customer, asked in ((other, task_id), (owner, "aaabbbccc"), (owner, "")):
        refused(ask(desk, customer, "get_task_result", {"task_id": asked}), 1000)


@pytest.mark.parametrize(
    "write",
    [
        encoded,
        lambda data: f"data:image/png;base64,{encoded(data)}",
        lambda data: encoded(data).rstrip("="),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.encodebytes(data).decode(),
    ],
)
@pytest.mark.parametrize("width", [61, 62, 63, 64])
def test_base64_is_read_in_every_spelling(write: Any, width: int) -> None:
    data = picture("PNG", (width, 48))
    read = picture_of(write(data), "image_base64")
    assert (read.data, read.suffix, read.size) == (data, ".png", (width, 48))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("é", ParameterError),
        ("data:image/png;base64,*", ParameterError),
        (encoded(b"GIF89a"), UnsupportedFormat),
        (encoded(b"hello"), NotMedia),
        ("", NotMedia),
        (encoded(b"\x89PNG\r\n\x1a\n"), Truncated),
        (encoded(b"\xff\xd8\xff" + b"\0" * 50), Truncated),
    ],
)
def test_text_that_is_no_image_is_refused(text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        picture_of(text, "image_base64")
