"""`/docs`: the OpenAPI document as a page, from files of our own; a browser that reads it asks no other host for anything."""

from typing import Final

from fastapi import APIRouter

from service.api import assets

ASSETS: Final = {
    "/docs": "docs.html",
    "/docs/docs.js": "docs.js",
    "/docs/curl.js": "curl.js",
    "/docs/docs.css": "docs.css",
}


def router() -> APIRouter:
    """The page and its files."""
    routes = APIRouter(tags=["docs"])
    for path, name in ASSETS.items():
        assets.add(routes, path, name)
    return routes
