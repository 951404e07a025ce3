"""Content Credentials, and what a file says of its origin: kept from source to output, and the edit signed. Only visible marks are touched.

What a source carries stays in the output as an ingredient; the output's own manifest says what was opened and what was done to it.
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
from service.pipeline.io.whole_file import whole_file
from service.pipeline.picture.orientation import displayed_box
from service.pipeline.placement import Placement
from service.pipeline.provenance.manifest import MEDIA_TYPES, read_in_child, sign_in_child
from service.pipeline.provenance.signer import Signer
from service.pipeline.sandbox.sandbox import Child
from service.pipeline.video import VideoInfo

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 4 * 2**30  # of address space; hashing 200 MB takes 0.5 GB of it
STALL_SECONDS: Final = 120.0
MOST_REGIONS: Final = 100
MOST_SIGNATURES: Final = 4  # one is asked for

State = Literal["none", "unreadable", "Invalid", "Valid", "Trusted"]


@dataclass(frozen=True)
class Edit:
    """One thing that was done to the file: one of C2PA's actions, in which regions of the picture."""

    action: str
    description: str
    changes: tuple[Mapping[str, object], ...] = ()

    @property
    def message(self) -> dict[str, object]:
        return {"action": self.action, "description": self.description} | ({"changes": list(self.changes)} if self.changes else {})


def mark_removed(placements: Iterable[Placement], info: VideoInfo) -> Edit:
    """The edit that this program is for, and where and when in the picture as it is shown."""
    regions = tuple(_region(placement, info) for placement in islice(placements, MOST_REGIONS))
    return Edit("c2pa.edited", "visible mark removed", regions)


SOUND_REMOVED: Final = Edit("c2pa.edited", "sound removed")
MOVED: Final = Edit("c2pa.repackaged", "moved to another container")


@dataclass(frozen=True)
class Provenance:
    """What became of a file's provenance. `source_state`: of the credentials that the source came with.

    `reason`: why the output is not signed. `told_by`: who says what the digital source type is.
    """

    signed_by: str | None = None
    reason: str | None = None
    source_state: State | None = None
    source_problems: tuple[str, ...] = ()
    digital_source_type: str | None = None
    told_by: Literal["credentials", "metadata", "account"] | None = None


@dataclass(frozen=True)
class Action:
    """Something that a manifest says was done."""

    name: str
    description: str | None
    when: str | None
    digital_source_type: str | None


@dataclass(frozen=True)
class Ingredient:
    """Something that a manifest says its file was made from."""

    title: str
    relationship: str
    has_credentials: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """One signed statement about a file. `signed_at`: by a time-stamp authority, where one was asked."""

    label: str
    signer: str
    issuer: str
    signed_at: str | None
    program: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True)
class Credentials:
    """What a file carries: its manifest first, then that of what it was made from, and so on."""

    state: State
    manifests: tuple[Manifest, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the file is as it was signed; says nothing of who signed it."""
        return self.state in ("Valid", "Trusted")


def read(path: Path) -> Credentials:
    """What Content Credentials a file carries; raises NotMedia, UnsupportedFormat, DecodeFailed."""
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
        return _credentials(message["carried"])
    except (KeyError, TypeError):
        raise DecodeFailed("the reader of Content Credentials sent a message that cannot be read") from None


def signed(source: Path, target: Path, edits: Sequence[Edit], signer: Signer | None, declared: str | None = None) -> Provenance:
    """Sign a finished target in its place, with the source's credentials in it; a target that is the source's bytes stays as it is.

    `declared`: the digital source type where the source tells none. A target that cannot be signed stays too, and the result says why.
    """
    if not edits and filecmp.cmp(source, target, shallow=False):
        return Provenance(reason="nothing was edited, and what the source carries is as it was")
    if signer is None:
        return Provenance(reason="signing is switched off")
    if target.suffix.lower() not in MEDIA_TYPES:
        return Provenance(reason=f"{target.suffix} files carry no Content Credentials")
    try:
        return _signed_in_place(source, target, edits or (MOVED,), signer, declared)
    except CleanplateError as error:
        log.warning("the output is not signed: %s", error)
        return Provenance(reason=str(error))


def _signed_in_place(source: Path, target: Path, edits: Sequence[Edit], signer: Signer, declared: str | None) -> Provenance:
    request = {
        "source": str(source.absolute()),
        "target": str(target.absolute()),
        "edits": [edit.message for edit in edits],
        "declared": declared,
        "algorithm": signer.algorithm,
        "chain": signer.chain_pem,
        "timestamp_url": signer.timestamp_url,
    }
    with whole_file(target) as unfinished:
        try:
            told = _told_by_child(request | {"signed": str(unfinished)}, signer)
            carried = _credentials(told["carried"])
            return Provenance(signer.name, None, carried.state, carried.problems, told["source_type"], told["told_by"])
        except (KeyError, TypeError, ValueError):
            raise EncodeFailed("the signer sent a message that cannot be read") from None


def _told_by_child(request: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The child's report, once all that it asked for is signed."""
    with Child(
        sign_in_child,
        dict(request),
        work="signer",
        failure=EncodeFailed,
        memory_bytes=MEMORY_BYTES,
        stall_seconds=STALL_SECONDS,
        may_write=True,
    ) as child:
        for _ in range(MOST_SIGNATURES):
            message = child.receive()
            if "sign" not in message:
                return message
            child.send(signature=base64.b64encode(signer.sign(base64.b64decode(message["sign"]))).decode())
    raise EncodeFailed("the signer asked for more signatures than one file needs")


def _credentials(carried: Mapping[str, Any]) -> Credentials:
    manifests = tuple(
        Manifest(
            **{
                **manifest,
                "actions": tuple(Action(**action) for action in manifest["actions"]),
                "ingredients": tuple(Ingredient(**part | {"problems": tuple(part["problems"])}) for part in manifest["ingredients"]),
            }
        )
        for manifest in carried["manifests"]
    )
    return Credentials(carried["state"], manifests, tuple(carried["problems"]))


def _region(placement: Placement, info: VideoInfo) -> dict[str, object]:
    """Where and when a mark was, in the words of C2PA's regions of interest."""
    box = displayed_box(placement.box, info)
    corner = {"x": box.left, "y": box.top}
    shape = {"type": "rectangle", "unit": "pixel", "origin": corner, "width": box.width, "height": box.height}
    frames = {"start": placement.first_frame, "end": placement.last_frame}
    return {"description": placement.kind, "region": [{"type": "spatial", "shape": shape}, {"type": "frame", "frame": frames}]}
