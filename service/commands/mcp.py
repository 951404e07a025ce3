"""`cleanplate mcp`: the service as tools for agents."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.commands.remote import LOCAL, Key, Url
from service.errors import RequestError
from service.mcp_server import Access, mcp_server

if TYPE_CHECKING:
    from starlette.responses import Response


def mcp(
    transport: Annotated[Literal["stdio", "http"], typer.Option(help="stdio: beside one agent. http: streamable HTTP, at /mcp.")] = "stdio",
    url: Url = LOCAL,
    key: Key = "",
    folder: Annotated[Path | None, typer.Option(help="stdio: the folder that agents may read and write; by default this one.")] = None,
    host: Annotated[str, typer.Option(help="http: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="http: port to listen on.")] = 8001,
) -> None:
    """Offer a service's jobs to agents as tools: estimate, detect, clean, status, cancel, download.

    On stdio with one key. Over HTTP each caller sends its own key, and no file of this machine is read or written.
    """
    if transport == "http":
        _serve(Access(url, None, None), host, port)
        return
    if not key:
        raise RequestError("a key is required: set CLEANPLATE_KEY, or use --key")
    mcp_server(Access(url, key, folder or Path(os.curdir))).run("stdio")


def _serve(access: Access, host: str, port: int) -> None:
    """Serve anybody, with the limits on connections and bodies that the APIs have."""
    from service.api.body_pace import BodyInTime  # here, as stdio needs no HTTP server
    from service.api.connection import listen, server_of

    app = mcp_server(access).streamable_http_app(host=host, stateless_http=True)
    with listen(host, port) as listener:
        typer.echo(f"listening on http://{host}:{port}/mcp")
        server_of(BodyInTime(app), refusal=_refusal, lifespan="on").run(sockets=[listener])


def _refusal(_path: str, status: HTTPStatus) -> "Response":
    """What a request is answered that no tool ever sees."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(status.phrase, status)
