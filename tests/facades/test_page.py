"""The page at `/`: served with its headers, from files of our own; its words are there in every language, and its modules fit together."""

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
    "api", "app", "clock", "compare", "dom", "examples", "follow", "format", "i18n", "jobs", "kept", "marking", "order", "overlay",
    "player", "problems", "result", "sketch", "timeline", "upload", "work",
)  # fmt: skip
LANGUAGES: Final = ("en", "zh", "vi")
SCRIPTS: Final = [f"/page/{name}.js" for name in MODULES]
FILES: Final = {
    "/": "text/html; charset=utf-8",
    "/page/icon.svg": "image/svg+xml",
    **{f"/page/{name}.css": "text/css; charset=utf-8" for name in ("theme", "page", "result")},
    **{f"/page/languages/{name}.json": "application/json" for name in LANGUAGES},
    **dict.fromkeys(SCRIPTS, "text/javascript; charset=utf-8"),
}
NEVER_RAISED: Final = {errors.InputError, errors.LimitExceeded, errors.ServiceError, errors.AccessError, errors.Busy, errors.FetchError}
NOT_OF_THE_PAGE: Final = {errors.SettingsError, errors.UnknownModel, errors.SignatureExpired, errors.ParameterMissing}

each_file = pytest.mark.parametrize("path", FILES)


def text(service: Service, path: str) -> str:
    answer = service.client.get(path)
    assert answer.status_code == 200, path
    return answer.text


@pytest.fixture
def page(service: Service) -> str:
    return text(service, "/")


@pytest.fixture
def scripts(service: Service) -> dict[str, str]:
    return {path: text(service, path) for path in SCRIPTS}


@pytest.fixture
def words(service: Service) -> dict[str, dict[str, str]]:
    """The words by language and name."""
    return {name: service.client.get(f"/page/languages/{name}.json").json() for name in LANGUAGES}


def directives(header: str) -> dict[str, set[str]]:
    parts = (part.split() for part in header.split(";"))
    return {name: set(sources) for name, *sources in parts}


@each_file
def test_a_file_comes_with_headers_that_let_nothing_else_in(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FILES[path]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    told = directives(answer.headers["content-security-policy"])
    assert told["default-src"] == {"'none'"}
    assert all(told[name] == {"'self'"} for name in ("script-src", "style-src", "connect-src"))
    assert all(told[name] == {"'none'"} for name in ("base-uri", "form-action", "frame-ancestors"))


@each_file
def test_a_file_that_the_browser_has_is_not_sent_again(service: Service, path: str) -> None:
    whole, head = service.client.get(path), service.client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])
    again = service.client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == whole.headers["content-security-policy"]


def test_the_page_shows_files_from_where_links_lead_and_from_nowhere_else(service: Service) -> None:
    told = directives(service.client.get("/").headers["content-security-policy"])
    assert told["media-src"] == {"'self'", "blob:", service.url}
    assert told["img-src"] == told["media-src"] | {"data:"}


def test_a_bucket_may_show_its_files_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "secret", "REGION": "eu-west-1", "ENDPOINT_URL": "https://objects.example.com:9000"}
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    found = origins(Links("https://clean.example.com/under/", b"secret", Storage.open("s3://plates/here")))
    assert found == {"https://clean.example.com", "https://objects.example.com:9000"}
    assert found < directives(policy(found))["media-src"]


@each_file
def test_no_file_names_another_host(service: Service, path: str) -> None:
    named = re.findall(r"""\w+:/{2}\w[^"'\s]*|["'(=]\s*/{2}\w|@import|\burl\(""", text(service, path))
    assert named == (["http://www.w3.org/2000/svg"] if path.endswith(".svg") else [])  # a name of XML's, which nobody asks for


def test_whatever_the_page_refers_to_is_there(service: Service, page: str, scripts: dict[str, str]) -> None:
    asked = {urljoin("/", address) for address in re.findall(r'(?:src|href)="([^"#]+)"', page)}
    asked |= {urljoin(path, name) for path, script in scripts.items() for name in re.findall(r'from "([^"]+)"', script)}
    assert set(SCRIPTS) <= asked
    assert {service.client.get(address).status_code for address in asked} == {200}


def test_each_name_that_a_module_takes_from_another_is_given(scripts: dict[str, str]) -> None:
    for path, script in scripts.items():
        for names, other in re.findall(r'import \{([^}]+)\} from "(\./[^"]+)"', script):
            given = re.findall(r"export (?:async )?(?:function\*?|const|class) (\w+)", scripts[urljoin(path, other)])
            assert {name.split(" as ")[0].strip() for name in names.split(",")} <= set(given), (path, other)


def test_the_scripts_draw_into_places_that_the_page_has(page: str, scripts: dict[str, str]) -> None:
    places = set(re.findall(r'\bid="([^"]+)"', page))
    asked = {name for script in scripts.values() for name in re.findall(r'byId\("([^"]+)"\)', script)}
    assert asked
    assert asked <= places
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"', page)) <= places


def test_nothing_needs_what_the_policy_forbids(page: str, scripts: dict[str, str]) -> None:
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script>", page)
    for script in scripts.values():
        assert not re.findall(r"HTML\b|document\.write|\beval\(|\bFunction\(|cssText", script), "what is told goes in as text"


def test_every_language_says_the_same_things(words: dict[str, dict[str, str]]) -> None:
    english = words["en"]
    for told in words.values():
        assert list(told) == list(english)
        assert all(text.strip() for text in told.values())
        assert {name: placeholders(text) for name, text in told.items()} == {name: placeholders(text) for name, text in english.items()}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_each_language_can_be_chosen(page: str, scripts: dict[str, str]) -> None:
    assert tuple(re.findall(r'<option value="(\w+)" lang="\1">', page)) == LANGUAGES
    assert f"LANGUAGES = {json.dumps(LANGUAGES)}" in scripts["/page/i18n.js"]


def test_words_that_are_asked_for_are_there_and_none_are_there_for_nothing(
    page: str, scripts: dict[str, str], words: dict[str, dict[str, str]]
) -> None:
    known = words["en"]
    groups = "|".join(sorted({name.partition(".")[0] for name in known if "." in name}))
    asked = set(re.findall(r'data-i18n(?:-\w+)?="([^"]+)"', page))
    for script in scripts.values():
        asked |= set(re.findall(rf'"((?:{groups})\.[\w-]+)"', script))
    assert asked <= known.keys()
    composed = {f"{name}." for script in scripts.values() for name in re.findall(rf"`({groups})\.\$", script)}
    assert composed == {"media.", "problem.", "result.", "state."}
    assert {name for name in known.keys() - asked if not name.startswith(tuple(composed))} == set()


def test_the_page_says_in_english_what_the_files_say(page: str, words: dict[str, dict[str, str]]) -> None:
    assert set(re.findall(r'data-i18n="([^"]+)"', page)) <= words["en"].keys()
    assert re.findall(r'data-i18n="hero.title">([^<]+)<', page) == [words["en"]["hero.title"]]


def test_each_state_of_a_job_has_words(words: dict[str, dict[str, str]]) -> None:
    assert {f"state.{state}" for state in State} <= words["en"].keys()


def kinds(top: type[CleanplateError] = CleanplateError) -> Iterator[type[CleanplateError]]:
    for kind in top.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


def test_each_error_is_a_sentence_of_its_own(words: dict[str, dict[str, str]]) -> None:
    told = {Problem.of_kind(kind, "", {}).type_uri for kind in {*kinds()} - NEVER_RAISED - NOT_OF_THE_PAGE}
    assert {f"problem.{uri.removeprefix(TYPE)}" for uri in told} <= words["en"].keys()


def test_an_error_without_words_of_its_own_has_those_of_its_status(scripts: dict[str, str], words: dict[str, dict[str, str]]) -> None:
    by_status = dict(re.findall(r'(\d{3}): "([a-z-]+)"', scripts["/page/problems.js"]))
    assert {f"problem.{name}" for name in by_status.values()} <= words["en"].keys()
    assert {str(code.code) for code in CODES.values()} - by_status.keys() <= {"400", "402", "409", "500", "504"}  # these have their own


def test_the_examples_are_calls_that_the_document_has(service: Service, scripts: dict[str, str]) -> None:
    paths: dict[str, Any] = service.client.get("/openapi.json").json()["paths"]
    called = re.findall(r'\["(get|post)", "([^"]+)"\]', scripts["/page/examples.js"])
    assert {paths[path][method]["tags"][0] for method, path in called} == {"native", "kie", "savesora", "aidge", "kaze"}
    signed = {parameter["name"] for parameter in paths["/ai/video/removal"]["post"]["parameters"]}
    assert set(re.findall(r"SIGNED = \{ (.+?) \}", scripts["/page/examples.js"])[0].replace(":", "").split()[::2]) <= signed


def test_a_smear_goes_with_the_address_of_what_it_was_painted_on(service: Service) -> None:
    account, mask = service.account(credits=2), file("mask")[0]
    options = {"source_url": service.video_url("marked"), "detect": False}
    form = {"files": {"mask": ("mask.png", mask)}, "data": {"options": json.dumps(options)}}
    sent = service.client.post("/v1/jobs", headers=account.bearer, **form)
    assert sent.status_code == 201, sent.text
    wish = service.context.job_service.find(account.id, sent.json()["id"]).spec
    assert (wish.source_url, wish.source_key, wish.detect) == (options["source_url"], None, False)
    assert wish.mask_key
    assert service.core.storage.get_bytes(wish.mask_key) == mask


def test_a_smear_alone_is_refused(service: Service) -> None:
    account = service.account(credits=1)
    sent = service.client.post("/v1/jobs", headers=account.bearer, files={"mask": ("mask.png", file("mask")[0])})
    assert (sent.status_code, sent.json()["errors"][0]["field"]) == (422, "file")
