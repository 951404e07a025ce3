"""The orders of a run, in four dialects. Each order has a unique source address, by which its job is identified."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.loopback_host import LoopbackHost, files
from service.api.aidge_sign import sign_v2
from service.core import Core
from service.jobs.credits import Fund

KINDS = ("kie", "native", "aidge", "kaze", "missing", "cancelled", "upload", "resumed")
BUCKET_KINDS = ("direct",)  # of a service with a bucket: the file goes there by signed links
UPLOAD_KINDS = ("upload", "resumed", *BUCKET_KINDS)
BATCH_KINDS = ("batch", "cancelled batch")
CALLED_BACK = ("kie", "native", "missing", *UPLOAD_KINDS, *BATCH_KINDS)
BATCH_FILES = ("marked.mp4", "marked.mp4", *["missing.mp4"] * 19)  # one more than are submitted in one transaction; most fail at once
TIMEOUT_SECONDS = 300.0  # while the API is down
RETRY_SECONDS = 0.05
PIECES = 3  # of a resumed upload
SLICES, SLICE_SECONDS = 20, 0.01  # of a piece, so that a kill often meets one under way
BUSY = (409, 423)  # another offset, or the request before still ends
RESUMABLE, TUS = "/v1/uploads/resumable", {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Customer:
    """An account with its credentials."""

    id: int
    key: str
    signer: str
    secret: bytes

    @classmethod
    def new(cls, core: Core, name: str, credits: int) -> "Customer":
        """Create an account with credits in both funds; one-time credits are odd, so that some jobs are paid from both."""
        account = core.accounts.create(name)
        core.administration.grant(account, Fund.ONE_TIME, credits // 2 + 1, "crash")
        core.administration.grant(account, Fund.PAID, credits, "crash")
        return cls(account.id, core.accounts.add_key(account), f"app {name}", core.accounts.add_signer(account, f"app {name}").encode())


@dataclass(frozen=True)
class Order:
    """An order. `tag`: unique; it is part of the job's source address or request."""

    kind: str
    tag: str
    customer: Customer
    host: LoopbackHost
    flaky: bool = False  # the receiver rejects the first callback
    longer: bool = False

    @property
    def source_url(self) -> str:
        """The unique address of the source."""
        name = {"missing": "missing.mp4", "kaze": "picture.png"}.get(self.kind, "longer.mp4" if self.longer else "marked.mp4")
        return f"{self.host.url}/{self.tag}/{name}"

    @property
    def callback_path(self) -> str | None:
        """The path of its callback on the host; None if the kind has no callback."""
        return f"/{'flaky' if self.flaky else 'calls'}/{self.tag}" if self.kind in CALLED_BACK else None

    @property
    def callback_url(self) -> str | None:
        """The address of its callback; None if the kind has no callback."""
        return self.callback_path and self.host.url + self.callback_path

    @property
    def is_native(self) -> bool:
        """Whether the order has an Idempotency-Key, so that it can be repeated without creating a second job."""
        return self.kind in ("native", "missing", "cancelled", *UPLOAD_KINDS, *BATCH_KINDS)

    @property
    def batch_urls(self) -> tuple[str, ...]:
        """The unique addresses of a batch's sources; none if it is a single job."""
        names = BATCH_FILES if self.kind in BATCH_KINDS else ()
        return tuple(f"{self.host.url}/{self.tag}/{number}/{name}" for number, name in enumerate(names))


@dataclass(frozen=True)
class Placed:
    """An order and the id of its job or batch; None if the answer was lost, so that the job may or may not exist."""

    order: Order
    job_id: str | None


class UnexpectedAnswer(Exception):
    """The service did not answer, or not as expected."""


def place(order: Order, client: httpx.Client) -> Placed:
    """Submit the order while processes are killed: retry if the connection fails, and after a lost answer only if that is safe.

    Raises UnexpectedAnswer on an error or a timeout.
    """
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        try:
            job_id = SUBMIT.get(order.kind, _native)(order, client)
            if order.kind.startswith("cancelled"):
                _cancel(order, job_id, client)
        except httpx.ConnectError:
            time.sleep(RETRY_SECONDS)
        except httpx.TransportError:
            if not order.is_native:
                return Placed(order, None)
            time.sleep(RETRY_SECONDS)
        else:
            return Placed(order, job_id)
    raise UnexpectedAnswer(f"{order.kind}: no answer within {TIMEOUT_SECONDS:g} s")


def _cancel(order: Order, job_id: str, client: httpx.Client) -> None:
    """Request cancellation once; if the request is lost, the job runs."""
    with suppress(httpx.TransportError):
        client.post(f"/v1/{'batches' if order.batch_urls else 'jobs'}/{job_id}/cancel", headers=_bearer(order))


def _native(order: Order, client: httpx.Client) -> str:
    wanted = {"source_url": order.source_url, "callback_url": order.callback_url}
    return _id_of(client.post("/v1/jobs", json=_given(wanted), headers=_bearer(order) | _key(order)), "id")


def _upload(order: Order, client: httpx.Client) -> str:
    sent = {"file": ("clip.mp4", files()["marked.mp4"])}
    options = {"options": json.dumps({"callback_url": order.callback_url})}
    return _id_of(client.post("/v1/jobs", files=sent, data=options, headers=_bearer(order) | _key(order)), "id")


def _batch(order: Order, client: httpx.Client) -> str:
    body = {"sources": [{"source_url": url} for url in order.batch_urls], "callback_url": order.callback_url}
    return _id_of(client.post("/v1/batches", json=body, headers=_bearer(order) | _key(order)), "id")


def _resumed(order: Order, client: httpx.Client) -> str:
    """Upload in pieces, on from what has arrived when a request is lost; then order. Raises UnexpectedAnswer if any of it is gone."""
    data, bearer = files()["longer.mp4" if order.longer else "marked.mp4"], _bearer(order) | TUS
    begin = {"Upload-Length": str(len(data)), "Upload-Metadata": f"sha256 {_base64(hashlib.sha256(data).hexdigest())}"}
    path = _patiently(lambda: client.post(RESUMABLE, headers=bearer | begin)).headers["location"]
    acknowledged = 0
    while acknowledged < len(data):
        offset = int(_patiently(lambda: client.head(path, headers=bearer)).headers["upload-offset"])
        if offset < acknowledged:
            raise UnexpectedAnswer(f"{acknowledged} bytes had arrived, {offset} are left")
        acknowledged = max(offset, _send_piece(path, data, offset, bearer, client))
    return _order_uploaded(order, client, _patiently(lambda: client.get(path.replace("/resumable", ""), headers=bearer)).json(), data)


def _direct(order: Order, client: httpx.Client) -> str:
    """Upload straight to the bucket by signed links, then order. Raises UnexpectedAnswer if any of it is gone."""
    data = files()["longer.mp4" if order.longer else "marked.mp4"]
    body = {"name": "clip.mp4", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    upload = _patiently(lambda: client.post("/v1/uploads", json=body, headers=_bearer(order))).json()
    first = 0
    for part in upload["parts"]:
        _patiently(lambda part=part, first=first: httpx.put(part["url"], content=data[first : first + part["bytes"]], trust_env=False))  # type: ignore[misc]
        first += part["bytes"]
    done = _patiently(lambda: client.post(f"/v1/uploads/{upload['id']}/complete", headers=_bearer(order))).json()
    return _order_uploaded(order, client, done, data)


def _order_uploaded(order: Order, client: httpx.Client, upload: dict[str, Any], data: bytes) -> str:
    """Order what was uploaded, once it is known to be what was sent. Raises UnexpectedAnswer."""
    url = upload["url"]
    if _patiently(lambda: client.get(url, follow_redirects=True)).content != data:
        raise UnexpectedAnswer("the upload is another file than was sent")
    body = _given({"source_url": url, "callback_url": order.callback_url})
    return _id_of(_patiently(lambda: client.post("/v1/jobs", json=body, headers=_bearer(order) | _key(order))), "id")


def _send_piece(path: str, data: bytes, offset: int, bearer: dict[str, str], client: httpx.Client) -> int:
    """Send the next piece, slowly; how much has arrived then, or 0 if that is not known."""
    piece = data[offset : offset + len(data) // PIECES + 1]
    headers = bearer | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", "Content-Length": str(len(piece))}
    try:
        answer = client.patch(path, content=_slowly(piece), headers=headers)
    except httpx.TransportError:
        return 0
    if answer.status_code not in (204, *BUSY):
        raise UnexpectedAnswer(f"{answer.status_code} {answer.text[:200]}")
    return int(answer.headers.get("upload-offset", 0))


def _slowly(piece: bytes) -> Iterator[bytes]:
    step = len(piece) // SLICES + 1
    for first in range(0, len(piece), step):
        time.sleep(SLICE_SECONDS)
        yield piece[first : first + step]


def _patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, asked for again while the API is down or still busy with the request before. Raises UnexpectedAnswer."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        try:
            answer = ask()
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code not in BUSY:
            if answer.is_success:
                return answer
            raise UnexpectedAnswer(f"{answer.status_code} {answer.text[:200]}")
        time.sleep(RETRY_SECONDS)
    raise UnexpectedAnswer(f"no answer within {TIMEOUT_SECONDS:g} s")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _kie(order: Order, client: httpx.Client) -> str:
    body = {"model": "sora-watermark-remover", "callBackUrl": order.callback_url, "input": {"video_url": order.source_url}}
    return _id_of(client.post("/api/v1/jobs/createTask", json=body, headers=_bearer(order)), "data", "taskId")


def _aidge(order: Order, client: httpx.Client) -> str:
    customer, timestamp = order.customer, str(int(time.time() * 1000))
    sign = sign_v2(customer.secret, timestamp)
    query = {"app_key": customer.signer, "timestamp": timestamp, "sign": sign, "sign_method": "sha256", "sign_ver": "v2"}
    body = {"videoUrl": order.source_url, "language": "en"}
    return _id_of(client.post("/ai/video/removal", params=query, json=body), "data", "taskId")


def _kaze(order: Order, client: httpx.Client) -> str:
    answer = client.post("/api/ext/v1/submit_watermark_removal", json={"image_url": order.source_url}, headers=_bearer(order))
    return _id_of(answer, "data", "task_id")


SUBMIT: dict[str, Callable[[Order, httpx.Client], str]] = {
    "kie": _kie,
    "aidge": _aidge,
    "kaze": _kaze,
    "upload": _upload,
    **dict.fromkeys(BATCH_KINDS, _batch),
    "resumed": _resumed,
    "direct": _direct,
}


def _id_of(answer: httpx.Response, *names: str) -> str:
    """The job's id at this path of the answer."""
    found: Any = answer.json()
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise UnexpectedAnswer(f"{answer.status_code} {answer.text[:200]}")
    return found


def _bearer(order: Order) -> dict[str, str]:
    return {"Authorization": f"Bearer {order.customer.key}"}


def _key(order: Order) -> dict[str, str]:
    return {"Idempotency-Key": order.tag}


def _given(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
