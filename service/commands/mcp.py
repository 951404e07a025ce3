"""`cleanplate mcp`: the service as tools for agents."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.commands.remote import LOCAL, Key, Url
from service.errors import RequestError
from service.mcp_server import Access, mcp_server


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
        mcp_server(Access(url, None, None)).run("streamable-http", host=host, port=port, stateless_http=True)
        return
    if not key:
        raise RequestError("a key is required: set CLEANPLATE_KEY, or use --key")
    mcp_server(Access(url, key, folder or Path(os.curdir))).run("stdio")
