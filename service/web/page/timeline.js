// The timeline of marks: a bar for each interval, in as many rows as overlap. A click seeks to its start.

import { make } from "./dom.js";
import { moment, percent } from "./format.js";
import { label } from "./i18n.js";
import { isVisible } from "./overlay.js";

export function drawTimeline(place, placements, duration, onSeek) {
  const rows = assignRows(placements);
  const count = Math.max(0, ...rows.map((row) => row + 1));
  place.style.setProperty("--rows", count);
  place.replaceChildren(...placements.map((placement, index) => bar(placement, rows[index], duration, onSeek)));
  place.hidden = placements.length === 0;
}

/** Highlight the bars of marks visible at this time. */
export function showTime(place, placements, seconds) {
  placements.forEach((placement, index) => place.children[index]?.classList.toggle("now", isVisible(placement, seconds)));
}

/** The row of each placement: the first one that is free at that time. */
export function assignRows(placements) {
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
  const button = make("button", { type: "button", className: "interval", onclick: () => onSeek(first) });
  const values = { first: moment(first), last: moment(last), opacity: percent(opacity ?? 1) };
  label(button, kind === "scene_text" ? "timeline.sceneText" : "timeline.mark", values);
  button.title = button.getAttribute("aria-label");
  const part = (seconds) => `${(100 * seconds) / (duration || 1)}%`;
  button.style.setProperty("--first", part(first));
  button.style.setProperty("--length", part(Math.max(0, last - first)));
  button.style.setProperty("--row", row);
  return button;
}
