#!/usr/bin/env bash
# rapidocr 3.10.0: an argument of one call stays in force for all later calls of the same engine. After one call with `use_det=False` a plain
# call no longer looks for text lines and reads the whole picture as one line, without a word of it. Give such arguments in every call, or
# keep one engine for each way of calling; benchmarks/reading.py never gives any.
# Seen: two lines are read before, one line that is neither of them after.
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rapidocr==3.10.0 onnxruntime==1.31.1 2>/dev/null
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

page = Image.new("RGB", (320, 160), "white")
pen, font = ImageDraw.Draw(page), ImageFont.load_default(32)
pen.text((20, 20), "first line", fill="black", font=font)
pen.text((20, 100), "second line", fill="black", font=font)
picture = np.asarray(page)

engine = RapidOCR(params={"Global.log_level": "error"})
before = engine(picture).txts
engine(picture, use_det=False, use_cls=False, use_rec=True)
after = engine(picture).txts
print("rapidocr", version("rapidocr"))
print("a plain call:", before)
print("the same after a call with use_det=False:", after)
sys.exit(0 if len(before or ()) == 2 and len(after or ()) == 1 else 1)
PYTHON
