"""A real S3-compatible server on loopback, in a process of its own: moto's, made as strict as S3 about signed links.

server = s3()                       # started once for all tests, ended with them
monkeypatch.setenv(...)             # each of server.environment
Storage.open(f"{server.bucket}/some/prefix")
"""

import atexit
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

ACCESS_KEY, SECRET_KEY, REGION = "cleanplate", "not-a-secret", "us-east-1"


@dataclass(frozen=True)
class S3:
    """Where the server is, and what a process needs to use it. `bucket` is the storage URL of an empty bucket."""

    url: str
    bucket: str
    environment: dict[str, str]


@cache
def s3() -> S3:
    """The server of this test run, with a bucket; a test keeps to a prefix of its own."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin
    assert process.stdout
    atexit.register(process.communicate)  # closes its standard input, which is its sign to end
    url = f"http://127.0.0.1:{int(process.stdout.readline())}"
    with urllib.request.urlopen(urllib.request.Request(f"{url}/cleanplate", method="PUT")):
        pass
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
    }
    return S3(url, "s3://cleanplate", environment)


def main() -> None:
    """The server's process: tell the port, serve until the standard input ends."""
    import threading

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, _strict(DomainDispatcherApplication(create_backend_app)), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _strict(application: Application) -> Application:
    """Refuse downloads that are neither signed in a header nor by a link that fits and is still good: moto lets them pass."""

    def strict(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET" and "HTTP_AUTHORIZATION" not in environ and not _link_is_good(environ):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return application(environ, start_response)

    return strict


def _link_is_good(environ: dict[str, Any]) -> bool:
    from datetime import UTC, datetime, timedelta
    from urllib.parse import parse_qsl, urlencode

    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    told = dict(parse_qsl(environ["QUERY_STRING"]))
    signature = told.pop("X-Amz-Signature", None)
    if signature is None:
        return False
    signed_at = datetime.strptime(told["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}?{urlencode(told)}"
    request = AWSRequest("GET", url, headers={"host": environ["HTTP_HOST"]})
    request.context["timestamp"] = told["X-Amz-Date"]
    signer = S3SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return bool(signature == expected) and datetime.now(UTC) < signed_at + timedelta(seconds=int(told["X-Amz-Expires"]))


if __name__ == "__main__":
    main()
