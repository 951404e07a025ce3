"""What a program does with Cleanplate: clean a file, or find its marks. `cleanplate` exports it; `cleanplate clean` is built on it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from service import settings
from service.certificate import command_signer
from service.errors import RequestError
from service.inference import fake
from service.inference.session import Networks
from service.pipeline import run
from service.pipeline.io.atomic_file import atomic_file
from service.pipeline.placement import Placement
from service.pipeline.provenance.provenance import mark_removed, sign_in_place
from service.pipeline.provenance.signer import Signer
from service.pipeline.report.report import Report
from service.pipeline.request import CLASSES, Request, parse_encoding
from service.pipeline.video import Encoding, Limits, Part
from service.settings import Device
from service.timed_box import TimedBox

AnyPath = str | PathLike[str]


def clean(
    source: AnyPath,
    target: AnyPath,
    *,
    boxes: Sequence[TimedBox] = (),
    mask: AnyPath | None = None,
    classes: Collection[str] = ("overlay",),
    detect: bool | None = None,
    keep: Sequence[TimedBox] = (),
    reject: Collection[str] = (),
    networks: Networks | None = None,
    limits: Limits | None = None,
    on_progress: run.Listener = run.ignore,
    debug: AnyPath | None = None,
    deinterlace: bool = False,
) -> Report:
    """Write the clean plate of a video or an image to `target`, and return what was found and done.

    Without boxes or a mask it looks for marks of `classes`; `detect=True` looks for them as well. A video without a mark is copied as
    it is. An existing target is replaced; on an error nothing is written. What is not given, the limits of an input and who signs the
    output come from the `CLEANPLATE_*` settings, as for the command.

    boxes: what to remove, in pixels or fractions of the displayed picture, for some seconds or all.
    mask: an image or a video, white where something is to be removed. keep: boxes in which nothing changes, whatever is found.
    reject: ids of marks that stay, as an earlier report of the same file with the same arguments has them.
    networks: of `load_networks`, for more than one file; else they are loaded for this call.
    on_progress: called after each frame of each step, in this thread; it may raise to stop.
    debug: a folder for a contact sheet, a before/after picture and `decisions.json`.
    deinterlace: of an interlaced video; each picture then shows one moment. Another stays as it is.

    Raises a `CleanplateError`: an `InputError` for the source, a `RequestError` for an argument or a missing runtime, `DecodeFailed`,
    `ModelError`, `EncodeFailed`, or a `SettingsError`.
    """
    request = request_of(boxes, mask, classes, detect, keep, reject)
    source, target = _source_and_target(source, target)
    chosen = settings.read()
    with _loaded(networks) as loaded:
        tools = Tools(loaded, limits or chosen.limits, command_signer(chosen), chosen.copy_unmarked)
        pictures = Path(debug) if debug else None
        return clean_file(source, target, request, tools, on_progress, pictures, encoding=parse_encoding(deinterlace=deinterlace))


def detect(
    source: AnyPath,
    *,
    boxes: Sequence[TimedBox] = (),
    mask: AnyPath | None = None,
    classes: Collection[str] = ("overlay",),
    detect: bool | None = None,
    keep: Sequence[TimedBox] = (),
    reject: Collection[str] = (),
    networks: Networks | None = None,
    limits: Limits | None = None,
    on_progress: run.Listener = run.ignore,
) -> tuple[Placement, ...]:
    """The marks that `clean` would remove with these arguments: each with its box, first and last frame, mask, opacity and colour.

    Boxes are in pixels of the picture as it is shown. No placements: no mark was found. Raises as `clean` does.
    """
    request = request_of(boxes, mask, classes, detect, keep, reject)
    source, chosen = _existing(source), settings.read()
    with _loaded(networks) as loaded:
        return run.detect(source, request, loaded, limits or chosen.limits, on_progress).placements


def load_networks(device: Device | None = None) -> Networks:
    """The networks of the settings, loaded once for any number of files and threads; `close()` ends their threads.

    device: "auto", "cpu" or "cuda"; else the setting. Raises RequestError where no runtime is installed or CUDA is absent, ModelError
    for weights that are missing or damaged.
    """
    chosen = settings.read()
    if chosen.networks == "fake":
        return fake.networks()
    return Networks.load(device or chosen.device, weights=chosen.weights, precision=chosen.precision)


@dataclass(frozen=True)
class Tools:
    """What each file of a program is cleaned with. No signer: the output is not signed. copy_unmarked: as in the settings."""

    networks: Networks
    limits: Limits
    signer: Signer | None
    copy_unmarked: bool = True


def clean_file(
    source: Path,
    target: Path,
    request: Request,
    tools: Tools,
    on_progress: run.Listener = run.ignore,
    debug: Path | None = None,
    part: Part | None = None,
    encoding: Encoding | None = None,
) -> Report:
    """Clean one file, or a part of it, sign it, and let it appear at `target`, whose folder is made. Raises CleanplateError kinds."""
    _make_folder(target.parent)
    with atomic_file(target) as unsigned:
        chosen = (request, tools.networks, tools.limits, on_progress, debug)
        report = run.clean(source, unsigned, *chosen, part=part, encoding=encoding, copy=tools.copy_unmarked)
        edits = (mark_removed(report.placements),) if report.mark_found else ()
        return report.with_provenance(sign_in_place(source, unsigned, edits, tools.signer))


def request_of(
    boxes: Sequence[TimedBox] = (),
    mask: AnyPath | None = None,
    classes: Collection[str] = ("overlay",),
    detect: bool | None = None,
    keep: Sequence[TimedBox] = (),
    reject: Collection[str] = (),
) -> Request:
    """What is asked of the pipeline: boxes and a mask stand in for detection, unless that is asked for too. Raises RequestError."""
    path = None if mask is None else _existing(mask)
    if unknown := sorted(set(classes) - set(CLASSES)):
        raise RequestError(f"unknown class '{','.join(unknown)}'; choose from {', '.join(CLASSES)}")
    kinds = frozenset(kind for kind in CLASSES if kind in classes)
    return Request(tuple(boxes), path, kinds, not (boxes or path) if detect is None else detect, tuple(keep), frozenset(reject))


@contextmanager
def _loaded(networks: Networks | None) -> Iterator[Networks]:
    """These networks, or the settings' for the length of the block."""
    if networks is not None:
        yield networks
        return
    with closing(load_networks()) as loaded:
        yield loaded


def _source_and_target(source: AnyPath, target: AnyPath) -> tuple[Path, Path]:
    """Two files. Raises RequestError for a source that is not there, or is the target."""
    source, target = _existing(source), Path(target)
    if target.exists() and target.samefile(source):
        raise RequestError(f"{target.name} would overwrite its source; choose another target")
    return source, target


def _existing(path: AnyPath) -> Path:
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{path.name}: no such file")
    return path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"cannot make the folder {folder.name}: {(error.strerror or 'unknown').lower()}") from error
