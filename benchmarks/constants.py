"""The hand-set constants of packages, found in their source: where each is set, who imports it, and what follows from it.

A constant is a number, a tuple of numbers or a range that a module assigns to an UPPER_CASE name. One that is computed from others
is derived: it is not hand-set, but follows the others when they change. Nothing is imported here; `benchmarks/altered.py` applies a change.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.machine import ROOT

PACKAGES = (
    "service.pipeline.locate",
    "service.pipeline.measure",
    "service.pipeline.extent",
    "service.pipeline.marks",
    "models.blend",
)
TREES = ("service", "models")  # whoever imports a constant is in one of them
NAME = re.compile(r"[A-Z][A-Z0-9_]*$")
SIDE = re.compile(r"\bsides? of\b")  # a comment that says so: of a square, which has a middle pixel only when it is odd

Number = int | float


@dataclass(frozen=True)
class Binding:
    """A name in a module that stands for a constant."""

    module: str
    name: str


@dataclass(frozen=True)
class Constant:
    """Where a constant is set, and what it is set to: the tree of the expression."""

    home: Binding
    expression: ast.expr = field(repr=False, compare=False)
    used: frozenset[Binding] = field(repr=False, compare=False)  # constants in the expression
    is_side: bool = False

    def __str__(self) -> str:
        return f"{self.home.module}.{self.home.name}"

    @property
    def hand_set(self) -> bool:
        """Whether some of it is written in numbers: all of it, or parts of a tuple."""
        return not self.used or (isinstance(self.expression, ast.Tuple) and any(not _names(part) for part in self.expression.elts))


@dataclass(frozen=True)
class Source:
    """A module's text: its tree, which names it takes from where, and its constants by name."""

    module: str
    path: Path
    tree: ast.Module = field(repr=False)
    imported: dict[str, Binding] = field(repr=False)
    modules: frozenset[str] = field(repr=False)  # what it imports as a whole, or something from
    constants: dict[str, Constant] = field(repr=False)

    @cached_property
    def defaults(self) -> Sequence[tuple[str, ast.FunctionDef, frozenset[str]]]:
        """Functions and methods by qualified name, of those that compute defaults of arguments from names, with these."""
        found = ((name, node, _default_names(node)) for name, node in _functions(self.tree))
        return [(name, node, names) for name, node, names in found if names]

    @cached_property
    def computed_once(self) -> Sequence[tuple[str, frozenset[str]]]:
        """Classes and functions, with the names from which their bodies and decorators are computed when the module is loaded."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                parts = list(node.decorator_list)
                if isinstance(node, ast.ClassDef):
                    parts += [part.value for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign) and part.value is not None]
                found.append((node.name, frozenset(name for part in parts for name in _names(part))))
        return found


class Code(dict[str, Source]):
    """Modules by name."""

    @cached_property
    def importers(self) -> dict[Binding, list[Binding]]:
        """The names that stand for one because they are imported from there."""
        found: dict[Binding, list[Binding]] = defaultdict(list)
        for source in self.values():
            for name, of in source.imported.items():
                found[of].append(Binding(source.module, name))
        return found

    @cached_property
    def derived(self) -> Sequence[Constant]:
        """The constants that are computed from others."""
        return [constant for source in self.values() for constant in source.constants.values() if constant.used]


def sources(root: Path = ROOT, trees: Sequence[str] = TREES) -> Code:
    """Every module below some folders."""
    paths = sorted(path for tree in trees for path in (root / tree).rglob("*.py"))
    found = Code()
    for path in paths:
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[module] = _source(module, path)
    return found


def hand_set(known: Code, packages: Sequence[str] = PACKAGES) -> list[Constant]:
    """The hand-set constants of some packages or modules, in the order of the files."""
    modules = [source for name, source in known.items() if any(name == package or name.startswith(f"{package}.") for package in packages)]
    return [constant for source in modules for constant in source.constants.values() if constant.hand_set]


def chosen(constants: Sequence[Constant], names: Sequence[str]) -> list[Constant]:
    """Those whose dotted name ends in one of the names; all without names. Raises ValueError for a name that fits none."""
    fits = {name: [c for c in constants if f".{c}".endswith(f".{name}")] for name in names}
    if unknown := [name for name, found in fits.items() if not found]:
        raise ValueError(f"no constant {', '.join(unknown)}")
    wanted = {constant.home for found in fits.values() for constant in found}
    return [constant for constant in constants if not names or constant.home in wanted]


def bindings(home: Binding, known: Code) -> list[Binding]:
    """Every name that stands for a constant: where it is set, and where it is imported, also from one who imported it."""
    found = [home]
    for binding in found:
        found += [importer for importer in known.importers.get(binding, ()) if importer not in found]
    return found


def followers(constant: Constant, known: Code) -> list[Constant]:
    """The derived constants that change with one, each after those it is computed from."""
    found: list[Constant] = []
    names = set(bindings(constant.home, known))
    while fresh := next((c for c in known.derived if c not in found and c.used & names), None):
        found.append(fresh)
        names |= set(bindings(fresh.home, known))
    return _in_order(found, known)


def _in_order(constants: list[Constant], known: Code) -> list[Constant]:
    """So that none comes before one that it is computed from."""
    ordered: list[Constant] = []
    waiting = list(constants)
    while waiting:
        ready = next(c for c in waiting if not any(c.used & set(bindings(other.home, known)) for other in waiting if other is not c))
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _source(module: str, path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {
        alias.asname or alias.name: Binding(node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    constants = _constants(module, tree, imported, text.splitlines())
    return Source(module, path, tree, imported, frozenset(_imports(tree)), constants)


def _imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a module or a function in it imports as a whole, or imports something from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _constants(module: str, tree: ast.Module, imported: dict[str, Binding], lines: Sequence[str]) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for node, name, expression in _assignments(tree):
        names = _names(expression)
        used = frozenset(imported.get(used, Binding(module, used)) for used in names if NAME.match(used))
        unknown = {name for name in names if not NAME.match(name)} - {"range", "float", "int", "tuple"}
        own = {binding.name for binding in used if binding.module == module}
        if unknown or own - found.keys() or not (used or _is_numeric(_value(expression, {}))):
            continue
        comment = " ".join(lines[node.lineno - 1 : node.end_lineno]).partition("#")[2]
        found[name] = Constant(Binding(module, name), expression, used, bool(SIDE.search(comment)) or _is_doubled(tree, name))
    return found


def _assignments(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, ast.expr]]:
    """Each UPPER_CASE name that a module sets, with what it is set to."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            (target,), value = node.targets, node.value
            together = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
            pairs = list(zip(target.elts, value.elts, strict=True)) if together else [(target, value)]  # type: ignore[attr-defined]
        else:
            continue
        yield from ((node, target.id, value) for target, value in pairs if isinstance(target, ast.Name) and NAME.match(target.id))


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions and methods of a module that exist once it is loaded, by qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _default_names(node: ast.FunctionDef) -> frozenset[str]:
    parts = [*node.args.defaults, *(part for part in node.args.kw_defaults if part is not None)]
    return frozenset(name for part in parts for name in _names(part))


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _value(expression: ast.expr, names: dict[str, object]) -> object:
    try:
        return evaluated(expression, names)
    except Exception:  # not an expression of numbers alone
        return None


def evaluated(expression: ast.expr, names: dict[str, object]) -> object:
    """The value of an expression among these names."""
    return eval(compile(ast.Expression(expression), "<constant>", "eval"), dict(names))


def _is_numeric(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) > 0 and all(map(_is_numeric, value))
    return isinstance(value, int | float | range) and not isinstance(value, bool)


def _is_doubled(tree: ast.Module, name: str) -> bool:
    """Whether it is used as height and width at once, as sides of OpenCV's squares are."""
    pairs = (node.elts for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2)
    return any(all(isinstance(part, ast.Name) and part.id == name for part in pair) for pair in pairs)


def scaled(constant: Constant, value: object, factor: float, names: dict[str, object]) -> tuple[object, str]:
    """The value times a factor, and a note where it is not quite that. `names`: those of its module, for parts that follow others."""
    if constant.used and isinstance(constant.expression, ast.Tuple):
        parts = constant.expression.elts
        pairs = [(evaluated(part, names), "") if _names(part) else scaled_number(evaluated(part, {}), factor) for part in parts]
        return tuple(part for part, _ in pairs), "; ".join(dict.fromkeys([note for _, note in pairs if note] + ["derived parts stay"]))
    return scaled_number(value, factor, constant.is_side)


def scaled_number(value: object, factor: float, is_side: bool = False) -> tuple[object, str]:
    """A number, each of a tuple, or both ends of a range, times a factor.

    Whole numbers are rounded away from the original, so that they change; an odd side stays odd; what is below 1 stays below 1.
    """
    if isinstance(value, tuple):
        pairs = [scaled_number(part, factor, is_side) for part in value]
        return tuple(part for part, _ in pairs), "; ".join(dict.fromkeys(note for _, note in pairs if note))
    if isinstance(value, range):
        first, last = (_whole(end, factor) for end in (value.start, value[-1]))
        return range(first, last + 1, value.step), ""
    if isinstance(value, int):
        side = _whole(value, factor)
        if is_side and value >= 3 and value % 2 and not side % 2:
            side += 1 if factor > 1 else -1
        return side, ""
    assert isinstance(value, float)
    if 0 < value < 1 <= value * factor:
        return max(0.99, (1 + value) / 2), "kept below 1"
    return float(f"{value * factor:.6g}"), ""


def _whole(value: int, factor: float) -> int:
    """A whole number times a factor, rounded away from the number itself."""
    size = abs(value) * factor
    rounded = int(size) if factor < 1 else -int(-size // 1)
    return rounded if value >= 0 else -rounded
