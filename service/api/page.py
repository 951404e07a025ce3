"""`/`: the page on which a person cleans videos and images, from files of our own; it asks our API, and no other host but the storage's."""

from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from service.api import assets
from service.api.assets import Asset
from service.errors import StorageError
from service.outside.links import Links
from service.outside.storage import PRESIGNED_SECONDS

FOLDERS: Final = {"/page": "page", "/page/languages": "languages"}
SAMPLE_KEY: Final = "page/sample.mp4"  # nothing lies there: only the origins of links to it are looked at


def router(links: Links) -> APIRouter:
    """The page and its files. `links`: whose pictures and videos it shows."""
    routes = APIRouter(tags=["page"])
    page = Asset.read("index.html")

    @routes.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def show(request: Request) -> Response:
        return page.answer(assets.known_tags(request), {"Content-Security-Policy": policy(origins(links))})

    for path, folder in FOLDERS.items():
        for name in assets.names_in(folder):
            assets.add(routes, f"{path}/{name.removeprefix(f'{folder}/')}", name)
    return routes


def policy(media_origins: frozenset[str]) -> str:
    """The Content-Security-Policy of the page, which shows pictures and videos from these origins besides its own."""
    media = " ".join(["'self'", "blob:", *sorted(media_origins)])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data: {media}; media-src {media}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def origins(links: Links) -> frozenset[str]:
    """Where links to files lead: this service as clients reach it, and the bucket that it sends them on to."""
    try:
        told = {links.url(SAMPLE_KEY, seconds) for seconds in (1.0, PRESIGNED_SECONDS + 1)}
    except StorageError:  # the page opens all the same, and says what fails
        told = set()
    return frozenset("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in told)
