"""What a Markdown file says: its fenced blocks, its headings as anchors, where its links lead."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"]+)\"")
INLINE_CODE = re.compile(r"`[^`\n]+`")
NOT_RUN = "not-run"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, whether it is marked as not to be run, and the line it begins in."""

    language: str
    marked: bool
    line: int
    text: str

    def commands(self) -> Iterator[list[str]]:
        """The words of each simple command of a shell block; continued lines are joined, comments and variables before it left out."""
        for line in self.text.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||[|;]", re.sub(r"(^|\s)#.*", "", line)):
                words = shlex.split(part)
                while words and re.match(r"[A-Z_][A-Z0-9_]*=", words[0]):
                    words = words[1:]
                if words:
                    yield words


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in order."""
    found = []
    for fence in FENCE.finditer(text):
        language, _, rest = fence[1].strip().partition(" ")
        found.append(Block(language, rest == NOT_RUN, text.count("\n", 0, fence.start()) + 1, fence[2]))
    return found


def prose(text: str) -> str:
    """The text without fenced blocks."""
    return FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Where its links and pictures lead; what stands in code is none."""
    return [link[1] or link[2] for link in LINK.finditer(INLINE_CODE.sub("", prose(text)))]


def anchors(path: Path) -> set[str]:
    """The headings of a file, as the last part of an address that leads to them; the second of the same name ends in -1."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(path.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(anchor if anchor not in found else f"{anchor}-1")
    return found
