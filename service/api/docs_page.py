"""`/docs`: the OpenAPI document as a page, from our own files; the browser loads nothing from other hosts."""

from typing import Final

from fastapi import APIRouter

from service.api import assets

ASSETS: Final = {
    "/docs": "docs.html",
    "/docs/docs.js": "docs.js",
    "/docs/curl.js": "curl.js",
    "/docs/try.js": "try.js",
    "/docs/docs.css": "docs.css",
    "/docs/sample.mp4": "sample.mp4",
    "/docs/sample.png": "sample.png",
}


def router() -> APIRouter:
    """The page and its files."""
    routes = APIRouter(tags=["docs"])
    for path, name in ASSETS.items():
        assets.add(routes, path, name)
    return routes
