// Pointers on the stage while nothing is drawn: they move the divider, move an enlarged picture, pinch it, and a click plays.

import { divide, dividedAt } from "./compare.js";
import { byId, drag } from "./dom.js";
import { isZoomed, panBy, placeOf, zoomBy } from "./zoom.js";

const GRIP_PIXELS = 28; // to each side of the divider

const fingers = new Map(); // by pointer: where it is, in parts of the stage's size

/** `onClick` is called for a click that moves nothing. */
export function listenToStage(onClick) {
  const stage = byId("stage");
  stage.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.closest("button, #sketch")) return;
    fingers.set(event.pointerId, placeOf(event));
    if (fingers.size === 1) press(event, onClick);
  });
  stage.addEventListener("pointermove", pinch);
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, ({ pointerId }) => fingers.delete(pointerId));
}

function press(event, onClick) {
  const { width } = byId("stage").getBoundingClientRect();
  const isAtDivider = Math.abs(placeOf(event)[0] - dividedAt() / 100) * width < GRIP_PIXELS;
  const pans = isZoomed() && !isAtDivider;
  let [before, pinched] = [placeOf(event), false];
  byId("divider").focus({ preventScroll: true });
  drag(event, (now) => {
    const place = placeOf(now);
    pinched ||= fingers.size > 1;
    if (pinched) return;
    if (pans) panBy(place[0] - before[0], place[1] - before[1]);
    else divide(Math.round(100 * Math.min(Math.max(place[0], 0), 1)));
    before = place;
  }, (moved) => { if (!moved && !pinched) onClick(); });
}

/** Two fingers: the picture follows them. */
function pinch(event) {
  if (!fingers.has(event.pointerId)) return;
  const before = [...fingers.values()];
  fingers.set(event.pointerId, placeOf(event));
  if (fingers.size !== 2) return;
  const after = [...fingers.values()];
  const [old, now] = [before, after].map(([one, other]) => ({
    apart: Math.hypot(one[0] - other[0], one[1] - other[1]),
    middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2],
  }));
  panBy(now.middle[0] - old.middle[0], now.middle[1] - old.middle[1]);
  zoomBy(now.apart / Math.max(old.apart, 0.01), now.middle);
}
