"""Settings of a training run: a file, overridden by options; unknown keys are refused."""

from pathlib import Path

import pytest

from training.config import TrainConfig, from_command_line

CONFIGS = Path(__file__).parent.parent.parent / "training" / "configs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text('name = "matte"\nsteps = 2500\nlearning_rate = 8e-4\nruns = "build/elsewhere"\n')
    return path


def test_keys_override_the_file_and_the_file_the_defaults(file: Path) -> None:
    config = from_command_line([str(file), "--steps", "10", "--data", "clips", "--precision", "32-true"])
    assert (config.name, config.steps, config.learning_rate, config.batch) == ("matte", 10, 8e-4, TrainConfig("x").batch)
    assert (config.data, config.precision) == (Path("clips"), "32-true")
    assert config.folder == Path("build/elsewhere/matte")


def test_the_file_overrides_given_defaults(file: Path) -> None:
    config = from_command_line([str(file)], TrainConfig("other", steps=1, seed=7))
    assert (config.name, config.steps, config.seed) == ("matte", 2500, 7)


@pytest.mark.parametrize("arguments", [["--stepz", "10"], ["--steps", "many"], ["--steps"]])
def test_unknown_keys_and_wrong_values_are_refused(file: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        from_command_line([str(file), *arguments])
    assert "usage" in capsys.readouterr().err


def test_an_unknown_key_in_the_file_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text() + "colour = 3\n")
    with pytest.raises(SystemExit):
        from_command_line([str(file)])
    assert "colour" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["", "gpu"])
@pytest.mark.parametrize("name", ["segmenter", "matte", "inpainter"])
def test_each_shipped_configuration_is_read(name: str, folder: str) -> None:
    assert from_command_line([str(CONFIGS / folder / f"{name}.toml")]).name == name


def test_the_gpu_runs_end_within_half_an_hour_together() -> None:
    minutes = [from_command_line([str(path)]).minutes for path in (CONFIGS / "gpu").glob("*.toml")]
    assert len(minutes) == 3
    assert all(minutes)
    assert sum(minutes) <= 27  # the rest is for the pictures, the scores and the export
