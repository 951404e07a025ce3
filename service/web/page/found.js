// The marks that were found: a list, and a button at each on the picture. One click keeps a mark, another one removes it after all.

import { byId, make } from "./dom.js";
import { count, moment, percent } from "./format.js";
import { label, setText } from "./i18n.js";
import { isVisible, placeAt } from "./overlay.js";

const MOST_SPANS = 3; // said of a mark; the timeline shows all

const panel = { marks: [], earlier: [], kept: new Set(), size: null, isShown: () => true, onChange: () => {}, onSeek: () => {} };

/** `earlier`: ids of marks that an earlier job kept. `isShown`: whether the buttons on the picture are wanted now. */
export function startFound(marks, earlier, size, { isShown, onChange, onSeek }) {
  const detected = marks.filter(({ kind }) => kind !== "user");
  Object.assign(panel, { marks: detected, earlier, kept: new Set(earlier), size, isShown, onChange, onSeek });
  byId("found").hidden = detected.length + earlier.length === 0;
  byId("found-list").replaceChildren(...detected.map(row), ...earlier.map(earlierRow));
  byId("chips").replaceChildren(...detected.map(chip));
  showState();
}

export function clearFound() {
  startFound([], [], null, { isShown: () => false, onChange: () => {}, onSeek: () => {} });
}

/** Ids of the marks that are to stay, and of those that are to be removed. */
export const keptMarks = () => [...panel.kept];
export const chosenMarks = () => panel.marks.map(({ id }) => id).filter((id) => !panel.kept.has(id));
export const isChoiceNew = () => panel.kept.size !== panel.earlier.length || panel.earlier.some((id) => !panel.kept.has(id));

/** Put the buttons where the marks are at this time; null: of an image. */
export function placeChips(seconds) {
  panel.marks.forEach(({ placements }, index) => {
    const place = byId("chips").children[index];
    const visible = panel.isShown() && placements.find((placement) => isVisible(placement, seconds));
    place.hidden = !visible;
    if (!visible) return;
    const [left, top] = placeAt(visible, seconds).box;
    place.style.setProperty("--left", `${(100 * left) / panel.size.width}%`);
    place.style.setProperty("--top", `${(100 * top) / panel.size.height}%`);
  });
}

function keep(id, isKept) {
  if (isKept) panel.kept.add(id);
  else panel.kept.delete(id);
  showState();
  panel.onChange();
}

function row({ id, kind, confidence, intervals }, index) {
  const box = make("input", { type: "checkbox", onchange: ({ target }) => keep(id, !target.checked) });
  box.dataset.mark = id;
  const name = setText(make("span"), kind === "scene_text" ? "found.sceneText" : "found.mark", { number: index + 1 });
  const sure = setText(make("span", { className: "hint" }), "found.sure", { part: percent(confidence) });
  const spans = panel.size.isVideo ? intervals.slice(0, MOST_SPANS).map(span) : [];
  const more = intervals.length > MOST_SPANS && panel.size.isVideo && make("span", { className: "hint" }, `+${count(intervals.length - MOST_SPANS)}`);
  return make("li", {}, make("label", { className: "check" }, box, name), sure, ...spans, more);
}

function span([first, last]) {
  return make("button", { type: "button", className: "text", onclick: () => panel.onSeek(first) }, `${moment(first)} – ${moment(last)}`);
}

function earlierRow(id) {
  const box = make("input", { type: "checkbox", onchange: ({ target }) => keep(id, !target.checked) });
  box.dataset.mark = id;
  return make("li", {}, make("label", { className: "check" }, box, setText(make("span"), "found.earlier")));
}

function chip({ id }, index) {
  const button = setText(make("button", { type: "button", className: "chip", onclick: () => keep(id, !panel.kept.has(id)) }), "found.keep");
  button.dataset.mark = id;
  return label(button, "found.keepNamed", { number: index + 1 });
}

function showState() {
  for (const box of byId("found-list").querySelectorAll("input")) box.checked = !panel.kept.has(box.dataset.mark);
  for (const button of byId("chips").children) button.setAttribute("aria-pressed", panel.kept.has(button.dataset.mark));
}
