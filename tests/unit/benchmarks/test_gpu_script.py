"""The script for a machine with a GPU, on a machine without: every step runs, on the smallest cases, and leaves its lines."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.vocabulary import CHINESE_PACKAGES, LATIN_PACKAGES
from models.spec import NETWORKS
from tests.material import FONT

ROOT = Path(__file__).parents[3]
SMALLEST = {"DEVICE": "cpu", "HEIGHTS": "96", "SECONDS_EACH": "1", "ROUNDS": "2"}


def fonts_in(folder: Path) -> Path:
    """A font under the name of every family of the evaluation."""
    for family in (*LATIN_PACKAGES, *CHINESE_PACKAGES):
        path = folder / family
        path = path if path.suffix else path / FONT.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FONT, path)
    return folder


def test_the_script_measures_each_network_and_a_whole_video(tmp_path: Path) -> None:
    paths = {"RESULTS": str(tmp_path / "results"), "FONTS": str(fonts_in(tmp_path / "fonts")), "CLIP": str(ROOT / "samples" / "marked.mp4")}
    environment = {**os.environ, **SMALLEST, **paths, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "benchmarks" / "gpu.sh"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("seconds on cpu")
    networks = [json.loads(line) for line in (tmp_path / "results" / "networks.jsonl").read_text().splitlines()]
    assert {row["case"]["network"] for row in networks} == {network.name for network in NETWORKS}
    (video,) = (json.loads(line) for line in (tmp_path / "results" / "speed.jsonl").read_text().splitlines())
    assert video["case"] == {"height": 96, "seconds": 1, "device": "cpu"}
    assert video["figures"]["frames"] == 30
    assert video["figures"]["fps"] > 0
