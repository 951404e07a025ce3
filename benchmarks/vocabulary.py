"""Words, sentences and fonts of the evaluation's marks, none of which occurs in training."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from training.vocabulary import FONTS, Vocabulary, fonts_under

WORDS = (
    "Velora", "Nimbus", "Tidepool", "MONTAGE", "Outtake", "Bluebird", "Saffron", "Juniper", "Halcyon", "Rough cut", "wanderlust",
    "Filmroll", "Gazette", "OBSERVER", "Meridian", "Cobalt", "Marigold", "Backlot", "lanternfish", "Octave", "Review copy", "Screener",
    "Not for sale", "Property of Wren", "Thistle 9", "Agency", "Snapshot", "Footage", "Fjord", "Kaleido", "Zigzag", "my channel name",
    "quiet_otter", "june.films",
)  # fmt: skip
CHINESE = (
    "试看版", "内部资料", "云影", "青山映画", "星河", "禁止转载", "小鹿日记", "出品", "纪录片", "每日一拍",
)  # fmt: skip
SENTENCES = (
    "The train had already gone when she arrived", "Whose umbrella is this?", "Fold the paper twice, then cut along the edge.",
    "- Did you hear that?\n- Hear what?", "Nothing grows this high on the mountain", "You could have called me first!",
    "Every autumn the geese cross this valley", "Keep your voice down, please", "Let it rest for about ten minutes",
    "My grandfather built this boat",
)  # fmt: skip
CHINESE_SENTENCES = (
    "外面好像下雨了", "这把伞是谁的？", "再等十分钟就可以出锅了", "每年秋天大雁都会飞过山谷", "小声一点，他睡着了",
    "爷爷年轻的时候是个木匠",
)  # fmt: skip
SHAPED = (  # Arabic and Hebrew, from right to left, and Thai: their letters are joined, mirrored or stacked when they are set
    "لا تنس أن تسقي الورد", "وصل القطار قبل الموعد", "قناة النهر", "הרכבת כבר יצאה", "אל תשכח את המטריה", "ערוץ הנהר",
    "ฝนกำลังจะตก", "ปิดประตูด้วยนะ", "ช่องแม่น้ำ",
)  # fmt: skip

# folder or file below the font root -> Debian package that installs it
LATIN_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "opentype/cantarell": "fonts-cantarell",
        "opentype/inter": "fonts-inter",
        "truetype/comfortaa": "fonts-comfortaa",
        "truetype/freefont": "fonts-freefont-ttf",
        "truetype/hack": "fonts-hack",
    }
)
CHINESE_PACKAGES: Mapping[str, str] = MappingProxyType({"truetype/wqy/wqy-zenhei.ttc": "fonts-wqy-zenhei"})


def evaluation_vocabulary(root: Path = FONTS) -> Vocabulary:
    """The vocabulary of the evaluation's marks, with the fonts found below `root`.

    Raises FileNotFoundError with the packages to install if any family is missing, as results with other fonts are not comparable.
    """
    packages = {**LATIN_PACKAGES, **CHINESE_PACKAGES}
    missing = [package for family, package in packages.items() if not fonts_under((family,), root)]
    if missing:
        raise FileNotFoundError(f"fonts of the evaluation are missing: apt-get install {' '.join(sorted(missing))}")
    latin, chinese = fonts_under(tuple(LATIN_PACKAGES), root), fonts_under(tuple(CHINESE_PACKAGES), root)
    return Vocabulary(WORDS, CHINESE, SENTENCES, CHINESE_SENTENCES, latin, chinese)
