"""Words, sentences and fonts of the marks that the networks are trained on."""

from dataclasses import dataclass
from pathlib import Path

FONTS = Path("/usr/share/fonts")

WORDS = (
    "Studio", "Vision", "Render", "Pixel", "Motion", "Craft", "Preview", "SAMPLE", "DRAFT", "Demo", "Copyright", "Channel", "Daily",
    "Creator", "maker", "Nova", "Orbit", "Lumen", "Dream", "FRAME", "Clip", "Reel", "Stream", "Media", "Atlas", "Echo", "Pulse", "Prime",
    "Global", "News 24", "TV", "LIVE", "Prisma", "Vortex", "Kino", "Kestrel", "Ember", "Quartz", "Zephyr", "Maple", "Harbor", "Delta",
    "Sierra", "Tango", "Unlimited", "Trial version", "hello world", "Do not copy", "Evaluation", "PROOF", "Stock", "Image", "Video",
    "Free", "Plus", "Pro", "X1", "AI video", "www.site.net", "No. 4711",
)  # fmt: skip
CHINESE = (
    "视频", "样片", "版权所有", "水印", "演示", "剪辑", "频道", "新闻", "影像", "工作室", "创作者", "高清", "直播", "未经授权", "快看",
)  # fmt: skip
SENTENCES = (
    "I never thought we would come back here", "Where did you put the keys?", "It takes years to learn this properly.",
    "Look at the light over there", "- Are you coming?\n- In a minute.", "Nobody told me anything",
    "We have to leave before the rain starts", "This is how it all began", "Add two spoons of sugar and stir",
    "What a wonderful morning!", "He said: wait for me at the bridge", "The river is higher than last year",
)  # fmt: skip
CHINESE_SENTENCES = (
    "我们明天再见吧", "你把钥匙放在哪里了", "今天天气真好", "这就是故事的开始", "请不要告诉别人", "他们说这里曾经是一片海",
    "先加两勺糖，然后搅拌", "谢谢大家的支持",
)  # fmt: skip

LATIN_FAMILIES = (
    "truetype/dejavu", "truetype/liberation", "truetype/roboto", "truetype/open-sans", "truetype/lato", "truetype/quicksand",
    "truetype/play", "truetype/crosextra", "truetype/firacode", "opentype/yanone-kaffeesatz", "opentype/dancingscript",
    "opentype/ebgaramond", "opentype/junction", "opentype/league-mono",
)  # fmt: skip
CHINESE_FAMILIES = ("opentype/noto", "truetype/wqy/wqy-microhei.ttc", "truetype/arphic")


@dataclass(frozen=True)
class Vocabulary:
    """What marks say, and in which fonts."""

    words: tuple[str, ...]
    chinese: tuple[str, ...]
    sentences: tuple[str, ...]
    chinese_sentences: tuple[str, ...]
    latin_fonts: tuple[Path, ...]
    chinese_fonts: tuple[Path, ...]


def fonts_under(families: tuple[str, ...], root: Path = FONTS) -> tuple[Path, ...]:
    """Every TrueType and OpenType file of the families (folders or files below `root`), sorted."""
    found: list[Path] = []
    for family in families:
        place = root / family
        found += [place] if place.is_file() else [p for p in place.rglob("*") if p.suffix in {".ttf", ".otf", ".ttc"}]
    return tuple(sorted(p for p in found if "Emoji" not in p.name))


def training_vocabulary() -> Vocabulary:
    """The vocabulary of the shipped networks; the Debian packages with its fonts are listed in training/README.md.

    Raises FileNotFoundError when no font is installed.
    """
    latin, chinese = fonts_under(LATIN_FAMILIES), fonts_under(CHINESE_FAMILIES)
    if not latin or not chinese:
        raise FileNotFoundError("no training fonts: see training/README.md for the packages to install")
    return Vocabulary(WORDS, CHINESE, SENTENCES, CHINESE_SENTENCES, latin, chinese)
