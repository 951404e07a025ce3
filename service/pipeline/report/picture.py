"""The report of one input as a picture: the contact sheet, with the timeline of the marks below."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from service.errors import CleanplateError
from service.pipeline.report.chart import Chart, chart
from service.pipeline.report.contact_sheet import BACKGROUND, CAPTION_PIXELS, GAP_PIXELS, INK, font, save, sheet, stacked
from service.pipeline.report.report import FileResult

LANE_PIXELS: Final = 18
LANE_COLOUR: Final = (44, 46, 52)
BAR_COLOURS: Final = ((91, 141, 239), (63, 107, 196))  # alternating, so that touching intervals are distinct


def write_png(result: FileResult, path: Path) -> None:
    """Write the contact sheet and the timeline as a PNG; for a failed input, its error."""
    if isinstance(result.outcome, CleanplateError):
        save(sheet((), f"{result.source_name}: {result.outcome}"), path)
        return
    picture = sheet(result.outcome.samples)
    if result.outcome.placements and result.outcome.frames > 1:
        picture = stacked([picture, _draw_timeline(chart(result.outcome), picture.width)])
    save(picture, path)


def _draw_timeline(drawn: Chart, width_pixels: int) -> Image.Image:
    """The rows of bars, with a caption above and the axis below."""
    height = CAPTION_PIXELS + len(drawn.lanes) * LANE_PIXELS + CAPTION_PIXELS
    strip = Image.new("RGB", (width_pixels, height), BACKGROUND)
    draw, room = ImageDraw.Draw(strip), width_pixels - 2 * GAP_PIXELS
    hidden = f" (and {drawn.hidden_intervals} more)" if drawn.hidden_intervals else ""
    draw.text((GAP_PIXELS, 4), f"when marks were visible{hidden}", fill=INK, font=font())
    for row, bars in enumerate(drawn.lanes):
        top = CAPTION_PIXELS + row * LANE_PIXELS
        draw.rectangle((GAP_PIXELS, top, GAP_PIXELS + room, top + LANE_PIXELS - 4), fill=LANE_COLOUR)
        for index, bar in enumerate(bars):
            left, right = GAP_PIXELS + bar.start * room, GAP_PIXELS + bar.end * room
            draw.rectangle((left, top, max(left, right - 1), top + LANE_PIXELS - 4), fill=BAR_COLOURS[index % 2])
    for tick in drawn.ticks:
        anchor = "la" if tick.position < 0.02 else "ra" if tick.position > 0.98 else "ma"
        draw.text((GAP_PIXELS + tick.position * room, height - CAPTION_PIXELS + 2), tick.label, fill=INK, font=font(), anchor=anchor)
    return strip
