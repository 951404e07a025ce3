"""A real S3-compatible server on loopback in a separate process: moto's, made as strict as S3 about signed links.

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
    """The server's URL, and the environment that a process needs to use it. `bucket`: storage URL of an empty bucket."""

    url: str
    bucket: str
    environment: dict[str, str]


@cache
def s3() -> S3:
    """The server of this test run, with a bucket; each test uses its own prefix."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin
    assert process.stdout
    atexit.register(process.communicate)  # closes its standard input, which tells it to stop
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
    """The server's process: print the port, serve until standard input ends."""
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
    """Refuse downloads and uploads without a signed header or a valid signed link, which moto would allow."""

    def strict(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        makes_bucket = environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].count("/") == 1
        is_strict = environ["REQUEST_METHOD"] in ("GET", "HEAD", "PUT") and not makes_bucket
        if is_strict and "HTTP_AUTHORIZATION" not in environ and not _link_is_good(environ):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return application(environ, start_response)

    return strict


def _link_is_good(environ: dict[str, Any]) -> bool:
    from datetime import UTC, datetime, timedelta
    from urllib.parse import parse_qsl, quote, urlencode

    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    query = dict(parse_qsl(environ["QUERY_STRING"]))
    signature = query.pop("X-Amz-Signature", None)
    if signature is None:
        return False
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/-_.~")
    url = f"http://{environ['HTTP_HOST']}{path}?{urlencode(query)}"
    known = {"host": environ["HTTP_HOST"], "content-length": environ.get("CONTENT_LENGTH", "")}
    signed = {name: known[name] for name in query["X-Amz-SignedHeaders"].split(";")}
    request = AWSRequest(environ["REQUEST_METHOD"], url, headers=signed)
    request.context["timestamp"] = query["X-Amz-Date"]
    signer = S3SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return bool(signature == expected) and datetime.now(UTC) < signed_at + timedelta(seconds=int(query["X-Amz-Expires"]))


if __name__ == "__main__":
    main()
