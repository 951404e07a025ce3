"""What is said while a job runs: the step, the time left, that the service is away; and a question before an upload is lost."""

import itertools
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Dialog, Route, expect

from tests.browser.visitor import Visit, Visitor, words
from tests.service_process import Service, file

EN = words()
COUNT = """async (estimates) => {
    const { Countdown } = await import("/page/follow.js");
    const countdown = new Countdown();
    return estimates.map(([seconds, at]) => countdown.take(seconds, at));
}"""

TELLING = """
    globalThis.told = [];
    globalThis.Notification = class {
        static permission = "granted";
        static requestPermission = async () => "granted";
        constructor(title, { body }) { told.push([title, body]); }
    };
"""  # a browser without a screen has nowhere to show one


def test_the_time_left_never_climbs_by_more_than_a_tenth(visit: Visit) -> None:
    visitor = visit()

    @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), min_size=1, max_size=20))
    def holds(estimates: list[float | None]) -> None:
        said = visitor.page.evaluate(COUNT, [[seconds, 1000 * second] for second, seconds in enumerate(estimates)])
        pairs = [(before, after) for before, after in itertools.pairwise(said) if before is not None]
        assert all(after <= before * 1.1 + 1e-6 for before, after in pairs)
        assert all(after is not None for _, after in pairs)

    holds()


def test_what_is_said_recovers_after_a_step_that_was_long_silent(visit: Visit) -> None:
    """It said that ten seconds are left, and nothing came for a minute; then 60 s are left, as each percent says again."""
    said = visit().page.evaluate(COUNT, [[10, 0], *([60, 60_000 + 1000 * second] for second in range(60))])
    assert 0 < said[1] < 3
    assert said[-1] > 50


def test_the_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    visitor.page.route("**/v1/jobs/job_*", lambda route: route.abort())
    visitor.page.route("**/events", lambda route: route.abort())
    visitor.paste_address(service.video_url())
    expect(visitor.find("#work-state")).to_have_text(EN["state.away"])
    visitor.page.unroute("**/v1/jobs/job_*")
    visitor.page.unroute("**/events")
    visitor.see_result()
    forget_aborted(visitor)


def test_an_upload_that_lost_its_connection_is_sent_again_as_one_job(visit: Visit, service: Service) -> None:
    visitor, account = visit(), service.account()
    visitor.enter(account)
    lost: list[Route] = []

    def lose_first(route: Route) -> None:
        if route.request.method != "POST" or lost:
            return route.fallback()
        lost.append(route)
        return route.abort()

    visitor.page.route("**/v1/jobs", lose_first)
    visitor.drop("film.mp4", file("marked")[0])
    visitor.see_result()
    assert len(service.context.job_service.jobs(account.id, 9)) == 1
    forget_aborted(visitor)


def test_leaving_in_mid_upload_is_asked_about(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.enter(service.account())
    held: list[Route] = []
    asked: list[str] = []
    visitor.page.route("**/v1/jobs", lambda route: held.append(route) if route.request.method == "POST" else route.fallback())
    visitor.drop("film.mp4", file("marked")[0])
    expect(visitor.find("#work-state")).to_have_text(EN["state.sending"])
    expect(visitor.page).to_have_title(re.compile(r"\d+% film\.mp4 · Cleanplate"))

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    visitor.page.on("dialog", stay)
    visitor.page.close(run_before_unload=True)
    expect(visitor.find("#work-state")).to_have_text(EN["state.sending"])
    assert asked == ["beforeunload"]
    held[0].continue_()
    visitor.page.unroute("**/v1/jobs")
    visitor.see_result()
    expect(visitor.page).to_have_title("Cleanplate")


def test_the_end_is_told_to_who_asked_and_looks_elsewhere(visit: Visit, service: Service) -> None:
    visitor = visit()
    visitor.page.add_init_script(TELLING)
    visitor.page.reload()
    visitor.enter(service.account())
    held: list[Route] = []
    visitor.page.route("**/v1/jobs", lambda route: held.append(route) if route.request.method == "POST" else route.fallback())
    visitor.choose("film.mp4", file("marked")[0])
    visitor.page.get_by_role("checkbox", name=EN["work.notify"]).check()
    visitor.page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true })")
    held[0].continue_()
    visitor.see_result()
    assert visitor.page.evaluate("() => told") == [["film.mp4", EN["state.succeeded"]]]


def forget_aborted(visitor: Visitor) -> None:
    """The browser reports the requests that these tests abort."""
    visitor.faults = [fault for fault in visitor.faults if "ERR_FAILED" not in fault]
