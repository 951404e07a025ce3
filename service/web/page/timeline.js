// When the marks were there: a bar for each stay, in as many rows as there are at a time. A click goes there.

import { make } from "./dom.js";
import { moment, percent } from "./format.js";
import { label } from "./i18n.js";
import { isThere } from "./overlay.js";

export function drawTimeline(place, placements, duration, onSeek) {
  const rows = inRows(placements);
  const count = Math.max(0, ...rows.map((row) => row + 1));
  place.style.setProperty("--rows", count);
  place.replaceChildren(...placements.map((placement, index) => bar(placement, rows[index], duration, onSeek)));
  place.hidden = placements.length === 0;
}

/** Tell which bars are of marks that are there now. */
export function showTime(place, placements, seconds) {
  placements.forEach((placement, index) => place.children[index]?.classList.toggle("now", isThere(placement, seconds)));
}

/** The row of each placement: the first in which nothing else is at that time. */
export function inRows(placements) {
  const ends = [];
  return placements.map(({ first_seconds: first, last_seconds: last }) => {
    const free = ends.findIndex((end) => end < first);
    const row = free < 0 ? ends.length : free;
    ends[row] = last;
    return row;
  });
}

function bar(placement, row, duration, onSeek) {
  const { kind, first_seconds: first, last_seconds: last, opacity } = placement;
  const button = make("button", { type: "button", className: "stay", onclick: () => onSeek(first) });
  const values = { first: moment(first), last: moment(last), opacity: percent(opacity ?? 1) };
  label(button, kind === "scene_text" ? "timeline.sceneText" : "timeline.mark", values);
  button.title = button.getAttribute("aria-label");
  const part = (seconds) => `${(100 * seconds) / (duration || 1)}%`;
  button.style.setProperty("--first", part(first));
  button.style.setProperty("--length", part(Math.max(0, last - first)));
  button.style.setProperty("--row", row);
  return button;
}
