"""The test split stays unseen: no file of it is named in code, tests, documents or configuration."""

from pathlib import Path

import pytest

from benchmarks.machine import SHARED
from tests.test_project import ROOT, TEXT, files

RESULTS = ROOT / "benchmarks" / "results"  # records name the clip that they score


def stems(folder: Path) -> set[str]:
    """The names of all files below a folder, without their suffix."""
    return {path.stem for path in folder.rglob("*") if path.is_file()}


def naming(names: set[str], top: Path) -> dict[str, list[str]]:
    """Path -> which of the names it has, in its text or its own name, of all text files below a folder but the results."""
    found = {}
    for path in files(top):
        if path.suffix in TEXT and not path.is_relative_to(RESULTS):
            text = f"{path.name}\n{path.read_text(encoding='utf-8', errors='ignore')}".lower()
            found[str(path.relative_to(top))] = sorted(name for name in names if name.lower() in text)
    return {path: named for path, named in found.items() if named}


def test_no_file_of_the_test_split_is_named() -> None:
    folder = SHARED / "test"
    if not folder.is_dir():
        pytest.skip("there is no shared data beside the checkout")
    names = stems(folder)
    assert names
    assert not naming(names, ROOT)


def test_a_name_is_found_in_code_and_documents_and_not_in_pictures(tmp_path: Path) -> None:
    (tmp_path / "split" / "clips").mkdir(parents=True)
    (tmp_path / "split" / "clips" / "Some_clip.mp4").touch()
    code, document, picture = (tmp_path / "tree" / name for name in ("tune.py", "notes.md", "plot.png"))
    code.parent.mkdir()
    for path in (code, document, picture):
        path.write_text("if clip == 'some_clip.mp4': threshold = 0.3")
    (tmp_path / "tree" / "other.py").write_text("clip")
    assert naming(stems(tmp_path / "split"), tmp_path / "tree") == {"tune.py": ["Some_clip"], "notes.md": ["Some_clip"]}
