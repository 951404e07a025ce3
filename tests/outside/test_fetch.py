"""Downloads from a real host on loopback that behaves well or badly."""

import gzip
import inspect
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpcore
import pytest

from service.disk import DiskGuard
from service.errors import FetchError, FetchRefused, FetchTooSlow, FetchUnavailable, JobCancelled, StorageError, StorageFull, TooLarge
from service.outside.exchange import Pace, fetch_errors
from service.outside.fetch import Fetched, FetchLimits, fetch
from service.outside.guard import EgressPolicy
from tests.fixture_host import Host, host

DATA = bytes(range(256)) * 1200  # larger than one socket read
LIMITS = FetchLimits(bytes=len(DATA), seconds=20, stall_seconds=10)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """The download's target; its folder may contain nothing else afterwards, and nothing at all after an error."""
    yield tmp_path / "video"
    assert {path.name for path in tmp_path.iterdir()} <= {"video"}


def fetch_error(kind: type[Exception], url: str, target: Path, egress: EgressPolicy, limits: FetchLimits = LIMITS) -> str:
    """The message of the error that a fetch raises; there must be no file afterwards."""
    with pytest.raises(kind) as error:
        fetch(url, target, egress, limits)
    assert type(error.value) is kind
    assert not target.exists()
    return str(error.value)


def test_a_file_is_downloaded_with_progress(there: Host, target: Path, egress: EgressPolicy) -> None:
    progress: list[int] = []
    url = there.serve("/v.mp4", DATA, content_type="Video/MP4; codecs=avc1")
    assert fetch(url, target, egress, LIMITS, progress.append) == Fetched(len(DATA), "video/mp4", url)
    assert target.read_bytes() == DATA
    assert len(progress) > 1
    assert progress == sorted(progress)
    assert progress[-1] == len(DATA)
    assert there.asked[0].headers["Host"] == f"127.0.0.1:{there.port}"
    assert there.asked[0].headers["Accept-Encoding"] == "identity"


def test_a_file_of_unknown_length_is_downloaded(there: Host, target: Path, egress: EgressPolicy) -> None:
    assert fetch(there.serve_unmeasured("/v.mp4", DATA), target, egress, LIMITS).bytes == len(DATA)
    assert target.read_bytes() == DATA


def test_an_announced_oversized_file_is_not_downloaded(there: Host, target: Path, egress: EgressPolicy) -> None:
    url = there.say("/v.mp4", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
    assert "the limit is" in fetch_error(TooLarge, url, target, egress)


def test_an_oversized_file_is_detected_while_downloading(there: Host, target: Path, egress: EgressPolicy) -> None:
    fetch_error(TooLarge, there.serve_unmeasured("/v.mp4", DATA + b"x"), target, egress)


def test_a_compressed_body_stays_compressed(there: Host, target: Path, egress: EgressPolicy) -> None:
    bomb = gzip.compress(bytes(2**24))
    url = there.serve("/v.mp4", bomb, headers={"Content-Encoding": "gzip"})
    assert fetch(url, target, egress, LIMITS).bytes == len(bomb)


def test_an_empty_file_is_refused(there: Host, target: Path, egress: EgressPolicy) -> None:
    fetch_error(FetchRefused, there.serve("/v.mp4", b""), target, egress)
    fetch_error(FetchRefused, there.serve("/w.mp4", b"", status=204), target, egress)


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final(there: Host, target: Path, egress: EgressPolicy, status: int) -> None:
    url = there.serve("/v.mp4", b"" if status == 304 else DATA, status=status)
    assert str(status) in fetch_error(FetchRefused, url, target, egress)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_temporary_error_is_retryable(there: Host, target: Path, egress: EgressPolicy, status: int) -> None:
    fetch_error(FetchUnavailable, there.serve("/v.mp4", DATA, status=status), target, egress)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
    ],
    ids=["nothing", "another protocol", "half a header", "no length", "two lengths", "endless header", "half a chunk", "no chunk"],
)
def test_a_host_that_disconnects_or_sends_nonsense(there: Host, target: Path, egress: EgressPolicy, words: bytes) -> None:
    fetch_error(FetchUnavailable, there.say("/v.mp4", words), target, egress)


def test_a_body_that_ends_early(there: Host, target: Path, egress: EgressPolicy) -> None:
    fetch_error(FetchUnavailable, there.cut_off("/v.mp4", DATA[:-1]), target, egress)


def test_a_closed_port(target: Path, egress: EgressPolicy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "cannot connect" in fetch_error(FetchUnavailable, f"http://127.0.0.1:{port}/v.mp4", target, egress)


def test_a_silent_host_times_out(there: Host, target: Path, egress: EgressPolicy) -> None:
    limits = FetchLimits(seconds=20, stall_seconds=0.2)
    assert "in time" in fetch_error(FetchUnavailable, there.never_answer("/v.mp4"), target, egress, limits)
    there.hold("/w.mp4", DATA)
    fetch_error(FetchUnavailable, there.url + "/w.mp4", target, egress, limits)


DRIPS = [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 "]


@pytest.mark.parametrize("start", DRIPS)
def test_a_slow_trickle_ends_at_the_deadline(there: Host, target: Path, egress: EgressPolicy, start: bytes) -> None:
    began = time.monotonic()
    fetch_error(FetchTooSlow, there.trickle("/v.mp4", start), target, egress, FetchLimits(seconds=0.4, stall_seconds=0.3))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("start", [*DRIPS, DRIPS[0] + bytes(2**18)])
def test_a_host_that_drips_is_given_up_long_before_the_deadline(there: Host, target: Path, egress: EgressPolicy, start: bytes) -> None:
    began = time.monotonic()
    limits = FetchLimits(seconds=20, stall_seconds=10, pace=Pace(bytes_per_second=2**16, grace_seconds=0.3))
    assert "too slowly" in fetch_error(FetchTooSlow, there.trickle("/v.mp4", start), target, egress, limits)
    assert time.monotonic() - began < 5


def test_a_host_above_the_pace_is_not_given_up(there: Host, target: Path, egress: EgressPolicy) -> None:
    limits = FetchLimits(seconds=20, stall_seconds=10, pace=Pace(bytes_per_second=10, grace_seconds=0.3))  # 50 bytes a second come

    def stop(done_bytes: int) -> None:
        if done_bytes > 40:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled, match="enough"):
        fetch(there.trickle("/v.mp4"), target, egress, limits, stop)


def test_a_fetch_from_a_silent_host_can_be_stopped(there: Host, target: Path, egress: EgressPolicy) -> None:
    began = time.monotonic()

    def stop(_done_bytes: int) -> None:
        if time.monotonic() - began > 0.2:
            raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        fetch(there.never_answer("/v.mp4"), target, egress, LIMITS, stop)
    assert time.monotonic() - began < 5


def test_a_fetch_ends_where_there_is_no_room(there: Host, target: Path, egress: EgressPolicy) -> None:
    disk = DiskGuard((target.parent,), floor_bytes=2**60)
    with pytest.raises(StorageFull):
        fetch(there.serve("/v.mp4", DATA), target, egress, LIMITS, disk=disk)
    with pytest.raises(StorageFull):
        fetch(there.serve_unmeasured("/w.mp4", DATA), target, egress, LIMITS, disk=disk)


def test_the_progress_callback_can_stop_the_download(there: Host, target: Path, egress: EgressPolicy) -> None:
    there.hold("/v.mp4", DATA)

    def cancel(_done_bytes: int) -> None:
        raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        fetch(there.url + "/v.mp4", target, egress, LIMITS, cancel)
    assert not target.exists()


def test_an_unwritable_target(there: Host, tmp_path: Path, egress: EgressPolicy) -> None:
    with pytest.raises(StorageError) as error:
        fetch(there.serve("/v.mp4", DATA), tmp_path / "no folder" / "video", egress, LIMITS)
    assert str(tmp_path) not in str(error.value)


def test_up_to_five_redirects_are_followed(there: Host, target: Path, egress: EgressPolicy) -> None:
    last = there.serve("/6", DATA)
    for hop, status in zip(range(1, 6), (301, 302, 303, 307, 308), strict=True):
        there.redirect(f"/{hop}", str(hop + 1) if hop % 2 else f"{there.url}/{hop + 1}", status)
    there.redirect("/0", "/1")
    assert fetch(there.url + "/1", target, egress, LIMITS).final_url == last
    target.unlink()
    assert "redirects" in fetch_error(FetchRefused, there.url + "/0", target, egress)


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "http://[", "http://u:p@127.0.0.1/", "http://2130706433/", "http://10.0.0.1/", "//169.254.169.254/"]
)
def test_redirects_are_checked_like_the_first_address(there: Host, target: Path, egress: EgressPolicy, to: str) -> None:
    fetch_error(FetchRefused, there.redirect("/v.mp4", to), target, egress)


def test_a_redirect_to_a_private_name_is_refused(there: Host, target: Path) -> None:
    egress = EgressPolicy.parse("127.0.0.0/8", lambda _: ["192.168.0.1"])
    message = fetch_error(FetchRefused, there.redirect("/v.mp4", "http://router.example.com/"), target, egress)
    assert "a host that 127.0.0.1 redirects to" in message
    assert "router" not in message, "the customer did not name it"
    assert "192.168" not in message


@pytest.mark.parametrize("url", ["{there}/missing", "http://intern.example.com/v.mp4", "{there}/moved", "{there}/empty"])
def test_a_host_may_be_named_otherwise_in_errors(there: Host, target: Path, url: str) -> None:
    egress = EgressPolicy.parse("127.0.0.0/8", lambda _: ["192.168.0.1"])
    there.redirect("/moved", "/missing")
    there.serve("/empty", b"")
    with pytest.raises(FetchRefused, match="the video's host") as error:
        fetch(url.format(there=there.url), target, egress, LIMITS, shown_host="the video's host")
    assert not re.search(r"127\.0|intern|192\.168", str(error.value))


def test_loopback_is_refused_unless_allowed(there: Host, target: Path) -> None:
    url = there.serve("/v.mp4", DATA)
    fetch_error(FetchRefused, url, target, EgressPolicy())
    fetch_error(FetchRefused, url.replace("127.0.0.1", "localhost"), target, EgressPolicy())
    fetch_error(FetchRefused, url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), target, EgressPolicy())
    assert not there.asked


def test_dns_rebinding_does_not_change_the_host(target: Path) -> None:
    """The name resolves to the allowed host when it is checked, and to a forbidden one afterwards."""
    answers = iter([["127.0.0.2"]])
    resolved: list[str] = []

    def rebinding(name: str) -> list[str]:
        resolved.append(name)
        return next(answers, ["127.0.0.1"])

    egress = EgressPolicy.parse("127.0.0.2", rebinding)
    with host("127.0.0.2") as allowed, host("127.0.0.1", allowed.port) as forbidden:
        allowed.serve("/v.mp4", b"allowed")
        forbidden.serve("/v.mp4", b"forbidden")
        url = f"http://rebind.example.com:{allowed.port}/v.mp4"
        fetch(url, target, egress, LIMITS)
        assert target.read_bytes() == b"allowed"
        assert resolved == ["rebind.example.com"]
        assert allowed.asked[0].headers["Host"] == f"rebind.example.com:{allowed.port}"
        target.unlink()
        fetch_error(FetchRefused, url, target, egress)
        assert not forbidden.asked


def test_the_next_address_is_tried_when_one_is_dead(there: Host, target: Path) -> None:
    egress = EgressPolicy.parse("127.0.0.0/8", lambda _: ["127.0.0.9", "127.0.0.1"])
    there.serve("/v.mp4", DATA)
    assert fetch(f"http://two.example.com:{there.port}/v.mp4", target, egress, LIMITS).bytes == len(DATA)


def test_proxies_in_the_environment_are_ignored(there: Host, target: Path, egress: EgressPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(there.serve("/v.mp4", DATA), target, egress, LIMITS).bytes == len(DATA)


def test_downloads_run_concurrently(there: Host, tmp_path: Path, egress: EgressPolicy) -> None:
    releases = [there.hold(f"/{index}", DATA) for index in range(4)]
    threads = [threading.Thread(target=fetch, args=(f"{there.url}/{index}", tmp_path / str(index), egress, LIMITS)) for index in range(4)]
    for thread in threads:
        thread.start()
    for release in releases:
        release.set()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [DATA] * 4


FAULTS = [kind for _, kind in inspect.getmembers(httpcore, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_transport_fault_has_a_plain_message(fault: type[Exception]) -> None:
    with pytest.raises(FetchError) as error, fetch_errors("example.com"):
        raise fault("connect to 10.0.0.1 failed")
    assert "example.com" in str(error.value)
    assert "10.0.0.1" not in str(error.value)
