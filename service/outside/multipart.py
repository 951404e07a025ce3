"""Multipart uploads that clients send straight to an S3-compatible bucket, by links that are signed here.

obstore signs neither the number of a part nor the id of an upload, so botocore does, by the same environment variables.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from service.errors import StorageError

SMALLEST_PART_BYTES: Final = 5 * 2**20  # of all parts but the last: the rule of S3
TIMEOUT_SECONDS: Final = 20
FALLBACK_REGION: Final = "us-east-1"  # where servers that have no regions say they are
GONE: Final = "NoSuchUpload"


class Multipart:
    """Multipart uploads of one bucket. Faults of the bucket are raised as StorageError."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def of(cls, storage_url: str) -> Self:
        """For the bucket at `s3://bucket/prefix`."""
        url = urlsplit(storage_url)
        session = Session()
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"max_attempts": 3},
            request_checksum_calculation="when_required",
        )
        region = (
            os.environ.get("AWS_REGION") or session.get_config_variable("region") or FALLBACK_REGION
        )  # botocore does not read the first
        return cls(session.create_client("s3", region_name=region, config=config), url.netloc, url.path.strip("/"))

    def begin(self, key: str, content_type: str) -> str:
        """Begin one; return the bucket's id of it."""
        with _errors("begin an upload"):
            return str(self._client.create_multipart_upload(**self._place(key), ContentType=content_type)["UploadId"])

    def link(self, key: str, upload_id: str, number: int, size_bytes: int, seconds: int) -> str:
        """The link to PUT a part of exactly this size to. Parts are numbered from 1."""
        part = self._place(key) | {"UploadId": upload_id, "PartNumber": number, "ContentLength": size_bytes}
        with _errors("sign a link"):
            return str(self._client.generate_presigned_url("upload_part", part, seconds, "PUT"))

    def put(self, key: str, upload_id: str, number: int, data: bytes) -> None:
        """Send a part from here."""
        with _errors("store a part"):
            self._client.upload_part(**self._place(key), UploadId=upload_id, PartNumber=number, Body=data)

    def parts(self, key: str, upload_id: str) -> dict[int, tuple[int, str]] | None:
        """The size and the tag of each part that has arrived; None if there is no such upload any more."""
        found: dict[int, tuple[int, str]] = {}
        with _errors("list the parts of an upload"):
            try:
                for page in self._client.get_paginator("list_parts").paginate(**self._place(key), UploadId=upload_id):
                    found |= {part["PartNumber"]: (part["Size"], part["ETag"]) for part in page.get("Parts", ())}
            except ClientError as error:
                if error.response["Error"]["Code"] != GONE:
                    raise
                return None
        return found

    def complete(self, key: str, upload_id: str, tags: dict[int, str]) -> None:
        """Put the parts together."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())]
        with _errors("complete an upload"):
            self._client.complete_multipart_upload(**self._place(key), UploadId=upload_id, MultipartUpload={"Parts": parts})

    def abort(self, key: str, upload_id: str) -> None:
        """Delete what has arrived, if there is any of it."""
        with _errors("abort an upload"), suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(**self._place(key), UploadId=upload_id)

    def _place(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{key}" if self._prefix else key}


@contextmanager
def _errors(action: str) -> Iterator[None]:
    """Turn faults of the bucket into StorageErrors that reveal no address."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"the storage could not {action}") from error
