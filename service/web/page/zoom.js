// How large the pictures are shown on the stage, and which part of them: up to eight times, both sides in step.

import { byId } from "./dom.js";
import { percent } from "./format.js";

export const MAX_ZOOM = 8;
const STEP = 1.5; // of a key or a button
const WHEEL_STEP = 1.0015; // of a pixel of the wheel
const LINE_PIXELS = 16; // of a wheel that counts lines

const view = { zoom: 1, x: 0, y: 0 }; // x, y: where the picture's corner is, in parts of the stage

export const isZoomed = () => view.zoom > 1;

export function resetZoom() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  draw();
}

/** Zoom by a factor; the point at these parts of the stage's size stays where it is. */
export function zoomBy(factor, [x, y] = [0.5, 0.5]) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MAX_ZOOM);
  const scale = zoom / view.zoom;
  Object.assign(view, { zoom, x: x - (x - view.x) * scale, y: y - (y - view.y) * scale });
  draw();
}

/** Move the picture by parts of the stage's size. */
export function panBy(x, y) {
  Object.assign(view, { x: view.x + x, y: view.y + y });
  draw();
}

/** Where an event is on the stage, in parts of its size. */
export function placeOf({ clientX, clientY }) {
  const { left, top, width, height } = byId("stage").getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

export function listenToZoom() {
  byId("zoom-in").addEventListener("click", () => zoomBy(STEP));
  byId("zoom-out").addEventListener("click", () => zoomBy(1 / STEP));
  byId("zoom-reset").addEventListener("click", resetZoom);
  byId("stage").addEventListener("wheel", onWheel, { passive: false });
  document.addEventListener("language", draw);
}

/** Zoom with a key; whether it was one of these. */
export function zoomWithKey(key) {
  const acts = { "+": () => zoomBy(STEP), "=": () => zoomBy(STEP), "-": () => zoomBy(1 / STEP), 0: resetZoom };
  acts[key]?.();
  return key in acts;
}

/** With Ctrl, as a pinch on a touch pad says it; and without while the picture is larger, as the page need not scroll then. */
function onWheel(event) {
  if (!event.ctrlKey && !event.metaKey && !isZoomed()) return;
  event.preventDefault();
  zoomBy(WHEEL_STEP ** -(event.deltaY * (event.deltaMode ? LINE_PIXELS : 1)), placeOf(event));
}

function draw() {
  for (const axis of ["x", "y"]) view[axis] = Math.min(Math.max(view[axis], 1 - view.zoom), 0);
  const stage = byId("stage");
  stage.style.setProperty("--zoom", view.zoom);
  stage.style.setProperty("--x", `${100 * view.x}%`);
  stage.style.setProperty("--y", `${100 * view.y}%`);
  stage.classList.toggle("zoomed", isZoomed());
  byId("zoom-reset").textContent = percent(view.zoom);
  byId("zoom-in").disabled = view.zoom >= MAX_ZOOM;
  byId("zoom-out").disabled = byId("zoom-reset").disabled = !isZoomed();
}
