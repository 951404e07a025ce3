"""Settings of the program, read once from `CLEANPLATE_*` variables and passed on as values."""

from typing import Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import RequestError
from service.pipeline.video import Limits

Device = Literal["auto", "cpu", "cuda"]


class Settings(BaseSettings):
    """`CLEANPLATE_DEVICE`, and each limit by its name: `CLEANPLATE_LIMITS__DURATION_SECONDS=60`."""

    model_config = SettingsConfigDict(env_prefix="CLEANPLATE_", env_nested_delimiter="__", frozen=True, extra="ignore")

    device: Device = "auto"
    limits: Limits = Limits()


def read() -> Settings:
    """The settings of this process; a value that does not fit is a `RequestError` naming its variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "CLEANPLATE_" + "__".join(str(part) for part in first["loc"]).upper()
        raise RequestError(f"{name}: {first['msg'].lower()}") from error
