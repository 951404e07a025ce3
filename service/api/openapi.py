"""Builders for the OpenAPI document: request bodies, query parameters and example responses."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel


class DocumentedApp(FastAPI):
    """A FastAPI application whose document keeps nulls in examples, which FastAPI omits, and is rendered once."""

    def setup(self) -> None:
        """Add the document's route."""

        @cache
        def rendered() -> bytes:
            return bytes(JSONResponse(self.openapi()).body)

        async def document(_: Request) -> Response:
            return Response(rendered(), media_type="application/json")

        self.add_route("/openapi.json", document, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for route in iter_route_contexts(self.routes):
            if isinstance(route.original_route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    operation = document["paths"][route.path_format][method.lower()]
                    _restore(operation.get("requestBody", {}), (route.openapi_extra or {}).get("requestBody", {}))
                    for status, response in route.responses.items():
                        _restore(operation["responses"][str(status)], response)
        return document


def _restore(documented: dict[str, Any], declared: Mapping[str, Any]) -> None:
    """Put back the declared examples of a body."""
    for media_type, body in declared.get("content", {}).items():
        documented["content"][media_type] |= {name: body[name] for name in ("example", "examples") if name in body}


def example_responses(**examples: object) -> dict[int | str, dict[str, Any]]:
    """Example responses of an endpoint that always answers with HTTP 200. With `limited` there is a `Retry-After` header."""
    content = {"application/json": {"examples": {name: {"value": value} for name, value in examples.items()}}}
    return {200: {"description": "The result or the error, by its `code`.", "content": content}}


def request_body(model: type[BaseModel], example: object, media_type: str = "application/json") -> dict[str, Any]:
    """A required request body of this model."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": model.model_json_schema(), "example": example}}}}


def query_parameter(name: str, description: str, example: str) -> dict[str, Any]:
    """One required query parameter."""
    schema = {"type": "string"}
    return {
        "parameters": [{"name": name, "in": "query", "required": True, "description": description, "schema": schema, "example": example}]
    }
