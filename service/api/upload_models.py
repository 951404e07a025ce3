"""Large uploads on the wire: what clients send, and what they receive."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.api.native_models import Name, Wire

MAX_BYTES = 2**53


class NewUploadBody(Wire):
    """A file that will be sent straight to the bucket."""

    name: Name
    bytes: int = Field(ge=1, le=MAX_BYTES, description="Its size.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="Of the whole file, hexadecimal. It is verified when the upload is completed."
    )


class PartView(BaseModel):
    """A part that has not arrived."""

    number: int = Field(description="From 1.")
    bytes: int = Field(description="Its size; the signature of `url` covers it.")
    url: str = Field(description="PUT the part's bytes here within an hour, without a key. Asking for the upload again gives a new one.")


class UploadView(BaseModel):
    """An upload. All fields are always present."""

    id: str
    state: Literal["arriving", "finished"]
    name: str
    bytes: int
    received_bytes: int = Field(description="At least so many have arrived.")
    part_bytes: int | None = Field(None, description="Size of each part but the last, of an upload that goes straight to the bucket.")
    parts: list[PartView] | None = Field(None, description="Those that are missing; null where pieces are sent to this service.")
    content_type: str | None = Field(None, description="By the file's first bytes; null while it arrives.")
    file_id: str | None = None
    url: str | None = Field(None, description="A signed link to the file: give it as the source of a job, in any of the APIs.")
    expires_at: str = Field(
        description="Of the link; of an arriving file, when it is deleted unless more of it comes.",
        json_schema_extra={"format": "date-time"},
    )
