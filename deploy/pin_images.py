"""Writes the digest of each image of the fleet behind its tag, in compose.yaml and Dockerfile.

    python deploy/pin_images.py            look up every tag and write its digest; again, to take up what was published since
    python deploy/pin_images.py --check    only say which images have none; exits with 1 if there are any

A tag can be moved to another image, a digest cannot. Needs `docker buildx` and a way to the registries.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FILES: Final = ("compose.yaml", "Dockerfile")
OWN: Final = "cleanplate"  # built here
# `image: name:tag` and `FROM name:tag`, with a digest or without.
IMAGE: Final = re.compile(r"(?m)^(?P<before>\s*image:\s+|FROM\s+)(?P<tag>[\w./-]+:[\w.-]+)(?P<digest>@sha256:[0-9a-f]{64})?")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}
    if arguments == ["--check"]:
        missing = sorted({tag for text in texts.values() for tag, digest in images_in(text).items() if not digest})
        for tag in missing:
            sys.stdout.write(f"{tag} has no digest\n")
        return 1 if missing else 0
    digests = {tag: digest_of(tag) for text in texts.values() for tag in images_in(text)}
    for name, text in texts.items():
        (ROOT / name).write_text(pinned(text, digests), encoding="utf-8")
    return 0


def images_in(text: str) -> dict[str, str | None]:
    """The foreign images that a file names, and their digests."""
    found = (match.group("tag", "digest") for match in IMAGE.finditer(text))
    return {tag: digest for tag, digest in found if tag.partition(":")[0] != OWN}


def pinned(text: str, digests: dict[str, str]) -> str:
    """The text with these digests behind the tags."""

    def replaced(match: re.Match[str]) -> str:
        digest = digests.get(match["tag"])
        return f"{match['before']}{match['tag']}@{digest}" if digest else match[0]

    return IMAGE.sub(replaced, text)


def digest_of(tag: str) -> str:
    """The digest that the registry has for a tag: of the list, for all platforms."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{tag}: {done.stderr.strip() or 'cannot be looked up'}")
    digest = str(json.loads(done.stdout).get("digest"))
    if not DIGEST.fullmatch(digest):
        sys.exit(f"{tag}: the registry gave no digest")
    return digest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
