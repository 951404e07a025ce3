"""Settings from the environment."""

import pytest

from service import settings
from service.errors import RequestError
from service.pipeline.video import Limits


def test_defaults_are_those_of_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEANPLATE_DEVICE", raising=False)
    assert settings.read().limits == Limits()
    assert settings.read().device == "auto"


def test_one_limit_is_set_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANPLATE_LIMITS__DURATION_SECONDS", "12.5")
    assert settings.read().limits == Limits(duration_seconds=12.5)


@pytest.mark.parametrize(("name", "value"), [("CLEANPLATE_LIMITS__FILE_BYTES", "much"), ("CLEANPLATE_DEVICE", "abacus")])
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match=f"^{name}: "):
        settings.read()
