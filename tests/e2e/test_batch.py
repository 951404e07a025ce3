"""`cleanplate clean` on many files, and on none: folders, patterns, pipes, what it says and how it goes on. Fake networks."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, Command, command_words
from tests.e2e.test_command import read_until
from tests.footage import Box, marked, scene, write_film

MARK = Box(20, 20, 60, 36)
SETTINGS = {"CLEANPLATE_NETWORKS": "fake", "CLEANPLATE_C2PA__ENABLED": "false"}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of pictures: two marked ones, one of them in a folder of its own, one clean, one bad; and what is none."""
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("a.png", "more/b.png", ".hidden/c.png"):
        picture(folder / name)
    Image.fromarray(scene(0)).save(folder / "plain.png")
    (folder / "bad.mp4").write_text("no video")
    (folder / "notes.txt").write_text("not for us")
    return folder


def picture(path: Path) -> Path:
    Image.fromarray(marked(scene(0), MARK)).save(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def is_clean(path: Path) -> bool:
    with Image.open(path) as opened:
        return bool(np.asarray(opened)[MARK.slices].max() < 200)


def test_a_folder_stands_for_its_files_and_a_bad_one_does_not_stop_the_rest(clips: Path, cleanplate: Command) -> None:
    out = clips.with_name("out")
    done = cleanplate("clean", clips, "-o", out)
    assert done.returncode == 3
    kinds = "mp4, mov, webm, mkv, avi, png, jpg, webp, avif"
    assert done.stderr == f"cleanplate: bad.mp4: not a video or an image of a supported format ({kinds})\n"
    first, second, total = done.stdout.splitlines()
    assert first.startswith(f"a.png: mark removed, placements: 1 ({out / 'a.png'}, ")
    assert second.startswith("plain.png: no mark found")
    assert total == "3 files: 1 cleaned, 1 without a mark, 1 failed"
    assert names(out) == ["a.png", "plain.png"]
    assert is_clean(out / "a.png")


def test_recursive_keeps_the_folders_and_leaves_its_own_results_out(clips: Path, cleanplate: Command) -> None:
    (clips / "bad.mp4").unlink()
    for _ in range(2):
        done = cleanplate("clean", clips, "--recursive", "-o", clips / "out")
        assert (done.returncode, done.stderr) == (0, "")
        assert names(clips / "out") == ["a.png", "more/b.png", "plain.png"]


@pytest.mark.parametrize("pattern", ["clips/**/?.png", "clips/*.png clips/more/b.png clips/a.png"])
def test_quoted_patterns_stand_for_what_they_match_each_once(clips: Path, cleanplate: Command, pattern: str) -> None:
    words = [str(clips.parent / word) for word in pattern.split()]
    assert cleanplate("clean", *words, "-o", clips.with_name("out"), "--json").returncode == 0
    assert {"a.png", "b.png"} <= set(names(clips.with_name("out"))) <= {"a.png", "b.png", "plain.png"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("clips/*.mov", "no file matches "),
        ("clips/.hidden/none", "no such file"),
        ("empty", "empty: no video or image in this folder; --recursive looks into its folders too"),
    ],
)
def test_what_stands_for_no_file_is_one_line(clips: Path, cleanplate: Command, word: str, message: str) -> None:
    clips.with_name("empty").mkdir()
    done = cleanplate("clean", clips.parent / word, "-o", clips.with_name("out") / "x.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_everything_is_checked_before_the_first_is_cleaned(clips: Path) -> None:
    """The error of the last comes before the outcome of the first."""
    words = command_words(["clean", clips / "a.png", clips / "more" / "b.png", clips / "bad.mp4", "-o", clips.with_name("out"), "--json"])
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    assert done.stdout.index("cleanplate: bad.mp4") < done.stdout.index('"input": "a.png"')


def test_a_wrong_box_is_found_by_the_check(clips: Path, cleanplate: Command) -> None:
    done = cleanplate("clean", clips / "a.png", clips / "plain.png", "-o", clips.with_name("out"), "--box", "300,1,310,9")
    assert (done.returncode, done.stderr.count("lies outside the picture of 128x96")) == (2, 2)
    assert not clips.with_name("out").exists()


def test_json_is_one_line_for_each_file(clips: Path, cleanplate: Command) -> None:
    done = cleanplate("clean", clips, "-o", clips.with_name("out"), "--json")
    entries = {entry["input"]: entry for entry in map(json.loads, done.stdout.splitlines())}
    assert list(entries) == ["bad.mp4", "a.png", "plain.png"]
    assert (entries["bad.mp4"]["error"], entries["bad.mp4"]["message"][:11]) == ("NotMedia", "not a video")
    assert (entries["a.png"]["output"], entries["a.png"]["mark_found"], entries["a.png"]["frames"]) == (
        str(clips.with_name("out") / "a.png"),
        True,
        1,
    )
    assert len(entries["a.png"]["marks"]) == 1
    assert entries["plain.png"]["marks"] == []


def test_quiet_says_nothing_but_errors(clips: Path, cleanplate: Command) -> None:
    done = cleanplate("clean", clips / "a.png", clips / "bad.mp4", "-o", clips.with_name("out"), "--quiet")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)


def test_skip_existing_goes_on_with_a_batch(clips: Path, cleanplate: Command) -> None:
    out = clips.with_name("out")
    out.mkdir()
    (out / "a.png").write_bytes(b"finished before")
    (out / ".1a2b3c4d.plain.png").write_bytes(b"half")  # as a killed run leaves it
    done = cleanplate("clean", clips / "a.png", clips / "plain.png", "-o", out, "--skip-existing", "--json")
    skipped, cleaned = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, skipped) == (0, {"input": "a.png", "output": str(out / "a.png"), "skipped": True})
    assert (out / "a.png").read_bytes() == b"finished before"
    assert cleaned["output"] == str(out / "plain.png")
    again = cleanplate("clean", clips / "a.png", clips / "plain.png", "-o", out, "--skip-existing")
    assert again.stdout.splitlines()[-1] == "2 files: 2 there already"


def test_standard_input_and_output(clips: Path) -> None:
    words = command_words(["clean", "-", "-o", "-", "--json"])
    with (clips / "a.png").open("rb") as source, clips.with_name("out.png").open("wb") as target:
        done = subprocess.run(words, cwd=ROOT, stdin=source, stdout=target, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert is_clean(clips.with_name("out.png"))
    assert json.loads(done.stderr)["output"] == "-"


@pytest.mark.parametrize(
    ("sent", "options", "code", "message"),
    [
        (b"no picture", ["-o", "out.png"], 3, "standard input: not a video or an image"),
        (b"", ["-o", "out.png"], 3, "standard input: the file is empty"),
        (b"\x89PNG\r\n\x1a\n", ["-o", "-"], 3, "stdin.png: "),
        (b"\x89PNG\r\n\x1a\n" + bytes(9999), ["-o", "out.png"], 3, "standard input has more than"),
        (b"\x89PNG\r\n\x1a\n", ["other.png", "-o", "-"], 2, "standard output takes one clean file, but there are 2 inputs"),
    ],
)
def test_a_bad_pipe_is_one_line(tmp_path: Path, sent: bytes, options: list[str], code: int, message: str) -> None:
    environment = os.environ | {"CLEANPLATE_LIMITS__FILE_BYTES": "5000", "PYTHONPATH": str(ROOT)}
    words = command_words(["clean", "-", *options])
    done = subprocess.run(words, cwd=tmp_path, env=environment, input=sent, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (code, b"", 1), done.stderr
    assert message.encode() in done.stderr
    assert not list(tmp_path.iterdir())


def test_start_and_end_make_a_shorter_video(tmp_path: Path, cleanplate: Command) -> None:
    source = write_film(tmp_path / "in.mp4", [marked(scene(i), MARK) for i in range(48)])
    done = cleanplate("clean", source, "-o", tmp_path / "out.mp4", "--start", "0:00.5", "--end", "1", "--json")
    assert (done.returncode, json.loads(done.stdout)["frames"]) == (0, 12)
    done = cleanplate("clean", source, "-o", tmp_path / "rest.mp4", "--start", "1.5", "--json")
    assert (done.returncode, json.loads(done.stdout)["frames"]) == (0, 12)


def test_a_terminal_shows_life_before_anything_is_loaded_and_which_file_of_how_many(clips: Path) -> None:
    picture(clips / "more" / "c.png")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "service", "clean", str(clips / "more"), "-o", str(clips.with_name("out"))]
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    assert read_until(ours, b"starting ...").startswith(b"starting")
    shown = read_until(ours, None).decode()
    assert process.wait(timeout=60) == 0, shown
    positions = [shown.index(text) for text in ("checking 2 of 2  c.png", "loading the networks", "1 of 2  b.png: ", "2 of 2  c.png: ")]
    assert positions == sorted(positions)
    assert "2 files: 2 cleaned" in shown


def test_a_killed_batch_leaves_no_file_that_counts_as_finished(tmp_path: Path) -> None:
    source = write_film(tmp_path / "long.mp4", [marked(scene(i), MARK) for i in range(240)])
    words = command_words(["clean", source, "-o", tmp_path / "out"])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True)
    os.close(theirs)
    read_until(ours, b"remove")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    read_until(ours, None)
    assert not (tmp_path / "out" / "long.mp4").exists()
