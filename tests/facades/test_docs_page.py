"""The page at /docs: served with strict headers, from our own files; the document contains everything that it shows."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest

from service.media import suffix_of_head
from tests.service_process import Service

PAGE = "/docs"
FILES = {
    PAGE: "text/html; charset=utf-8",
    "/docs/docs.js": "text/javascript; charset=utf-8",
    "/docs/curl.js": "text/javascript; charset=utf-8",
    "/docs/try.js": "text/javascript; charset=utf-8",
    "/docs/docs.css": "text/css; charset=utf-8",
}
SHARED = {"/page/kept.js", "/page/programs.js"}  # with the page for cleaning files
SAMPLES = {"/docs/sample.mp4": "video/mp4", "/docs/sample.png": "image/png"}
SCRIPTS = [path for path in FILES if path.endswith(".js")]
APIS = ["native", "kie", "savesora", "aidge", "kaze", "admin", "files", "operations"]

each_file = pytest.mark.parametrize("path", FILES)


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    """The OpenAPI document with all references resolved, as the page's script does."""
    whole = service.client.get("/openapi.json").json()

    def linked(value: Any) -> Any:
        if isinstance(value, list):
            return [linked(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "$ref" not in value:
            return {name: linked(part) for name, part in value.items()}
        place = whole
        for name in value["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        return linked(place)

    found: dict[str, Any] = linked(whole)
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method} {path}": operation for path, methods in document["paths"].items() for method, operation in methods.items()}


def text(service: Service, path: str) -> str:
    answer = service.client.get(path)
    assert answer.status_code == 200
    return answer.text


@each_file
def test_files_have_a_strict_content_security_policy(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FILES[path]
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]


@each_file
def test_head_returns_the_same_headers_without_a_body(service: Service, path: str) -> None:
    whole, head = service.client.get(path), service.client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    own = {"date", "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in whole.headers.items() if name not in own
    }


@each_file
def test_a_cached_file_is_not_sent_again(service: Service, path: str) -> None:
    tag = service.client.get(path).headers["etag"]
    for known in (tag, f'"another", W/{tag}'):
        answer = service.client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert service.client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


@each_file
def test_no_file_names_another_host(service: Service, path: str) -> None:
    assert not re.findall(r"""\w+:/{2}|["'(=]\s*/{2}\w|@import|\burl\(""", text(service, path))


def test_every_referenced_file_exists(service: Service) -> None:
    page = text(service, PAGE)
    found = set(re.findall(r'(?:src|href)="([^"#]+)"', page)) - {"data:,"}
    assert found == {"docs/docs.js", "docs/docs.css", "openapi.json"}
    asked = {urljoin(PAGE, address) for address in found}
    asked |= {urljoin(path, name) for path in SCRIPTS for name in re.findall(r'from "([^"]+)"', text(service, path))}
    assert asked == {*FILES, *SHARED, "/openapi.json"} - {PAGE}
    assert {service.client.get(address).status_code for address in asked} == {200}


def test_the_samples_are_served(service: Service) -> None:
    scripts = "".join(text(service, path) for path in SCRIPTS)
    for path, media_type in SAMPLES.items():
        answer = service.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert suffix_of_head(answer.content) == path[-4:]
        assert f'"{path[1:]}"' in scripts


def test_the_scripts_use_elements_that_exist(service: Service) -> None:
    places = set(re.findall(r'id="([^"]+)"', text(service, PAGE)))
    asked = {name for path in SCRIPTS for name in re.findall(r'getElementById\("([^"]+)"\)', text(service, path))}
    assert asked
    assert asked <= places


def test_no_file_needs_what_the_policy_forbids(service: Service) -> None:
    page = text(service, PAGE)
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script>", page)
    for path in SCRIPTS:
        assert not re.findall(r"HTML|document\.write|\beval\(|\bFunction\(|cssText", text(service, path)), "the document goes in as text"


def test_fastapis_own_document_pages_are_disabled(service: Service) -> None:
    assert {service.client.get(path).status_code for path in ("/redoc", "/docs/oauth2-redirect")} == {404}


def test_each_api_has_a_description_and_operations(document: dict[str, Any]) -> None:
    assert [tag["name"] for tag in document["tags"]] == APIS
    assert all(tag["description"].endswith(".") for tag in document["tags"])
    assert {operation["tags"][0] for operation in operations(document).values()} == set(APIS)
    assert document["info"]["summary"]
    assert document["info"]["version"]


def test_every_operation_has_a_summary_and_described_responses(document: dict[str, Any]) -> None:
    found = operations(document)
    assert not [name for name, operation in found.items() if not operation["summary"]]
    answers = [(name, status, answer) for name, operation in found.items() for status, answer in operation["responses"].items()]
    assert not [(name, status) for name, status, answer in answers if not (status.isdecimal() and answer["description"])]
    contents = [content for _, _, answer in answers for content in answer.get("content", {}).values()]
    assert all("value" in example for content in contents for example in content.get("examples", {}).values())


def test_every_parameter_has_a_name_a_place_and_a_type(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for parameter in operation.get("parameters", []):
            found = next(iter(parameter["content"].values())) if "content" in parameter else parameter
            assert parameter["name"]
            assert parameter["in"] in ("path", "query", "header")
            assert {"type", "anyOf", "enum"} & found["schema"].keys()


def test_every_body_can_be_shown_as_a_call(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
            if body["schema"].get("format") == "binary":
                continue  # a piece of a file
            assert body["schema"]["type"] == "object", name
            if media_type == "application/json":
                assert isinstance(body["example"], dict), name
            else:
                files = {field for field, found in body["schema"]["properties"].items() if found.get("format") == "binary"}
                assert media_type == "multipart/form-data"
                assert set(body["schema"]["required"]) <= files | body.get("example", {}).keys(), name
