"""Constants: which are found in source code, what a quarter more of them is, and that a change reaches all who have them and is undone."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.altered import altered, out_of_reach
from benchmarks.constants import Code, Constant, bindings, chosen, followers, hand_set, scaled, scaled_number, sources
from benchmarks.reads import watched

BASE = """
from typing import Final

SHARE = 0.5  # of something
TIMES: Final = 3
LEAST, MOST = 1, 2_000
PAIR = (0.5, 4)
SPAN = range(-2, 3)
SQUARE = (5, 5)  # sides of the square
SIDE = 31
TWICE = 2 * TIMES  # derived
STEPS = (1, 6, TIMES)
NAMES = {"a": 1}
WORD = "word"
ON = True
lower = 7

def kernel():
    return (SIDE, SIDE)

def with_default(value=TIMES, *, share=SHARE):
    return value, share

class Thing:
    def method(self, times=TWICE):
        return times
"""
USER = """
from functools import cache

import {name}.base
from {name}.base import SHARE as PART, TIMES, TWICE

THRICE = TWICE + TIMES

class Frozen:
    times = TIMES

def part():
    return PART

def through_the_module():
    return {name}.base.SHARE

@cache
def kept():
    return THRICE
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Code]:
    """The source of a package `swept...` with two modules, which are loaded."""
    name = f"swept_{request.node.name.split('[')[0]}"
    (tmp_path / name).mkdir()
    for module, text in (("__init__", ""), ("base", BASE), ("user", USER)):
        (tmp_path / name / f"{module}.py").write_text(text.format(name=name) if module == "user" else text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    importlib.import_module(f"{name}.user")
    yield sources(tmp_path, [name])
    for module in ("base", "user"):
        del sys.modules[f"{name}.{module}"]


def modules(known: Code) -> tuple[ModuleType, ModuleType]:
    """(base, user)."""
    base, user = (sys.modules[name] for name in sorted(known) if "." in name)
    return base, user


def constant(known: Code, name: str) -> Constant:
    (found,) = [c for source in known.values() for c in source.constants.values() if c.home.name == name]
    return found


def test_numbers_and_tuples_and_ranges_are_hand_set_and_what_follows_from_others_is_not(known: Code) -> None:
    found = [c.home.name for c in hand_set(known, [next(iter(known))])]
    assert found == ["SHARE", "TIMES", "LEAST", "MOST", "PAIR", "SPAN", "SQUARE", "SIDE", "STEPS"]
    assert not hand_set(known, ["another"])


def test_constants_are_chosen_by_the_end_of_their_name(known: Code) -> None:
    all_of_them = hand_set(known, [next(iter(known))])
    assert chosen(all_of_them, []) == all_of_them
    assert [c.home.name for c in chosen(all_of_them, ["base.SPAN", "LEAST"])] == ["LEAST", "SPAN"]
    for name in ("EAST", "base.NONE"):
        with pytest.raises(ValueError, match=name):
            chosen(all_of_them, [name])


def test_whoever_imports_a_constant_and_whatever_follows_from_it_is_known(known: Code) -> None:
    share, times = constant(known, "SHARE"), constant(known, "TIMES")
    assert [b.name for b in bindings(share.home, known)] == ["SHARE", "PART"]
    assert [c.home.name for c in followers(times, known)] == ["TWICE", "STEPS", "THRICE"]
    assert followers(share, known) == []


@pytest.mark.parametrize(
    ("value", "less", "more"),
    [
        (4, 3, 5),
        (5, 3, 7),
        (1, 0, 2),
        (2, 1, 3),
        (-2, -1, -3),
        (2_000_000, 1_500_000, 2_500_000),
        (0.4, 0.3, 0.5),
        (8.0, 6.0, 10.0),
        (1.25, 0.9375, 1.5625),
        ((0.4, 4), (0.3, 3), (0.5, 5)),
        (((0, 4), (4, -4)), ((0, 3), (3, -3)), ((0, 5), (5, -5))),
        (range(-2, 3), range(-1, 2), range(-3, 4)),
    ],
)
def test_a_quarter_less_and_a_quarter_more(value: object, less: object, more: object) -> None:
    assert scaled_number(value, 0.75) == (less, "")
    assert scaled_number(value, 1.25) == (more, "")


def test_odd_sides_stay_odd_and_shares_stay_below_one() -> None:
    assert [scaled_number(side, factor, is_side=True)[0] for side in (3, 9, 31) for factor in (0.75, 1.25)] == [1, 5, 5, 13, 23, 39]
    assert scaled_number(32, 1.25, is_side=True) == (40, "")
    assert scaled_number(0.9, 1.25) == (0.99, "kept below 1")
    assert scaled_number(0.995, 1.25)[0] == pytest.approx(0.9975)
    assert scaled_number((0.9, 2.0), 1.25) == ((0.99, 2.5), "kept below 1")


def test_sides_are_known_by_their_comment_and_by_their_use(known: Code) -> None:
    assert [c.home.name for c in hand_set(known, [next(iter(known))]) if c.is_side] == ["SQUARE", "SIDE"]


def test_of_a_tuple_only_what_is_written_in_numbers_is_scaled(known: Code) -> None:
    base, _ = modules(known)
    assert scaled(constant(known, "STEPS"), base.STEPS, 1.25, vars(base)) == ((2, 8, 3), "derived parts stay")


def test_a_change_reaches_importers_derived_constants_and_defaults_and_is_undone(known: Code) -> None:
    base, user = modules(known)

    def state() -> list[object]:
        return [
            base.TIMES, user.TIMES, base.TWICE, user.TWICE, base.STEPS, user.THRICE, user.kept(), base.with_default(), base.Thing().method()
        ]  # fmt: skip

    before = [3, 3, 6, 6, (1, 6, 3), 9, 9, (3, 0.5), 6]
    assert state() == before
    with altered(constant(known, "TIMES"), 5, known):
        assert state() == [5, 5, 10, 10, (1, 6, 5), 15, 15, (5, 0.5), 10]
    assert state() == before
    with altered(constant(known, "SHARE"), 0.25, known):
        assert (user.part(), user.through_the_module(), base.with_default()) == (0.25, 0.25, (3, 0.25))
    with pytest.raises(ZeroDivisionError), altered(constant(known, "TIMES"), 5, known):
        raise ZeroDivisionError
    assert state() == before


def test_what_no_change_reaches_is_named(known: Code) -> None:
    assert [place.rpartition(".")[2] for place in out_of_reach(constant(known, "TIMES"), known)] == ["Frozen"]


def test_a_constant_is_read_by_what_runs_and_mentions_it(known: Code) -> None:
    base, user = modules(known)
    root = Path(base.__file__ or "").resolve().parent
    reached = {}
    for name, function in {
        "part": user.part,
        "attribute": user.through_the_module,
        "default": base.with_default,
        "derived": user.kept,
    }.items():
        with watched(root) as reads:
            function()
        reached[name] = {c.home.name for c in hand_set(known, [next(iter(known))]) if reads.reach(c, known)}
    assert reached == {"part": {"SHARE"}, "attribute": {"SHARE"}, "default": {"SHARE", "TIMES"}, "derived": {"TIMES"}}


def test_every_constant_of_the_pipeline_can_be_changed() -> None:
    code = sources()
    constants = hand_set(code)
    assert len(constants) > 50
    for each in constants:
        module = importlib.import_module(each.home.module)
        value = getattr(module, each.home.name)
        for factor in (0.75, 1.25):
            other, _ = scaled(each, value, factor, vars(module))
            assert other != value
            with altered(each, other, code):
                assert getattr(module, each.home.name) == other
            assert getattr(module, each.home.name) == value
        assert not out_of_reach(each, code)
