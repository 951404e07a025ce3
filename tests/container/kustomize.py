"""Builds a kustomize folder, with the subset of features that deploy/kubernetes uses; anything else is an error.

Where kubectl is installed a test holds the two together. The names of generated ConfigMaps get no hash here.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]
HEAD: Final = frozenset({"apiVersion", "kind"})
KEYS: Final = frozenset({"resources", "components", "labels", "namespace", "images", "replicas", "patches", "configMapGenerator"})


def build(folder: Path) -> list[Manifest]:
    """All manifests of the folder, with its patches applied."""
    return _apply(folder, [])


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The only manifest of this kind and name."""
    (found,) = (manifest for manifest in manifests if (manifest["kind"], manifest["metadata"]["name"]) == (kind, name))
    return found


def _apply(folder: Path, manifests: list[Manifest]) -> list[Manifest]:
    plan: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    if unknown := set(plan) - KEYS - HEAD:
        raise ValueError(f"{folder.name}: not understood: {', '.join(sorted(unknown))}")
    for name in plan.get("resources", ()):
        path = folder / name
        manifests = manifests + (build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
    manifests = manifests + [_config_map(**generated) for generated in plan.get("configMapGenerator", ())]
    for name in plan.get("components", ()):
        manifests = _apply(folder / name, manifests)
    manifests = deepcopy(manifests)
    for manifest in manifests:
        _change(manifest, plan)
    return manifests


def _config_map(name: str, literals: list[str]) -> Manifest:
    data = dict(literal.split("=", 1) for literal in literals)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _change(manifest: Manifest, plan: dict[str, Any]) -> None:
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    for patch in plan.get("patches", ()):
        if patch["target"] == {"kind": manifest["kind"], "name": metadata["name"]}:
            for step in yaml.safe_load(patch["patch"]):
                _patch(manifest, **step)
    for labels in plan.get("labels", ()):
        places = [metadata] + ([spec["template"]["metadata"]] if labels.get("includeTemplates") and "template" in spec else [])
        for place in places:
            place["labels"] = {**place.get("labels", {}), **labels["pairs"]}
    if namespace := plan.get("namespace"):
        metadata["namespace"] = namespace
    for replicas in plan.get("replicas", ()):
        if manifest["kind"] == "Deployment" and metadata["name"] == replicas["name"]:
            spec["replicas"] = replicas["count"]
    for image in plan.get("images", ()):
        for container in spec.get("template", {}).get("spec", {}).get("containers", ()):
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"


def _patch(manifest: Manifest, op: str, path: str, value: object = None) -> None:
    """One operation of a JSON patch (RFC 6902)."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    place: Any = manifest
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    if op == "remove":
        del place[last]
    elif op == "add" and last == "-":
        place.append(value)
    elif op == "add" and isinstance(place, dict):
        place[last] = value
    else:
        raise ValueError(f"not understood: {op} {path}")
