"""`/`: the page for cleaning videos and images in a browser, and `/admin`, the operator's, from our own files.

They request only our API and the storage's host.
"""

from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.api import assets
from service.api.assets import Asset
from service.errors import StorageError
from service.outside.links import Links
from service.outside.storage import PRESIGNED_SECONDS

FOLDERS: Final = {"/page": "page", "/page/languages": "languages"}
ADMIN_FOLDER: Final = "page/admin"
SAMPLE_KEY: Final = "page/sample.mp4"  # no such object; only the origin of a link to it is used


def router(links: Links) -> APIRouter:
    """The page and its files. `links`: makes the links of the media that it shows."""
    routes = APIRouter(tags=["page"])
    page = Asset.read("index.html")

    @routes.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def show(request: Request) -> Response:
        return page.response(assets.known_tags(request), {"Content-Security-Policy": policy(origins(links))})

    for path, folder in FOLDERS.items():
        _add_files(routes, path, folder)
    return routes


def admin_router() -> APIRouter:
    """The operator's page and its files; it uses some of the page's."""
    routes = APIRouter(tags=["page"])
    page = Asset.read("admin.html")

    @routes.api_route("/admin", methods=["GET", "HEAD"], include_in_schema=False)
    def show(request: Request) -> Response:
        return page.response(assets.known_tags(request), {"Content-Security-Policy": policy(frozenset())})

    @routes.get("/admin/", include_in_schema=False)
    def without_slash() -> Response:
        return RedirectResponse("../admin")  # relative: it names no host

    _add_files(routes, f"/{ADMIN_FOLDER}", ADMIN_FOLDER)
    return routes


def _add_files(routes: APIRouter, path: str, folder: str) -> None:
    for name in assets.names_in(folder):
        assets.add(routes, f"{path}/{name.removeprefix(f'{folder}/')}", name)


def policy(media_origins: frozenset[str]) -> str:
    """The page's Content-Security-Policy, which allows media from these origins and its own."""
    media = " ".join(["'self'", "blob:", *sorted(media_origins)])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data: {media}; media-src {media}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def origins(links: Links) -> frozenset[str]:
    """The origins of links to files: this service's public URL, and its bucket."""
    try:
        urls = {links.url(SAMPLE_KEY, seconds) for seconds in (1.0, PRESIGNED_SECONDS + 1)}
    except StorageError:  # the page still opens, and shows what fails
        urls = set()
    return frozenset("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls)
