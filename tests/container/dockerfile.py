"""Parses the subset of Dockerfile and .dockerignore syntax that this project uses; anything else is an error."""

import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

INSTRUCTIONS = {"ARG", "LABEL", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile and its arguments, continued lines joined."""

    name: str
    text: str


@dataclass(frozen=True)
class Copy:
    """`COPY [--from=stage] source... target`."""

    stage: str | None
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Stage:
    """A build stage: from one FROM to the next."""

    image: str
    name: str | None
    steps: tuple[Instruction, ...]

    def last(self, name: str) -> str | None:
        """The arguments of the last instruction of this name, which is the effective one."""
        return next((step.text for step in reversed(self.steps) if step.name == name), None)


def parse(text: str, **arguments: str) -> tuple[Stage, ...]:
    """The stages of a Dockerfile, in order, with the values of its ARGs: those given here, or their defaults."""
    stages: list[Stage] = []
    values: dict[str, str] = {}  # of the stage
    for step in _instructions(text):
        step = Instruction(step.name, string.Template(step.text).safe_substitute(values))
        if step.name == "ARG":
            name, _, default = step.text.partition("=")
            values[name] = arguments.get(name, default)
            continue
        if step.name == "FROM":
            values = {}
            match = re.fullmatch(r"(\S+)(?:\s+AS\s+(\S+))?", step.text, re.IGNORECASE)
            if match is None:
                raise ValueError(f"FROM {step.text}: not understood")
            stages.append(Stage(match[1], match[2], ()))
        elif not stages:
            raise ValueError(f"{step.name} stands before the first FROM")
        else:
            stages[-1] = Stage(stages[-1].image, stages[-1].name, (*stages[-1].steps, step))
    return tuple(stages)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name and name.upper() not in INSTRUCTIONS:
            raise ValueError(f"{name}: no instruction that this project uses")
        if name:
            yield Instruction(name.upper(), " ".join(rest.split()))


def parse_copy(text: str) -> Copy:
    """Parse a COPY."""
    options, words = [], text.split()
    while words[0].startswith("--"):
        options.append(words.pop(0))
    if len(words) < 2 or len(options) > 1 or any(not option.startswith("--from=") for option in options):
        raise ValueError(f"COPY {text}: not understood")
    return Copy(options[0].removeprefix("--from=") if options else None, tuple(words[:-1]), words[-1])


def parse_environment(text: str, known: Mapping[str, str]) -> dict[str, str]:
    """Parse an ENV, with `$NAME` replaced by known values."""
    pairs = (pair.partition("=") for pair in text.split())
    return {name: string.Template(value).safe_substitute(known) for name, _, value in pairs}


def parse_words(text: str) -> list[str]:
    """The words of a command in JSON form, or of the shell that runs its line."""
    return [str(word) for word in json.loads(text)] if text.startswith("[") else ["/bin/sh", "-c", text]


def health_command(text: str) -> list[str]:
    """The words of a HEALTHCHECK's command."""
    return parse_words(text.partition("CMD ")[2])


def context(folder: Path) -> list[str]:
    """The files that a build may copy: all below the folder that .dockerignore does not exclude, as relative paths."""
    rules = [line.strip() for line in (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()]
    patterns = [rule for rule in rules if rule and not rule.startswith("#")]
    tops = {
        rule[1:].split("/")[0] for rule in patterns if rule.startswith("!")
    }  # the first rule ignores everything, so nothing else is included
    paths = (path for top in tops for path in [folder / top, *(folder / top).rglob("*")] if path.is_file())
    return sorted(name for path in paths if not ignored(name := path.relative_to(folder).as_posix(), patterns))


def ignored(name: str, patterns: list[str]) -> bool:
    """Whether a file is excluded: the last pattern that matches it or a parent folder decides; `!` includes it again."""
    parts = name.split("/")
    spellings = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    verdict = False
    for pattern in patterns:
        shape = re.compile(_shape(pattern.removeprefix("!").strip("/")))
        if any(shape.fullmatch(spelling) for spelling in spellings):
            verdict = not pattern.startswith("!")
    return verdict


def _shape(pattern: str) -> str:
    """A pattern of .dockerignore as a regular expression."""
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
