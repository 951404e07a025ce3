"""How a client uploads a large file, on from where it stopped: in parts straight to the bucket, or in pieces by tus 1.0.0.

Parts go by signed links of the service; pieces, each with its checksum, where it has no bucket or none that can be reached. The I/O is the
client's.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from service.errors import FetchRefused, RequestError
from service.remote_job import error_of

UPLOADS: Final = "/v1/uploads"
RESUMABLE: Final = f"{UPLOADS}/resumable"
LARGE_BYTES: Final = 16 * 2**20  # files above it are sent in pieces
PIECE_BYTES: Final = 8 * 2**20
PIECE: Final = "application/offset+octet-stream"
VERSION: Final = {"Tus-Resumable": "1.0.0"}
FRUITLESS_TRIES: Final = 8  # in a row, none of which got anything across
BUCKET_TRIES: Final = 2  # of the first part: the bucket's address may be one that only the service can reach
NO_SUCH_SERVICE: Final = (404, 405)
NO_BUCKET: Final = (*NO_SUCH_SERVICE, 409)
LOOK_AGAIN: Final = (408, 409, 423, 429, 460)  # what has arrived is not what we think, or may be sent again


@dataclass(frozen=True)
class Step:
    """A request to send after a pause. `once`: a fault of the connection is answered by None, and not by another try.

    `is_elsewhere`: the path is an address of another host, which must not see the key.
    """

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    pause_seconds: float = 0.0
    once: bool = False
    is_elsewhere: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of httpx's `request`."""
        return {"method": self.method, "url": self.path, "headers": self.headers, "content": self.content}


Steps = Generator[Step, httpx.Response | None, str | None]


def upload_steps(path: Path, memory: "Memory", on_progress: Callable[[float], object]) -> Steps:
    """The requests that upload the file; returns its link, or None if the service takes no such uploads. Raises the service's refusals."""
    is_half_by_tus = memory.place is not None and memory.place.startswith(f"{RESUMABLE}/")
    if not is_half_by_tus and (url := (yield from _by_parts(path, memory, on_progress))) is not None:
        return url
    return (yield from _by_pieces(path, memory, on_progress))


def _by_parts(path: Path, memory: "Memory", on_progress: Callable[[float], object]) -> Steps:
    """Straight to the bucket; None if there is none, or if it cannot be reached from here."""
    size_bytes, upload = path.stat().st_size, None
    if memory.place is not None:
        answer = yield Step("GET", memory.place)
        upload = answer.json() if answer is not None and answer.is_success else None
    if upload is None:
        wanted = {"name": path.name, "bytes": size_bytes, "sha256": _sha256(path)}
        answer = yield Step("POST", UPLOADS, {"Content-Type": "application/json"}, json.dumps(wanted).encode())
        assert answer is not None
        if answer.status_code in NO_BUCKET:
            return None
        upload = _required(answer).json()
    place = f"{UPLOADS}/{upload['id']}"
    memory.keep(place)
    fruitless = 0
    while parts := upload["parts"]:
        missing_bytes = sum(part["bytes"] for part in parts)
        on_progress(1 - missing_bytes / size_bytes)
        part = parts[0]
        data = _read(path, (part["number"] - 1) * upload["part_bytes"], part["bytes"])
        answer = yield Step("PUT", part["url"], {}, data, float(fruitless), once=True, is_elsewhere=True)
        if answer is not None and answer.is_success:
            fruitless, upload = 0, upload | {"parts": parts[1:]}
            continue
        fruitless += 1
        if fruitless >= BUCKET_TRIES and missing_bytes == size_bytes:
            yield Step("DELETE", place)
            memory.forget()
            return None
        if fruitless > FRUITLESS_TRIES:
            raise FetchRefused("the service's bucket takes no more of the file")
        answer = yield Step("GET", place)  # with new links
        assert answer is not None
        upload = _required(answer).json()
    answer = yield Step("POST", f"{place}/complete")
    assert answer is not None
    memory.forget()
    return str(_required(answer).json()["url"])


def _by_pieces(path: Path, memory: "Memory", on_progress: Callable[[float], object]) -> Steps:
    """By tus, through the service; None if it does not know that."""
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
    answer = yield Step("GET", place.replace(RESUMABLE, UPLOADS))
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
        return text if text.startswith(f"{UPLOADS}/") else None

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


def _read(path: Path, offset: int, size_bytes: int = PIECE_BYTES) -> bytes:
    with _naming_faults(), path.open("rb") as file:
        file.seek(offset)
        return file.read(size_bytes)


def _sha256(path: Path) -> str:
    with _naming_faults(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _naming_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(f"a file cannot be read: {(error.strerror or 'unknown').lower()}") from error
