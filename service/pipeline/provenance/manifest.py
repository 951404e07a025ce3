"""Content Credentials, in the sandbox's child process: reads a file's manifests, and signs a new one. It fetches nothing.

The library parses untrusted files in native code, so only a child process loads it: it is imported in functions, as the process that forks
the children imports this module and must not get the library's threads. The private key stays with the parent. Messages to the parent have
the field names of `Credentials`.
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
from service.pipeline.sandbox.sandbox import Channel, Message
from service.version import VERSION

MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".3gp": "video/mp4",
    ".3g2": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
}
LIBRARY_SETTINGS: Final = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    "builder": {"thumbnail": {"enabled": False}},
}
PROGRAM: Final = {"name": "Cleanplate", "version": VERSION}
PARENT: Final = "source"  # the ingredient's label, to which the actions refer
MAX_MANIFESTS: Final = 10  # of a chain; all of them are sent in one message
MAX_ITEMS: Final = 20  # actions or ingredients of one manifest
MAX_PROBLEMS: Final = 5
MAX_CHARACTERS: Final = 200  # of one text


def read_in_child(channel: Channel, request: Message) -> None:
    """Send the Content Credentials of the file at `path`."""
    channel.send(credentials=_read_credentials(Path(request["path"])))


def sign_in_child(channel: Channel, request: Message) -> None:
    """Write `target`, signed, to `signed`. The data to sign goes to the parent, which answers with the signature.

    Raises EncodeFailed.
    """
    import c2pa  # type: ignore[import-untyped]

    source, target = Path(request["source"]), Path(request["target"])
    credentials = _read_credentials(source)
    source_type, stated_by = _source_type(credentials, source, request["declared"])
    has_credentials = credentials["state"] not in ("none", "unreadable")

    def sign(data: bytes) -> bytes:
        channel.send(sign=base64.b64encode(data).decode())
        answer = channel.receive()
        assert answer is not None
        return base64.b64decode(answer["signature"])

    algorithm = c2pa.C2paSigningAlg[request["algorithm"].upper()]
    try:
        signer = c2pa.Signer.from_callback(sign, algorithm, request["chain"], request["timestamp_url"])
        builder = c2pa.Builder(_definition(source, target, request["edits"], source_type, describe_source=not has_credentials), _context())
        if has_credentials:
            with source.open("rb") as parent:
                builder.add_ingredient(_ingredient(source), _media_type(source), parent)
        with target.open("rb") as unsigned, Path(request["signed"]).open("w+b") as signed:
            builder.sign(signer, _media_type(target), unsigned, signed)
    except c2pa.C2paError as error:
        raise EncodeFailed(f"the output cannot be signed: {_shorten(error)}") from None
    channel.send(credentials=credentials, source_type=source_type, stated_by=stated_by)


def _definition(
    source: Path, target: Path, edits: list[dict[str, Any]], source_type: str | None, *, describe_source: bool
) -> dict[str, Any]:
    """The manifest: the source that was opened, and each edit.

    describe_source: list the source as an ingredient by its name alone, as it has no credentials to embed.
    """
    opened: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}
    if source_type is not None:
        opened["digitalSourceType"] = source_type
    when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    actions = [{"softwareAgent": PROGRAM, "when": when} | edit for edit in edits]
    return {
        "claim_generator_info": [PROGRAM],
        "title": f"clean{target.suffix}",
        "format": _media_type(target),
        "ingredients": [_ingredient(source)] if describe_source else [],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [opened, *actions]}}],
    }


def _ingredient(source: Path) -> dict[str, str]:
    """The source under a neutral name: its own may reveal more than its owner wants."""
    known = {"format": media_type} if (media_type := _media_type(source)) else {}
    return {"title": f"source{source.suffix}", "relationship": "parentOf", "label": PARENT} | known


def _source_type(credentials: Mapping[str, Any], source: Path, declared: str | None) -> tuple[str | None, str | None]:
    """The source's digital source type, and who states it: its credentials, its XMP, or else the account."""
    actions = (action for manifest in credentials["manifests"] for action in manifest["actions"])
    if found := next((action["digital_source_type"] for action in actions if action["digital_source_type"]), None):
        return found, "credentials"
    packet = xmp.xmp_packet_of(source)
    if packet is not None and (found := xmp.source_type_of(packet)):
        return found, "metadata"
    return (declared, "account") if declared else (None, None)


def _read_credentials(path: Path) -> dict[str, Any]:
    """The manifests of a file, newest first, with the fields of `Credentials`. An unreadable file raises nothing; its state says so."""
    import c2pa

    media_type = _media_type(path)
    if not media_type:
        return _no_manifests("none", f"{container_of(path)} files carry no Content Credentials")
    try:
        with path.open("rb") as file, c2pa.Reader(media_type, file, context=_context()) as reader:
            store = json.loads(reader.json())
            return {"state": str(reader.get_validation_state()), "manifests": list(_chain(store)), "problems": _problems(store)}
    except c2pa.C2paError.ManifestNotFound:
        return _no_manifests("none", "")
    except (c2pa.C2paError, AttributeError, KeyError, TypeError, ValueError) as error:  # a manifest store may hold anything
        is_remote = str(error).startswith("Remote")  # the library raises no class for it
        return _no_manifests("unreadable", ("stored elsewhere, and nothing is fetched: " if is_remote else "") + _shorten(error))


def _no_manifests(state: str, problem: str) -> dict[str, Any]:
    return {"state": state, "manifests": [], "problems": [problem] if problem else []}


def _chain(store: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The active manifest, then its parent's, and so on."""
    label = store.get("active_manifest")
    seen: set[object] = set()
    while label in store["manifests"] and label not in seen and len(seen) < MAX_MANIFESTS:
        seen.add(label)
        manifest = store["manifests"][label]
        yield _summary(manifest)
        parents = (part for part in manifest.get("ingredients", ()) if part.get("relationship") == "parentOf")
        label = next((parent.get("active_manifest") for parent in parents), None)


def _summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Manifest`. Every text in it is untrusted, so it is shortened."""
    signature = manifest.get("signature_info") or {}
    programs = manifest.get("claim_generator_info") or [{"name": manifest.get("claim_generator", "")}]
    lists = (
        part["data"].get("actions", ()) for part in manifest.get("assertions", ()) if str(part.get("label")).startswith("c2pa.actions")
    )
    return {
        "label": _shorten(manifest.get("label", "")),
        "signer": _shorten(signature.get("common_name") or signature.get("issuer") or ""),
        "issuer": _shorten(signature.get("issuer") or ""),
        "signed_at": _shorten(signature.get("time") or "") or None,
        "program": _shorten(" ".join(str(programs[0].get(part, "")) for part in ("name", "version")).strip()),
        "actions": [_action_fields(action) for actions in lists for action in actions][:MAX_ITEMS],
        "ingredients": [_ingredient_fields(part) for part in manifest.get("ingredients", ())][:MAX_ITEMS],
    }


def _action_fields(action: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _shorten(action.get("action", "")),
        "description": _shorten(action.get("description") or "") or None,
        "when": _shorten(action.get("when") or "") or None,
        "digital_source_type": _shorten(action.get("digitalSourceType") or "") or None,
    }


def _ingredient_fields(part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": _shorten(part.get("title") or ""),
        "relationship": _shorten(part.get("relationship") or ""),
        "has_credentials": bool(part.get("active_manifest")),
        "problems": _problems(part),
    }


def _problems(validated: Mapping[str, Any]) -> list[str]:
    """The failure codes from validating a manifest store or an ingredient."""
    failures = ((validated.get("validation_results") or {}).get("activeManifest") or {}).get("failure", ())
    return [_shorten(failure.get("code", "")) for failure in failures][:MAX_PROBLEMS]


def _media_type(path: Path) -> str:
    """The media type by the file's first bytes; empty if the library does not support it."""
    with path.open("rb") as file:
        head = file.read(256)
    try:
        return MEDIA_TYPES.get(suffix_of_head(head), "")
    except CleanplateError:
        return ""


def _context() -> Any:
    import c2pa

    return c2pa.Context.from_dict(LIBRARY_SETTINGS)


def _shorten(text: object) -> str:
    """Untrusted text, safe to print: printable and at most MAX_CHARACTERS long."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))[:MAX_CHARACTERS]
