"""Requests that no endpoint takes: an unknown path or another method, answered in the dialect of the path."""

from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from service.api.facade import Facade, Render
from service.api.problems import status_problem
from service.errors import MethodNotAllowed, PathUnknown, TooLarge

METHOD_NOT_ALLOWED: Final = 405
TOO_LARGE: Final = (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
ERRORS: Final = {
    404: PathUnknown("there is no such endpoint"),
    METHOD_NOT_ALLOWED: MethodNotAllowed("the endpoint does not have this method"),
}


def unrouted(facades: Iterable[Facade]) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    """The application's handler of HTTPException. Below no facade's prefix the response is a problem (RFC 9457)."""
    renderers = _renderers(facades)

    async def respond(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        render = _renderer_of(request.url.path, renderers)
        kind = ERRORS.get(error.status_code)
        response = render(kind) if render and kind else status_problem(error.status_code, str(error.detail), error.headers)
        if error.status_code == METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(sorted(_methods_of(request)))
        return response

    return respond


def refusal_of(facades: Iterable[Facade]) -> Callable[[str, HTTPStatus], Response]:
    """Renders what the server refuses before the application sees it: a head that is too large in the dialect, all else as a problem."""
    renderers = _renderers(facades)

    def refuse(path: str, status: HTTPStatus) -> Response:
        render = _renderer_of(path, renderers) if status in TOO_LARGE else None
        return render(TooLarge("the request's address or its headers are too long")) if render else status_problem(status)

    return refuse


def _renderers(facades: Iterable[Facade]) -> dict[str, Render]:
    return {prefix: facade.render_error for facade in facades for prefix in facade.prefixes}


def _renderer_of(path: str, renderers: dict[str, Render]) -> Render | None:
    """The renderer of the longest prefix of the path."""
    prefixes = [prefix for prefix in renderers if f"{path}/".startswith(f"{prefix}/")]
    return renderers[max(prefixes, key=len)] if prefixes else None


def _methods_of(request: Request) -> set[str]:
    """The methods of all routes with the request's path. The exception names only those of the first."""
    routes = (route for route in iter_route_contexts(request.app.routes) if route.path_regex.match(request.url.path))
    return {method for route in routes for method in route.methods or ()}
