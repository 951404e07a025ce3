"""The attacks and the fuzz: what they send, how they judge, and a small round of each on a real service."""

import re
from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks.attacks import ATTACKS, HOST, Attack, Target
from benchmarks.fleet import Fleet
from benchmarks.hostile import Exchange, Probed
from tests import fuzz

TARGET = Target(1, "cp_key", "job_1", f"http://{HOST}/clip.mp4", "cp_admin")
LENGTH = re.compile(rb"Content-Length: (\d+)\r\n")


@pytest.mark.parametrize("attack", [attack for attack in hostile.ALL if not attack.pause_seconds], ids=lambda attack: attack.name)
def test_an_attack_is_a_whole_request(attack: Attack) -> None:
    head, end, start = next(parts := attack.parts(TARGET)).partition(b"\r\n\r\n")
    if not head:  # it connects and says nothing
        return
    assert end
    assert re.match(rb"(GET|PATCH|POST) /\S* HTTP/1\.1\r\nHost: ", head)
    body_bytes = len(start) + sum(map(len, parts))
    if announced := LENGTH.search(head + b"\r\n"):
        assert int(announced[1]) == body_bytes
    else:
        assert (b"Transfer-Encoding: chunked" in head) == (body_bytes > 0)


def test_the_probes_count_what_failed() -> None:
    probed = Probed([Exchange("200", 0.001 * number) for number in range(99)] + [Exchange("none", 60.0)])
    summary = probed.summary()
    assert (summary.requests, summary.failed, summary.most_ms) == (100, 1, 60_000)
    assert summary.p50_ms == pytest.approx(49.5)


@pytest.mark.slow
def test_a_short_attack_on_a_real_service() -> None:
    with hostile.service() as attacked:
        for attack in ATTACKS:
            if attack.name in ("many elements, native", "event streams"):
                damage = hostile.measure(attacked, attack, parallel=2, seconds=0.5)
                assert (damage.idle.failed, damage.attacked.failed) == (0, 0)
                assert damage.connections >= 2
                assert set(damage.answers) <= {"200", "401", "413"}
                assert damage.peak_bytes > 2**20


def test_an_error_and_a_slow_answer_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = fuzz.Findings()
    fuzz.judge(lambda: 500, lambda: "request", findings)
    fuzz.judge(lambda: 404, lambda: "request", findings)
    monkeypatch.setattr(fuzz, "SLOW_SECONDS", -1.0)
    fuzz.judge(lambda: 200, lambda: "slow request", findings)
    assert findings.requests == 3
    assert findings.broken == ["500 request"]
    assert [text.partition(" s ")[2] for text in findings.slow] == ["slow request"]
    assert findings.statuses == {"500": 1, "404": 1, "200": 1}


@pytest.mark.slow
def test_a_few_generated_requests_to_a_real_service(tmp_path: Path) -> None:
    with Fleet.running(tmp_path, **fuzz.SETTINGS) as fleet:
        findings = fuzz.fuzz(fleet, requests=100, number=3)
    assert findings.requests > 40
    assert (findings.broken, findings.slow, findings.errors_logged) == ([], [], 0)
