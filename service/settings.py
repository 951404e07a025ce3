"""Settings of the program, read once from `CLEANPLATE_*` variables and passed on as values."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import SettingsError
from service.pipeline.provenance.signer import Algorithm
from service.pipeline.video import Limits

PREFIX: Final = "CLEANPLATE_"
NESTED: Final = "__"
MIB: Final = 2**20
DAY_SECONDS: Final = 86400.0

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "fp16", "int8"]


def _words(value: object) -> object:
    """Comma-separated words as a set."""
    return frozenset(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_words)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class ContentCredentials(BaseModel):
    """Who signs what is published. Without a certificate a development chain of this machine does, which nobody else trusts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Sign outputs, and keep their source's Content Credentials in them.")
    certificate: Path | None = Field(
        None, description="PEM chain that signs outputs; else one for development, made and kept in the data folder."
    )
    private_key: Path | None = Field(None, description="PEM key of the certificate, without a password.")
    algorithm: Algorithm = Field("es256", description="Of the key: es256, es384, es512, ps256, ps384, ps512 or ed25519.")
    timestamp_url: str | None = Field(None, description="RFC 3161 authority that dates each signature; else none is asked.")


class Settings(BaseSettings):
    """Each setting is the variable `CLEANPLATE_` and its name in capitals; of an input's limits `CLEANPLATE_LIMITS__DURATION_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=NESTED, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    public_url: str | None = Field(None, description="How clients reach this service, in signed links; else http://HOST:PORT.")
    data_dir: Path = Field(Path("cleanplate-data"), description="Folder for the database, files and the server's key.")
    database_url: str | None = Field(None, description="postgresql+psycopg://user:password@host/name; else SQLite in the data folder.")
    storage_url: str | None = Field(None, description="s3://bucket/prefix, gs://, az:// or a folder; else `files` in the data folder.")
    secret_key: SecretStr | None = Field(
        None, description="Signs links, encrypts signing secrets; the same for the whole fleet. Else made and kept in the data folder."
    )
    device: Device = Field("auto", description="Where the networks run: auto, cpu or cuda.")
    precision: Precision = Field("auto", description="Of the networks: fp32, fp16, int8; auto: the cheapest for the device that there is.")
    weights: Path | None = Field(None, description="Folder with manifest.toml and weights/; else what `cleanplate models use` chose.")
    networks: Literal["shipped", "fake"] = Field(
        "shipped", description="`fake`: stand-ins that find what is white, to try the service alone."
    )
    limits: Limits = Field(Limits(), description="Limits of an input.")
    c2pa: ContentCredentials = Field(ContentCredentials(), description="Content Credentials of the outputs.")

    fetch_allow: str = Field("", description="More networks and hosts to be reached by fetches and callbacks: 127.0.0.0/8,*.example.com.")
    fetch_seconds: Seconds = Field(120, description="Time for fetching a source.")
    share_links: Literal["off", "json", "page"] = Field("off", description="How Sora share links are resolved.")
    share_links_url: str | None = Field(None, description="Scheme and host that answer for share links.")
    sora_links_only: bool = Field(False, description="Take nothing but share links where the vendor's API documents so.")
    webhook_key: SecretStr | None = Field(None, description="Signs callbacks.")
    content_deny: Words = Field(frozenset(), description="Words of addresses that the content check refuses, comma-separated.")

    bootstrap_key: SecretStr | None = Field(None, description="Key of the first account, instead of a random one.")
    bootstrap_aidge: SecretStr | None = Field(None, description="`name:secret` of the first account for signed requests.")
    bootstrap_credits: int = Field(100, ge=0, description="Credits of the first account.")
    price_video_credits: int = Field(1, ge=0, description="What a video costs.")
    price_image_credits: int = Field(1, ge=0, description="What an image costs.")

    worker_jobs: Count = Field(2, description="Jobs that a worker runs side by side: one decodes while another computes.")
    account_jobs: Count = Field(4, description="Jobs of one account that the whole fleet runs at a time.")
    job_seconds: Seconds = Field(3600, description="Time for a job, from its start; then it fails and is refunded.")
    stop_seconds: float = Field(20, ge=0, description="How long a stopping worker lets jobs finish before it hands them back.")
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="Port of a worker's own /metrics; 0: none.")

    account_queue_jobs: Count = Field(200, description="Jobs of one account that wait or run.")
    total_queue_jobs: Count = Field(10_000, description="Jobs that wait or run in all.")
    rate_submit: str = Field("20/10 second", description="New jobs of one account.")
    rate_read: str = Field("600/10 second", description="Other requests of one account.")
    rate_store: str = Field("memory://", description="Where rates are counted: in each process, or redis://host for all.")
    maintenance: bool = Field(False, description="Refuse new jobs: maintenance.")
    features_off: Words = Field(frozenset(), description="What is switched off: savesora, kie, kaze, aidge, native, video, image.")

    body_bytes: Count = Field(32 * MIB, description="Longest request body other than an upload.")
    upload_bytes: Count = Field(200 * MIB, description="Largest upload.")
    json_depth: Count = Field(16, description="Deepest nesting of a JSON body.")
    hold_seconds: Seconds = Field(300, description="How long savesora's synchronous request is held.")
    signature_window_seconds: Seconds = Field(900, description="How far a signed request's timestamp may be from now.")
    result_link_seconds: Seconds = Field(14 * DAY_SECONDS, description="How long links to results hold.")
    keep_results_seconds: Seconds = Field(14 * DAY_SECONDS, description="How long results are kept.")
    keep_jobs_seconds: Seconds = Field(60 * DAY_SECONDS, description="How long jobs can be asked for.")
    free_disk_bytes: int = Field(512 * MIB, ge=0, description="Less free space than this and the service is not ready.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="How logs are written.")


def read() -> Settings:
    """The settings of this process; a value that does not fit is a `SettingsError` naming its variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = PREFIX + NESTED.join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg'].lower()}") from None


@contextmanager
def naming(name: str) -> Iterator[None]:
    """For a block that makes something of a setting: a SettingsError of it names the variable."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}: {error}") from None


def table() -> str:
    """All variables with their defaults and meanings, as a Markdown table; `docs/settings.md` is this."""
    lines = ["| variable | default | what |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {what} |" for name, default, what in _rows()]
    return "\n".join(lines) + "\n"


def _rows() -> Iterator[tuple[str, str, str]]:
    for name, field in Settings.model_fields.items():
        if name == "limits":
            for limit, value in vars(Limits()).items():
                yield f"{PREFIX}LIMITS{NESTED}{limit.upper()}", f"{value:g}" if isinstance(value, float) else str(value), "Of an input."
        elif name == "c2pa":
            for part, of_part in ContentCredentials.model_fields.items():
                yield f"{PREFIX}C2PA{NESTED}{part.upper()}", _default(of_part), of_part.description or ""
        else:
            yield PREFIX + name.upper(), _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ("", frozenset()):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
