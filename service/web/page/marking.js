// The panel for marking what is left: drawing, boxes set by numbers, and another run with them.

import { byId, make } from "./dom.js";
import { setText } from "./i18n.js";
import { Sketch } from "./sketch.js";

const MIDDLE_BOX = { kind: "box", x1: 0.4, y1: 0.4, x2: 0.6, y2: 0.6 };
const EDGES = { x1: "draw.left", y1: "draw.top", x2: "draw.right", y2: "draw.bottom" };
const TIMES = { first_seconds: "draw.from", last_seconds: "draw.to" };

const panel = { sketch: null, isVideo: true };

/** Start with an empty sketch on a picture of this size. */
export function startMarking(size, isVideo) {
  panel.sketch = new Sketch(byId("sketch"), size);
  panel.isVideo = isVideo;
  panel.sketch.addEventListener("change", list);
  for (const name of ["tool", "brush-size"]) choose({ target: { name, id: name, value: valueOf(name) } });
  list();
  byId("mark").disabled = false;
}

/** Disable marking until there is a picture to draw on. */
export function disableMarking() {
  byId("mark").disabled = true;
  open(false);
}

/** The marked boxes as job options, and the mask of the strokes. */
export async function markedOptions() {
  const boxes = panel.sketch.boxes.map(({ kind, ...box }) => box);
  return { options: { boxes, detect: byId("detect-too").checked }, mask: await panel.sketch.mask() };
}

const isOpen = () => byId("mark").getAttribute("aria-expanded") === "true";

function open(shown) {
  byId("mark").setAttribute("aria-expanded", shown);
  byId("marking").hidden = !shown;
  byId("sketch").hidden = !shown;
}

export function listenToMarking(onOpen, onRun) {
  byId("mark").addEventListener("click", () => { open(!isOpen()); onOpen(isOpen()); });
  byId("marking").addEventListener("input", choose);
  byId("marking").addEventListener("submit", (event) => { event.preventDefault(); onRun(); });
  byId("add-box").addEventListener("click", () => {
    panel.sketch.add({ ...MIDDLE_BOX });
    byId("boxes").lastElementChild.querySelector("input").focus();
  });
  byId("undo").addEventListener("click", () => panel.sketch.undo());
  byId("clear").addEventListener("click", () => panel.sketch.clear());
}

const valueOf = (name) => (name === "tool" ? byId("marking").elements.tool.value : byId(name).value);

function choose({ target }) {
  if (target.name === "tool") panel.sketch.tool = target.value;
  if (target.id === "brush-size") panel.sketch.brush = target.value / 100;
}

function list() {
  const { items, boxes } = panel.sketch;
  for (const name of ["run-again", "undo", "clear"]) byId(name).disabled = items.length === 0;
  byId("boxes").replaceChildren(...boxes.map(row));
}

function row(box, index) {
  const remove = make("button", { type: "button", className: "secondary", onclick: () => panel.sketch.remove(box) });
  const fields = Object.entries(EDGES).map(([edge, words]) => percentField(box, edge, words));
  if (panel.isVideo) fields.push(...Object.entries(TIMES).map(([end, words]) => secondsField(box, end, words)));
  const name = setText(make("legend"), "draw.numbered", { number: index + 1 });
  return make("li", {}, make("fieldset", {}, name, ...fields, setText(remove, "draw.remove")));
}

function percentField(box, edge, words) {
  const input = make("input", { type: "number", min: 0, max: 100, step: "any", required: true, value: Math.round(1000 * box[edge]) / 10 });
  input.addEventListener("input", () => {
    box[edge] = Math.min(Math.max(input.valueAsNumber / 100 || 0, 0), 1);
    const empty = box.x2 <= box.x1 || box.y2 <= box.y1;
    input.setCustomValidity(empty ? setText(make("i"), "draw.empty").textContent : "");
    panel.sketch.redraw();
  });
  return make("label", {}, setText(make("span"), words), input);
}

function secondsField(box, end, words) {
  const input = make("input", { type: "number", min: 0, step: "any", value: box[end] ?? "" });
  input.addEventListener("input", () => {
    if (Number.isNaN(input.valueAsNumber)) delete box[end];
    else box[end] = input.valueAsNumber;
  });
  return make("label", {}, setText(make("span"), words), input);
}
