// What the next run is to remove and keep: tools on the stage, boxes and their times, the marks that were found, and the price.

import { detection, estimate } from "./api.js";
import { followTime, listBoxes } from "./boxes.js";
import { byId } from "./dom.js";
import { chosenMarks, isChoiceNew, keptMarks } from "./found.js";
import { count, lasting } from "./format.js";
import { setText, t } from "./i18n.js";
import { joined, piecesOf } from "./keyframes.js";
import { Sketch } from "./sketch.js";

const panel = { job: null, sketch: null, start: [], seconds: () => null, onTool: () => {}, onBoxes: () => {}, onSeek: () => {} };
const LEAST_SECONDS = 1;
const strokesOf = new Map(); // by job: the strokes that it was run with, which the service keeps only as a picture

/** Start with what a job was run with, on a picture of this size. `seconds`: the time shown now; null for an image. */
export function startMarking(job, size, seconds) {
  const start = [...itemsOf("box", job.boxes, size), ...itemsOf("keep", job.keep, size), ...(strokesOf.get(job.id) ?? [])];
  Object.assign(panel, { job, start, seconds, sketch: new Sketch(byId("sketch"), size, start) });
  panel.sketch.brush = Number(byId("brush-size").value) / 100;
  panel.sketch.addEventListener("change", ({ detail }) => { if (!detail?.isQuiet) list(); update(); });
  byId("detect-line").hidden = job.kind === "detect";
  setText(byId("run-again"), job.kind === "detect" ? "draw.clean" : "draw.run");
  setText(byId("mark-hint"), job.kind === "detect" ? "draw.choose" : job.result.mark_found ? "draw.hint" : "draw.hintNothing");
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
export const removeKeyframe = (box, keyframe) => panel.sketch.removeKeyframe(box, keyframe);
export const setFrame = (seconds) => { if (panel.sketch) panel.sketch.frame = seconds; };

export function selectBox(box) {
  if (!["box", "keep"].includes(tool())) chooseTool(box.kind);
  panel.sketch.select(box);
}

export function showBoxesAt(seconds) {
  if (!panel.sketch) return;
  panel.sketch.showTime(seconds);
  followTime(panel.sketch);
}

/** The next job: its options, without its source if it removes marks of a detection; and the mask of the strokes. */
export async function markedOrder() {
  const { job, sketch } = panel;
  const mask = await sketch.mask();
  const end = byId("before").firstElementChild.duration; // undefined of an image
  const boxesOf = (kind) => sketch.boxes.filter((box) => box.kind === kind).flatMap((box) => piecesOf(box, end, sketch.frame));
  const [keep, added] = [boxesOf("keep"), boxesOf("box")];
  if (job.kind === "detect" && !mask && !added.length) return { options: { detection: job.id, marks: chosenMarks(), keep } };
  const detect = job.kind === "detect" || byId("detect-too").checked;
  return { options: { boxes: added, keep, detect, reject: keptMarks() }, mask };
}

/** Remember the strokes of a job that was just made. */
export function rememberStrokes(job) {
  if (panel.sketch?.strokes.length) strokesOf.set(job.id, panel.sketch.strokes);
}

/** `onTool` is called with the tool in use, `onBoxes` when boxes have changed, `onSeek` with seconds, `onRun` to run. */
export function listenToMarking(onTool, onBoxes, onSeek, onRun) {
  Object.assign(panel, { onTool, onBoxes, onSeek });
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
  const order = { media: job.media, frames: job.result.frames, ...lengthAndSize(job) };
  const [{ credits, seconds }, trial] = await Promise.all([estimate(order).catch(() => ({})), trialOf(job)]);
  if (panel.job !== job || credits === undefined) return;
  const price = t("price.credits", { credits: count(credits) });
  const taking = trial ?? (seconds && job.kind === "detect" ? seconds - job.result.seconds : seconds); // the marks need no second search
  byId("estimate").textContent = taking === null ? price : `${price} · ${t("price.time", { time: lasting(Math.max(LEAST_SECONDS, taking)) })}`;
}

/** Seconds that removing the marks of a detection will take, as tried on a few of its frames; null if that is not known. */
async function trialOf(job) {
  const found = job.kind === "detect" ? await detection(job).catch(() => null) : null;
  return found?.removal_seconds ?? null;
}

/** What the price of a video may depend on. */
function lengthAndSize({ media }) {
  const { duration: seconds, videoWidth: width, videoHeight: height } = byId("before").firstElementChild ?? {};
  return media === "video" && seconds > 0 && width ? { seconds, width, height } : {};
}

/** Boxes of the API as items: in fractions, without what is not said. */
function itemsOf(kind, boxes, { width, height }) {
  const isPixels = ({ x1, y1, x2, y2 }) => Math.max(x1, y1, x2, y2) > 1;
  const shares = ({ x1, y1, x2, y2 }) => ({ x1: x1 / width, y1: y1 / height, x2: x2 / width, y2: y2 / height });
  return joined(boxes.map(({ first_seconds, last_seconds, end, ...box }) => {
    const scaled = isPixels(box) || (end && isPixels(end)) ? shares : (corners) => corners;
    const said = Object.entries({ first_seconds, last_seconds, end: end && scaled(end) }).filter(([, value]) => value !== null);
    return { kind, ...scaled(box), ...Object.fromEntries(said) };
  }));
}

function list() {
  listBoxes(byId("boxes"), panel.sketch, panel.seconds, panel.onSeek);
}
