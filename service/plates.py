"""Makes the clean plate of a job's source: storage to scratch folder, through the pipeline, and back."""

import filecmp
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from service.core import Core
from service.inference.session import Networks
from service.jobs.job import Job, JobSpec, Result
from service.media import head_of
from service.outside.storage import content_type_of
from service.pipeline import run
from service.pipeline.io.mute import mute
from service.pipeline.io.probe import probe
from service.pipeline.io.smear import mask_from_smear
from service.pipeline.io.thumbnail import thumbnail
from service.pipeline.provenance.provenance import SOUND_REMOVED, mark_removed, sign_in_place
from service.pipeline.report.page import to_html
from service.pipeline.report.report import FileResult, Report, to_json
from service.pipeline.request import CLASSES, Request
from service.pipeline.video import Limits
from service.sources import check_media
from service.watch import Watch

log = logging.getLogger(__name__)

REPORTS: Final[dict[str, Callable[[tuple[FileResult]], str]]] = {".json": to_json, ".html": to_html}


def clean_source(job: Job, core: Core, networks: Networks, folder: Path, watch: Watch) -> Result:
    """Clean what lies in the storage under the wish's key; result, thumbnail and report are there too when this ends."""
    limits = core.settings.limits
    assert job.spec.source_key is not None
    source = _local(core, job.spec.source_key, folder / "source")
    check_media(head_of(source), job.spec.media)
    request = _request(job.spec, core, source, folder, limits)
    target = folder / f"clean{source.suffix}"
    report = run.clean(source, target, request, networks, limits, watch.cleaned)
    edits = [mark_removed(report.placements, report.info)] if report.mark_found else []
    if job.spec.remove_audio and job.spec.media == "video":
        mute(target, quiet := folder / f"quiet{source.suffix}")
        edits += [] if filecmp.cmp(target, quiet, shallow=False) else [SOUND_REMOVED]
        target = quiet
    report = replace(report, provenance=sign_in_place(source, target, edits, core.signer, job.digital_source_type))
    picture = folder / "thumbnail.jpg"
    thumbnail(target, picture, limits)
    return _kept(job, core, target, picture, report)


def _request(spec: JobSpec, core: Core, source: Path, folder: Path, limits: Limits) -> Request:
    """What the pipeline is asked for; a mask is fetched from the storage, a smear made into one."""
    mask: Path | None = None
    if spec.mask_key is not None:
        mask = _local(core, spec.mask_key, folder / "mask")
        if spec.mask_is_smear:
            info = probe(source, limits)
            mask_from_smear(mask, folder / "strokes.png", (info.width, info.height), limits)
            mask = folder / "strokes.png"
    return Request(spec.boxes, mask, frozenset(kind for kind in CLASSES if kind in spec.classes), spec.detect)


def _kept(job: Job, core: Core, clean: Path, picture: Path, report: Report) -> Result:
    """Put all that the job made into the storage."""
    assert job.spec.source_key is not None
    told = FileResult(PurePosixPath(job.spec.source_key).name, clean.name, report)
    kept = {name: f"jobs/{job.id}/{name}{suffix}" for name, suffix in (("clean", clean.suffix), ("thumbnail", ".jpg"))}
    core.storage.put_file(kept["clean"], clean, content_type_of(kept["clean"]))
    core.storage.put_file(kept["thumbnail"], picture, content_type_of(kept["thumbnail"]))
    return Result(
        clean_key=kept["clean"],
        source_key=job.spec.source_key,
        thumbnail_key=kept["thumbnail"],
        content_type=content_type_of(kept["clean"]),
        bytes=clean.stat().st_size,
        frames=report.frames,
        mark_found=report.mark_found,
        seconds=round(report.seconds, 3),
        report_key=_kept_report(".json", told, job, core),
        report_page_key=_kept_report(".html", told, job, core),
    )


def _kept_report(suffix: str, told: FileResult, job: Job, core: Core) -> str | None:
    """The key of a report in the storage; None for one that could not be made, which is no reason to lose what it tells of."""
    key = f"jobs/{job.id}/report{suffix}"
    try:
        text = REPORTS[suffix]((told,))
    except Exception:
        log.exception("the report of job %s could not be made", job.id)
        return None
    core.storage.put_bytes(key, text.encode(), content_type_of(key))
    return key


def _local(core: Core, key: str, stem: Path) -> Path:
    path = stem.with_suffix(PurePosixPath(key).suffix)
    core.storage.get_file(key, path)
    return path
