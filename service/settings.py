"""The program's settings, read once from `CLEANPLATE_*` variables and passed on as values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import SettingsError
from service.jobs.credits import MAX_CREDITS, MAX_PRICE_CREDITS
from service.pipeline.provenance.signer import Algorithm
from service.pipeline.video import Limits
from service.variables import NESTED, PREFIX

MIB: Final = 2**20
DAY_SECONDS: Final = 86400.0
LIMITS: Final = {  # what each limit of an input means
    "file_bytes": "Largest input.",
    "duration_seconds": "Longest video.",
    "long_side_pixels": "Longer side of the largest video picture.",
    "short_side_pixels": "Shorter side of the largest video picture.",
    "still_pixels": "Pixels of the largest image.",
    "decoder_memory_bytes": "Memory of a decoder process.",
    "decoder_stall_seconds": "How long a decoder may take for the next frame.",
    "memory_bytes": "Memory of a job's pictures and what is computed from them, beside about 500 MB for programs and networks.",
}

ORIGIN: Final = re.compile(r"\*|https?://[a-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](?::[0-9]{1,5})?")
APIS: Final = frozenset({"savesora", "kie", "kaze", "aidge", "native"})

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "fp16", "int8"]


def _words(value: object) -> object:
    """Split comma-separated words into a set."""
    return frozenset(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _apis(value: object) -> object:
    """Like `_words`, for names of APIs. Raises ValueError for another word."""
    names = _words(value)
    if isinstance(names, frozenset) and not names <= APIS:
        raise ValueError(f"there is no API {sorted(names - APIS)[0]}")
    return names


def _origins(value: object) -> object:
    """Like `_words`, for origins as browsers send them. Raises ValueError for another word."""
    origins = _words(value)
    if isinstance(origins, frozenset) and (wrong := sorted(each for each in origins if not ORIGIN.fullmatch(each))):
        raise ValueError(f"{wrong[0]} is not an origin such as https://example.com, or *")
    return origins


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_words)]
Apis = Annotated[frozenset[str], NoDecode, BeforeValidator(_apis)]
Origins = Annotated[frozenset[str], NoDecode, BeforeValidator(_origins)]
PriceRate = Annotated[Decimal, Field(ge=0, le=1000, max_digits=10, decimal_places=6)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class ContentCredentials(BaseModel):
    """Signing of outputs. Without a certificate, a local development chain signs, which nobody else trusts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Sign outputs, and keep the Content Credentials of their source.")
    certificate: Path | None = Field(
        None, description="PEM chain that signs outputs; by default a development chain, made and kept in the data folder."
    )
    private_key: Path | None = Field(None, description="PEM key of the certificate, without a password.")
    algorithm: Algorithm = Field("es256", description="Algorithm of the key: es256, es384, es512, ps256, ps384, ps512 or ed25519.")
    timestamp_url: str | None = Field(None, description="RFC 3161 authority that dates each signature; by default none.")


class Settings(BaseSettings):
    """Each setting is `CLEANPLATE_` and its name in capitals; an input limit is, for example, `CLEANPLATE_LIMITS__DURATION_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=NESTED, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    public_url: str | None = Field(None, description="Address of this service in signed links; by default http://HOST:PORT.")
    cors_origins: Origins = Field(
        frozenset(),
        description="Origins of web pages that may use the APIs: https://example.com, comma-separated; * for any. By default none.",
    )
    data_dir: Path = Field(Path("cleanplate-data"), description="Folder for the database, files and the server's key.")
    database_url: str | None = Field(
        None, description="postgresql+psycopg://user:password@host/name; by default SQLite in the data folder."
    )
    storage_url: str | None = Field(
        None, description="s3://bucket/prefix, gs://, az:// or a folder; by default `files` in the data folder."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Signs links and encrypts signing secrets; the same for the whole fleet. By default made and kept in the data folder.",
    )
    device: Device = Field("auto", description="Where the networks run: auto, cpu or cuda.")
    precision: Precision = Field(
        "auto", description="Precision of the networks: fp32, fp16, int8; auto: the cheapest available for the device."
    )
    weights: Path | None = Field(
        None, description="Folder with manifest.toml and weights/; by default the one chosen with `cleanplate models use`."
    )
    networks: Literal["shipped", "fake"] = Field(
        "shipped", description="`fake`: stand-ins that treat white pixels as marks, to try the service alone."
    )
    limits: Limits = Field(Limits(), description="Limits of an input.")
    c2pa: ContentCredentials = Field(ContentCredentials(), description="Content Credentials of the outputs.")

    copy_unmarked: bool = Field(
        True, description="Keep an H.264 video's own packets where no mark is, if the result is exact; else all of it is encoded again."
    )

    fetch_allow: str = Field(
        "", description="Additional networks and hosts that fetches and callbacks may reach: 127.0.0.0/8,*.example.com."
    )
    fetch_seconds: Seconds = Field(120, description="Time limit for fetching a source.")
    fetch_bytes_per_second: Count = Field(16 * 1024, description="Slowest pace at which a source may arrive.")
    share_links: Literal["off", "json", "page"] = Field("off", description="How Sora share links are resolved.")
    share_links_url: str | None = Field(None, description="Scheme and host that resolve share links.")
    sora_links_only: bool = Field(False, description="Accept only share links where the vendor's API documents that.")
    webhook_key: SecretStr | None = Field(None, description="Signs callbacks: `whsec_` and 24 to 64 random bytes as base64.")
    webhook_key_previous: SecretStr | None = Field(None, description="Signs them too, while receivers change over to a new key.")
    kie_callback_days: bool = Field(
        False, description="Retry kie's callbacks for three days, as native ones; by default three times in four minutes, as documented."
    )
    content_deny: Words = Field(frozenset(), description="Words that the content check refuses in addresses, comma-separated.")

    bootstrap_key: SecretStr | None = Field(None, description="Key of the first account. Default: a random one.")
    bootstrap_aidge: SecretStr | None = Field(None, description="`name:secret` of the first account's signer.")
    bootstrap_credits: int = Field(100, ge=0, le=MAX_CREDITS, description="Credits of the first account.")
    price_video_credits: int = Field(1, ge=0, le=MAX_PRICE_CREDITS, description="Price of a video, in credits.")
    price_second_credits: PriceRate = Field(
        Decimal(0), description="Credits for each second of a video, beside its price; fractions are rounded up at the end."
    )
    price_megapixel_second_credits: PriceRate = Field(
        Decimal(0), description="Credits for each second and each million pixels of its picture, beside both."
    )
    price_image_credits: int = Field(1, ge=0, le=MAX_PRICE_CREDITS, description="Price of an image, in credits.")

    price_detection_credits: int = Field(
        0, ge=0, le=MAX_PRICE_CREDITS, description="Price of finding the marks of a file without removing them, in credits."
    )
    price_preview_seconds: Count = Field(10, description="Seconds of a preview that cost one credit; it never costs more than a video.")
    charge_unmarked: Apis = Field(
        frozenset(),
        description="APIs whose jobs cost their price even if no mark was found: savesora, kie, kaze, aidge, native. By default none does.",
    )

    worker_jobs: Count = Field(2, description="Jobs that a worker runs in parallel: one decodes while another computes.")
    account_jobs: Count = Field(4, description="Concurrent jobs of one account in the whole fleet.")
    worker_fetches: Count = Field(64, description="Sources that a worker fetches at once, beside its jobs.")
    account_fetches: Count = Field(
        4, description="Concurrent fetches of one account: of sources in the whole fleet, and of uploads by URL in each API process."
    )
    upload_fetches: Count = Field(64, description="Uploads by URL that an API process fetches at once.")
    job_seconds: Seconds = Field(
        3600, description="Time limit of a job, from when a worker takes it, or takes it over; then it fails and is refunded."
    )
    stop_seconds: float = Field(20, ge=0, description="How long a stopping worker lets jobs finish before it hands them back.")
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="Port of a worker's own /metrics; 0: none.")

    account_queue_jobs: Count = Field(200, description="Limit of waiting and running jobs of one account.")
    total_queue_jobs: Count = Field(10_000, description="Limit of all waiting and running jobs.")
    rate_submit: str = Field("20/10 second", description="Rate limit for new jobs of one account.")
    rate_detect: str = Field("300/hour", description="Rate limit for those of them that only find marks, which are free by default.")
    rate_read: str = Field("600/10 second", description="Rate limit for other requests of one account.")
    rate_wrong_keys: str = Field("30/minute", description="Rate limit for wrong keys from one address.")
    rate_store: str = Field("memory://", description="Where rates are counted: in each process, or redis://host for all.")
    maintenance: bool = Field(False, description="Refuse new jobs because of maintenance.")
    features_off: Words = Field(frozenset(), description="Features to switch off: savesora, kie, kaze, aidge, native, admin, video, image.")

    body_bytes: Count = Field(32 * MIB, description="Largest request body with a file as base64. Other bodies than uploads may have 1 MiB.")
    upload_bytes: Count = Field(200 * MIB, description="Largest upload.")
    account_open_uploads: Count = Field(100, description="Unfinished large uploads of one account; each counts as if it were whole.")
    json_depth: Count = Field(16, description="Deepest nesting of a JSON body.")
    account_waits: Count = Field(100, description="Limit of one account's event streams and held requests, in each API process.")
    total_waits: Count = Field(1000, description="Limit of all event streams and held requests, in each API process.")
    hold_seconds: Seconds = Field(300, description="How long savesora's synchronous request is held.")
    signature_window_seconds: Seconds = Field(900, description="Largest difference between a signed request's timestamp and now.")
    result_link_seconds: Seconds = Field(14 * DAY_SECONDS, description="How long links to results are valid.")
    keep_results_seconds: Seconds = Field(14 * DAY_SECONDS, description="How long results are kept.")
    keep_half_uploads_seconds: Seconds = Field(
        DAY_SECONDS, description="How long an unfinished large upload is kept when nothing more of it comes."
    )
    keep_jobs_seconds: Seconds = Field(60 * DAY_SECONDS, description="How long jobs can be queried.")
    account_bytes: Count = Field(20 * 1024 * MIB, description="Space for one account's uploads and the sources of its unfinished jobs.")
    free_disk_bytes: int = Field(
        512 * MIB, ge=0, description="Free space to keep on the disks: with less, files are refused and the service is not ready."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="Format of the logs.")


def read() -> Settings:
    """Read the settings of this process. Raises SettingsError, which names the variable, for an invalid value."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = PREFIX + NESTED.join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg'].lower()}") from None


@contextmanager
def naming(name: str) -> Iterator[None]:
    """A block that uses a setting: a SettingsError raised within it names the variable."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}: {error}") from None


def names() -> frozenset[str]:
    """The names of all variables that are read here."""
    return frozenset(name for name, _, _ in rows())


def table() -> str:
    """All variables with defaults and descriptions, as the Markdown table in `docs/settings.md`."""
    lines = ["| variable | default | description |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {description} |" for name, default, description in rows()]
    return "\n".join(lines) + "\n"


def rows() -> Iterator[tuple[str, str, str]]:
    """Each variable, its default as one would write it, and what it means."""
    for name, field in Settings.model_fields.items():
        if name == "limits":
            for limit, value in vars(Limits()).items():
                yield f"{PREFIX}LIMITS{NESTED}{limit.upper()}", _text(value), LIMITS[limit]
        elif name == "c2pa":
            for part, of_part in ContentCredentials.model_fields.items():
                yield f"{PREFIX}C2PA{NESTED}{part.upper()}", _default(of_part), of_part.description or ""
        else:
            yield PREFIX + name.upper(), _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    value = field.default
    return "" if value is None or value in ("", frozenset()) else _text(value)


def _text(value: object) -> str:
    """As one would write it in the environment."""
    return f"{value:.10g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
