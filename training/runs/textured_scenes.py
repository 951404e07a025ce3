"""Makes pictures of walls, floors, signs and cloth from the photographed textures of a free package, for training on what is no mark.

    apt-get download supertuxkart-data && dpkg-deb -x supertuxkart-data_*.deb stk
    python training/runs/textured_scenes.py stk OUT [--count 240]
    python training/runs/textured_scenes.py stk OUT2 --ordered-share 0.8 --count 200 --seed 1000
    python -m training.store OUT build/store/textured --network segmenter --samples 1024 --seed 12

Stripes, bricks, planks, rugs and printed cloth are what the segmenter takes for marks in rooms and on clothes, and few clips show them.
Painted walls come to the photographed ones: striped wallpaper, window fronts, railings (`--ordered-share`).
Nothing of the pictures is shipped; the package says whose each texture is, and under which licence.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720
MIN_SIDE_PIXELS = 400
MAX_FLAT_SHARE = 0.2  # of pixels that are black or white: sprites, sheets of parts
NOT_COLOUR = ("normal", "_nm", "gloss", "spec", "_n.", "nrm", "height", "lightmap", "mask", "screenshot", "logo")  # maps for a renderer

Rng = np.random.Generator
Picture = NDArray[np.float32]  # (h, w, 3), 0 to 255


def textures(folder: Path) -> list[Path]:
    """The photographed surfaces under a folder."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in {".jpg", ".png"} and _is_surface(path)]


def _is_surface(path: Path) -> bool:
    if any(word in path.name.lower() for word in NOT_COLOUR):
        return False
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or min(picture.shape[:2]) < MIN_SIDE_PIXELS or picture.dtype != np.uint8:
        return False
    if picture.shape[2] == 4 and picture[..., 3].min() < 250:
        return False
    blue, green, red = picture[..., :3].reshape(-1, 3).mean(0)
    grey = picture[..., :3].mean(2)
    is_normal_map = blue > 200 and abs(red - 128) < 25 and abs(green - 128) < 25
    return not is_normal_map and float(((grey < 6) | (grey > 249)).mean()) < MAX_FLAT_SHARE


def surface(path: Path, rng: Rng, repeats: int) -> Picture:
    """A texture that is laid side by side with itself, 512 pixels a tile, turned by chance."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR).astype(np.float32)
    picture = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA)
    picture = np.rot90(picture, int(rng.integers(4)))
    return np.tile(picture, (repeats, repeats, 1))


def any_surface(paths: Sequence[Path], rng: Rng, repeats: int) -> Picture:
    """One of the textures, laid side by side."""
    return surface(paths[int(rng.integers(len(paths)))], rng, repeats)


def ordered(paths: Sequence[Path], rng: Rng) -> Picture:
    """A wall (1024, 1024, 3) of things in a regular order: pale stripes, a front of windows, or a railing before a texture."""
    return (wallpaper, window_front, railing)[int(rng.integers(3))](paths, rng)


def wallpaper(_: Sequence[Path], rng: Rng) -> Picture:
    """Stripes of two or three shades that are close to each other."""
    period, shades = rng.uniform(20, 200), int(rng.integers(2, 4))
    ground = rng.uniform(70, 250) + rng.normal(0, 12, 3)
    colours = ground + rng.normal(0, rng.uniform(5, 30), (shades, 1)) + rng.normal(0, 5, (shades, 3))
    borders = np.sort(rng.uniform(0, period, shades))
    x = np.arange(1024) % period
    row = colours[np.searchsorted(borders, x) % shades]
    return np.broadcast_to(row.astype(np.float32), (1024, 1024, 3)).copy()


def window_front(paths: Sequence[Path], rng: Rng) -> Picture:
    """Panes, bright frames between them, and storeys of wall; the panes reflect something."""
    front = any_surface(paths, rng, 2) * rng.uniform(0.2, 0.9) + rng.uniform(0, 70)
    front[:] = cv2.GaussianBlur(front, (0, 0), rng.uniform(1, 20))
    frame = np.clip(rng.uniform(120, 255) + rng.normal(0, 8, 3), 0, 255)
    width, height = rng.uniform(30, 180), rng.uniform(40, 260)
    bar = int(rng.integers(3, 16))
    for x in np.arange(rng.uniform(0, width), 1024, width):
        front[:, int(x) : int(x) + bar] = frame
    for y in np.arange(rng.uniform(0, height), 1024, height):
        front[int(y) : int(y) + bar * int(rng.integers(1, 4))] = frame
    if rng.random() < 0.5:  # storeys of wall between rows of windows
        wall, storey = rng.uniform(60, 240) + rng.normal(0, 10, 3), int(rng.integers(120, 500))
        for top in range(int(rng.integers(storey)), 1024, storey):
            front[top : top + storey // int(rng.integers(2, 5))] = wall
    return front


def railing(paths: Sequence[Path], rng: Rng) -> Picture:
    """Bars side by side, a rail above and one below, before a texture: fences, blinds, banisters."""
    behind = any_surface(paths, rng, 2)
    colour, step = rng.uniform(0, 255) + rng.normal(0, 10, 3), rng.uniform(12, 90)
    bar = max(2, int(step * rng.uniform(0.1, 0.6)))
    top, bottom = np.sort(rng.integers(0, 1024, 2))
    for x in np.arange(0, 1024, step):
        behind[top:bottom, int(x) : int(x) + bar] = colour
    for y in (top, bottom):
        behind[y : y + 2 * bar] = colour
    return np.rot90(behind).copy() if rng.random() < 0.3 else behind


def overgrown(scene: Picture, paths: Sequence[Path], rng: Rng) -> Picture:
    """The scene behind leaves: dark and light specks of a texture in clouds."""
    leaves = np.tile(any_surface(paths, rng, 1), (2, 3, 1))[:HEIGHT, :WIDTH] * rng.uniform(0.3, 0.9)
    cover = smooth(rng, rng.uniform(60, 160)) + 0.7 * smooth(rng, rng.uniform(4, 10)) > rng.uniform(0.3, 1.2)
    cover = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 1)[..., None]
    return (1 - cover) * scene + cover * leaves


def laid_on(scene: Picture, plane: Picture, corners: NDArray[np.float32]) -> Picture:
    """The plane seen in perspective: its corners, clockwise from the top left, come to lie on these of the scene (x, y)."""
    height, width = plane.shape[:2]
    from_corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(from_corners, corners.astype(np.float32))
    size = (scene.shape[1], scene.shape[0])
    shrink = max(1.0, width / max(1.0, float(np.ptp(corners[:, 0]))))
    plane = cv2.GaussianBlur(plane, (0, 0), 0.4 * shrink)  # so that far away nothing flickers
    cover = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, size)[..., None]
    return (1 - cover) * scene + cover * cv2.warpPerspective(plane, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def room(paths: Sequence[Path], rng: Rng, ordered_share: float) -> Picture:
    """A wall, a floor, sometimes a second wall, and up to four things on them."""
    scene = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    floor = rng.uniform(0.6, 1.1) * HEIGHT
    tilt, edge = rng.uniform(-0.12, 0.12, 2) * HEIGHT, rng.uniform(-0.3, 0.3, 4) * WIDTH
    chosen = [paths[int(index)] for index in rng.integers(len(paths), size=8)]
    wall = np.array([(edge[0] - 400, -300), (WIDTH + 400 + edge[1], -300), (WIDTH + 400, floor + tilt[0]), (-400, floor + tilt[1])])
    ground = np.array([(-400, floor + tilt[1]), (WIDTH + 400, floor + tilt[0]), (WIDTH + 1500, HEIGHT + 500), (-1500, HEIGHT + 500)])
    is_ordered = ordered_share > 0 and rng.random() < ordered_share  # without them, the pictures are those that the log tells of
    scene = laid_on(scene, ordered(paths, rng) if is_ordered else surface(chosen[0], rng, int(rng.integers(2, 7))), wall)
    scene = laid_on(scene, surface(chosen[1], rng, int(rng.integers(3, 7))), ground)
    if rng.random() < 0.4:
        x = rng.uniform(0.2, 0.8) * WIDTH
        side = np.array([(x, 0), (WIDTH + 900, -900), (WIDTH + 900, HEIGHT + 700), (x, floor)])
        scene = laid_on(scene, surface(chosen[2], rng, int(rng.integers(2, 5))), side)
    for path in chosen[3 : 3 + int(rng.integers(5))]:
        size = rng.uniform(0.08, 0.35) * WIDTH * np.array([1, rng.uniform(0.5, 1.5)])
        middle = rng.uniform((0, 0), (WIDTH, HEIGHT))
        corners = middle + size / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) + rng.normal(0, 0.05, (4, 2)) * size
        shadow = np.full((8, 8, 3), scene.mean() * 0.4, np.float32)
        scene = laid_on(scene, shadow, corners + rng.uniform(2, 10))
        scene = laid_on(scene, surface(path, rng, 1), corners)
    return overgrown(scene, paths, rng) if is_ordered and rng.random() < 0.3 else scene


def cloth(paths: Sequence[Path], rng: Rng) -> Picture:
    """A texture over the whole picture, with folds: it is bent by a smooth field, and lit by its slope."""
    woven = surface(paths[int(rng.integers(len(paths)))], rng, int(rng.integers(2, 8)))
    corners = np.array([(-99, -99), (1500, -99), (1500, 900), (-99, 900)])
    flat = laid_on(np.zeros((HEIGHT, WIDTH, 3), np.float32), woven, corners)
    height = smooth(rng, rng.uniform(40, 150)) * rng.uniform(10, 40)
    slope_x, slope_y = cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    bent = cv2.remap(flat, x + 15 * slope_x, y + 15 * slope_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return bent * np.clip(1 + rng.uniform(0.3, 1.2) * slope_x, 0.3, 1.7)[..., None]


def smooth(rng: Rng, sigma_pixels: float) -> NDArray[np.float32]:
    """A random field of the picture's size whose deviation is 1 and whose details have this size."""
    field = cv2.GaussianBlur(rng.normal(size=(HEIGHT // 4, WIDTH // 4)).astype(np.float32), (0, 0), sigma_pixels / 4)
    return cv2.resize((field - field.mean()) / field.std(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def photographed(scene: Picture, rng: Rng) -> NDArray[np.uint8]:
    """The scene under uneven light, a little out of focus, with noise."""
    light = np.exp(rng.uniform(0.05, 0.35) * smooth(rng, rng.uniform(150, 400)) + rng.normal(0, 0.25))[..., None]
    scene = cv2.GaussianBlur(scene * light, (0, 0), rng.uniform(0.5, 1.5)) * rng.normal(1, 0.05, 3)
    return np.clip(scene + rng.normal(0, rng.uniform(0.5, 5), scene.shape), 0, 255).astype(np.uint8)


def main() -> None:
    """Write the pictures to OUT/photos, and make OUT/clips, which stays empty."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("textures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--ordered-share", type=float, default=0.0, help="share of the walls that are painted: stripes, windows, railings")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first picture")
    given = parser.parse_args()
    paths = textures(given.textures)
    for name in ("photos", "clips"):
        (given.out / name).mkdir(parents=True, exist_ok=True)
    for number in range(given.seed, given.seed + given.count):
        rng = np.random.default_rng(number)
        scene = cloth(paths, rng) if rng.random() < 0.3 * (1 - given.ordered_share) else room(paths, rng, given.ordered_share)
        picture = photographed(scene, rng)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))]
        cv2.imwrite(str(given.out / "photos" / f"textured_{number:04}.jpg"), picture, quality)
    print(f"{given.count} pictures of {len(paths)} textures in {given.out / 'photos'}")


if __name__ == "__main__":
    main()
