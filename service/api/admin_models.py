"""What the admin API takes and returns."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from service.api.native_models import Wire
from service.api.times import rfc3339
from service.errors import ParameterError
from service.jobs.administration import AccountState
from service.jobs.credits import MAX_CREDITS, Fund
from service.jobs.credits import Kind as EntryKind
from service.jobs.job import Rights
from service.jobs.keys import KeyInfo, NewKey, Scope
from service.source_type import parse_source_type

MAX_QUEUE_JOBS = 1_000_000
MAX_BYTES = 2**50
MAX_VALID_SECONDS = 100 * 365 * 86_400


def _source_type(text: str) -> str:
    try:
        return parse_source_type(text)
    except ParameterError as error:
        raise ValueError(str(error)) from None


SourceType = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_source_type)]
Note = Annotated[str, Field(pattern=r"^[^\x00]{0,500}$")]


class AccountBody(Wire):
    """What may be changed of an account. A limit that is null is that of the service's settings."""

    rights: Rights | None = Field(None, description="Default for jobs that do not declare any.")
    digital_source_type: SourceType | None = Field(None, description="Default digital source type of its sources.")
    banned: bool = Field(False, description="Whether its requests are refused; running jobs continue.")
    queue_jobs: int | None = Field(None, ge=0, le=MAX_QUEUE_JOBS, description="Limit of its unfinished jobs.")
    storage_bytes: int | None = Field(None, ge=0, le=MAX_BYTES, description="Space for its uploads and sources.")


class NewAccountBody(AccountBody):
    """A new account."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class NewKeyBody(Wire):
    """A new key."""

    scopes: list[Literal["submit", "read", "admin"]] = Field(default=["submit", "read"], min_length=1, max_length=3)
    valid_seconds: int | None = Field(None, ge=1, le=MAX_VALID_SECONDS, description="By default it does not expire.")


class CreditsBody(Wire):
    """A change of an account's credits."""

    kind: Literal["grant", "correct"] = Field(description="correct: take back what was granted by mistake; never more than is free.")
    credits: int = Field(ge=1, le=MAX_CREDITS)
    fund: Literal["paid", "one_time"] = Field("paid", description="One-time credits are spent first.")
    note: Note = Field("", description="The reason, recorded in the ledger.")


class AdminAccountView(BaseModel):
    """An account as an operator sees it."""

    id: int
    name: str
    banned: bool
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    paid_credits: int
    one_time_credits: int
    held_credits: int = Field(description="Reserved for unfinished jobs.")
    spent_credits: int
    upload_bytes: int
    rights: Rights | None = None
    digital_source_type: str | None = None
    queue_jobs: int | None = Field(None, description="Its own limit of unfinished jobs; null: that of the settings.")
    storage_bytes: int | None = Field(None, description="Its own limit of space; null: that of the settings.")

    @classmethod
    def of(cls, state: AccountState) -> Self:
        account, balance = state.account, state.balance
        return cls(
            id=account.id,
            name=account.name,
            banned=account.banned,
            created_at=rfc3339(state.created_ms),
            paid_credits=balance.paid_credits,
            one_time_credits=balance.one_time_credits,
            held_credits=balance.held_credits,
            spent_credits=state.spent_credits,
            upload_bytes=state.upload_bytes,
            rights=account.rights,
            digital_source_type=account.digital_source_type,
            queue_jobs=account.limits.queue_jobs,
            storage_bytes=account.limits.storage_bytes,
        )


class AdminAccountPage(BaseModel):
    """A page of accounts, by id."""

    data: list[AdminAccountView]
    next_after: int | None = Field(None, description="`after` of the next page; null on the last.")


class KeyView(BaseModel):
    """A key, without what would be needed to use it."""

    id: str
    hint: str = Field(description="Its first characters.")
    account_id: int
    account: str
    scopes: list[Scope]
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    expires_at: str | None = None
    state: Literal["active", "expired", "revoked"]

    @classmethod
    def of(cls, key: KeyInfo) -> Self:
        return cls(
            id=key.id,
            hint=key.hint,
            account_id=key.account_id,
            account=key.account,
            scopes=[scope for scope in Scope if scope in key.scopes],
            created_at=rfc3339(key.created_ms),
            expires_at=None if key.expires_ms is None else rfc3339(key.expires_ms),
            state=key.state,
        )


class KeyList(BaseModel):
    """A page of keys, oldest first."""

    data: list[KeyView]
    next_after: str | None = Field(None, description="`after` of the next page; null on the last.")


class NewKeyView(BaseModel):
    """A key when it is made: the only response that contains it."""

    id: str
    key: str

    @classmethod
    def of(cls, new: NewKey) -> Self:
        return cls(id=new.id, key=new.key)


class LineView(BaseModel):
    """A line of an account's ledger: what changed."""

    id: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    kind: EntryKind
    fund: Fund
    free_credits: int
    held_credits: int
    job_id: str | None = None
    note: str


class LinePage(BaseModel):
    """A page of an account's ledger, newest line first."""

    data: list[LineView]
    next_before: int | None = Field(None, description="`before` of the next page; null on the last.")
