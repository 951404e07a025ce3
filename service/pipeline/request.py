"""What one run is asked to remove: marks that the networks find, and places that a person points at; and what it must keep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import RequestError
from service.pipeline.placement import Kind
from service.timed_box import TimedBox

CLASSES: Final[tuple[Kind, ...]] = ("overlay", "scene_text")


@dataclass(frozen=True)
class Request:
    """Which marks to remove. Raises RequestError for detection without a class.

    detect: look for marks of `classes`. boxes, mask: remove what they cover as well. mask: an image or a video, white = remove.
    keep: nothing changes in these boxes, whatever is found or pointed at.
    """

    boxes: tuple[TimedBox, ...] = ()
    mask: Path | None = None
    classes: frozenset[Kind] = frozenset({"overlay"})
    detect: bool = True
    keep: tuple[TimedBox, ...] = ()

    def __post_init__(self) -> None:
        if self.detect and not self.classes:
            raise RequestError(f"no class to look for; choose from {', '.join(CLASSES)}")


def parse_classes(text: str) -> frozenset[Kind]:
    """Read `overlay`, `scene_text` or both, separated by a comma. Raises RequestError for anything else."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise RequestError(f"unknown class '{','.join(unknown) or text}'; choose from {', '.join(CLASSES)}")
    return frozenset(kind for kind in CLASSES if kind in names)
