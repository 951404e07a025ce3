"""The kie facade: the documented responses, byte for byte, and every code by its real cause."""

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.api.kie import FACADE
from service.errors import FetchRefused
from service.jobs.account_files import used_bytes
from tests.fixture_host import Host, host
from tests.workerless_server import CLEAN, SOURCE, Customer, WorkerlessServer, workerless_server

MODEL = "sora-watermark-remover"
CREATE = "/api/v1/jobs/createTask"
RECORD = "/api/v1/jobs/recordInfo"
POST = "https://sora.chatgpt.com/p/s_68e83bd7eee88191be79d2ba7158516f"
VIDEO = "http://127.0.0.1:9/video.mp4"  # never fetched, as there is no worker
PNG = b"\x89PNG\r\n\x1a\n and so on"
MP4 = b"\x00\x00\x00\x18ftypmp42 and so on"
DENIED = '{"code":401,"msg":"You do not have access permissions"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerlessServer]:
    with workerless_server(tmp_path_factory.mktemp("kie"), FACADE) as server:
        yield server


@pytest.fixture(scope="module")
def there() -> Iterator[Host]:
    with host() as there:
        yield there


def task(**values: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": {"video_url": VIDEO}, **values}


def create(server: WorkerlessServer, customer: Customer, body: dict[str, Any] | None = None, prefix: str = "") -> dict[str, Any]:
    answer = server.client.post(prefix + CREATE, headers=customer.bearer, json=body or task())
    assert answer.status_code == 200
    return dict(answer.json())


def created(server: WorkerlessServer, customer: Customer, body: dict[str, Any] | None = None) -> str:
    return str(create(server, customer, body)["data"]["taskId"])


def task_record(server: WorkerlessServer, customer: Customer, task_id: str) -> dict[str, Any]:
    return dict(server.client.get(RECORD, headers=customer.bearer, params={"taskId": task_id}).json()["data"])


def test_the_documented_request_gets_the_documented_answer(server: WorkerlessServer) -> None:
    body = {"model": MODEL, "callBackUrl": "https://your-domain.com/api/callback", "input": {"video_url": POST}}
    answer = server.client.post(CREATE, headers=server.customer().bearer, json=body)
    expected = r'\{"code":200,"msg":"success","data":\{"taskId":"task_sora-watermark-remover_\d{13}_[0-9a-f]{24}"\}\}'
    assert re.fullmatch(expected, answer.text)


def test_a_task_from_its_creation_to_its_files(server: WorkerlessServer) -> None:
    customer = server.customer(credits=3)
    task_id = created(server, customer)
    waiting = task_record(server, customer, task_id)
    assert (waiting["state"], waiting["resultJson"], waiting["failCode"], waiting["failMsg"]) == ("waiting", None, None, None)
    assert json.loads(json.loads(waiting["param"])["input"]) == {"video_url": VIDEO}
    server.start(task_id)
    assert task_record(server, customer, task_id)["state"] == "generating"
    server.succeed(task_id)
    done = task_record(server, customer, task_id)
    assert (done["state"], done["progress"], done["creditsConsumed"], done["failCode"]) == ("success", 100, 1, None)
    result = json.loads(done["resultJson"])
    assert [server.client.get(url).content for url in (*result["resultUrls"], *result["resultWaterMarkUrls"])] == [CLEAN, SOURCE]
    assert server.client.get("/api/v1/chat/credit", headers=customer.bearer).text == '{"code":200,"msg":"success","data":2}'


def test_a_failed_task_has_its_reason_and_is_refunded(server: WorkerlessServer) -> None:
    customer = server.customer(credits=3)
    task_id = created(server, customer)
    server.fail(task_id, FetchRefused("the host said 403"))
    failed = task_record(server, customer, task_id)
    assert (failed["state"], failed["failCode"], failed["failMsg"], failed["creditsConsumed"]) == ("fail", "400", "the host said 403", 0)
    assert server.client.get("/api/v1/chat/credit", headers=customer.bearer).json()["data"] == 3


@pytest.mark.parametrize(
    "wanted",
    [
        {"videoUrl": VIDEO},
        json.dumps({"video_url": VIDEO}),
        {"video_url": VIDEO, "upload_method": "s3"},
        {"video_url": VIDEO, "upload_method": "oss"},
    ],
    ids=["alias", "JSON text", "s3", "oss"],
)
def test_spellings_of_the_input(server: WorkerlessServer, wanted: object) -> None:
    customer = server.customer()
    assert create(server, customer, task(input=wanted))["code"] == 200
    assert server.job_of(customer).spec.source_url == VIDEO


@pytest.mark.parametrize("body", ["form", "query", "multipart"])
def test_a_form_may_write_the_input_in_brackets(server: WorkerlessServer, body: str) -> None:
    customer = server.customer()
    fields = {"model": MODEL, "input[video_url]": VIDEO, "input[upload_method]": "s3"}
    sent = {
        "form": {"data": fields},
        "query": {"params": fields},
        "multipart": {"files": {name: (None, value) for name, value in fields.items()}},
    }
    assert server.client.post(CREATE, headers=customer.bearer, **sent[body]).json()["code"] == 200
    assert server.job_of(customer).spec.source_url == VIDEO


@pytest.mark.parametrize("name", ["callBackUrl", "callbackUrl", "callback_url", "callbackURL", "CallBackUrl"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_callback_is_never_dropped_for_its_spelling(server: WorkerlessServer, name: str, is_inside: bool) -> None:
    customer, url = server.customer(), "https://example.com/callback"
    body = task(input={"video_url": VIDEO, name: url}) if is_inside else task(**{name: url})
    assert create(server, customer, body)["code"] == 200
    assert server.job_of(customer).callback_url == url


def test_a_link_of_ours_may_be_longer_than_an_address(server: WorkerlessServer) -> None:
    customer = server.customer()
    folder = "/".join(["f" * 64] * 4)
    url = upload(server, customer, MP4, uploadPath=folder, fileName="n" * 64 + ".mp4")["downloadUrl"]
    assert len(url) + len("&download=1&more=") + 100 > 500
    assert create(server, customer, task(input={"video_url": f"{url}&more={'a' * 100}"}))["code"] == 200


def test_a_form_is_accepted_too(server: WorkerlessServer) -> None:
    form = {"model": MODEL, "input": json.dumps({"video_url": VIDEO})}
    assert server.client.post(CREATE, headers=server.customer().bearer, data=form).json()["code"] == 200


def test_json_is_accepted_with_any_content_type(server: WorkerlessServer) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain"):  # the first is curl's default
        headers = server.customer().bearer | {"Content-Type": kind}
        assert server.client.post(CREATE, headers=headers, content=json.dumps(task())).json()["code"] == 200


@pytest.mark.parametrize("path", [CREATE, RECORD, "/api/v1/chat/credit", "/api/v1/common/download-url"])
def test_unauthorised_callers_get_the_documented_message(server: WorkerlessServer, path: str) -> None:
    banned = server.customer()
    server.accounts.set_banned(banned.account, True)
    method = "GET" if path in (RECORD, "/api/v1/chat/credit") else "POST"
    for headers in ({}, {"Authorization": "Bearer wrong"}, banned.bearer):
        answer = server.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.text) == (200, DENIED)


@pytest.mark.parametrize(
    "body",
    [
        task(model="veo-3"),
        {"input": {"video_url": VIDEO}},
        {"model": MODEL},
        task(input={}),
        task(input="not JSON"),
        task(input={"video_url": "ftp://example.com/video.mp4"}),
        task(input={"video_url": "http://example.com/" + "a" * 500}),
        task(input={"video_url": VIDEO, "upload_method": "floppy"}),
        task(callBackUrl="javascript:alert(1)"),
    ],
    ids=["other model", "no model", "no input", "no address", "bad JSON", "scheme", "too long", "upload method", "callback"],
)
def test_invalid_parameters_are_422(server: WorkerlessServer, body: dict[str, Any]) -> None:
    answer = create(server, server.customer(), body)
    assert (answer["code"], answer["data"]) == (422, None)


def test_a_body_that_is_not_json_is_422(server: WorkerlessServer) -> None:
    assert server.client.post(CREATE, headers=server.customer().bearer, content=b"{").json()["code"] == 422


def test_no_credits(server: WorkerlessServer) -> None:
    answer = create(server, server.customer(credits=0))
    assert answer == {"code": 402, "msg": "The current credits are insufficient. Please top up.", "data": None}


def test_maintenance_and_share_links_only(server: WorkerlessServer) -> None:
    assert create(server, server.customer(), prefix="/closed")["code"] == 455
    assert create(server, server.customer(), prefix="/sora")["code"] == 422
    assert create(server, server.customer(), task(input={"video_url": POST}), prefix="/sora")["code"] == 200


def test_an_unknown_task_gets_the_documented_message(server: WorkerlessServer) -> None:
    someones = created(server, server.customer())
    customer = server.customer()
    for task_id in ("task_12345678", someones):
        answer = server.client.get(RECORD, headers=customer.bearer, params={"taskId": task_id})
        assert answer.text == '{"code":422,"msg":"recordInfo is null","data":null}'
    missing = server.client.get(RECORD, headers=customer.bearer)
    assert missing.text == '{"code":400,"msg":"taskId parameter is required","data":null}'


def test_twenty_tasks_in_ten_seconds_and_no_more(server: WorkerlessServer) -> None:
    customer = server.customer(credits=0)
    answers = [server.client.post(CREATE, headers=customer.bearer, json=task()) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[-1].json() == {"code": 429, "msg": "Rate limit exceeded", "data": None}
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10


# Uploads.


def test_an_upload_in_a_form_becomes_a_task(server: WorkerlessServer) -> None:
    customer = server.customer()
    fields = {"uploadPath": "videos/user uploads", "fileName": "my clip.mp4"}
    answer = server.client.post("/api/file-stream-upload", headers=customer.bearer, data=fields, files={"file": ("a.mov", MP4)}).json()
    assert list(answer) == ["success", "code", "msg", "data"]
    assert (answer["success"], answer["code"], answer["msg"]) == (True, 200, "File uploaded successfully")
    data = answer["data"]
    assert list(data)[:6] == ["fileName", "filePath", "downloadUrl", "fileSize", "mimeType", "uploadedAt"]
    assert (data["fileUrl"], data["originalName"], data["uploadPath"]) == (data["downloadUrl"], "a.mov", "videos/user-uploads")
    assert re.fullmatch("[A-Za-z0-9_-]+", data["fileId"])
    assert data["uploadTime"] == data["uploadedAt"] < data["expiresAt"]
    assert (data["fileName"], data["filePath"]) == ("my-clip.mp4", "videos/user-uploads/my-clip.mp4")
    assert (data["fileSize"], data["mimeType"]) == (len(MP4), "video/mp4")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["uploadedAt"])
    assert server.client.get(data["downloadUrl"]).content == MP4
    assert create(server, customer, task(input={"video_url": data["downloadUrl"]}))["code"] == 200
    key = server.job_of(customer).spec.source_key
    assert key == f"uploads/{customer.id}/named/videos-/user-uploads-/my-clip.mp4"


def upload(server: WorkerlessServer, customer: Customer, data: bytes, **fields: str) -> dict[str, Any]:
    body = {"base64Data": base64.b64encode(data).decode(), **fields}
    answer = server.client.post("/api/file-base64-upload", headers=customer.bearer, json=body).json()
    assert answer["code"] == 200, answer
    return dict(answer["data"])


@pytest.mark.parametrize("fields", [{}, {"uploadPath": ""}])
def test_an_upload_needs_no_folder(server: WorkerlessServer, fields: dict[str, str]) -> None:
    customer = server.customer()
    data = upload(server, customer, PNG, fileName="a.png", **fields)
    assert (data["filePath"], data["fileName"], data["uploadPath"]) == ("a.png", "a.png", "")
    form = server.client.post("/api/file-stream-upload", headers=customer.bearer, data=fields, files={"file": ("b.png", PNG)}).json()
    assert (form["data"]["filePath"], form["data"]["originalName"]) == ("b.png", "b.png")


def test_a_file_that_the_client_names_replaces_the_older_one(server: WorkerlessServer) -> None:
    customer = server.customer()
    first = upload(server, customer, MP4 + bytes(9000), uploadPath="videos", fileName="clip.mp4")
    upload(server, server.customer(), MP4, uploadPath="videos", fileName="clip.mp4")
    second = upload(server, customer, MP4 + b"new" + bytes(9000), uploadPath="videos", fileName="clip.mp4")
    assert first["fileId"] == second["fileId"]
    for data in (first, second):
        assert server.client.get(data["downloadUrl"]).content == MP4 + b"new" + bytes(9000)
    with server.database.read() as connection:
        assert used_bytes(connection, customer.id) == second["fileSize"], "the older one no longer counts"


def test_a_folder_may_be_called_like_a_file(server: WorkerlessServer) -> None:
    customer = server.customer()
    fields = [{"fileName": "clip"}, {"uploadPath": "clip", "fileName": "clip"}, {"uploadPath": "clip/clip", "fileName": "clip"}]
    texts = [b"in no folder", b"in one", b"in two"]
    data = [upload(server, customer, text, **chosen) for text, chosen in zip(texts, fields, strict=True)]
    data.append(upload(server, customer, b"in no folder, newer", fileName="clip"))
    assert [each["filePath"] for each in data] == ["clip", "clip/clip", "clip/clip/clip", "clip"]
    assert [server.client.get(each["downloadUrl"]).content for each in data] == [b"in no folder, newer", *texts[1:], b"in no folder, newer"]


def test_files_that_the_client_does_not_name_replace_none(server: WorkerlessServer) -> None:
    customer = server.customer()
    form = {"headers": customer.bearer, "files": {"file": ("IMG_0001.mp4", MP4)}}
    urls = [server.client.post("/api/file-stream-upload", **form).json()["data"]["downloadUrl"] for _ in range(2)]
    urls += [upload(server, customer, MP4)["downloadUrl"] for _ in range(2)]
    assert len({url.partition("?")[0] for url in urls}) == 4


@pytest.mark.parametrize(
    ("name", "stored", "kind"),
    [
        ("notes.txt", "notes.txt", "application/octet-stream"),
        ("page.HTML", "page.html.bin", "application/octet-stream"),
        ("plain", "plain", "application/octet-stream"),
        ("data.json", "data.json", "application/json"),
    ],
)
def test_any_file_is_stored_and_none_is_served_as_a_page(server: WorkerlessServer, name: str, stored: str, kind: str) -> None:
    data = upload(server, server.customer(), b"<script>alert(1)</script>", fileName=name)
    assert (data["fileName"], data["mimeType"]) == (stored, kind)
    served = server.client.get(data["downloadUrl"])
    assert (served.content, served.headers["content-type"]) == (b"<script>alert(1)</script>", kind)
    assert served.headers["content-security-policy"] == "sandbox"


def test_an_upload_is_usable_by_its_owner_only(server: WorkerlessServer) -> None:
    fields = {"base64Data": base64.b64encode(MP4).decode(), "uploadPath": "videos"}
    url = server.client.post("/api/file-base64-upload", headers=server.customer().bearer, json=fields).json()["data"]["downloadUrl"]
    assert create(server, server.customer(), task(input={"video_url": url}))["code"] == 422
    answer = server.client.post("/api/v1/common/download-url", headers=server.customer().bearer, json={"url": url})
    assert answer.json()["code"] == 422


@pytest.mark.parametrize("header", ["", "data:image/png;base64,"])
def test_an_upload_as_base64(server: WorkerlessServer, header: str) -> None:
    body = {"base64Data": header + base64.b64encode(PNG).decode(), "uploadPath": "../../images", "fileName": "../secret"}
    data = server.client.post("/api/file-base64-upload", headers=server.customer().bearer, json=body).json()["data"]
    assert (data["filePath"], data["mimeType"]) == ("images/secret.png", "image/png")
    assert server.client.get(data["downloadUrl"]).content == PNG


def test_an_upload_by_url(server: WorkerlessServer, there: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    body = {"fileUrl": there.serve("/a%20clip.bin", MP4), "uploadPath": "videos"}
    data = server.client.post("/api/file-url-upload", headers=server.customer().bearer, json=body).json()["data"]
    assert (data["filePath"], data["fileSize"]) == ("videos/a-clip.mp4", len(MP4))
    assert server.client.get(data["downloadUrl"]).content == MP4
    assert not list(tmp_path.iterdir()), "no temporary file is left"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/video.mp4", "file:///etc/passwd", "", "{there}/missing", "{there}/empty", "{there}/long", "{there}/broken"]
)
def test_an_upload_by_an_unusable_url(server: WorkerlessServer, there: Host, url: str) -> None:
    there.serve("/empty", b"")
    there.serve("/long", MP4 + bytes(2**20))
    there.cut_off("/broken", MP4)
    body = {"fileUrl": url.format(there=there.url), "uploadPath": "videos"}
    answer = server.client.post("/api/file-url-upload", headers=server.customer().bearer, json=body).json()
    assert (answer["success"], answer["code"]) == (False, 400)
    assert "data" not in answer


def test_invalid_uploads_are_refused(server: WorkerlessServer) -> None:
    headers = server.customer().bearer
    form, text = "/api/file-stream-upload", "/api/file-base64-upload"
    refused = [
        server.client.post(form, headers=headers, data={"uploadPath": "videos"}, files={"file": ("a.mp4", b"")}),
        server.client.post(form, headers=headers, data={"uploadPath": "videos"}, files={"file": ("a.mp4", MP4 + bytes(2**21))}),
        server.client.post(form, headers=headers, data={"uploadPath": "videos"}, files={"other": ("a.mp4", MP4)}),
        server.client.post(form, headers=headers, json={"uploadPath": "videos"}),
        server.client.post(form, headers=headers | {"Content-Type": "multipart/form-data"}, content=b"--"),
        server.client.post(text, headers=headers, json={"uploadPath": "videos", "base64Data": "%%%"}),
        server.client.post(text, headers=headers, json={"uploadPath": "videos"}),
    ]
    assert [(answer.status_code, answer.json()["success"], answer.json()["code"]) for answer in refused] == [(200, False, 400)] * 7
    denied = server.client.post(form, data={"uploadPath": "videos"}, files={"file": ("a.mp4", MP4)})
    assert denied.json() == {"success": False, "code": 401, "msg": "You do not have access permissions"}


def test_a_direct_link_to_a_result(server: WorkerlessServer) -> None:
    customer = server.customer()
    task_id = created(server, customer)
    server.succeed(task_id)
    url = json.loads(task_record(server, customer, task_id)["resultJson"])["resultUrls"][0]
    answer = server.client.post("/api/v1/common/download-url", headers=customer.bearer, json={"url": url}).json()
    assert (answer["code"], answer["msg"]) == (200, "success")
    assert server.client.get(answer["data"]).content == CLEAN
    foreign = server.client.post("/api/v1/common/download-url", headers=customer.bearer, json={"url": VIDEO}).json()
    assert (foreign["code"], foreign["data"]) == (422, None)
