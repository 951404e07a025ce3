"""The kaze facade over real HTTP: images by URL and as base64, with and without strokes, quota, and every refusal."""

import base64
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from service.api.kaze import FACADE
from service.api.parameters import file_of
from service.api.picture import Picture, picture_of
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
from tests.workerless_server import CLEAN, Customer, WorkerlessServer, workerless_server

PREFIX = "/api/ext/v1"
PATHS = ("submit_watermark_removal", "get_task_result", "get_quota")
IMAGE = "http://127.0.0.1:9/image.png"  # never fetched, as there is no worker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("kaze"), FACADE) as server:
        yield server


def picture(file_format: str = "PNG", size: tuple[int, int] = (64, 48), colour: str = "grey") -> bytes:
    data = BytesIO()
    Image.new("RGB", size, colour).save(data, file_format)
    return data.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sent(text: str) -> Picture:
    file = file_of({"image_base64": text}, "image_base64", 2**20)
    assert file is not None
    return picture_of(file, "image_base64")


def smear(size: tuple[int, int] = (64, 48)) -> str:
    """A black image with a red stroke, as base64."""
    image = Image.new("RGB", size)
    image.paste((255, 0, 0), (10, 10, 30, 20))
    data = BytesIO()
    image.save(data, "PNG")
    return encoded(data.getvalue())


def ask(server: WorkerlessServer, customer: Customer, name: str, body: dict[str, object] | None = None) -> dict[str, Any]:
    return answer(server.client.post(f"{PREFIX}/{name}", json=body or {}, headers=customer.bearer))


def answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    assert set(body) == {"code", "message", "data"}
    return body


def submitted(server: WorkerlessServer, customer: Customer, **body: object) -> str:
    body = ask(server, customer, "submit_watermark_removal", body)
    task_id = body["data"]["task_id"]
    assert body == {"code": 0, "message": "success", "data": {"task_id": task_id}}
    return str(task_id)


def refused(body: dict[str, Any], code: int) -> str:
    assert (body["code"], body["data"]) == (code, {})
    assert body["message"]
    return str(body["message"])


def result(server: WorkerlessServer, customer: Customer, task_id: str) -> Any:
    body = ask(server, customer, "get_task_result", {"task_id": task_id})
    assert (body["code"], body["message"]) == (0, "success")
    return body["data"]


def stored(server: WorkerlessServer, customer: Customer) -> list[str]:
    return list(server.context.storage.list_under(f"uploads/{customer.id}"))


def spec_of(server: WorkerlessServer, customer: Customer, task_id: str) -> JobSpec:
    return server.context.job_service.find(customer.id, task_id).spec


def test_a_task_can_be_queried_until_its_image_is_ready(server: WorkerlessServer) -> None:
    customer = server.customer()
    task_id = submitted(server, customer, image_url=IMAGE)
    assert spec_of(server, customer, task_id) == JobSpec("image", source_url=IMAGE)
    assert result(server, customer, task_id) == {"status": "processing", "images": [], "err_msg": None}
    server.start(task_id)
    assert result(server, customer, task_id) == {"status": "processing", "images": [], "err_msg": None}
    server.succeed(task_id)
    body = result(server, customer, task_id)
    (image,) = body["images"]
    assert body == {"status": "success", "images": [{"url": image["url"]}], "err_msg": None}
    assert server.client.get(image["url"]).content == CLEAN


@pytest.mark.parametrize(("file_format", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_images_and_strokes_may_be_sent_as_base64(server: WorkerlessServer, file_format: str, suffix: str) -> None:
    customer = server.customer()
    data = picture(file_format)
    spec = spec_of(server, customer, submitted(server, customer, image_base64=encoded(data), smear_base64=smear()))
    assert spec == JobSpec("image", source_key=spec.source_key, mask_key=spec.mask_key, mask_is_smear=True, detect=False)
    assert spec.source_key is not None
    assert spec.source_key.endswith(f"/image.{suffix}")
    assert server.storage.get_bytes(spec.source_key) == data
    assert sorted(stored(server, customer)) == sorted([spec.source_key, str(spec.mask_key)])


def test_urls_and_base64_can_be_mixed(server: WorkerlessServer) -> None:
    customer = server.customer()
    spec = spec_of(server, customer, submitted(server, customer, image_base64=encoded(picture()), smear_url=IMAGE))
    assert spec == JobSpec("image", source_key=spec.source_key, mask_url=IMAGE, mask_is_smear=True, detect=False)


def test_a_result_can_be_cleaned_again_by_its_owner_only(server: WorkerlessServer) -> None:
    owner, other = server.customer(), server.customer()
    task_id = submitted(server, owner, image_url=IMAGE)
    done = server.succeed(task_id)
    (image,) = result(server, owner, task_id)["images"]
    assert done.result is not None
    assert spec_of(server, owner, submitted(server, owner, image_url=image["url"])).source_key == done.result.clean_key
    refused(ask(server, other, "submit_watermark_removal", {"image_url": image["url"]}), 1000)


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
def test_a_failed_task_has_its_reason_and_is_refunded(server: WorkerlessServer, error: Exception, status: str, code: int) -> None:
    customer = server.customer(1)
    task_id = submitted(server, customer, image_url=IMAGE)
    server.fail(task_id, error)
    words = "internal error" if isinstance(error, ValueError) else str(error)
    assert result(server, customer, task_id) == {"status": status, "images": [], "err_msg": words, "err_code": code}
    assert ask(server, customer, "get_quota")["data"] == {"limit": 1, "usage": 0, "remaining": 1}


def test_a_cancelled_task_has_failed(server: WorkerlessServer) -> None:
    customer = server.customer()
    task_id = submitted(server, customer, image_url=IMAGE)
    server.context.job_service.cancel(customer.id, task_id)
    assert result(server, customer, task_id)["status"] == "failed"


def test_the_quota_counts_spent_and_held_credits(server: WorkerlessServer) -> None:
    customer = server.customer(5)
    assert ask(server, customer, "get_quota") == {"code": 0, "message": "Success", "data": {"limit": 5, "usage": 0, "remaining": 5}}
    task_id = submitted(server, customer, image_base64=encoded(picture()))
    used = {"limit": 5, "usage": 1, "remaining": 4}
    assert ask(server, customer, "get_quota")["data"] == used
    server.succeed(task_id)
    assert ask(server, customer, "get_quota")["data"] == used


def test_the_word_bearer_is_optional(server: WorkerlessServer) -> None:
    customer = server.customer()
    for header in (customer.key, f"Bearer {customer.key}", f"bearer  {customer.key}"):
        assert answer(server.client.post(f"{PREFIX}/get_quota", headers={"Authorization": header}))["code"] == 0


@pytest.mark.parametrize("name", PATHS)
def test_unauthorised_requests_are_refused_before_parameters_are_read(server: WorkerlessServer, name: str) -> None:
    banned, gone = server.customer(), server.customer()
    server.accounts.set_banned(banned.account, True)
    server.accounts.delete(gone.account)
    for header in ("", "Bearer", "Bearer nobody", "Basic abc", f"Bearer {banned.key}", f"Bearer {gone.key}"):
        response = server.client.post(f"{PREFIX}/{name}", content=b"{", headers={"Authorization": header})
        refused(answer(response), 1002)
    refused(answer(server.client.post(f"{PREFIX}/{name}")), 1002)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_have_their_own_code(server: WorkerlessServer, name: str, method: str) -> None:
    refused(answer(server.client.request(method, f"{PREFIX}/{name}")), 1001)


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
def test_an_invalid_parameter_is_refused_and_stores_nothing(server: WorkerlessServer, body: dict[str, object]) -> None:
    customer = server.customer()
    refused(ask(server, customer, "submit_watermark_removal", body), 1000)
    assert stored(server, customer) == []
    assert server.context.job_service.jobs(customer.id, 10) == []


def test_a_body_that_is_not_json_is_refused(server: WorkerlessServer) -> None:
    headers = {"Authorization": server.customer().key}
    for content in (b"{", b"[]", b"[" * 100_000):
        refused(answer(server.client.post(f"{PREFIX}/submit_watermark_removal", content=content, headers=headers)), 1000)


def test_maintenance_mode_refuses_tasks_and_stores_nothing(server: WorkerlessServer) -> None:
    customer = server.customer()
    body = {"image_base64": encoded(picture())}
    refused(answer(server.client.post(f"/closed{PREFIX}/submit_watermark_removal", json=body, headers=customer.bearer)), 1100)
    assert stored(server, customer) == []


def test_too_many_submissions_get_a_retry_after(server: WorkerlessServer) -> None:
    customer = server.customer()
    for _ in range(20):
        refused(ask(server, customer, "submit_watermark_removal"), 1000)
    response = server.client.post(f"{PREFIX}/submit_watermark_removal", headers=customer.bearer)
    refused(answer(response), 1100)
    assert 1 <= int(response.headers["retry-after"]) <= 10


def test_tasks_without_credits_are_refused_and_store_nothing(server: WorkerlessServer) -> None:
    customer = server.customer(0)
    refused(ask(server, customer, "submit_watermark_removal", {"image_base64": encoded(picture()), "smear_base64": smear()}), 1003)
    assert stored(server, customer) == []


def test_unknown_tasks_and_other_accounts_tasks_are_refused(server: WorkerlessServer) -> None:
    owner, other = server.customer(), server.customer()
    task_id = submitted(server, owner, image_url=IMAGE)
    for customer, asked in ((other, task_id), (owner, "aaabbbccc"), (owner, "")):
        refused(ask(server, customer, "get_task_result", {"task_id": asked}), 1000)


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
def test_base64_is_accepted_in_every_variant(write: Any, width: int) -> None:
    data = picture("PNG", (width, 48))
    read = sent(write(data))
    assert (read.file.read(), read.suffix, read.size) == (data, ".png", (width, 48))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("é", ParameterError),
        ("data:image/png;base64,*", ParameterError),
        (encoded(b"GIF89a"), UnsupportedFormat),
        (encoded(b"hello"), NotMedia),
        (encoded(b"\x89PNG\r\n\x1a\n"), Truncated),
        (encoded(b"\xff\xd8\xff" + b"\0" * 50), Truncated),
    ],
)
def test_base64_that_is_not_an_image_is_refused(text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        sent(text)
