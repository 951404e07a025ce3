"""Every regular expression of the service takes time linear in the text: strangers choose many of these texts."""

import ast
import importlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FUNCTIONS = frozenset({"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"})
ANCHORED = frozenset({"match", "fullmatch"})
CHARACTERS = 2048
NOTICEABLE_SECONDS = 0.001  # a quadratic pattern takes 2 ms and more for so many characters, a linear one mostly less
MOST_GROWTH = 3.0  # of the time when the length doubles: 2 is linear, 4 quadratic
ROUNDS = 2
PIECES = ("a", "0", "_", "-", ".", " ", "=", ":", "/", "\\", '"', ",", "@", "#")
WORDS = re.compile(r"(?<!\\)[A-Za-z_]{2,}")


@dataclass(frozen=True)
class Found:
    """A regular expression in the source, and how it is applied: only at the start of a text, or anywhere in it."""

    place: str
    pattern: re.Pattern[Any]
    anchored: bool


def sources() -> Iterator[tuple[str, ast.Module, str]]:
    """Each module of the service that uses regular expressions: its name, tree and text."""
    for path in sorted((ROOT / "service").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^(import re|from re )", text, re.MULTILINE):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name, ast.parse(text), text


def found() -> Iterator[Found]:
    everything = "\n".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "service").rglob("*.py"))
    for name, tree, _ in sources():
        names = {id(each.value): target for each in ast.walk(tree) if (target := assigned_name(each))}
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {f"re.{function}" for function in FUNCTIONS}:
                yield Found(f"{name}:{call.lineno}", pattern_of(call, name), is_anchored(call, names.get(id(call)), everything))


def assigned_name(statement: ast.AST) -> str | None:
    target = (
        statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0] if isinstance(statement, ast.Assign) else None
    )
    return target.id if isinstance(target, ast.Name) else None


def pattern_of(call: ast.Call, module: str) -> re.Pattern[Any]:
    """The pattern of a call, evaluated in its module: it must be a constant there."""
    flags = [ast.unparse(part) for part in call.args[1:]] if ast.unparse(call.func) == "re.compile" else []
    expression = f"re.compile({ast.unparse(call.args[0])}, {flags[0] if flags else 0})"
    pattern: re.Pattern[Any] = eval(expression, vars(importlib.import_module(module)))
    return pattern


def is_anchored(call: ast.Call, name: str | None, everything: str) -> bool:
    function = ast.unparse(call.func).removeprefix("re.")
    if function != "compile":
        return function in ANCHORED
    methods = set(re.findall(rf"\b{name}\.(\w+)\(", everything)) & FUNCTIONS if name else set()
    return bool(methods) and methods <= ANCHORED


def texts(pattern: str, characters: int) -> Iterator[str]:
    """Texts of this length that make a pattern try again and again: its own words and common characters, repeated, alone and in pairs."""
    pieces = [*PIECES, *sorted(set(WORDS.findall(pattern)))]
    for first, second in product(pieces, ["", *pieces]):
        run = first + second
        yield (run * (characters // len(run) + 1))[:characters]
        if second:
            yield first + second * ((characters - len(first)) // len(second))
            yield first * ((characters - len(second)) // len(first)) + second


def cpu_seconds(act: Callable[[Any], object], text: Any, rounds: int) -> float:
    """The least CPU time of this thread over these rounds, so that other work on the machine does not count."""

    def once() -> float:
        started = time.thread_time()
        act(text)
        return time.thread_time() - started

    return min(once() for _ in range(rounds))


def grows(act: Callable[[Any], object], short: Any, long: Any) -> bool:
    """Whether the time grows faster than the length. Measured again where it seems so."""
    for rounds in (1, ROUNDS):
        seconds = cpu_seconds(act, short, rounds)
        if seconds < NOTICEABLE_SECONDS or cpu_seconds(act, long, rounds) < MOST_GROWTH * seconds:
            return False
    return True


def slow_text(pattern: re.Pattern[Any], anchored: bool) -> Any:
    """A text whose time grows faster than its length; None if there is none."""

    def act(text: Any) -> object:
        return pattern.fullmatch(text) if anchored else deque(pattern.finditer(text), maxlen=0)

    source = pattern.pattern.decode() if isinstance(pattern.pattern, bytes) else pattern.pattern
    lengths = (CHARACTERS, 2 * CHARACTERS)
    pairs = zip(
        *([text.encode() if isinstance(pattern.pattern, bytes) else text for text in texts(source, length)] for length in lengths),
        strict=True,
    )
    return next((short for short, long in pairs if grows(act, short, long)), None)


def test_the_service_imports_no_function_of_re_by_its_own_name() -> None:
    assert not [name for name, _, text in sources() if re.search(r"^from re ", text, re.MULTILINE)], "test_patterns.py would not find it"


@pytest.mark.parametrize("each", list(found()), ids=lambda each: each.place)
def test_a_pattern_takes_linear_time(each: Found) -> None:
    slow = slow_text(each.pattern, each.anchored)
    assert slow is None, f"{each.pattern.pattern} takes quadratic time for {slow[:40]!r}..."


@pytest.mark.parametrize("pattern", [r"[\w-]*token=", r"(\w+)(://)[^/@]+(?=@)", r"\s+|=+\s*$", r'"[^<]*>'])
def test_a_quadratic_pattern_is_noticed(pattern: str) -> None:
    assert slow_text(re.compile(pattern), anchored=False)
