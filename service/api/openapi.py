"""Words for the OpenAPI document: what an endpoint reads, and examples of what it answers."""

from typing import Any, Final

from pydantic import BaseModel

TOO_MANY: Final = {
    "description": "Too many requests of this account; ask again after `Retry-After` seconds.",
    "content": {
        "application/json": {"example": {"code": 429, "msg": "Rate limit exceeded", "message": "Rate limit exceeded", "data": None}}
    },
}


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
