"""What a person says holds to the pixel, through the command and through every API: mask, strokes, box, keep, reject.

Pictures are PNG in and out, so what is compared is what the pipeline made. A video's frames are looked at through the command, encoded
without loss; what an API then makes of the same video is frame for frame what the command makes. Fake networks: bright is mark, and what
is removed becomes mid-grey.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.cli import run_command
from service.pipeline.placement import Box
from tests.facades.dialects import Aidge, Kie, SaveSora, followed
from tests.footage import Picture, marked, scene
from tests.service_process import Service

FIRST, SECOND = Box(21, 19, 60, 36), Box(80, 60, 109, 81)  # odd, so that they begin and end inside chroma samples
FRAMES, FPS = 10, 25

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Said:
    """What a person says. boxes, keep: x1, y1, x2, y2 in pixels. detect: look for marks as well."""

    mask: Mask | None = field(default=None, repr=False)
    boxes: Sequence[tuple[int, ...]] = ()
    keep: Sequence[tuple[int, ...]] = ()
    reject: Sequence[str] = ()
    detect: bool | None = None


Cleaned = tuple[Picture, list[dict[str, Any]]]  # the clean picture, and the marks of the report
Clean = Callable[[Picture, Said], Cleaned]


def dark(index: int) -> Picture:
    """A scene in which no pixel is near to the grey that is put in place of marks."""
    return scene(index) // 2


PICTURE = marked(marked(dark(0), FIRST), SECOND)


def png(picture: NDArray[np.uint8]) -> bytes:
    data = BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()


def as_png(mask: Mask) -> bytes:
    return png(mask.astype(np.uint8) * 255)


def shown(data: bytes) -> Picture:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Said], tuple[Path, list[dict[str, Any]]]]:
    """`command(path, said, *options)`: the clean file, and the marks of its report."""
    monkeypatch.setenv("CLEANPLATE_NETWORKS", "fake")
    monkeypatch.setenv("CLEANPLATE_C2PA__ENABLED", "false")

    def run(source: Path, said: Said, *options: str) -> tuple[Path, list[dict[str, Any]]]:
        target, report = tmp_path / f"clean{source.suffix}", tmp_path / "report.json"
        arguments = ["clean", str(source), "-o", str(target), "--report", str(report), "--quiet", *options, *_options(said, tmp_path)]
        assert run_command(arguments) == 0
        return target, json.loads(report.read_text())["files"][0]["placements"]

    return run


def _options(said: Said, folder: Path) -> list[str]:
    options = [text for name in ("boxes", "keep") for box in getattr(said, name) for text in (_option(name), ",".join(map(str, box)))]
    options += [text for name in said.reject for text in ("--reject", name)]
    if said.mask is not None:
        (folder / "mask.png").write_bytes(as_png(said.mask))
        options += ["--mask", str(folder / "mask.png")]
    return [*options, *(["--detect"] if said.detect else [])]


def _option(name: str) -> str:
    return {"boxes": "--box", "keep": "--keep"}[name]


def by_command(request: pytest.FixtureRequest) -> Clean:
    run, folder = request.getfixturevalue("command"), request.getfixturevalue("tmp_path")

    def clean(picture: Picture, said: Said) -> Cleaned:
        (folder / "in.png").write_bytes(png(picture))
        target, marks = run(folder / "in.png", said)
        return shown(target.read_bytes()), marks

    return clean


def by_native(request: pytest.FixtureRequest) -> Clean:
    service: Service = request.getfixturevalue("service")

    def clean(picture: Picture, said: Said) -> Cleaned:
        data, marks = native(service, png(picture), said)
        return shown(data), marks

    return clean


def native(service: Service, source: bytes, said: Said) -> tuple[bytes, list[dict[str, Any]]]:
    """The result of a native job, and the marks of its report."""
    account = service.account()
    options: dict[str, Any] = {name: [_corners(box) for box in getattr(said, name)] for name in ("boxes", "keep")}
    options |= {"reject": list(said.reject)} | ({} if said.detect is None else {"detect": said.detect})
    files = {"file": ("source", source)} | ({} if said.mask is None else {"mask": ("mask.png", as_png(said.mask))})
    created = service.client.post("/v1/jobs", headers=account.bearer, files=files, data={"options": json.dumps(options)})
    assert created.status_code == 201, created.text
    job_id = created.json()["id"]
    service.wait(account, job_id)
    report = service.client.get(f"/v1/jobs/{job_id}/report", headers=account.bearer).json()
    result = service.client.get(f"/v1/jobs/{job_id}/result", headers=account.bearer, follow_redirects=True)
    assert result.status_code == 200, result.text
    return result.content, report["files"][0]["placements"]


def _corners(box: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))


def by_kaze(request: pytest.FixtureRequest) -> Clean:
    """Images only; what a person can say there is painted with strokes."""
    service: Service = request.getfixturevalue("service")

    def clean(picture: Picture, said: Said) -> Cleaned:
        account = service.account()
        body = {"image_url": service.host.serve("/picture.png", png(picture))}
        if said.mask is not None:
            strokes = said.mask[..., None] * np.array([200, 30, 60], np.uint8)
            body["smear_url"] = service.host.serve("/strokes.png", png(strokes))
        submitted = service.client.post("/api/ext/v1/submit_watermark_removal", headers=account.bearer, json=body).json()
        task = {"task_id": submitted["data"]["task_id"]}
        service.wait(account, task["task_id"])
        answer = service.client.post("/api/ext/v1/get_task_result", headers=account.bearer, json=task).json()
        return shown(service.client.get(answer["data"]["images"][0]["url"]).content), []

    return clean


WAYS = {"command": by_command, "native": by_native, "kaze": by_kaze}
every_way = pytest.mark.parametrize("way", WAYS)
where_all_can_be_said = pytest.mark.parametrize("way", ["command", "native"])


def area(*boxes: Box) -> Mask:
    pixels = np.zeros(PICTURE.shape[:2], bool)
    for box in boxes:
        pixels[box.slices] = True
    return pixels


def ellipse() -> Mask:
    """Over part of a mark and much of the scene, with a single stroke beside it."""
    rows, columns = np.mgrid[: PICTURE.shape[0], : PICTURE.shape[1]]
    pixels: Mask = ((rows - 33) / 13) ** 2 + ((columns - 44) / 25) ** 2 < 1
    pixels[70, 11:40] = True
    return pixels


def is_grey(picture: Picture) -> Mask:
    """The pixels (h, w) that are wholly what is put in place of a mark."""
    grey: Mask = (np.abs(picture.astype(float) - 127.5) <= 1).all(2)
    return grey


def changed(picture: Picture) -> Mask:
    different: Mask = (picture != PICTURE).any(2)
    return different


@every_way
@pytest.mark.parametrize("mask", [area(FIRST), area(Box(5, 5, 90, 90)), ellipse()], ids=["exact", "generous", "ellipse"])
def test_of_a_mask_each_pixel_is_replaced_and_no_other(request: pytest.FixtureRequest, way: str, mask: Mask) -> None:
    clean, _ = WAYS[way](request)(PICTURE, Said(mask=mask))
    np.testing.assert_array_equal(changed(clean), mask)
    np.testing.assert_array_equal(is_grey(clean), mask)


@where_all_can_be_said
@pytest.mark.parametrize(
    ("box", "replaced"),
    [(Box(11, 11, 71, 47), area(FIRST)), (FIRST, area(FIRST)), (Box(5, 50, 47, 93), area(Box(5, 50, 47, 93)))],
    ids=["loose", "tight", "without a mark"],
)
def test_a_box_is_a_limit(request: pytest.FixtureRequest, way: str, box: Box, replaced: Mask) -> None:
    clean, _ = WAYS[way](request)(PICTURE, Said(boxes=[(box.left, box.top, box.right, box.bottom)]))
    assert not changed(clean)[~area(box)].any()
    assert is_grey(clean)[replaced].all()


@where_all_can_be_said
@pytest.mark.parametrize("given", [{}, {"mask": area(Box(5, 5, 90, 90))}, {"boxes": [(5, 5, 90, 90)]}], ids=["found", "mask", "box"])
def test_what_is_kept_is_bit_equal_whatever_else_is_said(request: pytest.FixtureRequest, way: str, given: dict[str, Any]) -> None:
    kept, clean = area(Box(31, 0, 128, 29)), WAYS[way](request)
    everywhere, _ = clean(PICTURE, Said(**given))
    some, _ = clean(PICTURE, Said(**given, keep=[(31, 0, 128, 29)]))
    assert changed(everywhere)[kept].any()
    np.testing.assert_array_equal(some, np.where(kept[..., None], PICTURE, everywhere))


@where_all_can_be_said
@pytest.mark.parametrize("given", [{}, {"mask": area(Box(5, 5, 20, 90)), "detect": True}], ids=["found", "mask as well"])
def test_a_rejected_mark_is_bit_equal_and_all_else_as_without(request: pytest.FixtureRequest, way: str, given: dict[str, Any]) -> None:
    clean = WAYS[way](request)
    everywhere, marks = clean(PICTURE, Said(**given))
    stays = next(mark for mark in marks if mark["box"][0] > FIRST.right)  # the second mark, with its surroundings
    some, others = clean(PICTURE, Said(**given, reject=[stays["id"]]))
    assert [mark["id"] for mark in others] == [mark["id"] for mark in marks if mark is not stays]
    left, top, right, bottom = stays["box"]
    there = area(Box(left, top, right, bottom))
    np.testing.assert_array_equal(some, np.where(there[..., None], PICTURE, everywhere))


@every_way
def test_beside_what_is_found_no_pixel_changes(request: pytest.FixtureRequest, way: str) -> None:
    clean, _ = WAYS[way](request)(PICTURE, Said())
    near = area(*(box.expanded(4, 128, 96) for box in (FIRST, SECOND)))
    assert not changed(clean)[~near].any()
    assert is_grey(clean)[area(FIRST, SECOND)].all()


# Videos.


@cache
def video() -> bytes:
    data = BytesIO()
    with av.open(data, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(FRAMES):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(marked(marked(dark(index), FIRST), SECOND), "rgb24")))
        target.mux(stream.encode(None))
    return data.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in.mp4").write_bytes(video())
    return tmp_path / "in.mp4"


def planes(data: bytes) -> NDArray[np.uint8]:
    """(T, 1.5 h, w): the planes of all frames, one below the other."""
    with av.open(BytesIO(data), "r") as film:
        return np.stack([np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in film.decode(video=0)])


def samples(pixels: Mask) -> Mask:
    """(1.5 h, w): the samples that cover one of the pixels."""
    height, width = pixels.shape
    covered = pixels.reshape(height // 2, 2, width // 2, 2).any((1, 3))
    return np.concatenate([pixels, np.tile(covered.reshape(-1, width), (2, 1))])


@pytest.mark.parametrize(
    ("said", "within", "replaced"),
    [
        (Said(mask=ellipse()), ellipse(), ellipse()),
        (Said(boxes=[(11, 11, 71, 47)]), area(Box(11, 11, 71, 47)), area(FIRST)),
        (Said(keep=[(0, 0, 70, 96)]), area(Box(70, 50, 120, 90)), area(SECOND)),
    ],
    ids=["mask", "box", "keep"],
)
def test_a_videos_frames_are_exact_before_they_are_encoded(
    command: Callable[..., tuple[Path, Any]], source: Path, said: Said, within: Mask, replaced: Mask
) -> None:
    target, _ = command(source, said, "--quality", "0")
    before, after = planes(video()), planes(target.read_bytes())
    assert (before == after)[:, ~samples(within)].all()
    luma = after[:, : PICTURE.shape[0]][:, replaced].astype(float)
    assert np.ptp(luma) <= 1, "all of it is the same grey"


def by_aidge(service: Service, said: Said) -> bytes:
    boxes = [{"timestamp": [0, 1], "box": [x1 / 128, y1 / 96, x2 / 128, y2 / 96]} for x1, y1, x2, y2 in said.boxes]
    account, dialect = service.account(), Aidge()
    url = service.host.serve("/exact.mp4", video())
    answer = dialect.submit(service, account, url, inpaintingBoxes=json.dumps(boxes))
    service.wait(account, dialect.task(answer))
    outcome = dialect.outcome(dialect.poll(service, account, dialect.task(answer)).json())
    assert outcome.clean_url
    return service.client.get(outcome.clean_url).content


def by_kie(service: Service, said: Said) -> bytes:
    del said  # nothing can be
    outcome = followed(Kie(), service, service.account(), service.host.serve("/exact.mp4", video()))
    assert outcome.clean_url
    return service.client.get(outcome.clean_url).content


def by_savesora(service: Service, said: Said) -> bytes:
    del said  # nothing can be
    outcome = SaveSora().cleaned(service, service.account(), service.host.serve("/exact.mp4", video()))
    assert outcome.clean_url
    return service.client.get(outcome.clean_url).content


def by_native_video(service: Service, said: Said) -> bytes:
    return native(service, video(), said)[0]


@pytest.mark.parametrize(
    ("api", "said"),
    [
        (by_native_video, Said(mask=ellipse())),
        (by_native_video, Said(boxes=[(11, 11, 71, 47)], keep=[(0, 0, 40, 96)])),
        (by_native_video, Said(boxes=[(11, 11, 71, 47)], detect=True)),
        (by_aidge, Said(boxes=[(8, 12, 72, 48)], detect=True)),
        (by_aidge, Said()),
        (by_kie, Said()),
        (by_savesora, Said()),
    ],
)
def test_an_api_makes_the_frames_that_the_command_makes(
    service: Service, command: Callable[..., tuple[Path, Any]], source: Path, api: Callable[[Service, Said], bytes], said: Said
) -> None:
    expected, _ = command(source, said)
    np.testing.assert_array_equal(planes(api(service, said)), planes(expected.read_bytes()))
