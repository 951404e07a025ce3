// The timeline: a row for each mark, its intervals as bars, and one for each box, whose ends can be dragged, with its keyframes. One control
// for the keyboard: the arrow keys lead from bar to bar.

import { drag, make, redraw } from "./dom.js";
import { moment, percent } from "./format.js";
import { label } from "./i18n.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const REMOVING = ["Delete", "Backspace"];

/**
 * `acts`: `onSeek` is called with seconds, `onTimes` with a box and its new times, `onSelect` with a box, and `onRemove` with a box and one
 * of its keyframes.
 */
export function drawTimeline(place, marks, boxes, duration, acts) {
  const bars = marks.flatMap((mark, row) => mark.intervals.map((interval) => bar(mark, interval, row, duration, acts)));
  const edited = boxes.flatMap((box, row) => boxParts(box, marks.length + row, duration, acts));
  place.style.setProperty("--rows", marks.length + boxes.length);
  redraw(place, [...bars, ...edited]);
  place.hidden = bars.length + edited.length === 0;
  place.onkeydown = (event) => rove(place, event);
  for (const each of place.children) each.onfocus = () => hold(place, each);
  hold(place, [...place.children].find((each) => each === document.activeElement) ?? place.firstElementChild);
}

/** Highlight the bars of what is visible at this time. */
export function showTime(place, seconds) {
  for (const each of place.children) each.classList.toggle("now", Number(each.dataset.first) <= seconds && seconds <= Number(each.dataset.last));
}

/** Let Tab lead to this bar. */
function hold(place, held) {
  for (const each of place.children) each.tabIndex = each === held ? 0 : -1;
}

function rove(place, event) {
  const bars = [...place.children];
  const next = bars[bars.indexOf(event.target) + (STEPS[event.key] ?? 0)];
  if (!(event.key in STEPS) || !next) return;
  event.preventDefault();
  hold(place, next);
  next.focus();
}

function bar({ kind, opacity }, [first, last], row, duration, { onSeek }) {
  const values = { first: moment(first), last: moment(last), opacity: percent(opacity) };
  const button = make("button", { type: "button", className: "interval", onclick: () => onSeek(first) });
  return put(button, kind === "scene_text" ? "timeline.sceneText" : "timeline.mark", values, [first, last], row, duration);
}

/** The bar of a box, and a button at each of its keyframes. */
function boxParts(box, row, duration, { onSeek, onTimes, onSelect, onRemove }) {
  const [first, last] = [box.first_seconds ?? 0, box.last_seconds ?? duration];
  const go = (seconds) => { onSelect(box); onSeek(seconds); };
  const ends = ["first_seconds", "last_seconds"].map((end) => grip(box, end, duration, onTimes));
  const whole = make("button", { type: "button", className: `interval of-${box.kind}`, onclick: () => go(first) }, ...ends);
  const keyframes = (box.keyframes ?? []).map((each) => {
    const button = make("button", { type: "button", className: `keyframe of-${box.kind}`, onclick: () => go(each.seconds) });
    button.addEventListener("keydown", (event) => {
      if (!REMOVING.includes(event.key)) return;
      event.preventDefault();
      onRemove(box, each);
    });
    return put(button, "timeline.keyframe", { time: moment(each.seconds) }, [each.seconds, each.seconds], row, duration);
  });
  return [put(whole, "timeline.box", { first: moment(first), last: moment(last) }, [first, last], row, duration), ...keyframes];
}

function put(button, words, values, [first, last], row, duration) {
  const part = (seconds) => `${(100 * seconds) / (duration || 1)}%`;
  label(button, words, values);
  button.title = button.getAttribute("aria-label");
  Object.assign(button.dataset, { first, last });
  button.style.setProperty("--first", part(first));
  button.style.setProperty("--length", part(Math.max(0, last - first)));
  button.style.setProperty("--row", row);
  return button;
}

function grip(box, end, duration, onTimes) {
  const handle = make("span", { className: `grip ${end === "first_seconds" ? "start" : "end"}` });
  handle.addEventListener("click", (event) => event.stopPropagation());
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const { left, width } = handle.closest(".timeline").getBoundingClientRect();
    const bar = handle.parentElement;
    const isFirst = end === "first_seconds";
    const secondsAt = ({ clientX }) => Math.min(Math.max((clientX - left) / width, 0), 1) * duration;
    const isValid = (seconds) => (isFirst ? seconds < (box.last_seconds ?? duration) : seconds > (box.first_seconds ?? 0));
    const show = (seconds) => {
      const [first, last] = isFirst ? [seconds, box.last_seconds ?? duration] : [box.first_seconds ?? 0, seconds];
      bar.style.setProperty("--first", `${(100 * first) / duration}%`);
      bar.style.setProperty("--length", `${(100 * (last - first)) / duration}%`);
    };
    drag(event, (now) => isValid(secondsAt(now)) && show(secondsAt(now)), (moved, now) => {
      if (moved && isValid(secondsAt(now))) onTimes(box, { [end]: secondsAt(now) });
      else show(isFirst ? box.first_seconds ?? 0 : box.last_seconds ?? duration);
    });
  });
  return handle;
}
