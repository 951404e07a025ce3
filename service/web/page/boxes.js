// The list of boxes; the selected one can be set by numbers, limited to some seconds, and made to move.

import { make, redraw } from "./dom.js";
import { moment } from "./format.js";
import { label, setText, t } from "./i18n.js";

const EDGES = { x1: "draw.left", y1: "draw.top", x2: "draw.right", y2: "draw.bottom" };
const TIMES = { first_seconds: ["draw.from", "draw.fromHere"], last_seconds: ["draw.to", "draw.toHere"] };

const shown = { box: null, edges: {} }; // the selected box, which its fields change, and those of its edges

/** Draw the list. `seconds`: the time shown now, or null of an image; `onSeek` is called with seconds. */
export function listBoxes(place, sketch, seconds, onSeek) {
  Object.assign(shown, { box: null, edges: {} });
  redraw(place, sketch.boxes.map((box, index) => row(sketch, box, index, seconds, onSeek)));
}

/** Let the fields of a box that moves follow the time. */
export function followTime(sketch) {
  if (!shown.box?.keyframes) return;
  const corners = sketch.cornersOf(shown.box);
  for (const [edge, input] of Object.entries(shown.edges)) if (input !== document.activeElement) input.value = percents(corners[edge]);
}

const percents = (part) => Math.round(1000 * part) / 10;

function row(sketch, box, index, seconds, onSeek) {
  const words = box.kind === "keep" ? "draw.numberedKeep" : "draw.numbered";
  const isSelected = box === sketch.selected;
  const remove = press("draw.remove", () => sketch.remove(isSelected ? shown.box : box));
  if (!isSelected) {
    const select = setText(make("button", { type: "button", className: "text", onclick: () => sketch.select(box) }), words, { number: index + 1 });
    return make("li", { className: "line" }, select, remove);
  }
  shown.box = box;
  const fields = Object.entries(EDGES).map(([edge, name]) => percentField(sketch, edge, name));
  if (seconds() !== null) fields.push(...timing(sketch, box, seconds, onSeek));
  return make("li", {}, make("fieldset", {}, setText(make("legend"), words, { number: index + 1 }), ...fields, remove));
}

const press = (words, onclick) => setText(make("button", { type: "button", className: "secondary", onclick }), words);

function percentField(sketch, edge, words) {
  const value = percents(sketch.cornersOf(shown.box)[edge]);
  const input = make("input", { type: "number", min: 0, max: 100, step: "any", required: true, value });
  shown.edges[edge] = input;
  input.addEventListener("input", () => {
    const part = Math.min(Math.max(input.valueAsNumber / 100 || 0, 0), 1);
    shown.box = sketch.place(shown.box, { ...sketch.cornersOf(shown.box), [edge]: part }, true);
    const now = sketch.cornersOf(shown.box);
    input.setCustomValidity(now.x2 <= now.x1 || now.y2 <= now.y1 ? t("draw.empty") : "");
  });
  return make("label", {}, setText(make("span"), words), input);
}

function timing(sketch, box, seconds, onSeek) {
  const times = Object.entries(TIMES).flatMap(([end, names]) => timeField(sketch, end, seconds, ...names));
  const moves = make("input", { type: "checkbox", checked: Boolean(box.keyframes) });
  moves.addEventListener("change", () => sketch.letMove(shown.box, moves.checked));
  const choice = make("label", { className: "check wide" }, moves, setText(make("span"), "draw.moves"));
  return [...times, choice, ...(box.keyframes ? keyframes(sketch, box, onSeek) : [])];
}

function timeField(sketch, end, seconds, words, hereWords) {
  const input = make("input", { type: "number", min: 0, step: "any", value: shown.box[end] ?? "" });
  const take = () => {
    shown.box = sketch.set(shown.box, { [end]: Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber }, true);
  };
  input.addEventListener("input", take);
  return [make("label", {}, setText(make("span"), words), input), press(hereWords, () => { input.value = seconds().toFixed(2); take(); })];
}

function keyframes(sketch, box, onSeek) {
  const hint = setText(make("p", { className: "hint wide" }), "draw.movesHint");
  const add = press("draw.keyframe", () => sketch.place(shown.box, sketch.cornersOf(shown.box)));
  const list = make("ul", { className: "keyframes wide" }, ...box.keyframes.map((each) => keyframe(sketch, each, onSeek)), make("li", {}, add));
  return [hint, list];
}

function keyframe(sketch, each, onSeek) {
  const time = moment(each.seconds);
  const there = make("button", { type: "button", className: "text", onclick: () => onSeek(each.seconds) }, time);
  const bin = make("button", { type: "button", className: "icon-button", onclick: () => sketch.removeKeyframe(shown.box, each) }, "×");
  return make("li", {}, label(there, "draw.keyframeAt", { time }), label(bin, "draw.keyframeRemove", { time }));
}
