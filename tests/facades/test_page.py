"""The page at `/`: served with strict headers, from our own files; all texts exist in every language, and its modules fit together."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin

import pytest

from service import errors
from service.api.page import origins, policy
from service.api.problems import CODES, TYPE, Problem
from service.errors import CleanplateError
from service.jobs.job import State
from service.outside.links import Links
from service.outside.storage import Storage
from tests.service_process import Service, file

MODULES: Final = (
    "api", "app", "boxes", "check", "clock", "compare", "dom", "examples", "files", "follow", "format", "found", "i18n", "intervals",
    "jobs", "kept", "keyframes", "leaving", "marking", "order", "overlay", "player", "problems", "programs", "queue", "result", "shapes",
    "sketch", "stage", "timeline", "upload", "work", "zoom",
)  # fmt: skip
ADMIN_MODULES: Final = ("accounts", "api", "app", "callbacks", "jobs", "keys", "overview", "parts", "records", "secret")
LANGUAGES: Final = ("en", "es", "pt-BR", "vi", "zh")
MOST_BYTES: Final = 250_000  # of all that the page loads before it is used
SCRIPTS: Final = [f"/page/{name}.js" for name in MODULES]
ADMIN_SCRIPTS: Final = [f"/page/admin/{name}.js" for name in ADMIN_MODULES]
FILES: Final = {
    "/": "text/html; charset=utf-8",
    "/page/icon.svg": "image/svg+xml",
    **{f"/page/{name}.css": "text/css; charset=utf-8" for name in ("theme", "page", "result", "lists")},
    **{f"/page/languages/{name}.json": "application/json" for name in LANGUAGES},
    **dict.fromkeys(SCRIPTS, "text/javascript; charset=utf-8"),
}
ADMIN_FILES: Final = {
    "/admin": "text/html; charset=utf-8",
    "/page/admin/admin.css": "text/css; charset=utf-8",
    **dict.fromkeys(ADMIN_SCRIPTS, "text/javascript; charset=utf-8"),
}
ALL_FILES: Final = FILES | ADMIN_FILES
NEVER_RAISED: Final = {errors.InputError, errors.LimitExceeded, errors.ServiceError, errors.AccessError, errors.Busy, errors.FetchError}
NOT_OF_THE_PAGE: Final = {
    errors.SettingsError,
    errors.UnknownModel,
    errors.SignatureExpired,
    errors.ParameterMissing,
    errors.PathUnknown,
    errors.MethodNotAllowed,
}

each_file = pytest.mark.parametrize("path", ALL_FILES)


def text(service: Service, path: str) -> str:
    answer = service.client.get(path)
    assert answer.status_code == 200, path
    return answer.text


@pytest.fixture
def page(service: Service) -> str:
    return text(service, "/")


@pytest.fixture
def admin_page(service: Service) -> str:
    return text(service, "/admin")


@pytest.fixture
def pages(page: str, admin_page: str) -> str:
    return page + admin_page


@pytest.fixture
def scripts(service: Service) -> dict[str, str]:
    return {path: text(service, path) for path in SCRIPTS}


@pytest.fixture
def all_scripts(service: Service, scripts: dict[str, str]) -> dict[str, str]:
    return scripts | {path: text(service, path) for path in ADMIN_SCRIPTS}


@pytest.fixture
def words(service: Service) -> dict[str, dict[str, str]]:
    """The texts by language and name."""
    return {name: service.client.get(f"/page/languages/{name}.json").json() for name in LANGUAGES}


def directives(header: str) -> dict[str, set[str]]:
    parts = (part.split() for part in header.split(";"))
    return {name: set(sources) for name, *sources in parts}


@each_file
def test_files_have_a_strict_content_security_policy(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == ALL_FILES[path]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    found = directives(answer.headers["content-security-policy"])
    assert found["default-src"] == {"'none'"}
    assert all(found[name] == {"'self'"} for name in ("script-src", "style-src", "connect-src"))
    assert all(found[name] == {"'none'"} for name in ("base-uri", "form-action", "frame-ancestors"))


@each_file
def test_a_cached_file_is_not_sent_again(service: Service, path: str) -> None:
    whole, head = service.client.get(path), service.client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])
    again = service.client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == whole.headers["content-security-policy"]


def test_the_page_may_load_media_only_from_the_origins_of_links(service: Service) -> None:
    found = directives(service.client.get("/").headers["content-security-policy"])
    assert found["media-src"] == {"'self'", "blob:", service.url}
    assert found["img-src"] == found["media-src"] | {"data:"}


def test_the_page_may_load_media_from_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "ACCESS_KEY_ID": "id",
        "SECRET_ACCESS_KEY": "secret",
        "REGION": "eu-west-1",
        "ENDPOINT_URL": "https://objects.example.com:9000",
    }
    for name, value in found.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    found = origins(Links("https://clean.example.com/under/", b"secret", Storage.open("s3://plates/here")))
    assert found == {"https://clean.example.com", "https://objects.example.com:9000"}
    assert found < directives(policy(found))["media-src"]


@each_file
def test_no_file_names_another_host(service: Service, path: str) -> None:
    named = re.findall(r"""\w+:/{2}\w[^"'\s]*|["'(=]\s*/{2}\w|@import|\burl\(""", text(service, path))
    assert named == (["http://www.w3.org/2000/svg"] if path.endswith(".svg") else [])  # an XML namespace, which is never requested


def test_every_referenced_file_exists(service: Service, pages: str, all_scripts: dict[str, str]) -> None:
    asked = {urljoin("/", address) for address in re.findall(r'(?:src|href)="([^"#]+)"', pages)}
    asked |= {urljoin(path, name) for path, script in all_scripts.items() for name in re.findall(r'from "([^"]+)"', script)}
    assert all_scripts.keys() <= asked
    assert {service.client.get(address).status_code for address in asked} == {200}


def test_every_imported_name_is_exported(all_scripts: dict[str, str]) -> None:
    for path, script in all_scripts.items():
        for names, other in re.findall(r'import \{([^}]+)\} from "(\.\.?/[^"]+)"', script):
            if urljoin(path, other) not in all_scripts:
                continue  # of the documentation
            given = re.findall(r"export (?:async )?(?:function\*?|const|class) (\w+)", all_scripts[urljoin(path, other)])
            assert {name.split(" as ")[0].strip() for name in names.split(",")} <= set(given), (path, other)


def test_the_scripts_use_elements_that_exist(page: str, scripts: dict[str, str]) -> None:
    places = set(re.findall(r'\bid="([^"]+)"', page))
    asked = {name for script in scripts.values() for name in re.findall(r'byId\("([^"]+)"\)', script)}
    assert asked
    assert asked <= places
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"', page)) <= places


def test_no_file_needs_what_the_policy_forbids(pages: str, all_scripts: dict[str, str]) -> None:
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script>", pages)
    for script in all_scripts.values():
        assert not re.findall(r"HTML\b|document\.write|\beval\(|\bFunction\(|cssText", script), "texts are inserted as text"


def test_the_page_is_light(service: Service) -> None:
    paths = [path for path in FILES if "/languages/" not in path]
    languages = [len(service.client.get(path).content) for path in FILES if "/languages/" in path]
    assert sum(len(service.client.get(path).content) for path in [*paths, "/docs/curl.js"]) + max(languages) < MOST_BYTES


def test_every_language_has_the_same_texts(words: dict[str, dict[str, str]]) -> None:
    english = words["en"]
    for found in words.values():
        assert list(found) == list(english)
        assert all(text.strip() for text in found.values())
        assert {name: placeholders(text) for name, text in found.items()} == {name: placeholders(text) for name, text in english.items()}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_each_language_can_be_chosen(scripts: dict[str, str]) -> None:
    (named,) = re.findall(r"LANGUAGES = \{ (.+) \};", scripts["/page/i18n.js"])
    assert tuple(re.findall(r'"?([\w-]+)"?: "', named)) == LANGUAGES


def test_the_operators_page_uses_elements_that_exist(admin_page: str, all_scripts: dict[str, str]) -> None:
    places = set(re.findall(r'\bid="([^"]+)"', admin_page))
    asked = {name for path in ADMIN_SCRIPTS for name in re.findall(r'byId\("([^"]+)"\)', all_scripts[path])}
    assert asked <= places
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"', admin_page)) <= places


def test_the_operators_page_with_a_slash_is_the_same(service: Service) -> None:
    answer = service.client.get("/admin/")
    assert (answer.status_code, answer.headers["location"]) == (307, "../admin")


def test_every_text_used_exists_and_every_text_is_used(pages: str, all_scripts: dict[str, str], words: dict[str, dict[str, str]]) -> None:
    known = words["en"]
    groups = "|".join(sorted({name.partition(".")[0] for name in known if "." in name}))
    asked = set(re.findall(r'data-i18n(?:-\w+)?="([^"]+)"', pages))
    for script in all_scripts.values():
        asked |= set(re.findall(rf'"((?:{groups})\.[\w-]+)"', script))
    assert asked <= known.keys()
    composed = {f"{name}." for script in all_scripts.values() for name in re.findall(rf"`({groups})\.\$", script)}
    assert composed == {"media.", "outcome.", "problem.", "result.", "scope.", "state.", "step."}
    assert {name for name in known.keys() - asked if not name.startswith(tuple(composed))} == set()


def test_the_english_texts_in_the_pages_match_the_file(pages: str, words: dict[str, dict[str, str]]) -> None:
    assert set(re.findall(r'data-i18n="([^"]+)"', pages)) <= words["en"].keys()
    texts = re.findall(r'data-i18n="([^"]+)"[^>]*>([^<]*)<', pages) + re.findall(r'data-i18n-label="([^"]+)" aria-label="([^"]+)"', pages)
    assert len(texts) > 50
    assert [(name, text) for name, text in texts if words["en"][name] != text] == []


def test_every_job_state_has_a_text(words: dict[str, dict[str, str]]) -> None:
    assert {f"state.{state}" for state in State} <= words["en"].keys()


def kinds(top: type[CleanplateError] = CleanplateError) -> Iterator[type[CleanplateError]]:
    for kind in top.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


def test_every_error_has_its_own_text(words: dict[str, dict[str, str]]) -> None:
    found = {Problem.of_kind(kind, "", {}).type_uri for kind in {*kinds()} - NEVER_RAISED - NOT_OF_THE_PAGE}
    assert {f"problem.{uri.removeprefix(TYPE)}" for uri in found} <= words["en"].keys()


def test_errors_without_a_text_use_that_of_their_status(scripts: dict[str, str], words: dict[str, dict[str, str]]) -> None:
    by_status = dict(re.findall(r'(\d{3}): "([a-z-]+)"', scripts["/page/problems.js"]))
    assert {f"problem.{name}" for name in by_status.values()} <= words["en"].keys()
    assert {str(code.code) for code in CODES.values()} - by_status.keys() <= {
        "400",
        "402",
        "405",  # the page requests no such thing
        "412",
        "423",  # of an upload in pieces, which looks again where it is
        "460",
        "409",
        "500",
        "408",
        "504",
        "507",
    }  # these have their own text


def test_the_examples_use_operations_in_the_document(service: Service, scripts: dict[str, str]) -> None:
    paths: dict[str, Any] = service.client.get("/openapi.json").json()["paths"]
    called = re.findall(r'\["(get|post)", "([^"]+)"\]', scripts["/page/examples.js"])
    assert {paths[path][method]["tags"][0] for method, path in called} == {"native", "kie", "savesora", "aidge", "kaze"}
    signed = {parameter["name"] for parameter in paths["/ai/video/removal"]["post"]["parameters"]}
    assert set(re.findall(r"SIGNED = \{ (.+?) \}", scripts["/page/examples.js"])[0].replace(":", "").split()[::2]) <= signed


def test_a_mask_is_sent_with_the_url_of_its_source(service: Service) -> None:
    account, mask = service.account(credits=2), file("mask")[0]
    options = {"source_url": service.video_url("marked"), "detect": False}
    form = {"files": {"mask": ("mask.png", mask)}, "data": {"options": json.dumps(options)}}
    sent = service.client.post("/v1/jobs", headers=account.bearer, **form)
    assert sent.status_code == 201, sent.text
    spec = service.context.job_service.find(account.id, sent.json()["id"]).spec
    assert (spec.source_url, spec.source_key, spec.detect) == (options["source_url"], None, False)
    assert spec.mask_key
    assert service.core.storage.get_bytes(spec.mask_key) == mask


def test_a_mask_without_a_source_is_refused(service: Service) -> None:
    account = service.account(credits=1)
    sent = service.client.post("/v1/jobs", headers=account.bearer, files={"mask": ("mask.png", file("mask")[0])})
    assert (sent.status_code, sent.json()["errors"][0]["field"]) == (422, "file")
