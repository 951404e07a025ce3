// DOM helpers. Content is inserted as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter(Boolean));
  return element;
}

const VIEWS = { key: ["hero", "key-card"], start: ["hero", "new-job"], work: ["work"], result: ["result"] };
const OF_ACCOUNT = ["credits", "forget-key", "jobs", "examples"];
const DRAGGED_PIXELS = 4; // less is a click

/** Show one view: key, start, work or result. */
export function view(name) {
  for (const id of Object.values(VIEWS).flat()) byId(id).hidden = !VIEWS[name].includes(id);
  for (const id of OF_ACCOUNT) byId(id).hidden = name === "key";
}

/** Follow a pointer that is pressed on an element until it is released. `onEnd` is told whether it was moved, not just clicked. */
export function drag(event, onMove, onEnd = () => {}) {
  const { target, pointerId, clientX, clientY } = event;
  const stop = new AbortController();
  const on = (names, act) => names.forEach((name) => target.addEventListener(name, (now) => now.pointerId === pointerId && act(now), stop));
  let moved = false;
  target.setPointerCapture(pointerId);
  on(["pointermove"], (now) => {
    moved ||= Math.hypot(now.clientX - clientX, now.clientY - clientY) >= DRAGGED_PIXELS;
    if (moved) onMove(now);
  });
  on(["pointerup", "pointercancel"], (now) => { stop.abort(); onEnd(moved && now.type === "pointerup", now); });
}

/** Replace the children of an element; the focus stays at the same control, by its number. */
export function redraw(place, children) {
  const controls = () => [...place.querySelectorAll("button, input")];
  const focused = controls().indexOf(document.activeElement);
  place.replaceChildren(...children);
  if (focused >= 0) (controls()[focused] ?? controls().at(-1))?.focus({ preventScroll: true });
}

/** Announce a translated text to screen readers. */
export function announce(translated) {
  byId("status").textContent = translated;
}
