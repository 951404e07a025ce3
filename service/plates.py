"""Makes the clean plate of a job's source, or finds its marks: from the storage into a scratch folder, through the pipeline, and back."""

import filecmp
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Final

from service.core import Core
from service.inference.session import Networks
from service.jobs.job import Job, JobSpec, Result
from service.jobs.names import result_name
from service.media import head_of
from service.outside.storage import content_type_of
from service.pipeline import run
from service.pipeline.estimate import removal_seconds
from service.pipeline.io.mute import mute
from service.pipeline.io.probe import probe
from service.pipeline.io.smear import mask_from_smear
from service.pipeline.io.thumbnail import thumbnail
from service.pipeline.provenance.provenance import SOUND_REMOVED, mark_removed, sign_in_place
from service.pipeline.report.detection import Detection
from service.pipeline.report.detection_report import detection_json, mask_addresses
from service.pipeline.report.page import to_html
from service.pipeline.report.report import FileResult, Report, to_json
from service.pipeline.request import CLASSES, Request, parse_encoding
from service.pipeline.video import Limits, Part
from service.sources import check_media
from service.watch import Watch

log = logging.getLogger(__name__)

REPORTS: Final[dict[str, Callable[[tuple[FileResult]], str]]] = {".json": to_json, ".html": to_html}


def clean_source(
    job: Job, core: Core, networks: Networks, folder: Path, prefix: str, watch: Watch, on_measured: Callable[[float, int], None]
) -> Result:
    """Clean the spec's source. The result, thumbnail and report are in the storage, below `prefix/`, when this returns.

    on_measured: told the seconds of a video and the pixels of its picture, before it is cleaned; raises to stop.
    """
    limits = core.settings.limits
    assert job.spec.source_key is not None
    source = _download(core, job.spec.source_key, folder / "source")
    check_media(head_of(source), job.spec.media)
    if job.spec.media == "video" and core.rules.metering.measures:
        info = probe(source, limits)
        on_measured(info.duration_seconds, info.width * info.height)
    request = _request(job.spec, core, source, folder, limits)
    target = folder / f"clean{source.suffix}"
    detection = _detection(job.spec, core, folder)
    part, encoding, copy = _part(job.spec), parse_encoding(deinterlace=job.spec.deinterlace), core.settings.copy_unmarked
    progress = watch.on_cleaned
    report = run.clean(source, target, request, networks, limits, progress, None, detection, part, encoding, copy)
    edits = [mark_removed(report.placements)] if report.mark_found else []
    if job.spec.remove_audio and job.spec.media == "video":
        mute(target, quiet := folder / f"quiet{source.suffix}")
        edits += [] if filecmp.cmp(target, quiet, shallow=False) else [SOUND_REMOVED]
        target = quiet
    report = report.with_provenance(sign_in_place(source, target, edits, core.signer, job.digital_source_type))
    picture = folder / "thumbnail.jpg"
    thumbnail(target, picture, limits)
    return _store_results(job, core, prefix, target, picture, report)


def detect_marks(job: Job, core: Core, networks: Networks, folder: Path, prefix: str, watch: Watch) -> Result:
    """Find the marks of the spec's source. What was found is in the storage, below `prefix/`, when this returns."""
    limits = core.settings.limits
    assert job.spec.source_key is not None
    source = _download(core, job.spec.source_key, folder / "source")
    check_media(head_of(source), job.spec.media)
    request, encoding = _request(job.spec, core, source, folder, limits), parse_encoding(deinterlace=job.spec.deinterlace)
    report = run.detect(source, request, networks, limits, watch.on_cleaned, encoding)
    found = detection_json(report, removal_seconds(source, report, networks, limits), mask_addresses(report))
    Detection.of(report).save(folder / "detection.npz")
    thumbnail(source, folder / "thumbnail.jpg", limits)
    keys = {name: f"{prefix}/{name}" for name in ("detection.json", "detection.npz", "thumbnail.jpg")}
    core.storage.put_bytes(keys["detection.json"], found.encode(), content_type_of(keys["detection.json"]))
    for name in ("detection.npz", "thumbnail.jpg"):
        core.storage.put_file(keys[name], folder / name, content_type_of(keys[name]))
    return Result(
        clean_key=keys["detection.json"],
        source_key=job.spec.source_key,
        thumbnail_key=keys["thumbnail.jpg"],
        content_type=content_type_of(keys["detection.json"]),
        bytes=len(found.encode()),
        frames=report.frames,
        mark_found=report.mark_found,
        seconds=round(report.seconds, 3),
        report_key=_store_report(".json", FileResult(_name_of(job), "", report), prefix, core),
        detection_key=keys["detection.npz"],
    )


def _detection(spec: JobSpec, core: Core, folder: Path) -> Detection | None:
    """What an earlier job found, if the spec names one."""
    return None if spec.detection_key is None else Detection.load(_download(core, spec.detection_key, folder / "detection"))


def _part(spec: JobSpec) -> Part | None:
    """The part of the video to clean; None: all of it."""
    return None if spec.preview_seconds is None else Part(spec.preview_first_seconds, spec.preview_seconds)


def _request(spec: JobSpec, core: Core, source: Path, folder: Path, limits: Limits) -> Request:
    """The pipeline's request. A mask is downloaded from the storage; a smear is converted to a mask."""
    mask: Path | None = None
    if spec.mask_key is not None:
        mask = _download(core, spec.mask_key, folder / "mask")
        if spec.mask_is_smear:
            info = probe(source, limits)
            mask_from_smear(mask, folder / "strokes.png", (info.width, info.height), limits)
            mask = folder / "strokes.png"
    classes = frozenset(kind for kind in CLASSES if kind in spec.classes)
    return Request(spec.boxes, mask, classes, spec.detect, spec.keep, frozenset(spec.reject), frozenset(spec.marks))


def _store_results(job: Job, core: Core, prefix: str, clean: Path, picture: Path, report: Report) -> Result:
    """Put the clean file, the thumbnail and the reports into the storage."""
    assert job.spec.source_key is not None
    clean_name = result_name(job.shown_name, clean.suffix) if job.shown_name else clean.name
    file_result = FileResult(_name_of(job), clean_name, report)
    keys = {name: f"{prefix}/{name}{suffix}" for name, suffix in (("clean", clean.suffix), ("thumbnail", ".jpg"))}
    core.storage.put_file(keys["clean"], clean, content_type_of(keys["clean"]))
    core.storage.put_file(keys["thumbnail"], picture, content_type_of(keys["thumbnail"]))
    return Result(
        clean_key=keys["clean"],
        source_key=job.spec.source_key,
        thumbnail_key=keys["thumbnail"],
        content_type=content_type_of(keys["clean"]),
        bytes=clean.stat().st_size,
        frames=report.frames,
        mark_found=report.mark_found,
        seconds=round(report.seconds, 3),
        report_key=_store_report(".json", file_result, prefix, core),
        report_page_key=_store_report(".html", file_result, prefix, core),
        not_kept=tuple(asdict(each) for each in report.not_kept),
    )


def _name_of(job: Job) -> str:
    """What the job's source is called, in reports."""
    assert job.spec.source_key is not None
    return job.shown_name or PurePosixPath(job.spec.source_key).name


def _store_report(suffix: str, file_result: FileResult, prefix: str, core: Core) -> str | None:
    """Store a report and return its key; None if it could not be made, which does not fail the job."""
    key = f"{prefix}/report{suffix}"
    try:
        text = REPORTS[suffix]((file_result,))
    except Exception:
        log.exception("could not make the report of %s", prefix)
        return None
    core.storage.put_bytes(key, text.encode(), content_type_of(key))
    return key


def _download(core: Core, key: str, stem: Path) -> Path:
    path = stem.with_suffix(PurePosixPath(key).suffix)
    core.storage.get_file(key, path)
    return path
