"""Words for the OpenAPI document: what an endpoint reads, and examples of what it answers."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

TOO_MANY: Final = {
    "description": "Too many requests of this account; ask again after `Retry-After` seconds.",
    "content": {
        "application/json": {"example": {"code": 429, "msg": "Rate limit exceeded", "message": "Rate limit exceeded", "data": None}}
    },
}


class DocumentedApp(FastAPI):
    """An application whose document has its examples as they are; FastAPI's own leaves out what is null in them."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for route in iter_route_contexts(self.routes):
            if isinstance(route.original_route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    operation = document["paths"][route.path_format][method.lower()]
                    _restore(operation.get("requestBody", {}), (route.openapi_extra or {}).get("requestBody", {}))
                    for status, answer in route.responses.items():
                        _restore(operation["responses"][str(status)], answer)
        return document


def _restore(told: dict[str, Any], meant: Mapping[str, Any]) -> None:
    """Put the examples of a body back."""
    for media_type, words in meant.get("content", {}).items():
        told["content"][media_type] |= {name: words[name] for name in ("example", "examples") if name in words}


def answers(**examples: object) -> dict[int | str, dict[str, Any]]:
    """An endpoint that says everything with HTTP 200, but that it is asked too often; by example."""
    content = {"application/json": {"examples": {name: {"value": value} for name, value in examples.items()}}}
    return {200: {"description": "The answer, or the error, by its `code`.", "content": content}, 429: TOO_MANY}


def reads(model: type[BaseModel], example: object, media_type: str = "application/json") -> dict[str, Any]:
    """An endpoint that reads such a body."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": model.model_json_schema(), "example": example}}}}


def asks(name: str, description: str, example: str) -> dict[str, Any]:
    """An endpoint that reads one query parameter."""
    schema = {"type": "string"}
    return {
        "parameters": [{"name": name, "in": "query", "required": True, "description": description, "schema": schema, "example": example}]
    }
