"""Cases: what is drawn, encoded and read back, and that none of it is what training has seen."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import vocabulary as evaluation
from benchmarks.cases import KINDS, PHOTO_KINDS, Case, Scene, find_cases, prepare, thinned, too_small
from benchmarks.media import audio_packets, even_size, pictures_of, read_clip, read_photo, video_times
from benchmarks.speed import source_video
from training import vocabulary as training
from training.metrics import PSNR_CEILING_DB, psnr, squared_error
from training.vocabulary import Vocabulary

MakeScene = Callable[[str, str], Scene]


def test_cases_are_all_clips_with_all_kinds(clips: Path) -> None:
    assert len(find_cases(clips, [], [], 8, 128)) == 2 * len(KINDS)
    (case,) = find_cases(clips, ["smoo"], ["tiled"], 8, 128)
    assert case == Case("smooth.mp4", "tiled", 8, 128)


def test_clips_are_also_found_one_folder_down(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    assert [case.clip for case in find_cases(tmp_path, [], ["clean"], 1, 1)] == ["a.mp4"]


@pytest.mark.parametrize(
    ("names", "kinds", "message"), [([], ["nonsense"], "unknown kind nonsense"), (["nonsense"], [], "no clip and no photo")]
)
def test_what_is_not_there_is_refused(clips: Path, names: list[str], kinds: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_cases(clips, names, kinds, 8, 128)


def test_what_is_too_small_for_a_height_is_named(clips: Path, photos: Path) -> None:
    for folder, names in ((clips, ["drifting.mp4", "smooth.mp4"]), (photos, ["grey.jpg", "rough.png"])):
        for height, small in ((100, []), (128, []), (150, []), (151, names)):  # 128 lines are 85.3 % of 150
            assert too_small(find_cases(folder, [], [], 8, height), folder) == small


def test_a_case_says_its_split(clips: Path, photos: Path) -> None:
    assert {case.split for case in find_cases(clips, [], [], 8, 128)} == {"eval"}
    for folder in (clips, photos):
        assert {case.split for case in find_cases(folder, [], [], 8, 128, "test")} == {"test"}


def test_photos_have_the_kinds_that_need_no_time(photos: Path) -> None:
    cases = find_cases(photos, [], [], 90, 720)
    assert [case.clip for case in cases] == ["grey.jpg"] * len(PHOTO_KINDS) + ["rough.png"] * len(PHOTO_KINDS)
    assert {case.frames for case in cases} == {1}
    assert [case.kind for case in find_cases(photos, ["rough"], ["faint", "subtitle"], 90, 720)] == ["faint"]


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_a_marked_photo_is_the_photo_with_the_mark(photos: Path, vocabulary: Vocabulary, tmp_path: Path, kind: str) -> None:
    made = prepare(Case("rough.png", kind, 1, 128), photos, vocabulary, tmp_path)
    (marked,), (alpha,), (clean,) = made.pictures(), made.alphas(), read_photo(photos / "photos" / "rough.png", 128).pictures
    loss = psnr(squared_error(marked, clean, ~made.ever_marked()))
    assert loss == PSNR_CEILING_DB if made.marked.suffix == ".png" else 30 < (loss or 0) < 60
    assert made.has_mark == (kind != "clean")
    if made.has_mark:
        assert np.abs(marked.astype(int) - clean)[alpha > 0.25].mean() > 10


def test_photos_are_saved_in_both_formats(vocabulary: Vocabulary, photos: Path, tmp_path: Path) -> None:
    scenes = [prepare(case, photos, vocabulary, tmp_path) for case in find_cases(photos, [], [], 1, 32)]
    assert {made.marked.suffix for made in scenes} == {".png", ".jpg"}
    assert {made.size for made in scenes} == {(32, 48)}


def test_a_thinned_run_has_every_clip_and_every_kind() -> None:
    everything = [Case(f"{name}.mp4", kind) for name in "abcdefgh" for kind in KINDS]
    some = thinned(everything, 4)
    assert len(some) == len(everything) / 4
    assert {case.clip for case in some} == {case.clip for case in everything}
    assert {case.kind for case in some} == set(KINDS)
    assert thinned(everything, 1) == everything


def test_seeds_never_change() -> None:
    assert Case("a.mp4", "moving").seed == 17527094735275631937  # a change makes all results of the past incomparable
    assert Case("a.mp4", "moving").seed == Case("a.mp4", "moving", frames=5, height=64).seed
    assert Case("a.mp4", "moving").seed != Case("a.mp4", "faint").seed


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [((1920, 1080), 720, (1280, 720)), ((720, 1280), 720, (720, 1280)), ((641, 359), 720, (640, 360)), ((2048, 1080), 720, (1366, 720))],
)
def test_clips_are_shrunk_to_even_sizes(size: tuple[int, int], short_side: int, expected: tuple[int, int]) -> None:
    assert even_size(*size, short_side) == expected


def test_a_clip_is_read_as_far_as_asked(clips: Path) -> None:
    clip = read_clip(clips / "drifting.mp4", 5, 64)
    assert clip.pictures.shape == (5, 64, 96, 3)
    assert list(clip.timing.pts) == [i * 512 for i in range(5)]


def test_colours_survive_the_file(tmp_path: Path, clips: Path, vocabulary: Vocabulary) -> None:
    scene = prepare(Case("smooth.mp4", "clean", 8, 128), clips, vocabulary, tmp_path)
    assert np.abs(np.stack(list(scene.pictures())).astype(int) - 90).max() <= 2
    with av.open(str(scene.marked)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.color_range, stream.codec_context.colorspace) == (1, 1)


def test_the_marked_file_is_the_clip_with_the_mark(scene: MakeScene) -> None:
    made = scene("drifting", "corner")
    marked = list(pictures_of(made.marked))
    alpha = next(made.alphas())
    outside = psnr(squared_error(marked[3], made.clean.pictures[3], ~made.ever_marked()))
    assert outside is not None
    assert outside > 28
    assert np.abs(marked[3].astype(int) - made.clean.pictures[3])[alpha > 0.5].mean() > 20


def test_the_marked_file_has_the_times_and_the_sound_of_the_clip(scene: MakeScene, clips: Path) -> None:
    made = scene("drifting", "corner")
    times = video_times(made.marked)
    assert times == video_times(clips / "drifting.mp4")[: made.frames]
    original, copied = audio_packets(clips / "drifting.mp4"), audio_packets(made.marked)
    assert copied == [packet for packet in original if packet[0] <= times[-1]]
    assert len(copied) > 2


def test_marks_are_the_same_every_time(scene: MakeScene, clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    again = prepare(Case("drifting.mp4", "corner", 8, 128), clips, vocabulary, tmp_path)
    assert again.marked.read_bytes() == scene("drifting", "corner").marked.read_bytes()


def test_opacity_decides_what_can_be_recovered(scene: MakeScene) -> None:
    assert scene("drifting", "faint").translucent
    assert not scene("drifting", "subtitle").translucent
    assert not scene("drifting", "clean").translucent


def test_alphas_follow_the_patches(scene: MakeScene) -> None:
    made = scene("drifting", "faint")
    without = replace(made, mark=replace(made.mark, patches=(None, *made.mark.patches[1:])))
    first, second = list(without.alphas())[:2]
    assert first.max() == 0
    assert second.max() > 0.25
    assert np.array_equal(second > 0, made.ever_marked())


def test_evaluation_shares_no_word_and_no_font_with_training() -> None:
    for name in ("WORDS", "CHINESE", "SENTENCES", "CHINESE_SENTENCES"):
        ours, theirs = ({text.casefold() for text in getattr(module, name)} for module in (evaluation, training))
        assert not ours & theirs
    theirs = {*training.LATIN_FAMILIES, *training.CHINESE_FAMILIES}
    for family in (*evaluation.LATIN_PACKAGES, *evaluation.CHINESE_PACKAGES):
        assert not [other for other in theirs if family.startswith(other) or other.startswith(family)]


def test_a_missing_font_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"fonts-hack .*fonts-wqy-zenhei"):
        evaluation.evaluation_vocabulary(tmp_path)


def test_fonts_are_found_below_a_root(tmp_path: Path) -> None:
    for family in (*evaluation.LATIN_PACKAGES, "truetype/wqy"):
        (tmp_path / family).mkdir(parents=True)
        (tmp_path / family / ("wqy-zenhei.ttc" if "wqy" in family else "Regular.ttf")).touch()
    found = evaluation.evaluation_vocabulary(tmp_path)
    assert len(found.latin_fonts) == len(evaluation.LATIN_PACKAGES)
    assert [font.name for font in found.chinese_fonts] == ["wqy-zenhei.ttc"]


def test_the_video_of_the_speed_runs_is_looped_to_its_length_and_made_once(clips: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    video = source_video(clips / "drifting.mp4", tmp_path, 72, 1, vocabulary)
    pictures = list(pictures_of(video))
    assert (len(pictures), pictures[0].shape) == (30, (72, 128, 3))
    assert video_times(video)[-1] == Fraction(29, 30)
    written = video.stat().st_mtime_ns
    assert source_video(clips / "drifting.mp4", tmp_path, 72, 1, vocabulary).stat().st_mtime_ns == written
