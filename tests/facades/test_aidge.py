"""The aidge facade over real HTTP: signatures, forms of the parameters, a task from submission to video, every refusal."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import native
from service.api.aidge import FACADE, read_boxes, unwrap_param_json
from service.api.aidge_sign import sign_v1, sign_v2
from service.errors import (
    ContentBlocked,
    ContentCheckFailed,
    ContentRefused,
    DecodeFailed,
    EncodeFailed,
    FetchRefused,
    FetchUnavailable,
    JobTimeout,
    ModelError,
    NotMedia,
    ParameterError,
    RequestError,
    StorageError,
    TooLarge,
    TooLong,
    TooManyPixels,
    Truncated,
    UnsupportedFormat,
)
from service.jobs.job import JobSpec
from service.timed_box import TimedBox
from tests.workerless_server import CLEAN, Customer, WorkerlessServer, workerless_server

REMOVAL = "/ai/video/removal"
RESULT = "/ai/video/removal/result"
PARAMETERS = {"videoUrl": "http://127.0.0.1:9/video.mp4", "language": "en"}  # never fetched, as there is no worker


@dataclass(frozen=True)
class Signer:
    """A customer with a signer."""

    customer: Customer
    name: str
    secret: str

    @property
    def id(self) -> int:
        return self.customer.id


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("aidge"), FACADE, native.FACADE) as server:
        yield server


def signer_at(server: WorkerlessServer, credits: int = 10) -> Signer:
    customer = server.customer(credits)
    name = f"app {customer.id}"
    return Signer(customer, name, server.accounts.add_signer(customer.account, name))


def now() -> str:
    return str(int(time.time() * 1000))


def signed(signer: Signer, **change: str) -> dict[str, str]:
    """The query of a request signed with version 2."""
    timestamp = change.get("timestamp", now())
    query = {"partner_id": "aidge", "sign_method": "sha256", "sign_ver": "v2", "app_key": signer.name, "timestamp": timestamp}
    return query | {"sign": sign_v2(signer.secret.encode(), timestamp)} | change


def signed_v1(signer: Signer, api_name: str, parameters: dict[str, str], body: bytes = b"") -> dict[str, str]:
    """All parameters of a request signed with version 1."""
    sent = {"partner_id": "aidge", "sign_method": "sha256", "app_key": signer.name, "timestamp": now(), **parameters}
    return sent | {"sign": sign_v1(signer.secret.encode(), api_name, sent, body)}


def answer(response: httpx.Response) -> dict[str, Any]:
    """A response's body, after checking what all responses have in common."""
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    assert body["requestId"] == body["request_id"] != ""
    assert body["success"] is (body["code"] == "0") is (body["resCode"] == 200)
    return body


def submitted(response: httpx.Response) -> str:
    body = answer(response)
    task_id = str(body["data"]["taskId"])
    boxes = {key: value for key, value in body.items() if key not in ("requestId", "request_id")}
    data = {"result": {"taskId": task_id}, "taskId": task_id}
    assert boxes == {"code": "0", "success": True, "resCode": 200, "resMessage": "success", "data": data}
    return task_id


def refused(response: httpx.Response, code: int, message: str) -> dict[str, Any]:
    body = answer(response)
    assert (body["success"], body["resCode"], body["resMessage"], body["code"]) == (False, code, message, str(code))
    return body


def turned_away(response: httpx.Response, code: str) -> dict[str, Any]:
    body = answer(response)
    assert (body["type"], body["code"], body["success"]) == ("ISV", code, False)
    assert body["message"]
    return body


def submit(server: WorkerlessServer, signer: Signer, **parameters: object) -> httpx.Response:
    return server.client.post(REMOVAL, params=signed(signer), json=PARAMETERS | parameters)


def spec_of(server: WorkerlessServer, signer: Signer, task_id: str) -> JobSpec:
    return server.context.job_service.find(signer.id, task_id).spec


@pytest.mark.parametrize("prefix", ["", "/rest"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_task_can_be_queried_until_its_video_is_ready(server: WorkerlessServer, prefix: str, method: str) -> None:
    signer = signer_at(server)
    if method == "GET":
        response = server.client.get(prefix + REMOVAL, params=signed(signer) | PARAMETERS)
    else:
        response = server.client.post(prefix + REMOVAL, params=signed(signer), json=PARAMETERS, headers={"x-iop-trial": "anything"})
    task_id = submitted(response)

    def look() -> dict[str, Any]:
        return answer(server.client.request(method, prefix + RESULT, params=signed(signer) | {"taskId": task_id}))

    assert look()["data"] == {"taskId": task_id, "taskStatus": "processing"}
    server.start(task_id)
    assert look()["data"] == {"taskId": task_id, "taskStatus": "processing"}
    server.succeed(task_id)
    body = look()
    url = body["data"].pop("videoUrl")
    assert (body["code"], body["success"], body["resCode"], body["resMessage"]) == ("0", True, 200, "success")
    assert body["data"] == {"taskId": task_id, "taskStatus": "finished"}
    video = server.client.get(url)
    assert (video.content, video.headers["content-type"]) == (CLEAN, "video/mp4")


def test_a_task_is_found_by_either_name_in_query_or_body(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    task_id = submitted(submit(server, signer))
    for asked in ({"taskId": task_id}, {"task_id": task_id}, {"paramJson": {"taskId": task_id}}):
        assert answer(server.client.post(RESULT, params=signed(signer), json=asked))["data"]["taskId"] == task_id
    assert answer(server.client.post(RESULT, params=signed(signer), data={"task_id": task_id}))["data"]["taskId"] == task_id
    assert answer(server.client.get(RESULT, params=signed(signer) | {"task_id": task_id}))["data"]["taskId"] == task_id


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TooLong("400.0 s"), 700, "video duration exceeds the limit"),
        (TooLarge("201 MiB"), 701, "the video file size exceeds the limit"),
        (UnsupportedFormat("WMV"), 702, "video format not supported"),
        (NotMedia("words"), 702, "video format not supported"),
        (Truncated("half of it"), 702, "video format not supported"),
        (TooManyPixels("4096x2160"), 703, "video resolution is not supported"),
        (ModelError("none"), 801, "model failed"),
        (DecodeFailed("died"), 801, "model failed"),
        (EncodeFailed("full"), 801, "model failed"),
        (FetchRefused("404"), 900, "tpp url error"),
        (FetchUnavailable("503"), 900, "tpp url error"),
        (RequestError("outside"), 400, "invalid input"),
        (ContentRefused("no"), 1000, "content has sensitive data, please try other input"),
        (ContentCheckFailed("asleep"), 1001, "content control failed, please retry"),
        (ContentBlocked("never"), 1002, "content risk filter failed, please contact us"),
        (StorageError("away"), 500, "system error"),
        (JobTimeout("too late"), 500, "system error"),
        (ValueError("unforeseen"), 500, "system error"),
    ],
)
def test_a_failed_task_is_reported_as_an_error_and_refunded(server: WorkerlessServer, error: Exception, code: int, message: str) -> None:
    signer = signer_at(server, credits=1)
    task_id = submitted(submit(server, signer))
    server.fail(task_id, error)
    body = refused(server.client.get(RESULT, params=signed(signer) | {"taskId": task_id}), code, message)
    assert body["data"] == {"taskId": task_id, "taskStatus": "failed"}
    assert body["message"] == ("internal error" if isinstance(error, ValueError) else str(error))
    assert server.context.job_service.balance(signer.id).total_credits == 1


def test_a_cancelled_task_has_failed(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    task_id = submitted(submit(server, signer))
    server.context.job_service.cancel(signer.id, task_id)
    body = refused(server.client.get(RESULT, params=signed(signer) | {"taskId": task_id}), 500, "system error")
    assert body["data"]["taskStatus"] == "failed"


@pytest.mark.parametrize("form", ["query", "form", "multipart", "json"])
def test_version_1_signs_the_query_and_the_body(server: WorkerlessServer, form: str) -> None:
    signer = signer_at(server)
    if form == "query":
        response = server.client.get(f"/rest{REMOVAL}", params=signed_v1(signer, REMOVAL, PARAMETERS))
    elif form == "form":
        response = server.client.post(f"/rest{REMOVAL}", data=signed_v1(signer, REMOVAL, PARAMETERS))
    elif form == "multipart":
        parts = {name: (None, value) for name, value in signed_v1(signer, REMOVAL, PARAMETERS).items()}
        response = server.client.post(REMOVAL, files=parts)
    else:
        body = json.dumps(PARAMETERS).encode()
        response = server.client.post(REMOVAL, params=signed_v1(signer, REMOVAL, {}, body), content=body)
    submitted(response)


@pytest.mark.parametrize("with_empty", [False, True])
@pytest.mark.parametrize("form", ["query", "form"])
def test_version_1_may_sign_empty_parameters_or_leave_them_out(server: WorkerlessServer, form: str, with_empty: bool) -> None:
    signer = signer_at(server)
    empty = dict.fromkeys(("inpaintingBoxes", "session", "artificialTextOnly", "removeAudio", "colorBlocks"), "")
    sent = {"app_key": signer.name, "timestamp": now(), "sign_method": "sha256", **empty, **PARAMETERS}
    signed = sent | {"sign": sign_v1(signer.secret.encode(), REMOVAL, sent, with_empty=with_empty)}
    response = server.client.get(REMOVAL, params=signed) if form == "query" else server.client.post(REMOVAL, data=signed)
    spec = spec_of(server, signer, submitted(response))
    assert (spec.classes, spec.remove_audio, spec.boxes) == (("overlay",), False, ())


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_an_empty_flag_says_nothing(server: WorkerlessServer, nothing: str | None) -> None:
    signer = signer_at(server)
    task_id = submitted(submit(server, signer, artificialTextOnly=nothing, removeAudio=nothing))
    assert (spec_of(server, signer, task_id).classes, spec_of(server, signer, task_id).remove_audio) == (("overlay",), False)


def test_version_2_may_be_in_a_json_body(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    credentials = signed(signer)
    task_id = submitted(server.client.post(REMOVAL, json=PARAMETERS | credentials | {"timestamp": int(credentials["timestamp"])}))
    assert answer(server.client.post(RESULT, json={"taskId": task_id} | credentials))["data"]["taskStatus"] == "processing"
    turned_away(server.client.post(REMOVAL, json=PARAMETERS | credentials | {"sign": "0" * 64}), "IncompleteSignature")
    turned_away(server.client.post(REMOVAL, json=PARAMETERS | credentials | {"app_key": None}), "MissingParameter")


def test_version_1_in_a_json_body_signs_none_of_it(server: WorkerlessServer) -> None:
    credentials = signed_v1(signer_at(server), REMOVAL, {})
    turned_away(server.client.post(REMOVAL, json=PARAMETERS | credentials), "IncompleteSignature")


@pytest.mark.parametrize("language", ["zh", "en", "ZH", "zh-CN", "zh_CN", "en-US", "zh-Hans-CN"])
def test_a_language_may_have_a_region(server: WorkerlessServer, language: str) -> None:
    signer = signer_at(server)
    task_id = submitted(submit(server, signer, language=language))
    assert server.context.job_service.find(signer.id, task_id).request["language"] == language[:2].lower()


def test_version_1_does_not_accept_what_it_does_not_sign(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    query, queried = signed_v1(signer, REMOVAL, {}), signed_v1(signer, REMOVAL, PARAMETERS)
    refusal = turned_away(server.client.post(REMOVAL, params=query, json=PARAMETERS), "IncompleteSignature")
    assert "JSON body" in refusal["message"]
    turned_away(server.client.post(REMOVAL, params=queried, json={"language": "zh"}), "IncompleteSignature")
    turned_away(server.client.post(REMOVAL, params=query, data=PARAMETERS), "IncompleteSignature")
    body = json.dumps(PARAMETERS).encode()
    signed_body = signed_v1(signer, REMOVAL, {}, body)
    turned_away(server.client.post(REMOVAL, params=signed_body, content=body.replace(b"en", b"zh")), "IncompleteSignature")
    turned_away(server.client.post(REMOVAL, params=signed_body), "IncompleteSignature")
    submitted(server.client.post(REMOVAL, params=queried))


def test_a_signature_of_one_operation_does_not_fit_another(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    sent = signed_v1(signer, RESULT, {"partner_id": ""})
    first = min(name for name in sent if name != "sign" and sent[name])
    moved = {name: value for name, value in sent.items() if name != first} | {f"/result{first}": sent[first]}
    assert sign_v1(signer.secret.encode(), REMOVAL, moved) == sent["sign"], "the signed text is the same"
    turned_away(server.client.get(REMOVAL, params=moved | PARAMETERS), "MissingParameter" if first == "app_key" else "IncompleteSignature")


def test_a_body_is_limited_until_its_signature_is_known(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    long = PARAMETERS | {"more": "x" * 70_000}
    refused(server.client.post(REMOVAL, data=signed_v1(signer, REMOVAL, long)), 701, "the video file size exceeds the limit")
    submitted(server.client.post(REMOVAL, params=signed(signer), data=long))


def test_version_1_notices_a_changed_parameter(server: WorkerlessServer) -> None:
    sent = signed_v1(signer_at(server), REMOVAL, PARAMETERS)
    turned_away(server.client.get(REMOVAL, params=sent | {"language": "zh"}), "IncompleteSignature")
    turned_away(server.client.get(RESULT, params=sent), "IncompleteSignature")


def test_unauthorised_requests_are_refused_before_parameters_are_read(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    for missing in ("app_key", "timestamp", "sign"):
        assert missing in turned_away(server.client.post(REMOVAL, params=signed(signer, **{missing: ""})), "MissingParameter")["message"]
    turned_away(server.client.post(REMOVAL, params=signed(signer, app_key="nobody"), content=b"{"), "InvalidAppKey")
    turned_away(server.client.post(REMOVAL, params=signed(signer, sign="0" * 64), content=b"{"), "IncompleteSignature")
    turned_away(server.client.post(REMOVAL, params=signed(signer, sign_method="md5")), "IncompleteSignature")
    turned_away(server.client.post(REMOVAL, params=signed(signer, timestamp="yesterday")), "InvalidTimestamp")
    for offset_seconds in (-901, 901):
        late = str(int(now()) + 1000 * offset_seconds)
        turned_away(server.client.get(RESULT, params=signed(signer, timestamp=late)), "InvalidTimestamp")
    early = str(int(now()) - 1000 * 890)
    refused(server.client.get(RESULT, params=signed(signer, timestamp=early)), 400, "invalid input")


def test_banned_and_deleted_accounts_are_refused(server: WorkerlessServer) -> None:
    banned, gone = signer_at(server), signer_at(server)
    server.accounts.set_banned(banned.customer.account, True)
    server.accounts.delete(gone.customer.account)
    revoked = signer_at(server)
    server.accounts.revoke_signer(revoked.name)
    for signer in (banned, gone, revoked):
        turned_away(submit(server, signer), "InvalidAppKey")


def test_responses_never_contain_the_secret_or_the_signature(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    sent = signed(signer)
    for response in (server.client.get(REMOVAL, params=sent), server.client.get(REMOVAL, params=sent | {"sign": "0" * 64})):
        assert signer.secret not in response.text
        assert sent["sign"] not in response.text


def test_maintenance_mode_refuses_tasks(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    refused(server.client.post(f"/closed{REMOVAL}", params=signed(signer), json=PARAMETERS), 500, "system error")


def test_too_many_submissions_get_a_retry_after(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    for _ in range(20):
        refused(server.client.post(REMOVAL, params=signed(signer)), 400, "invalid input")
    response = server.client.post(REMOVAL, params=signed(signer))
    refused(response, 501, "rate limit exceed")
    assert response.json()["data"] == {}
    assert 1 <= int(response.headers["retry-after"]) <= 10


def test_tasks_without_credits_are_refused(server: WorkerlessServer) -> None:
    signer = signer_at(server, credits=0)
    refused(submit(server, signer), 402, "insufficient credits")
    assert server.context.job_service.jobs(signer.id, 10) == []


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"videoUrl": None}, 400, "invalid input"),
        ({"language": None}, 400, "invalid input"),
        ({"language": "fr"}, 400, "invalid input"),
        ({"artificialTextOnly": "perhaps"}, 400, "invalid input"),
        ({"removeAudio": 7}, 400, "invalid input"),
        ({"inpaintingBoxes": [{"box": [0, 0, 300, 200]}]}, 400, "invalid input"),
        ({"paramJson": "{"}, 400, "invalid input"),
        ({"videoUrl": "file:///etc/passwd"}, 900, "tpp url error"),
        ({"videoUrl": "video.mp4"}, 900, "tpp url error"),
    ],
)
def test_an_invalid_parameter_is_refused(server: WorkerlessServer, change: dict[str, object], code: int, message: str) -> None:
    signer = signer_at(server)
    sent = {name: value for name, value in (PARAMETERS | change).items() if value is not None}
    refused(server.client.post(REMOVAL, params=signed(signer), json=sent), code, message)
    assert server.context.job_service.balance(signer.id).held_credits == 0


def test_a_body_that_is_not_json_is_refused(server: WorkerlessServer) -> None:
    refused(server.client.post(REMOVAL, params=signed(signer_at(server)), content=b"[1"), 400, "invalid input")


def test_unknown_tasks_and_other_accounts_tasks_are_refused(server: WorkerlessServer) -> None:
    owner, other = signer_at(server), signer_at(server)
    task_id = submitted(submit(server, owner))
    for signer, asked in ((other, task_id), (owner, "aidge_1"), (owner, "")):
        refused(server.client.get(RESULT, params=signed(signer) | {"taskId": asked}), 400, "invalid input")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: inner,
        json.dumps,
        lambda inner: [inner],
        lambda inner: json.dumps([inner]),
        lambda inner: [json.dumps(inner)],
    ],
)
def test_param_json_is_accepted_in_every_wrapping(server: WorkerlessServer, wrap: Any) -> None:
    signer = signer_at(server)
    inner = PARAMETERS | {
        "artificialTextOnly": "false",
        "removeAudio": "true",
        "colorBlocks": "true",
        "inpaintingBoxes": [{"timestamp": [0, 2.5], "box": [0.1, 0.8, 0.9, 0.95]}, {"box": [0, 0, 1, 1]}],
    }
    task_id = submitted(server.client.post(REMOVAL, params=signed(signer), json={"paramJson": wrap(inner)}))
    spec = spec_of(server, signer, task_id)
    assert (spec.media, spec.source_url, spec.remove_audio, spec.detect) == ("video", PARAMETERS["videoUrl"], True, True)
    assert spec.classes == ("overlay", "scene_text")
    assert spec.boxes == (TimedBox(0.1, 0.8, 0.9, 0.95, 0, 2.5), TimedBox(0, 0, 1, 1))
    assert server.context.job_service.find(signer.id, task_id).request == {"language": "en", "colorBlocks": True}


@pytest.mark.parametrize("form", ["query", "form", "multipart"])
def test_all_parameters_may_be_text(server: WorkerlessServer, form: str) -> None:
    signer = signer_at(server)
    sent = {"paramJson": json.dumps(PARAMETERS | {"inpaintingBoxes": json.dumps([{"box": [0, 0, 0.5, 0.5]}])})}
    if form == "query":
        response = server.client.get(REMOVAL, params=signed(signer) | sent)
    elif form == "form":
        response = server.client.post(REMOVAL, params=signed(signer), data=sent)
    else:
        parts = {name: (None, value) for name, value in sent.items()}
        response = server.client.post(REMOVAL, params=signed(signer), files=parts)
    spec = spec_of(server, signer, submitted(response))
    assert (spec.classes, spec.remove_audio, spec.boxes) == (("overlay",), False, (TimedBox(0, 0, 0.5, 0.5),))


fractions = st.floats(0, 1, exclude_min=True)


@given(fractions, fractions, fractions, fractions, st.floats(0, 1e4), st.floats(0, 1e4))
def test_boxes_are_parsed(x: float, y: float, width: float, height: float, first: float, length: float) -> None:
    x1, y1, x2, y2 = x / 2, y / 2, x / 2 + width / 2, y / 2 + height / 2
    boxes = [{"timestamp": [first, first + length], "box": [x1, y1, x2, y2]}]
    if x1 < x2 and y1 < y2:
        assert read_boxes(boxes) == read_boxes(json.dumps(boxes)) == (TimedBox(x1, y1, x2, y2, first, first + length),)


@pytest.mark.parametrize(
    "boxes",
    [
        "[",
        7,
        {"box": [0, 0, 1, 1]},
        [7],
        [{}],
        [{"box": "0011"}],
        [{"box": [0, 0, 1]}],
        [{"box": [0, 0, 1, "wide"]}],
        [{"box": [0, 0, 1, None]}],
        [{"box": [0, 0, 1, 1.5]}],
        [{"box": [-0.1, 0, 1, 1]}],
        [{"box": [0.5, 0, 0.5, 1]}],
        [{"box": [0, 0, 1, float("nan")]}],
        [{"box": [0, 0, 1, 10**400]}],
        [{"box": [0, 0, 1, 1], "timestamp": [2, 1]}],
        [{"box": [0, 0, 1, 1], "timestamp": [1]}],
        [{"box": [0, 0, 1, 1], "timestamp": [-1, 1]}],
        [{"box": [0, 0, 1, 1]}] * 101,
    ],
)
def test_malformed_boxes_are_refused(boxes: object) -> None:
    with pytest.raises(ParameterError, match="inpaintingBoxes"):
        read_boxes(boxes)


def test_a_box_may_last_longer_than_any_video(server: WorkerlessServer) -> None:
    signer = signer_at(server)
    boxes = [{"timestamp": [0, 90_000], "box": [0.1, 0.1, 0.2, 0.2]}, {"timestamp": [90_000, 1e300], "box": [0.1, 0.1, 0.2, 0.2]}]
    task_id = submitted(submit(server, signer, inpaintingBoxes=boxes))
    listed = server.client.get("/v1/jobs", headers=signer.customer.bearer)
    assert listed.status_code == 200
    assert [(box["first_seconds"], box["last_seconds"]) for box in listed.json()["data"][0]["boxes"]] == [(0, 86_400), (86_400, 86_400)]
    assert listed.json()["data"] == [server.client.get(f"/v1/jobs/{task_id}", headers=signer.customer.bearer).json()]


@pytest.mark.parametrize("nothing", [None, "", " ", [], "[]"])
def test_empty_boxes_are_accepted(nothing: object) -> None:
    assert read_boxes(nothing) == ()


@pytest.mark.parametrize("value", ["", "{", "7", "[]", '"a"', [], [{}, {}], 7, None, "[" * 100_000, [[[[[[{}]]]]]]])
def test_malformed_param_json_is_refused(value: object) -> None:
    with pytest.raises(ParameterError, match="paramJson"):
        unwrap_param_json(value)
