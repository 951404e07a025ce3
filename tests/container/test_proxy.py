"""The proxy of compose.yaml, as a real nginx: what it lets through, what it keeps, and what it refuses by itself.

Its files are used as they are, but for names, ports, folders and the numbers that would make a test long. Needs nginx, see .ci/servers;
`CLEANPLATE_TEST_PROXY=off` skips these tests.
"""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.conftest import ROOT
from tests.fixture_host import eventually

FOLDER = ROOT / "deploy" / "proxy"
API, FILES = "cleanplate.example.com", "files.example.com"
CONNECTIONS = 3  # of one address at a time, in this test
HEADER_SECONDS = 1


@dataclass
class Upstream:
    """Answers every request with its own description, as soon as `open` is set."""

    port: int = 0
    seen: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)


@contextmanager
def upstream() -> Iterator[Upstream]:
    state = Upstream()
    state.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.seen.append(self.path)
            state.open.wait(20)
            body = f"{self.headers['Host']} {self.path} {len(self.headers['X-Request-ID'])}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state
        state.open.set()
        server.shutdown()


@dataclass(frozen=True)
class Proxy:
    """The running proxy, and what is behind it."""

    port: int
    behind: Upstream

    def get(self, path: str, host: str = API, **headers: str) -> tuple[int, str]:
        """Status and body of the answer to a request whose path is sent as it stands."""
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items()))

    def ask(self, head: str) -> tuple[int, str]:
        with self.connected() as connection:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]

    @contextmanager
    def connected(self) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=API) as secure,
        ):
            yield secure


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if os.environ.get("CLEANPLATE_TEST_PROXY") == "off":
        pytest.skip("CLEANPLATE_TEST_PROXY=off")
    if not (nginx := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")):
        pytest.fail("nginx is not installed: see .ci/servers, or set CLEANPLATE_TEST_PROXY=off to skip what needs it", pytrace=False)
    folder = tmp_path_factory.mktemp("proxy")
    make_certificate(folder)
    with ExitStack() as stack:
        behind = stack.enter_context(upstream())
        port, dashboards, health = (free_port() for _ in range(3))
        main = {
            " /tmp/": f" {folder}/",
            "/etc/nginx/conf.d/servers.conf": f"{folder}/servers.conf",
            "timeout 10s": f"timeout {HEADER_SECONDS}s",
        }
        servers = {
            "${API_HOST}": API,
            "${S3_HOST}": FILES,
            "/tls/": f"{folder}/",
            "listen 443": f"listen 127.0.0.1:{port}",
            "listen 3000": f"listen 127.0.0.1:{dashboards}",
            "listen 127.0.0.1:8080": f"listen 127.0.0.1:{health}",
            "limit_conn connections 64": f"limit_conn connections {CONNECTIONS}",
            "http://api:8000": f"http://127.0.0.1:{behind.port}",
            "http://s3:8333": f"http://127.0.0.1:{behind.port}/bucket$request_uri",
        }
        (folder / "nginx.conf").write_text(changed("nginx.conf", main), encoding="utf-8")
        (folder / "servers.conf").write_text(changed("servers.conf.template", servers), encoding="utf-8")
        user = " user root;" if os.geteuid() == 0 else ""
        command = [nginx, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", f"daemon off;{user}"]
        process = stack.enter_context(subprocess.Popen(command))
        stack.callback(process.terminate)
        eventually(lambda: listens(health))
        assert httpx.get(f"http://127.0.0.1:{health}/", trust_env=False).status_code == 200
        yield Proxy(port, behind)


def changed(name: str, values: dict[str, str]) -> str:
    text = (FOLDER / name).read_text(encoding="utf-8")
    for old, new in values.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def make_certificate(folder: Path) -> None:
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        "-subj",
        f"/CN={API}",
    ]
    subprocess.run([*words, "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"], check=True, capture_output=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_requests_reach_the_part_that_their_name_means(proxy: Proxy) -> None:
    assert proxy.get("/v1/jobs?limit=1") == (200, f"{API} /v1/jobs?limit=1 32")
    assert proxy.get("/v1/jobs/job_1/events") == (200, f"{API} /v1/jobs/job_1/events 32")
    assert proxy.get("/cleanplate/jobs/a/clean.mp4?sig=x", FILES) == (200, f"{FILES} /bucket/cleanplate/jobs/a/clean.mp4?sig=x 32")
    assert proxy.get("/", "other.example.com")[0] == 421


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/metrics?x=1", "//metrics", "/%6detrics", "/v1/../metrics", "/./metrics", "/metrics/x"]
)
def test_metrics_cannot_be_reached(proxy: Proxy, path: str) -> None:
    assert proxy.get(path)[0] == 404
    assert not [seen for seen in proxy.behind.seen if "metrics" in seen or "6d" in seen]


def test_large_requests_are_refused_before_they_are_sent(proxy: Proxy) -> None:
    before = len(proxy.behind.seen)
    allowed = Settings.model_fields["upload_bytes"].default
    assert proxy.get("/v1/jobs", **{"Content-Length": str(allowed + 11 * 2**20)})[0] == 413
    assert proxy.get("/v1/jobs", FILES, **{"Content-Length": str(65 * 2**20)})[0] == 413
    assert proxy.get("/" + "x" * 9_000)[0] == 414
    assert proxy.get("/", **{"X-Long": "x" * 9_000})[0] == 400
    assert proxy.get("/", **{f"X-{index}": "x" * 7_000 for index in range(6)})[0] == 400
    assert len(proxy.behind.seen) == before


def test_a_header_that_never_ends_is_cut_off(proxy: Proxy) -> None:
    with proxy.connected() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert connection.recv(1) == b""


def test_one_address_has_a_limit_of_requests_at_a_time(proxy: Proxy) -> None:
    proxy.behind.open.clear()
    before = len(proxy.behind.seen)
    waiting = [threading.Thread(target=proxy.get, args=("/slow",)) for _ in range(CONNECTIONS)]
    for thread in waiting:
        thread.start()
    eventually(lambda: len(proxy.behind.seen) == before + CONNECTIONS)
    assert proxy.get("/one-more")[0] == 429
    proxy.behind.open.set()
    for thread in waiting:
        thread.join()
    assert proxy.get("/again")[0] == 200
