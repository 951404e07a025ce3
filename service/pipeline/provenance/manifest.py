"""Content Credentials in the sandbox's child: reads what a file carries, and signs what was done to it. Nothing is asked of the network.

The library parses strangers' files in native code, so only a child has it in its memory; the private key stays with the parent.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from service.errors import CleanplateError, EncodeFailed
from service.media import container_of, suffix_of_head
from service.pipeline.io import xmp
from service.pipeline.sandbox.sandbox import Line, Message
from service.version import VERSION

MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
LIBRARY_SETTINGS: Final = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    "builder": {"thumbnail": {"enabled": False}},
}
PROGRAM: Final = {"name": "Cleanplate", "version": VERSION}
PARENT: Final = "source"  # what the actions call the ingredient
MOST_MANIFESTS: Final = 10  # of a chain that is told: all of it is one message
MOST_PARTS: Final = 20  # of one manifest
MOST_PROBLEMS: Final = 5
LONGEST_TEXT: Final = 200


def read_in_child(line: Line, request: Message) -> None:
    """Tell what the file at `path` carries."""
    line.send(carried=_carried(Path(request["path"])))


def sign_in_child(line: Line, request: Message) -> None:
    """Write `target` anew, signed, as `signed`. The parent is sent what is to be signed, and answers with the signature."""
    import c2pa  # type: ignore[import-untyped]

    source, target = Path(request["source"]), Path(request["target"])
    carried = _carried(source)
    source_type, told_by = _source_type(carried, source, request["declared"])
    kept = carried["state"] not in ("none", "unreadable")

    def signature(data: bytes) -> bytes:
        line.send(sign=base64.b64encode(data).decode())
        answer = line.receive()
        assert answer is not None
        return base64.b64decode(answer["signature"])

    algorithm = c2pa.C2paSigningAlg[request["algorithm"].upper()]
    try:
        signer = c2pa.Signer.from_callback(signature, algorithm, request["chain"], request["timestamp_url"])
        builder = c2pa.Builder(_definition(source, target, request["edits"], source_type, named=not kept), _context())
        if kept:
            with source.open("rb") as parent:
                builder.add_ingredient(_ingredient(source), _media_type(source), parent)
        with target.open("rb") as unsigned, Path(request["signed"]).open("w+b") as signed:
            builder.sign(signer, _media_type(target), unsigned, signed)
    except c2pa.C2paError as error:
        raise EncodeFailed(f"the output cannot be signed: {_short(error)}") from None
    line.send(carried=carried, source_type=source_type, told_by=told_by)


def _definition(source: Path, target: Path, edits: list[dict[str, Any]], source_type: str | None, *, named: bool) -> dict[str, Any]:
    """The manifest: what was opened, and each thing that was done to it. `named`: the source has nothing to keep, and is told of alone."""
    opened: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}
    if source_type is not None:
        opened["digitalSourceType"] = source_type
    when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    done = [{"softwareAgent": PROGRAM, "when": when} | edit for edit in edits]
    return {
        "claim_generator_info": [PROGRAM],
        "title": f"clean{target.suffix}",
        "format": _media_type(target),
        "ingredients": [_ingredient(source)] if named else [],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [opened, *done]}}],
    }


def _ingredient(source: Path) -> dict[str, str]:
    """The source under a plain name: its own may tell more than its owner wants to."""
    known = {"format": media_type} if (media_type := _media_type(source)) else {}
    return {"title": f"source{source.suffix}", "relationship": "parentOf", "label": PARENT} | known


def _source_type(carried: Mapping[str, Any], source: Path, declared: str | None) -> tuple[str | None, str | None]:
    """The source's digital source type, and who tells it: its credentials, its XMP, or else the account."""
    actions = (action for manifest in carried["manifests"] for action in manifest["actions"])
    if found := next((action["digital_source_type"] for action in actions if action["digital_source_type"]), None):
        return found, "credentials"
    packet = xmp.packet_of(source)
    if packet is not None and (found := xmp.source_type_of(packet)):
        return found, "metadata"
    return (declared, "account") if declared else (None, None)


def _carried(path: Path) -> dict[str, Any]:
    """The chain of manifests of a file, newest first, as far as it can be told. `state`: none, unreadable, Invalid, Valid or Trusted."""
    import c2pa

    media_type = _media_type(path)
    if not media_type:
        return _nothing("none", f"{container_of(path)} files carry no Content Credentials")
    try:
        with path.open("rb") as file, c2pa.Reader(media_type, file, context=_context()) as reader:
            store = json.loads(reader.json())
            return {"state": str(reader.get_validation_state()), "manifests": list(_chain(store)), "problems": _problems(store)}
    except c2pa.C2paError.ManifestNotFound:
        return _nothing("none", "")
    except (c2pa.C2paError, AttributeError, KeyError, TypeError, ValueError) as error:  # a store may hold anything
        elsewhere = "kept elsewhere, and nothing is fetched: " if str(error).startswith("Remote") else ""  # its class is not told
        return _nothing("unreadable", elsewhere + _short(error))


def _nothing(state: str, why: str) -> dict[str, Any]:
    return {"state": state, "manifests": [], "problems": [why] if why else []}


def _chain(store: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The active manifest, that of what it was made from, and so on."""
    label = store.get("active_manifest")
    seen: set[object] = set()
    while label in store["manifests"] and label not in seen and len(seen) < MOST_MANIFESTS:
        seen.add(label)
        manifest = store["manifests"][label]
        yield _told(manifest)
        parents = (part for part in manifest.get("ingredients", ()) if part.get("relationship") == "parentOf")
        label = next((parent.get("active_manifest") for parent in parents), None)


def _told(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a manifest; every text in it is a stranger's, and cut."""
    signature = manifest.get("signature_info") or {}
    programs = manifest.get("claim_generator_info") or [{"name": manifest.get("claim_generator", "")}]
    lists = (
        part["data"].get("actions", ()) for part in manifest.get("assertions", ()) if str(part.get("label")).startswith("c2pa.actions")
    )
    return {
        "label": _short(manifest.get("label", "")),
        "signer": _short(signature.get("common_name") or signature.get("issuer") or ""),
        "issuer": _short(signature.get("issuer") or ""),
        "signed_at": _short(signature.get("time") or "") or None,
        "program": _short(" ".join(str(programs[0].get(part, "")) for part in ("name", "version")).strip()),
        "actions": [_action(action) for actions in lists for action in actions][:MOST_PARTS],
        "ingredients": [_part(part) for part in manifest.get("ingredients", ())][:MOST_PARTS],
    }


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _short(action.get("action", "")),
        "description": _short(action.get("description") or "") or None,
        "when": _short(action.get("when") or "") or None,
        "digital_source_type": _short(action.get("digitalSourceType") or "") or None,
    }


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": _short(part.get("title") or ""),
        "relationship": _short(part.get("relationship") or ""),
        "has_credentials": bool(part.get("active_manifest")),
        "problems": _problems(part),
    }


def _problems(validated: Mapping[str, Any]) -> list[str]:
    """The codes of what is wrong with a manifest store, or with an ingredient's."""
    failures = ((validated.get("validation_results") or {}).get("activeManifest") or {}).get("failure", ())
    return [_short(failure.get("code", "")) for failure in failures][:MOST_PROBLEMS]


def _media_type(path: Path) -> str:
    """What the library calls the file's format, by its first bytes; empty where it knows none."""
    with path.open("rb") as file:
        head = file.read(256)
    try:
        return MEDIA_TYPES.get(suffix_of_head(head), "")
    except CleanplateError:
        return ""


def _context() -> Any:
    import c2pa

    return c2pa.Context.from_dict(LIBRARY_SETTINGS)


def _short(text: object) -> str:
    """A stranger's text, safe to print."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))[:LONGEST_TEXT]
