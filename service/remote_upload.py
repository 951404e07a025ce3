"""How a client uploads a large file: in pieces by tus 1.0.0, each with its checksum, on from where it stopped. The I/O is the client's."""

import base64
import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from service.errors import FetchRefused, RequestError
from service.remote_job import error_of

RESUMABLE: Final = "/v1/uploads/resumable"
LARGE_BYTES: Final = 16 * 2**20  # files above it are sent in pieces
PIECE_BYTES: Final = 8 * 2**20
PIECE: Final = "application/offset+octet-stream"
VERSION: Final = {"Tus-Resumable": "1.0.0"}
FRUITLESS_TRIES: Final = 8  # in a row, none of which got anything across
NO_SUCH_SERVICE: Final = (404, 405)
LOOK_AGAIN: Final = (408, 409, 423, 429, 460)  # what has arrived is not what we think, or may be sent again


@dataclass(frozen=True)
class Step:
    """A request to send after a pause. `once`: a fault of the connection is answered by None, and not by another try."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    pause_seconds: float = 0.0
    once: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of httpx's `request`."""
        return {"method": self.method, "url": self.path, "headers": self.headers, "content": self.content}


Steps = Generator[Step, httpx.Response | None, str | None]


def upload_steps(path: Path, memory: "Memory", on_progress: Callable[[float], object]) -> Steps:
    """The requests that upload the file; returns its link, or None if the service takes no such uploads. Raises the service's refusals."""
    size_bytes, place, offset = path.stat().st_size, memory.place, None
    if place is not None:
        offset = _offset_in((yield Step("HEAD", place, VERSION)))
    if place is None or offset is None:
        answer = yield Step("POST", RESUMABLE, VERSION | _announced(path, size_bytes))
        assert answer is not None
        if answer.status_code in NO_SUCH_SERVICE:
            return None
        place, offset = httpx.URL(_required(answer).headers["location"]).path, 0
        memory.keep(place)
    fruitless = 0
    while offset < size_bytes:
        on_progress(offset / size_bytes)
        before = offset
        offset = yield from _sent(path, place, offset, pause_seconds=float(fruitless))
        fruitless = 0 if offset > before else fruitless + 1
        if fruitless > FRUITLESS_TRIES:
            raise FetchRefused("the service takes no more of the file")
    memory.forget()
    answer = yield Step("GET", place.replace(RESUMABLE, "/v1/uploads"))
    assert answer is not None
    return str(_required(answer).json()["url"])


def _sent(path: Path, place: str, offset: int, pause_seconds: float) -> Generator[Step, httpx.Response | None, int]:
    """Send one piece; how much has arrived then."""
    piece = _read(path, offset)
    digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
    headers = VERSION | {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Checksum": f"sha256 {digest}",
    }
    answer = yield Step("PATCH", place, headers, piece, pause_seconds, once=True)
    if answer is not None and answer.is_success:
        return int(answer.headers["upload-offset"])
    if answer is not None and answer.status_code not in LOOK_AGAIN and answer.status_code < 500:
        raise error_of(answer)
    arrived_bytes = _offset_in((yield Step("HEAD", place, VERSION)))
    if arrived_bytes is None:
        raise FetchRefused("the service has dropped the upload: what arrived was not the file that was announced")
    return arrived_bytes


class Memory:
    """Where the half upload of a file is, from one run of the program to the next; `folder` None: only in this one."""

    def __init__(self, folder: Path | None, service: str, path: Path) -> None:
        stat = path.stat()
        same = json.dumps([service, str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        self._note = folder / f"{hashlib.sha256(same.encode()).hexdigest()}.upload" if folder else None

    @property
    def place(self) -> str | None:
        """The path of the upload at the service."""
        if self._note is None:
            return None
        try:
            text = self._note.read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return text if text.startswith(f"{RESUMABLE}/") else None

    def keep(self, place: str) -> None:
        """Remember it."""
        if self._note is not None:
            with suppress(OSError):  # without it the next run begins anew
                self._note.parent.mkdir(parents=True, exist_ok=True)
                self._note.write_text(place, encoding="ascii")

    def forget(self) -> None:
        """It is whole."""
        if self._note is not None:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)


def ignore_fraction(_fraction: float) -> None:
    """Ignore progress."""


def refusal_worth_a_try(response: httpx.Response) -> httpx.Response:
    """The response, unless it says that the same request may succeed later: then its error is raised."""
    if response.status_code == 429 or response.status_code >= 500:
        raise error_of(response)
    return response


def _announced(path: Path, size_bytes: int) -> dict[str, str]:
    return {"Upload-Length": str(size_bytes), "Upload-Metadata": f"filename {base64.b64encode(path.name.encode()).decode()}"}


def _offset_in(answer: httpx.Response | None) -> int | None:
    """How much has arrived; None if there is no such upload any more."""
    if answer is None or not answer.is_success:
        return None
    text = answer.headers.get("upload-offset", "")
    return int(text) if text.isdecimal() else None


def _required(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise error_of(answer)
    return answer


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE_BYTES)
    except OSError as error:
        raise RequestError(f"a file cannot be read: {(error.strerror or 'unknown').lower()}") from error
