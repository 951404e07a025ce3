"""The build hook puts the package's name before each import of ours, and changes nothing else."""

import ast

import pytest

from hatch_build import moved
from tests.conftest import ROOT

SOURCES = sorted(path for folder in ("cleanplate", "service", "models") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from service.errors import A\n", "from cleanplate.service.errors import A\n"),
        ("from service import a, b\n", "from cleanplate.service import a, b\n"),
        ("from models import (\n    spec,\n)\n", "from cleanplate.models import (\n    spec,\n)\n"),
        ("import os, models.spec as s, service as t\n", "import os, cleanplate.models.spec as s, cleanplate.service as t\n"),
        ("x = 'ä'; from service.a import b\n", "x = 'ä'; from cleanplate.service.a import b\n"),
        ("def f():\n    from service.a import b\n    return b\n", "def f():\n    from cleanplate.service.a import b\n    return b\n"),
        ("if x:\r\n    from models.a import b\r\n", "if x:\r\n    from cleanplate.models.a import b\r\n"),
    ],
)  # fmt: skip
def test_imports_of_ours_move(before: str, after: str) -> None:
    assert moved(before, "a.py") == after


@pytest.mark.parametrize(
    "text",
    [
        "from services.errors import A\nfrom . import service\nfrom .models import b\nimport models_of_others\n",
        '"""from service.errors import A"""\nservice = models = "service/errors.py"\n# from models import spec\n',
        "from cleanplate.public import clean\n",
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert moved(text, "a.py") == text


@pytest.mark.parametrize(
    "text", ["import service\n", "import os, models.spec\n", 'NAME = "service.commands"\n', "import_module(f'models.{x}')\n"]
)
def test_what_could_not_move_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.py, line 1"):
        moved(text, "a.py")


def test_our_files_can_move() -> None:
    assert len(SOURCES) > 100
    for path in SOURCES:
        before = path.read_text(encoding="utf-8")
        after = moved(before, str(path))
        assert after.replace("from cleanplate.service", "from service").replace("from cleanplate.models", "from models") == before
        modules = [node.module or "" for node in ast.walk(ast.parse(after)) if isinstance(node, ast.ImportFrom)]
        assert not [module for module in modules if module.partition(".")[0] in ("service", "models")]
