"""An account's own bucket in the OpenAPI document."""

from typing import Any, Final

from service.api.destination_models import DestinationBody, DestinationTestView, DestinationView
from service.api.native_docs import DONE, inline_schema, json_response, problems
from service.api.native_views import JobView

VIEW: Final = {
    "bucket": "customer-results",
    "prefix": "cleaned",
    "endpoint": "https://storage.example.com",
    "region": "us-east-1",
    "keep_here": True,
    "created_at": "2025-12-08T08:50:31.860Z",
}
ORDER: Final = {name: value for name, value in VIEW.items() if name != "created_at"} | {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "...",
}
TESTED: Final = {"delivered": True, "url": "s3://customer-results/cleaned/cleanplate-test.json", "detail": None}
EXPORTING: Final = DONE | {"export": {"outcome": "pending", "attempts": 0, "url": None, "detail": None}}

SET: Final[dict[str, Any]] = {
    "summary": "Have results put into a bucket of your own",
    "description": (
        "The result of each job that succeeds from now on, and its report, as `PREFIX/JOB/NAME`. A failed delivery is tried again for "
        "three days; `export` of the job says how far it is. The keys are stored encrypted, and nothing returns them. They need only write."
    ),
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": inline_schema(DestinationBody), "example": ORDER}}}
    },
    "responses": {200: json_response("It is set.", DestinationView, VIEW)} | problems(400, 413, 415),
}
SET_FOR_ACCOUNT: Final[dict[str, Any]] = SET | {"responses": SET["responses"] | problems(404)}
FIND: Final[dict[str, Any]] = {
    "summary": "Get the bucket of your own",
    "responses": {200: json_response("Without its keys.", DestinationView, VIEW)} | problems(404),
}
REMOVE: Final[dict[str, Any]] = {
    "summary": "Put no more results into a bucket of your own",
    "description": "Its keys are deleted, and what waits to be delivered is given up. Repeating the request changes nothing.",
    "status_code": 204,
    "responses": {204: {"description": "It is removed."}} | problems(),
}
TEST: Final[dict[str, Any]] = {
    "summary": "Try the bucket of your own",
    "description": "Puts a tiny object there, once, and says whether that worked.",
    "responses": {200: json_response("Whether it worked.", DestinationTestView, TESTED)} | problems(404),
}
AGAIN: Final[dict[str, Any]] = {
    "summary": "Deliver a job's result again",
    "description": "To the bucket of your own, at once: one that was given up, or that succeeded before the bucket was set.",
    "status_code": 202,
    "responses": {202: json_response("It will be delivered.", JobView, EXPORTING)} | problems(404, 409),
}
