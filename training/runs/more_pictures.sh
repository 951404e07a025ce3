#!/usr/bin/env bash
# Gathers clean pictures and clips from free packages of Debian and PyPI into a folder for training: desktop graphics, streets, signs, indoor
# scenes, animals. Needs Debian or a relative (apt-get, dpkg-deb), Python with Pillow, pip. Nothing of them is shipped; their licences are in
# the packages.
#
#     training/runs/more_pictures.sh OUT
#     python -m training.store OUT build/store/more --network segmenter --samples 1024 --seed 5
set -euo pipefail
out=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/photos" "$out/clips"

cd "$work"
apt-get -qq download gnome-backgrounds mate-backgrounds plasma-workspace-wallpapers ukui-wallpapers lomiri-wallpapers-20.04 opencv-doc
for package in *.deb; do dpkg-deb -x "$package" "${package%%_*}"; done
pip download --quiet --no-deps --dest . scikit-image==0.26.0
python -m zipfile -e scikit_image-*.whl scikit-image

cp opencv-doc/usr/share/doc/opencv-doc/examples/data/{vtest,tree}.avi "$out/clips"
python - "$out/photos" <<'EOF'
import sys
from pathlib import Path

from PIL import Image

# Left out: logos, mascots and slogans, pictures that carry a mark, drawings on a transparent ground, diagrams, and what is too small.
LEFT_OUT = set(
    "GreenTraditional Float-into-MATE focal-ubuntukylin firstgeneration the-mouse Silk Spring Waves MATE-Stripes-Dark MATE-Stripes-Light "
    "Arc-Colors-Transparent-Wallpaper Gulp Flow Ubuntu-Mate-Dark-no-logo messi5".split()
)
CHOSEN = {
    "opencv-doc": "graf1 rubberwhale1 leuvenA aloeL plant ela_original baboon home basketball1 box_in_scene board scenetext01 scenetext02 scenetext03 "
    "scenetext04 scenetext05 scenetext06 smarties fruits building 000 squirrel_cls aero1 licenseplate_motion sudoku box butterfly stuff left03 "
    "right05 ml cards chicky_512 starry_night".split(),
    "scikit-image": "astronaut coffee chelsea rocket motorcycle_left camera hubble_deep_field coins".split(),
}
largest = {}
for path in sorted(p for p in Path().glob("*/**/*") if p.suffix in {".jpg", ".jpeg", ".png", ".webp"} and p.is_file() and not p.is_symlink()):
    package = path.parts[0]
    name = path.parts[path.parts.index("contents") - 1] if "contents" in path.parts else path.stem  # a wallpaper in several sizes
    with Image.open(path) as picture:
        width, height = picture.size
    chosen = name in CHOSEN[package] if package in CHOSEN else name not in LEFT_OUT and width * height >= 600 * 400
    if chosen and width * height > largest.get((package, name), (0, path))[0]:
        largest[package, name] = width * height, path
for (package, name), (_, path) in largest.items():
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((1600, 1600))
    picture.save(Path(sys.argv[1]) / f"{package}_{name}.jpg".replace(" ", "_"), quality=93)
print(f"{len(largest)} pictures and 2 clips in {sys.argv[1]}/..")
EOF
