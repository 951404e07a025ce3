"""The stamp on a result, and memory measured from outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import ROOT, digest, stamp
from benchmarks.memory import run, tree, tree_bytes

MIB = 2**20
GROW = "import sys; block = bytearray(int(sys.argv[1]) * 2**20); block[::4096] = b'x' * len(block[::4096]); "
HOLD = "print('ready', flush=True); sys.stdin.read()"


def test_the_stamp_tells_the_machine_and_the_code() -> None:
    here = stamp()
    assert here.cores == len(os.sched_getaffinity(0))
    assert here.packages["numpy"]
    assert here.python == sys.version.split()[0]
    assert here.cpu
    assert here.date.endswith("+00:00")
    assert here.code == stamp(ROOT).code


def test_a_tree_without_git_has_an_unknown_commit(tmp_path: Path) -> None:
    assert (stamp(tmp_path).commit, stamp(tmp_path).dirty) == ("unknown", False)


def test_the_digest_follows_every_byte_and_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    files = [tmp_path / "a", tmp_path / "b"]
    first = digest(files)
    assert digest(reversed([*files, tmp_path / "missing"])) == first
    (tmp_path / "b").write_bytes(b"3")
    assert digest(files) != first
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "b").rename(tmp_path / "c")
    assert digest([tmp_path / "a", tmp_path / "c"]) != first


def test_memory_counts_the_whole_tree() -> None:
    child = f"import subprocess, sys; {GROW} subprocess.run([sys.executable, '-c', {GROW + HOLD!r}, '60'])"
    with subprocess.Popen([sys.executable, "-c", child, "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(tree(process.pid)) == 2
        assert 100 * MIB < tree_bytes(process.pid) < 180 * MIB
        process.communicate("")
    assert tree_bytes(process.pid) == 0


def test_a_watched_command_gives_its_output_and_its_peak() -> None:
    work = "[hash(bytes(block)) for _ in range(5)]; print('done')"
    usage = run([sys.executable, "-c", GROW + work, "80"])
    assert usage.output == "done\n"
    assert usage.peak_bytes > 80 * MIB
    assert usage.samples > 1
    assert usage.seconds > 0


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run([sys.executable, "-c", "import sys; print('before'); sys.exit(3)"])
    assert (caught.value.returncode, caught.value.output) == (3, "before\n")
