// What the next run is to remove and keep: tools on the stage, boxes and their times, the marks that were found, and the price.

import { estimate } from "./api.js";
import { byId, make } from "./dom.js";
import { chosenMarks, isChoiceNew, keptMarks } from "./found.js";
import { count, lasting } from "./format.js";
import { setText, t } from "./i18n.js";
import { Sketch } from "./sketch.js";

const EDGES = { x1: "draw.left", y1: "draw.top", x2: "draw.right", y2: "draw.bottom" };
const TIMES = { first_seconds: ["draw.from", "draw.fromHere"], last_seconds: ["draw.to", "draw.toHere"] };

const panel = { job: null, sketch: null, start: [], seconds: () => null, onTool: () => {}, onBoxes: () => {} };
const strokesOf = new Map(); // by job: the strokes that it was run with, which the service keeps only as a picture

/** Start with what a job was run with, on a picture of this size. `seconds`: the time shown now; null for an image. */
export function startMarking(job, size, seconds) {
  const boxes = [...job.boxes.map((box) => itemOf("box", box, size)), ...job.keep.map((box) => itemOf("keep", box, size))];
  const start = [...boxes, ...(strokesOf.get(job.id) ?? [])];
  Object.assign(panel, { job, start, seconds, sketch: new Sketch(byId("sketch"), size, start) });
  panel.sketch.brush = Number(byId("brush-size").value) / 100;
  panel.sketch.addEventListener("change", ({ detail }) => { if (!detail?.isQuiet) list(); update(); });
  byId("detect-line").hidden = job.kind === "detect";
  setText(byId("run-again"), job.kind === "detect" ? "draw.clean" : "draw.run");
  setText(byId("mark-hint"), job.kind === "detect" ? "draw.choose" : "draw.hint");
  enable(true);
  list();
  update();
  showPrice(job);
}

/** Disable marking until there is a picture to draw on. */
export function disableMarking() {
  Object.assign(panel, { job: null, sketch: null });
  chooseTool("look");
  enable(false);
  byId("boxes").replaceChildren();
  byId("estimate").textContent = "";
}

export function chooseTool(name) {
  byId("tools").querySelector(`[value=${name}]`).checked = true;
  useTool(name);
}

export const tool = () => byId("tools").querySelector(":checked").value;
export const boxes = () => panel.sketch?.boxes ?? [];
export const setTimes = (box, times) => panel.sketch.set(box, times);
export const showBoxesAt = (seconds) => panel.sketch?.showTime(seconds);

/** The next job: its options, without its source if it removes marks of a detection; and the mask of the strokes. */
export async function markedOrder() {
  const { job, sketch } = panel;
  const mask = await sketch.mask();
  const keep = sketch.boxes.filter(({ kind }) => kind === "keep").map(boxOf);
  const added = sketch.boxes.filter(({ kind }) => kind === "box").map(boxOf);
  if (job.kind === "detect" && !mask && !added.length) return { options: { detection: job.id, marks: chosenMarks(), keep } };
  const detect = job.kind === "detect" || byId("detect-too").checked;
  return { options: { boxes: added, keep, detect, reject: keptMarks() }, mask };
}

/** Remember the strokes of a job that was just made. */
export function rememberStrokes(job) {
  if (panel.sketch?.strokes.length) strokesOf.set(job.id, panel.sketch.strokes);
}

/** `onTool` is called with the tool in use, `onBoxes` when boxes have changed, `onRun` to run. */
export function listenToMarking(onTool, onBoxes, onRun) {
  Object.assign(panel, { onTool, onBoxes });
  byId("tools").addEventListener("change", ({ target }) => useTool(target.value));
  byId("brush-size").addEventListener("input", ({ target }) => { if (panel.sketch) panel.sketch.brush = target.value / 100; });
  byId("marking").addEventListener("submit", (event) => { event.preventDefault(); onRun(); });
  byId("detect-too").addEventListener("change", update);
  byId("add-box").addEventListener("click", addBox);
  byId("clear").addEventListener("click", () => panel.sketch.clear());
  byId("undo").addEventListener("click", () => panel.sketch.undo());
  byId("redo").addEventListener("click", () => panel.sketch.redo());
  document.addEventListener("keydown", onKey);
  document.addEventListener("language", () => panel.job && showPrice(panel.job));
}

function onKey(event) {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (!isUndo || !panel.sketch || event.target.matches("input:not([type=radio], [type=checkbox], [type=range])")) return;
  event.preventDefault();
  if (event.shiftKey) panel.sketch.redo();
  else panel.sketch.undo();
}

function addBox() {
  if (!["box", "keep"].includes(tool())) chooseTool("box");
  panel.sketch.addBox();
  byId("boxes").querySelector("input").focus();
}

function useTool(name) {
  if (panel.sketch && name !== "look") panel.sketch.tool = name;
  byId("sketch").hidden = name === "look";
  byId("brush-size").parentElement.hidden = !["brush", "eraser"].includes(name);
  panel.onTool(name);
  if (panel.sketch && name !== "look") panel.sketch.showTime(panel.seconds()); // the canvas has its size only now
}

function enable(isOn) {
  for (const input of byId("tools").querySelectorAll("input")) input.disabled = !isOn;
  for (const name of ["add-box", "clear", "undo", "redo", "run-again"]) byId(name).disabled = !isOn;
}

/** Called when marks are chosen, too. */
export function update() {
  const { sketch, job, start } = panel;
  if (!sketch) return;
  byId("undo").disabled = !sketch.canUndo;
  byId("redo").disabled = !sketch.canRedo;
  byId("clear").disabled = sketch.items.length === 0;
  const isDrawn = sketch.items.some(({ kind }) => kind === "box" || kind === "stroke");
  const isNew = sketch.items.length !== start.length || sketch.items.some((item) => !start.includes(item)) || isChoiceNew();
  byId("run-again").disabled = job.kind === "detect" ? !isDrawn && chosenMarks().length === 0 : !isNew;
  panel.onBoxes();
}

async function showPrice(job) {
  const { credits, seconds } = await estimate({ media: job.media, frames: job.result.frames, ...lengthAndSize(job) }).catch(() => ({}));
  if (panel.job !== job || credits === undefined) return;
  const price = t("price.credits", { credits: count(credits) });
  byId("estimate").textContent = seconds ? `${price} · ${t("price.time", { time: lasting(seconds) })}` : price;
}

/** What the price of a video may depend on. */
function lengthAndSize({ media }) {
  const { duration: seconds, videoWidth: width, videoHeight: height } = byId("before").firstElementChild ?? {};
  return media === "video" && seconds > 0 && width ? { seconds, width, height } : {};
}

/** A box of the API as an item: in fractions, without what is not said. */
function itemOf(kind, { first_seconds: first, last_seconds: last, end, ...box }, { width, height }) {
  const isPixels = Math.max(...Object.values(box)) > 1;
  const corners = isPixels ? { x1: box.x1 / width, y1: box.y1 / height, x2: box.x2 / width, y2: box.y2 / height } : box;
  const times = Object.fromEntries(Object.entries({ first_seconds: first, last_seconds: last, end }).filter(([, value]) => value !== null));
  return { kind, ...corners, ...times };
}

const boxOf = ({ kind, ...box }) => box;

// The list of boxes; the selected one can be set by numbers.

function list() {
  byId("boxes").replaceChildren(...panel.sketch.boxes.map(row));
}

function row(box, index) {
  const isSelected = box === panel.sketch.selected;
  const words = box.kind === "keep" ? "draw.numberedKeep" : "draw.numbered";
  const now = { box }; // the fields change it
  const remove = setText(make("button", { type: "button", className: "secondary", onclick: () => panel.sketch.remove(now.box) }), "draw.remove");
  const select = setText(make("button", { type: "button", className: "text", onclick: () => panel.sketch.select(box) }), words, { number: index + 1 });
  if (!isSelected) return make("li", { className: "line" }, select, remove);
  const fields = Object.entries(EDGES).map(([edge, name]) => percentField(now, edge, name));
  if (panel.job.media === "video") fields.push(...Object.entries(TIMES).flatMap(([end, names]) => timeFields(now, end, ...names)));
  return make("li", {}, make("fieldset", {}, setText(make("legend"), words, { number: index + 1 }), ...fields, remove));
}

function percentField(now, edge, words) {
  const input = make("input", { type: "number", min: 0, max: 100, step: "any", required: true, value: Math.round(1000 * now.box[edge]) / 10 });
  input.addEventListener("input", () => {
    const value = Math.min(Math.max(input.valueAsNumber / 100 || 0, 0), 1);
    now.box = panel.sketch.set(now.box, { [edge]: value }, true);
    const empty = now.box.x2 <= now.box.x1 || now.box.y2 <= now.box.y1;
    input.setCustomValidity(empty ? t("draw.empty") : "");
  });
  return make("label", {}, setText(make("span"), words), input);
}

function timeFields(now, end, words, hereWords) {
  const input = make("input", { type: "number", min: 0, step: "any", value: now.box[end] ?? "" });
  const take = () => {
    now.box = panel.sketch.set(now.box, { [end]: Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber }, true);
  };
  input.addEventListener("input", take);
  const here = make("button", { type: "button", className: "secondary", onclick: () => { input.value = panel.seconds().toFixed(2); take(); } });
  return [make("label", {}, setText(make("span"), words), input), setText(here, hereWords)];
}
