"""The parts that every process of the service shares, built from its settings: database, storage, accounts, queues, links."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from service.api.aidge import FACADE as AIDGE
from service.api.facade import Facade
from service.api.kaze import FACADE as KAZE
from service.api.kie import FACADE as KIE
from service.api.native import FACADE as NATIVE
from service.api.savesora import FACADE as SAVESORA
from service.certificate import service_signer
from service.disk import DiskGuard
from service.errors import ParameterError, SettingsError
from service.jobs.account_files import AccountFiles
from service.jobs.accounts import Accounts
from service.jobs.administration import Administration
from service.jobs.audit import Audit
from service.jobs.batches import Batches
from service.jobs.content import AllowAll, DenyList
from service.jobs.credits import EMPTY, Fund, grant
from service.jobs.database import Database
from service.jobs.destinations import Destinations
from service.jobs.finalizer import JobFinalizer
from service.jobs.job_service import Rules
from service.jobs.price import Metering
from service.jobs.queues import Queues
from service.jobs.room import Room
from service.jobs.transfers import Transfers
from service.jobs.vault import Vault, load_or_create_key
from service.jobs.webhook_secrets import WebhookSecrets
from service.outside.guard import EgressPolicy
from service.outside.links import Links
from service.outside.post import WebhookKeys
from service.outside.storage import Storage
from service.pipeline.provenance.signer import Signer
from service.private_folder import private_folder
from service.settings import Settings, naming

if TYPE_CHECKING:
    from service.outside.multipart import Multipart

FACADES: Final[dict[str, Facade]] = {facade.name: facade for facade in (SAVESORA, KIE, KAZE, AIDGE, NATIVE)}
FIRST_ACCOUNT: Final = "first"
DATABASE_FILE: Final = "cleanplate.sqlite"
FILES_FOLDER: Final = "files"
HALF_UPLOADS: Final = "half-uploads"


@dataclass(frozen=True)
class Core:
    """The shared parts, ready for use; the database has been migrated."""

    settings: Settings
    database: Database
    accounts: Accounts
    queues: Queues
    finalizer: JobFinalizer
    storage: Storage
    links: Links
    egress: EgressPolicy
    signer: Signer | None
    disk: DiskGuard
    account_files: AccountFiles
    webhook_secrets: WebhookSecrets
    transfers: Transfers
    destinations: Destinations

    @property
    def rules(self) -> Rules:
        """Prices and admission rules."""
        settings = self.settings
        return Rules(
            price_credits={"video": settings.price_video_credits, "image": settings.price_image_credits},
            metering=Metering(settings.price_second_credits, settings.price_megapixel_second_credits),
            detection_credits=settings.price_detection_credits,
            preview_seconds=settings.price_preview_seconds,
            account_queue_jobs=settings.account_queue_jobs,
            total_queue_jobs=settings.total_queue_jobs,
            worker_jobs=settings.worker_jobs,
            maintenance=settings.maintenance,
            features_off=settings.features_off,
            content=DenyList(settings.content_deny) if settings.content_deny else AllowAll(),
        )

    @property
    def room(self) -> Room:
        """How many unfinished jobs there may be."""
        return self.rules.room

    @property
    def batches(self) -> Batches:
        """The batches, as API and workers advance them."""
        return Batches(self.database, self.queues, self.finalizer, self.room)

    @property
    def administration(self) -> Administration:
        """What operators do, by command and over HTTP."""
        return Administration(self.database, self.accounts, Audit(self.database))

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Build the parts. Raises SettingsError for a setting that cannot be used here."""
        folder = private_folder(settings.data_dir)
        with naming("fetch_allow"):
            egress = EgressPolicy.parse(settings.fetch_allow)
        with naming("database_url" if settings.database_url else "data_dir"):
            database = Database(settings.database_url or f"sqlite:///{folder.resolve() / DATABASE_FILE}").migrate()
        vault = Vault(settings.secret_key.get_secret_value() if settings.secret_key else load_or_create_key(folder))
        queues = Queues(database)
        with naming("storage_url"):
            storage = Storage.open(settings.storage_url or str(folder / FILES_FOLDER))
        disk = DiskGuard((folder, *([storage.folder] if storage.folder else [])), settings.free_disk_bytes)
        account_files = AccountFiles(database, storage, disk, settings.account_bytes)
        public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        return cls(
            settings=settings,
            database=database,
            accounts=Accounts(database, vault),
            queues=queues,
            finalizer=JobFinalizer(queues, {name for name, facade in FACADES.items() if facade.callback}, settings.charge_unmarked),
            storage=storage,
            links=Links(public_url, vault.derive("links"), storage),
            egress=egress,
            signer=service_signer(settings),
            disk=disk,
            account_files=account_files,
            webhook_secrets=WebhookSecrets(database, vault, _shared_keys(settings)),
            transfers=Transfers(
                account_files,
                folder / HALF_UPLOADS,
                settings.account_open_uploads,
                settings.keep_half_uploads_seconds,
                _multipart(settings.storage_url or ""),
            ),
            destinations=Destinations(database, vault),
        )

    def close(self) -> None:
        self.queues.close()
        self.database.close()


def _multipart(storage_url: str) -> "Multipart | None":
    """The parts that a bucket takes from clients; None for a storage that takes none."""
    if not storage_url.startswith("s3://"):
        return None
    from service.outside.multipart import Multipart  # here, as its library takes 30 MB and half a second

    return Multipart.of(storage_url)


@contextmanager
def opened(settings: Settings) -> Iterator[Core]:
    """Open the parts, and close them at the end of the block."""
    core = Core.open(settings)
    try:
        yield core
    finally:
        core.close()


def _shared_keys(settings: Settings) -> WebhookKeys:
    """What signs callbacks of accounts without a secret of their own, the newest first."""
    return WebhookKeys(tuple(key.get_secret_value() for key in (settings.webhook_key, settings.webhook_key_previous) if key))


def bootstrap(core: Core) -> str | None:
    """Create the first account, with credits, if there is none yet; return the key that was made for it.

    None if there was an account, or if the operator chose its key. Several processes may start at once: the account's name is unique,
    so only one of them creates it, in one transaction.
    """
    settings = core.settings
    signer: tuple[str, str] | None = None
    if settings.bootstrap_aidge:
        name, _, secret = settings.bootstrap_aidge.get_secret_value().partition(":")
        if not (name and secret):
            raise SettingsError("CLEANPLATE_BOOTSTRAP_AIDGE: must be name:secret")
        signer = (name, secret)
    if core.accounts.all():
        return None
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    credits = grant(EMPTY, Fund.ONE_TIME, settings.bootstrap_credits, "first start")
    with suppress(ParameterError):
        made = core.accounts.create_with_key(FIRST_ACCOUNT, credits, signer, key)
        return made if key is None else None
    return None
