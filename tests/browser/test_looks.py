"""The page's presentation: on a small screen, in dark mode, in three languages, and for screen readers."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Route, expect

from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, TestAccount, file

LANGUAGES = ("en", "es", "pt-BR", "vi", "zh")
NARROW = {"width": 360, "height": 740}
GRAVE = {"serious", "critical"}
NAME = re.compile(r"\b(?:" + "|".join({name.partition(".")[0] for name in words() if "." in name}) + r")\.[a-z][a-zA-Z-]+\b")
CONTROLS = "button:visible:not(.interval, .job), a.primary:visible, a.secondary:visible"
CUT = "all => all.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
GROUND = "() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"

Views = Callable[[Visitor], Iterator[str]]


@pytest.fixture(scope="module")
def owner(service: Service) -> TestAccount:
    return service.account()


@pytest.fixture(scope="module")
def jobs(service: Service, owner: TestAccount, video: bytes) -> list[str]:
    """A job that removed a mark, one that looked for marks and found one, and one that found nothing."""
    plain = ("plain.mp4", file("clean")[0])
    return [
        ended(service, owner, ("film.mp4", video)),
        ended(service, owner, ("film.mp4", video), kind="detect"),
        ended(service, owner, plain),
    ]


@pytest.fixture
def views(service: Service, owner: TestAccount, jobs: list[str]) -> Views:
    """Go through the page and stop at each of its views."""
    cleaned, looked, unmarked = jobs

    def go(visitor: Visitor) -> Iterator[str]:
        visitor.find("#key").fill("cp_wrong")
        visitor.find("#key").press("Enter")
        expect(visitor.page.get_by_role("alert")).to_be_visible()
        yield "key, and an error"
        visitor.enter(owner, cleaned)
        yield "result"
        visitor.find("#show-mask").check()
        visitor.mark()
        visitor.find("#add-box").click()
        yield "marking"
        for job_id, hint in ((looked, "draw.choose"), (unmarked, "draw.hintNothing")):
            visitor.page.goto(f"{service.url}/#{job_id}")
            expect(visitor.find("#mark-hint")).to_have_attribute("data-i18n", hint)
            expect(visitor.find("#estimate")).not_to_be_empty()
            yield hint
        visitor.find("#result .again").click()
        expect(visitor.find("#new-job")).to_be_visible()
        yield "start, jobs and examples"
        visitor.find("#examples summary").click()
        visitor.find("input[value=aidge]").check()
        visitor.find("#show-key").check()
        visitor.find("#address").fill(service.host.trickle("/a-clip-with-a-rather-long-name-that-goes-on-and-on.mp4"))
        visitor.find("#address").press("Enter")
        expect(visitor.find("#work")).to_be_visible()
        yield "work"
        visitor.find("#cancel").click()
        expect(visitor.find("#new-job")).to_be_visible()
        visitor.drop_all({"a.mp4": b"nothing", "b.mp4": b"nothing"})
        expect(visitor.find(".queued[data-state=failed]")).to_have_count(2)
        yield "queue"

    return go


def ended(service: Service, account: TestAccount, upload: tuple[str, bytes], **options: str) -> str:
    answer = service.client.post("/v1/jobs", headers=account.bearer, files={"file": upload}, data={"options": json.dumps(options)})
    job_id = str(answer.json()["id"])
    service.wait(account, job_id)
    return job_id


@pytest.mark.parametrize("light", ["light", "dark", "forced"])
def test_axe_finds_no_serious_problem(visit: Visit, views: Views, light: str) -> None:
    visitor = visit(forced_colors="active") if light == "forced" else visit(color_scheme=light)
    assert light == "forced" or (max(visitor.page.evaluate(GROUND)) < 128) == (light == "dark")
    found = {view: grave_findings(visitor) for view in views(visitor)}
    assert {view: findings for view, findings in found.items() if findings} == {}


def grave_findings(visitor: Visitor) -> list[str]:
    violations = Axe().run(visitor.page).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in violations if each["impact"] in GRAVE for node in each["nodes"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_complete_and_fits_a_small_screen(visit: Visit, views: Views, language: str) -> None:
    visitor = visit(viewport=NARROW, has_touch=True)
    visitor.page.get_by_role("combobox", name=words()["nav.language"]).select_option(language)
    expect(visitor.find("html")).to_have_attribute("lang", language)
    for view in views(visitor):
        assert visitor.find("html").get_attribute("lang") == language
        assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"], view
        assert visitor.find(CONTROLS).evaluate_all(CUT) == [], view
        assert NAME.findall(all_text(visitor)) == [], view
        assert foreign(visitor, language) == [], view


def all_text(visitor: Visitor) -> str:
    """All visible text and all labels."""
    labels = visitor.find("[aria-label]").evaluate_all("all => all.map((each) => each.ariaLabel)")
    return "\n".join([visitor.find("body").inner_text(), *labels])


def foreign(visitor: Visitor, language: str) -> list[str]:
    """The texts of elements with a text name that differ from the language's file."""
    texts = visitor.find("[data-i18n]").evaluate_all("all => all.map((each) => [each.dataset.i18n, each.textContent])")
    known = words(language)
    patterns = {name: re.sub(r"\\\{\w+\\\}", ".*", re.escape(known[name])) for name, _ in texts}
    return [text for name, text in texts if not re.fullmatch(patterns[name], text, re.DOTALL)]


@pytest.mark.parametrize(("locale", "language"), [("vi-VN", "vi"), ("zh-TW", "zh"), ("pt-PT", "pt-BR"), ("fr-FR", "en")])
def test_the_browsers_language_is_used_until_another_is_chosen(visit: Visit, locale: str, language: str) -> None:
    visitor = visit(locale=locale)
    for spoken in (language, "vi"):
        expect(visitor.find("#language")).to_have_value(spoken)
        expect(visitor.find("h1").first).to_have_text(words(spoken)["hero.title"])
        visitor.find("#language").select_option("vi")
        visitor.page.reload()


def test_a_language_chosen_while_the_first_is_loading_is_used(visit: Visit) -> None:
    visitor = visit()
    held: list[Route] = []
    visitor.page.route("**/languages/en.json", lambda route: held.append(route))
    visitor.page.reload()
    visitor.find("#language").select_option("zh")
    expect(visitor.find("h1").first).to_have_text(words("zh")["hero.title"])
    held[0].continue_()
    expect(visitor.find("#key")).to_be_visible()  # the page is drawn after its first texts are loaded
    expect(visitor.find("#language")).to_have_value("zh")
    expect(visitor.find("h1").first).to_have_text(words("zh")["hero.title"])
