"""Content Credentials and source types: kept from source to output, with a new manifest for the edit. Only visible marks are removed.

The source's credentials are embedded in the output as an ingredient. The output's own manifest lists the source and each edit.
"""

import base64
import filecmp
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from service.errors import CleanplateError, DecodeFailed, EncodeFailed
from service.media import container_of
from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.placement import Placement
from service.pipeline.provenance.manifest import MEDIA_TYPES, read_in_child, sign_in_child
from service.pipeline.provenance.signer import Signer
from service.pipeline.sandbox.sandbox import Child

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 4 * 2**30  # of address space for the child; hashing 200 MB takes 0.5 GB of it
STALL_SECONDS: Final = 120.0
MAX_REGIONS: Final = 100
MAX_SIGNATURES: Final = 4  # the library requests one

State = Literal["none", "unreadable", "Invalid", "Valid", "Trusted"]


@dataclass(frozen=True)
class Edit:
    """One edit of a file. action: a C2PA action. changes: its regions of interest, as C2PA writes them."""

    action: str
    description: str
    changes: tuple[Mapping[str, object], ...] = ()

    @property
    def message(self) -> dict[str, object]:
        return {"action": self.action, "description": self.description} | ({"changes": list(self.changes)} if self.changes else {})


def mark_removed(placements: Iterable[Placement]) -> Edit:
    """The edit "mark removed", with the boxes and frames of the placements, in the picture as it is shown."""
    regions = tuple(_region(placement) for placement in islice(placements, MAX_REGIONS))
    return Edit("c2pa.edited", "visible mark removed", regions)


SOUND_REMOVED: Final = Edit("c2pa.edited", "sound removed")
MOVED: Final = Edit("c2pa.repackaged", "moved to another container")


@dataclass(frozen=True)
class Provenance:
    """The provenance of an output.

    signed_by: the certificate's name, or None; then `reason` says why the output is not signed.
    source_state, source_problems: validation of the source's credentials. told_by: who states the digital source type.
    """

    signed_by: str | None = None
    reason: str | None = None
    source_state: State | None = None
    source_problems: tuple[str, ...] = ()
    digital_source_type: str | None = None
    told_by: Literal["credentials", "metadata", "account"] | None = None


@dataclass(frozen=True)
class Action:
    """An action that a manifest records."""

    name: str
    description: str | None
    when: str | None
    digital_source_type: str | None


@dataclass(frozen=True)
class Ingredient:
    """A file that a manifest lists as a source."""

    title: str
    relationship: str
    has_credentials: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """One signed statement about a file. signed_at: from a time-stamp authority, or None."""

    label: str
    signer: str
    issuer: str
    signed_at: str | None
    program: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True)
class Credentials:
    """The Content Credentials of a file: its own manifest, then its source's, and so on."""

    state: State
    manifests: tuple[Manifest, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the file is unchanged since it was signed, whoever signed it."""
        return self.state in ("Valid", "Trusted")


def read(path: Path) -> Credentials:
    """Read the Content Credentials of a file. Raises NotMedia, UnsupportedFormat or DecodeFailed."""
    container_of(path)
    with Child(
        read_in_child,
        {"path": str(path.absolute())},
        work="reader of Content Credentials",
        failure=DecodeFailed,
        memory_bytes=MEMORY_BYTES,
        stall_seconds=STALL_SECONDS,
    ) as child:
        message = child.receive()
    try:
        return _credentials_from(message["credentials"])
    except (KeyError, TypeError):
        raise DecodeFailed("the reader of Content Credentials sent a message that cannot be read") from None


def sign_in_place(source: Path, target: Path, edits: Sequence[Edit], signer: Signer | None, declared: str | None = None) -> Provenance:
    """Sign a finished target in place, with the source's credentials as an ingredient.

    Without edits, a target with the source's bytes stays as it is. So does a target that cannot be signed; `reason` then says why.
    declared: the digital source type if the source states none.
    """
    if not edits and filecmp.cmp(source, target, shallow=False):
        return Provenance(reason="nothing was edited; the source's credentials are unchanged")
    if signer is None:
        return Provenance(reason="signing is switched off")
    if target.suffix.lower() not in MEDIA_TYPES:
        return Provenance(reason=f"{target.suffix} files carry no Content Credentials")
    try:
        return _sign_in_place(source, target, edits or (MOVED,), signer, declared)
    except CleanplateError as error:
        log.warning("the output is not signed: %s", error)
        return Provenance(reason=str(error))


def _sign_in_place(source: Path, target: Path, edits: Sequence[Edit], signer: Signer, declared: str | None) -> Provenance:
    request = {
        "source": str(source.absolute()),
        "target": str(target.absolute()),
        "edits": [edit.message for edit in edits],
        "declared": declared,
        "algorithm": signer.algorithm,
        "chain": signer.chain_pem,
        "timestamp_url": signer.timestamp_url,
    }
    with atomic_file(target) as unfinished:
        try:
            message = _sign_in_child_process(request | {"signed": str(unfinished)}, signer)
            carried = _credentials_from(message["credentials"])
            return Provenance(signer.name, None, carried.state, carried.problems, message["source_type"], message["stated_by"])
        except (KeyError, TypeError, ValueError):
            raise EncodeFailed("the signer sent a message that cannot be read") from None


def _sign_in_child_process(request: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The child's final message, after this process has signed the data that the child sends."""
    with Child(
        sign_in_child,
        dict(request),
        work="signer",
        failure=EncodeFailed,
        memory_bytes=MEMORY_BYTES,
        stall_seconds=STALL_SECONDS,
        may_write=True,
    ) as child:
        for _ in range(MAX_SIGNATURES):
            message = child.receive()
            if "sign" not in message:
                return message
            child.send(signature=base64.b64encode(signer.sign(base64.b64decode(message["sign"]))).decode())
    raise EncodeFailed("the signer requested more signatures than one file needs")


def _credentials_from(fields: Mapping[str, Any]) -> Credentials:
    manifests = tuple(
        Manifest(
            **{
                **manifest,
                "actions": tuple(Action(**action) for action in manifest["actions"]),
                "ingredients": tuple(Ingredient(**part | {"problems": tuple(part["problems"])}) for part in manifest["ingredients"]),
            }
        )
        for manifest in fields["manifests"]
    )
    return Credentials(fields["state"], manifests, tuple(fields["problems"]))


def _region(placement: Placement) -> dict[str, object]:
    """The box and the frames of a placement, as a C2PA region of interest."""
    box = placement.box
    corner = {"x": box.left, "y": box.top}
    shape = {"type": "rectangle", "unit": "pixel", "origin": corner, "width": box.width, "height": box.height}
    frames = {"start": placement.first_frame, "end": placement.last_frame}
    return {"description": placement.kind, "region": [{"type": "spatial", "shape": shape}, {"type": "frame", "frame": frames}]}
