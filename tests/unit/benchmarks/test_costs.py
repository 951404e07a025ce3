"""CPU seconds: which activity and step they are counted for, and that another commit is measured with its own code."""

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import costs
from benchmarks.costs import Costs
from benchmarks.cpu_meter import REST, CpuMeter, process_seconds, table
from benchmarks.memory import Usage, run

SECONDS = 0.05
SLACK = 0.02


def compute(seconds: float = SECONDS) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_seconds_count_for_the_innermost_activity_and_the_rest_for_none() -> None:
    meter = CpuMeter()
    with meter.step("remove"):
        compute()
        with meter.activity("outer"):
            compute(2 * SECONDS)
            with meter.activity("inner"):
                compute(3 * SECONDS)
    spent = meter.spent["remove"]
    assert spent["outer"] == pytest.approx(2 * SECONDS, abs=SLACK)
    assert spent["inner"] == pytest.approx(3 * SECONDS, abs=SLACK)
    assert spent[REST] == pytest.approx(SECONDS, abs=SLACK)


def test_a_step_within_another_counts_for_itself() -> None:
    meter = CpuMeter()
    with meter.step("whole"), meter.step("part"):
        compute()
        meter.charge("decoder", 1.0)
    assert meter.spent["part"][REST] == pytest.approx(SECONDS, abs=SLACK)
    assert meter.spent["part"]["decoder"] == 1.0
    assert meter.spent["whole"][REST] == pytest.approx(0, abs=SLACK)


def test_a_counted_function_is_counted_wherever_it_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    home, user = ModuleType("home"), ModuleType("user")
    home.__dict__["work"] = user.__dict__["work"] = compute
    monkeypatch.setitem(sys.modules, "home", home)
    monkeypatch.setitem(sys.modules, "user", user)
    meter = CpuMeter()
    meter.count("working", home, "work")
    with meter.step("step"):
        user.__dict__["work"]()
    assert meter.spent["step"]["working"] == pytest.approx(SECONDS, abs=SLACK)


def test_the_table_adds_up_without_what_was_waited() -> None:
    text = table({"locate": {"decoder": 1.0, "numpy": 0.5, "waiting": 9.0}, "remove": {"decoder": 2.0, "encoder": 4.0}})
    assert text.splitlines()[0] == "| step | decoder | numpy | encoder | CPU s | waiting |"
    assert text.splitlines()[-1] == "| all | 3.00 | 0.50 | 4.00 | 7.50 | 9.00 |"


def test_the_seconds_of_a_command_are_those_of_its_children_too() -> None:
    compute_for = "import time\nwhile time.process_time() < 0.2: pass"
    usage = run([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {compute_for!r}])"])
    assert usage.cpu_seconds >= 0.2


def test_the_seconds_of_a_process_that_is_gone_are_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_seconds(process.pid) == 0.0


def test_a_commit_has_its_own_tree_for_a_while(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *names, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    for text in ("before", "after"):
        (tmp_path / "file").write_text(text)
        git("add", "file")
        git("commit", "--quiet", "--message", text)
    with costs.tree_of("HEAD~1", tmp_path) as tree:
        assert (tree / "file").read_text() == "before"
    assert not tree.exists()
    assert (tmp_path / "file").read_text() == "after"
    with costs.tree_of("HEAD~1", tmp_path):  # the first one left nothing in its way
        pass


def test_costs_are_medians_and_ratios_are_to_this_tree() -> None:
    def usages(*cpu_seconds: float) -> list[Usage]:
        return [Usage("", 1.0, 2**20, 1, seconds) for seconds in cpu_seconds]

    found = {name: Costs.of(usages(*seconds)) for name, seconds in {"v1": (8.0, 9.0, 30.0), costs.OURS: (3.0, 2.0, 4.0)}.items()}
    assert costs.line("tiled", 480, found) == "tiled 480p: 3.00 CPU s, peak 1 MiB; v1 9.00 s = 3.00 times ours"
