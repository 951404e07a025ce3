"""An account's own bucket on the wire. Its keys are only ever sent to us."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from service.api.native_models import Address, Wire
from service.api.times import rfc3339
from service.jobs.destinations import Destination
from service.outside.bucket import Bucket
from service.outside.guard import address_of


def _origin(url: str) -> str:
    address = address_of(url)
    if address.path != "/" or address.query or address.fragment:
        raise ValueError("must be no more than scheme, host and port: https://storage.example.com")
    return f"{address.scheme}://{address.netloc.decode('ascii')}"


class DestinationBody(Wire):
    """An S3-compatible bucket, and the keys that may write to it."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$", max_length=200)] = ""
    endpoint: Annotated[Address, AfterValidator(_origin)] | None = Field(None, description="Null: Amazon's, in the region.")
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    access_key_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
    secret_access_key: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]
    keep_here: bool = Field(True, description="Keep the files here too, as long as any others. False: delete them once they are delivered.")

    @property
    def destination(self) -> Destination:
        bucket = Bucket(self.bucket, self.prefix, self.endpoint, self.region, self.access_key_id, self.secret_access_key)
        return Destination(bucket, self.keep_here)


class DestinationView(BaseModel):
    """Where an account's results are put, without the keys."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str
    keep_here: bool
    created_at: str = Field(json_schema_extra={"format": "date-time"})

    @classmethod
    def of(cls, destination: Destination) -> Self:
        bucket = destination.bucket
        return cls(
            bucket=bucket.name,
            prefix=bucket.prefix,
            endpoint=bucket.endpoint,
            region=bucket.region,
            keep_here=destination.keep_here,
            created_at=rfc3339(destination.created_ms),
        )


class DestinationTestView(BaseModel):
    """Whether an object could be put there."""

    delivered: bool
    url: str = Field(description="Of the object, which stays there.")
    detail: str | None = Field(None, description="Why not.")
