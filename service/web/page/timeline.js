// The timeline: a row for each mark, its intervals as bars, and one for each box with times, whose ends can be dragged. One control for the
// keyboard: the arrow keys lead from bar to bar.

import { drag, make } from "./dom.js";
import { moment, percent } from "./format.js";
import { label } from "./i18n.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** `onSeek` is called with seconds, `onTimes` with a box and its new times. */
export function drawTimeline(place, marks, boxes, duration, onSeek, onTimes) {
  const bars = marks.flatMap((mark, row) => mark.intervals.map((interval) => bar(mark, interval, row, duration, onSeek)));
  const timed = boxes.filter(({ first_seconds: first, last_seconds: last }) => first !== undefined || last !== undefined);
  const edited = timed.map((box, row) => boxBar(box, marks.length + row, duration, onSeek, onTimes));
  place.style.setProperty("--rows", marks.length + timed.length);
  place.replaceChildren(...bars, ...edited);
  place.hidden = bars.length + edited.length === 0;
  place.onkeydown = (event) => rove(place, event);
  [...place.children].forEach((each, index) => { each.tabIndex = index ? -1 : 0; });
}

/** Highlight the bars of what is visible at this time. */
export function showTime(place, seconds) {
  for (const each of place.children) each.classList.toggle("now", Number(each.dataset.first) <= seconds && seconds <= Number(each.dataset.last));
}

function rove(place, event) {
  const bars = [...place.children];
  const next = bars[bars.indexOf(event.target) + (STEPS[event.key] ?? 0)];
  if (!(event.key in STEPS) || !next) return;
  event.preventDefault();
  for (const each of bars) each.tabIndex = each === next ? 0 : -1;
  next.focus();
}

function bar({ kind, opacity }, [first, last], row, duration, onSeek) {
  const values = { first: moment(first), last: moment(last), opacity: percent(opacity) };
  const words = kind === "scene_text" ? "timeline.sceneText" : "timeline.mark";
  return place(make("button", { type: "button", className: "interval" }), words, values, [first, last], row, duration, onSeek);
}

function boxBar(box, row, duration, onSeek, onTimes) {
  const [first, last] = [box.first_seconds ?? 0, box.last_seconds ?? duration];
  const ends = ["first_seconds", "last_seconds"].map((end) => grip(box, end, duration, onTimes));
  const button = make("button", { type: "button", className: `interval of-${box.kind}` }, ...ends);
  return place(button, "timeline.box", { first: moment(first), last: moment(last) }, [first, last], row, duration, onSeek);
}

function place(button, words, values, [first, last], row, duration, onSeek) {
  const part = (seconds) => `${(100 * seconds) / (duration || 1)}%`;
  label(button, words, values);
  button.title = button.getAttribute("aria-label");
  Object.assign(button.dataset, { first, last });
  button.style.setProperty("--first", part(first));
  button.style.setProperty("--length", part(Math.max(0, last - first)));
  button.style.setProperty("--row", row);
  button.addEventListener("click", () => onSeek(first));
  return button;
}

function grip(box, end, duration, onTimes) {
  const handle = make("span", { className: `grip ${end === "first_seconds" ? "start" : "end"}` });
  handle.addEventListener("click", (event) => event.stopPropagation());
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const { left, width } = handle.closest(".timeline").getBoundingClientRect();
    const secondsAt = ({ clientX }) => Math.min(Math.max((clientX - left) / width, 0), 1) * duration;
    const isValid = (seconds) => (end === "first_seconds" ? seconds < (box.last_seconds ?? duration) : seconds > (box.first_seconds ?? 0));
    drag(event, () => {}, (moved, now) => moved && isValid(secondsAt(now)) && onTimes(box, { [end]: secondsAt(now) }));
  });
  return handle;
}
