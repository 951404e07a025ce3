"""Chromium plays a film of copied and newly encoded stretches to its end, and seeks to every picture around the joins."""

from base64 import b64encode
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.video.test_splice import CLOSED, HEIGHT, WIDTH, Film, cleaned

WATCH = """async ([address, times]) => {
    const film = document.createElement("video");
    const next = (event) => new Promise((done, fail) => {
        film.addEventListener(event, done, { once: true });
        film.addEventListener("error", () => fail(new Error(film.error.message)), { once: true });
    });
    const canvas = document.createElement("canvas");
    const shots = [];
    film.muted = true;
    film.src = address;
    await next("loadeddata");
    [canvas.width, canvas.height] = [film.videoWidth, film.videoHeight];
    const context = canvas.getContext("2d");
    const seek = async (seconds) => {
        const arrived = next("seeked");
        film.currentTime = seconds;
        await arrived;
    };
    for (const seconds of times) {
        await seek(seconds);
        context.drawImage(film, 0, 0);
        shots.push(Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data));
    }
    await seek(0);
    const ended = next("ended");
    await film.play();
    await ended;
    return { shots, played: film.currentTime, length: film.duration, spoilt: film.getVideoPlaybackQuality().corruptedVideoFrames };
}"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_film_plays_and_seeks_over_its_joins(browser: Browser, tmp_path: Path, suffix: str) -> None:
    source, target = Film(options=CLOSED).write(tmp_path / "source.mp4"), tmp_path / f"target{suffix}"
    assert cleaned(source, target, (15, 20), (30, 30)).copied_frames >= 20
    with av.open(str(target)) as read:
        pictures = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in read.decode(video=0)]
    order = [35, 11, 12, 13, 14, 15, 16, 23, 24, 25, 29, 30, 31, 36, 47, 0]
    address = f"data:video/{'mp4' if suffix == '.mp4' else 'x-matroska'};base64,{b64encode(target.read_bytes()).decode()}"
    page = browser.new_page()
    seen = page.evaluate(WATCH, [address, [pictures[index][0] + 0.02 for index in order]])
    page.close()
    for index, shot in zip(order, seen["shots"], strict=True):
        picture = np.array(shot).reshape(HEIGHT, WIDTH, 4)[..., :3]
        assert min(range(len(pictures)), key=lambda number: float(np.abs(pictures[number][1] - picture).mean())) == index
    assert seen["spoilt"] == 0
    assert seen["played"] == pytest.approx(seen["length"], abs=0.05)
    assert seen["length"] == pytest.approx(pictures[-1][0] + 0.04, abs=0.05)
