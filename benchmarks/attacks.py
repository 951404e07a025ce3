"""The requests of `benchmarks.hostile`: what strangers and accounts without credits may send, up to every limit.

An attack is a name and the bytes that one connection sends: large, slow, deep or many. None of them breaks anything outside this service.
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from benchmarks.wire import HOST

KIB, MIB = 2**10, 2**20
PART_BYTES = 64 * KIB
BODY_BYTES = 32 * MIB
UPLOAD_BYTES = 200 * MIB
DRIP_SECONDS = 1.0
BOUNDARY = "cleanplate"


@dataclass(frozen=True)
class Target:
    """The service under attack. `key`: of an account without credits. `job_id`: a job of that account that waits for ever."""

    port: int
    key: str
    job_id: str
    drip_url: str  # a source that sends a byte a second
    admin_key: str  # an operator's, as it may leak from a page
    mcp_port: int = 0  # of the tools for agents
    upload_id: str = "upl_"  # a half upload of that account


@dataclass(frozen=True)
class Attack:
    """`parts`: what one connection sends, `pause_seconds` apart, until it is answered. `hold`: it then listens until the end."""

    name: str
    parts: Callable[[Target], Iterator[bytes]]
    pause_seconds: float = 0.0
    hold: bool = False
    mcp: bool = False  # sent to the tools for agents, whose memory is then what is measured


def head(method: str, path: str, *headers: str, length: int | None = None, kind: str = "application/json") -> bytes:
    """A request's head; with a length, its body is of this content type."""
    body = [f"Content-Type: {kind}", f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers, *body, "", ""]).encode()


def post(path: str, body: bytes, *headers: str, kind: str = "application/json") -> Iterator[bytes]:
    """A request with a body, in parts."""
    yield head("POST", path, *headers, length=len(body), kind=kind)
    yield from (body[first : first + PART_BYTES] for first in range(0, len(body), PART_BYTES))


def repeated(
    path: str, start: bytes, unit: bytes, size: int, kind: str = "application/json", *, with_key: bool = False
) -> Callable[[Target], Iterator[bytes]]:
    """A request whose body of about `size` bytes repeats a few bytes; without a key, or with that of an account without credits."""
    part = unit * (PART_BYTES // len(unit))
    count = size // len(part)

    def parts(target: Target) -> Iterator[bytes]:
        key = [bearer(target)] if with_key else []
        yield head("POST", path, *key, length=len(start) + count * len(part), kind=kind) + start
        yield from repeat(part, count)

    return parts


def chunked(path: str, parts: Iterator[bytes], *headers: str, kind: str = "application/json") -> Iterator[bytes]:
    """A request with a body of unannounced length."""
    yield head("POST", path, *headers, "Transfer-Encoding: chunked", f"Content-Type: {kind}")
    yield from (b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    yield b"0\r\n\r\n"


def bearer(target: Target) -> str:
    return f"Authorization: Bearer {target.key}"


def get(path: str, *headers: str) -> Iterator[bytes]:
    yield head("GET", path, *headers)


def long_path(_: Target) -> Iterator[bytes]:
    return get("/" + "a" * (30 * KIB))


def long_query(_: Target) -> Iterator[bytes]:
    return get("/v1/jobs?api_key" + "=token" * (8 * KIB))


def long_headers(_: Target) -> Iterator[bytes]:
    return get("/v1/jobs", *(f"X-Header-{number}: {'secret=' * 80}" for number in range(100)))


def long_key(_: Target) -> Iterator[bytes]:
    return get("/v1/jobs", f"Authorization: Bearer {'cp_' * (10 * KIB)}")


def nested(path: str, *, with_key: bool = False) -> Callable[[Target], Iterator[bytes]]:
    return repeated(path, b"", b'{"a":', BODY_BYTES, with_key=with_key)


def elements(path: str) -> Callable[[Target], Iterator[bytes]]:
    part = b"{}," * (PART_BYTES // 3)
    start = b'{"api_key":"x","input":['
    return lambda _: chunked(path, chain([start], repeat(part, BODY_BYTES // len(part))))


def empty_fields(path: str) -> Callable[[Target], Iterator[bytes]]:
    return repeated(path, b"", b"a=&", BODY_BYTES, "application/x-www-form-urlencoded")


def mebibyte(path: str, unit: bytes) -> Callable[[Target], Iterator[bytes]]:
    """As much as a limit of a mebibyte lets through, of an account without credits where the key is in the head."""
    return repeated(path, b'{"api_key":"x","input":[', unit, MIB - PART_BYTES, with_key=True)


def multipart(path: str, size: int, *, with_key: bool = False) -> Callable[[Target], Iterator[bytes]]:
    """One large part, without a key or for an account that has no credits."""

    def parts(target: Target) -> Iterator[bytes]:
        start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'.encode()
        body = chain([start], repeat(b"\0" * PART_BYTES, size // PART_BYTES))
        return chunked(path, body, *([bearer(target)] if with_key else []), kind=f"multipart/form-data; boundary={BOUNDARY}")

    return parts


def small_parts(path: str) -> Callable[[Target], Iterator[bytes]]:
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'.encode()
    return repeated(path, b"", field, BODY_BYTES, f"multipart/form-data; boundary={BOUNDARY}")


def padding(target: Target) -> Iterator[bytes]:
    """Base64 that is nearly all padding."""
    return post(
        "/api/ext/v1/submit_watermark_removal", json.dumps({"image_base64": "QUJD" + "=" * (MIB // 2) + "A"}).encode(), bearer(target)
    )


def padding_upload(target: Target) -> Iterator[bytes]:
    body = {"base64Data": "QUJD" + "= " * (MIB // 2), "uploadPath": "a"}
    return post("/api/file-base64-upload", json.dumps(body).encode(), bearer(target))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def many_chunks(target: Target) -> Iterator[bytes]:
    """A PNG with very many small chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"tEXt", b"a\0b") * (8 * MIB // 15) + chunk(b"IEND", b"")
    return picture(png, target)


def many_segments(target: Target) -> Iterator[bytes]:
    """A JPEG with very many small comments before its frame."""
    return picture(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + b"\xff\xfe\0\3a" * (8 * MIB // 5) + b"\xff\xd9", target)


def picture(data: bytes, target: Target) -> Iterator[bytes]:
    return post(
        "/api/ext/v1/submit_watermark_removal", json.dumps({"image_base64": base64.b64encode(data).decode()}).encode(), bearer(target)
    )


def slow_head(_: Target) -> Iterator[bytes]:
    yield f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    yield from (f"X-{number}: a\r\n".encode() for number in range(10**6))


def slow_body(path: str, *, with_key: bool = False) -> Callable[[Target], Iterator[bytes]]:
    def parts(target: Target) -> Iterator[bytes]:
        yield head("POST", path, *([bearer(target)] if with_key else []), length=MIB)
        yield from repeat(b" ", MIB)

    return parts


def silent(_: Target) -> Iterator[bytes]:
    yield b""


def events(target: Target) -> Iterator[bytes]:
    return get(f"/v1/jobs/{target.job_id}/events", bearer(target))


def held(target: Target) -> Iterator[bytes]:
    """A synchronous order that waits for its job; each asks for another video."""
    body = {"api_key": target.key, "video_url": target.drip_url}
    return post("/api/v1/download", json.dumps(body).encode())


def slow_source(target: Target) -> Iterator[bytes]:
    return post("/api/file-url-upload", json.dumps({"fileUrl": target.drip_url, "uploadPath": "a"}).encode(), bearer(target))


def batch(target: Target) -> Iterator[bytes]:
    """A thousand sources that the account cannot pay."""
    sources = [{"source_url": f"http://127.0.0.1:9/{number}.mp4"} for number in range(1000)]
    return post(BATCHES, json.dumps({"sources": sources}).encode(), bearer(target))


def secret(target: Target) -> Iterator[bytes]:
    """A new secret that signs callbacks, again and again: each is a write."""
    return post("/v1/callbacks/secret", b"", bearer(target))


def slow_receiver(target: Target) -> Iterator[bytes]:
    """The test of a receiver that answers a byte a second."""
    return post("/v1/callbacks/test", json.dumps({"callback_url": target.drip_url}).encode(), bearer(target))


def redelivery(target: Target) -> Iterator[bytes]:
    """A job's callback again, though it has none yet: a look at a job and a write each."""
    return post(f"/v1/jobs/{target.job_id}/callback/redeliver", b"", bearer(target))


def tool_call(target: Target) -> Iterator[bytes]:
    """An agent's question for a job that waits for ever: the tools ask the API in turn."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "status", "arguments": {"job_id": target.job_id}}}
    return post(MCP, json.dumps(call).encode(), "Accept: application/json, text/event-stream", bearer(target))


def page(path: str) -> Callable[[Target], Iterator[bytes]]:
    return lambda _: get(path)


SUBMIT, AIDGE, SAVESORA, KAZE = "/api/v1/jobs/createTask", "/ai/video/removal", "/api/v1/download", "/api/ext/v1/submit_watermark_removal"
BATCHES = "/v1/batches"
MCP = "/mcp"
DIALECTS = {"native": "/v1/jobs", "kie": SUBMIT, "aidge": AIDGE, "savesora": SAVESORA, "kaze": KAZE}
ATTACKS: tuple[Attack, ...] = (
    Attack("long path", long_path),
    Attack("long query", long_query),
    Attack("long headers", long_headers),
    Attack("long key", long_key),
    *(Attack(f"nested JSON, {name}", nested(path)) for name, path in DIALECTS.items()),
    *(Attack(f"many elements, {name}", elements(path)) for name, path in DIALECTS.items()),
    *(Attack(f"empty fields, {name}", empty_fields(path)) for name, path in DIALECTS.items()),
    *(Attack(f"nested JSON without credits, {name}", nested(DIALECTS[name], with_key=True)) for name in ("native", "kie", "kaze")),
    *(Attack(f"1 MiB of elements, {name}", mebibyte(path, b"{},")) for name, path in DIALECTS.items()),
    *(Attack(f"1 MiB of brackets, {name}", mebibyte(path, b"[")) for name, path in DIALECTS.items()),
    Attack("upload without a key", multipart("/v1/jobs", UPLOAD_BYTES)),
    Attack("upload without credits", multipart("/v1/jobs", UPLOAD_BYTES, with_key=True)),
    Attack("form of 200 MiB, kie", multipart(SUBMIT, UPLOAD_BYTES, with_key=True)),
    Attack("many form parts, aidge", small_parts(AIDGE)),
    Attack("many form parts, savesora", small_parts(SAVESORA)),
    Attack("base64 padding, kaze", padding),
    Attack("base64 padding, upload", padding_upload),
    Attack("PNG of many chunks", many_chunks),
    Attack("JPEG of many comments", many_segments),
    Attack("slow head", slow_head, DRIP_SECONDS),
    Attack("slow body without a key", slow_body(SAVESORA), DRIP_SECONDS),
    Attack("slow body without credits", slow_body(SUBMIT, with_key=True), DRIP_SECONDS),
    Attack("silent connections", silent, hold=True),
    Attack("event streams", events, hold=True),
    Attack("held requests", held, hold=True),
    Attack("uploads from a slow source", slow_source),
    Attack("batches without credits", batch),
    Attack("nested JSON, batches", nested(BATCHES, with_key=True)),
    Attack("4 MiB of elements, batches", repeated(BATCHES, b'{"sources":[', b"{},", 4 * MIB - PART_BYTES, with_key=True)),
    Attack("secrets of callbacks", secret),
    Attack("tests of a slow receiver", slow_receiver),
    Attack("redeliveries", redelivery),
    Attack("calls of tools, MCP", tool_call, mcp=True),
    Attack("nested JSON, MCP", nested(MCP, with_key=True), mcp=True),
    Attack("1 MiB of elements, MCP", mebibyte(MCP, b"{},"), mcp=True),
    Attack("slow body, MCP", slow_body(MCP, with_key=True), DRIP_SECONDS, mcp=True),
    Attack("slow head, MCP", slow_head, DRIP_SECONDS, mcp=True),
    Attack("documents", page("/openapi.json")),
    Attack("metrics", page("/metrics")),
)
