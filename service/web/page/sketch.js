// The user's drawing on the picture: boxes to remove or keep, and strokes, in fractions of its size; and the mask of the strokes.

import { cornersAt, moving, placedAt, resting, without } from "./keyframes.js";
import { GRIPS, between, contains, gripPlace, isLarge, isNow, middle, moved, pulled } from "./shapes.js";

const STROKE_OPACITY = 0.6; // on the screen, so that the picture stays visible
const BOX_OPACITY = 0.25;
const TIMED_OPACITY = 0.35; // of a box at a time when it does not hold
const GRIP_PIXELS = { mouse: 9, touch: 22, pen: 12 }; // on the screen, around a grip
const DOT_PIXELS = 4; // on the screen, the radius of a keyframe's middle
const NUDGE = 0.01; // of the picture, for an arrow key
const MIDDLE_BOX = { x1: 0.4, y1: 0.4, x2: 0.6, y2: 0.6 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STROKES = { brush: "stroke", eraser: "erasure" };

/**
 * Fires `change` when there are other items or another one is selected.
 * `items`: { kind: "box" or "keep", x1, y1, x2, y2, first_seconds, last_seconds, keyframes: [{ seconds, x1, y1, x2, y2 }, ...] },
 * { kind: "stroke" or "erasure", width, points: [[x, y], ...] }.
 */
export class Sketch extends EventTarget {
  items = [];
  selected = null;
  tool = "box"; // or keep, brush, eraser
  brush = 0.05;
  seconds = null;
  frame = 0.04; // how long one is, in seconds
  #past = [];
  #future = [];
  #drawn = null; // the items while a pointer is pressed
  #pointer = null; // what its movement does, and what its end does

  constructor(canvas, size, items = []) {
    super();
    this.canvas = canvas;
    this.items = items;
    Object.assign(canvas, size);
    canvas.onpointerdown = (event) => this.#begin(event);
    canvas.onpointermove = (event) => this.#pointer?.move(this.#place(event));
    canvas.onpointerup = (event) => this.#end(this.#place(event));
    canvas.onpointercancel = () => this.#drop();
    canvas.onkeydown = (event) => this.#key(event);
    this.#paint();
  }

  get boxes() { return this.items.filter(({ kind }) => kind === "box" || kind === "keep"); }
  get strokes() { return this.items.filter(({ kind }) => kind === "stroke" || kind === "erasure"); }
  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  add(item) { this.#become([...this.items, item], item); }
  addBox() { this.add({ kind: this.tool === "keep" ? "keep" : "box", ...MIDDLE_BOX }); }
  remove(item) { this.#become(this.items.filter((each) => each !== item), null); }
  clear() { this.#become([], null); }

  /** Replace a box by one with other values. `isQuiet`: its fields are being typed in, so that they need not be drawn again. */
  set(item, values, isQuiet = false) {
    return this.#replace(item, { ...item, ...values }, isQuiet);
  }

  #replace(item, changed, isQuiet = false) {
    this.#become(this.items.map((each) => (each === item ? changed : each)), changed, isQuiet);
    return changed;
  }

  select(item) {
    this.selected = item;
    this.#tell();
  }

  /** Where a box is at the time shown. */
  cornersOf(item) { return cornersAt(item, this.seconds); }

  /** Put a box there, or one that moves only at the time shown. */
  place(item, corners, isQuiet = false) { return this.#replace(item, placedAt(item, this.seconds, corners, this.frame), isQuiet); }

  /** Let a box move, or rest where it is now. */
  letMove(item, moves) { this.#replace(item, (moves ? moving : resting)(item, this.seconds)); }

  removeKeyframe(item, keyframe) { this.#replace(item, without(item, keyframe)); }

  undo() { this.#travel(this.#past, this.#future); }
  redo() { this.#travel(this.#future, this.#past); }

  /** Show the boxes as they are at this time. */
  showTime(seconds) {
    this.seconds = seconds;
    this.#paint();
  }

  /** The strokes as a PNG of the picture's size, white on black; null without strokes. */
  async mask() {
    if (!this.strokes.some(({ kind }) => kind === "stroke")) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: this.canvas.width, height: this.canvas.height });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const item of this.strokes) stroke(pen, item, item.kind === "stroke" ? "#fff" : "#000");
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  // Pointers and keys.

  #begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    const grip = this.#gripAt(place, event.pointerType);
    if (this.tool in STROKES) this.#beginStroke(place);
    else if (grip) this.#change((box, now) => pulled(box, grip, now));
    else if (this.selected && contains(this.cornersOf(this.selected), place)) this.#change((box, now) => moved(box, now[0] - place[0], now[1] - place[1]));
    else this.#beginBox(place);
  }

  #beginStroke(place) {
    const item = { kind: STROKES[this.tool], width: this.brush, points: [place] };
    this.#draw([...this.items, item]);
    this.#pointer = {
      move: (now) => { item.points.push(now); this.#paint(); },
      end: () => this.add(item),
    };
  }

  #beginBox(place) {
    const box = (now) => ({ kind: this.tool, ...between(place, now) });
    this.#pointer = {
      move: (now) => this.#draw([...this.items, box(now)]),
      end: (now) => (isLarge(box(now)) ? this.add(box(now)) : this.select(this.boxes.findLast((each) => contains(this.cornersOf(each), now)) ?? null)),
    };
  }

  /** Change the selected box with the pointer. */
  #change(shape) {
    const [item, corners] = [this.selected, this.cornersOf(this.selected)];
    const changed = (now) => placedAt(item, this.seconds, shape(corners, now), this.frame);
    this.#pointer = {
      move: (now) => this.#draw(this.items.map((each) => (each === item ? changed(now) : each))),
      end: (now) => isLarge(shape(corners, now)) && this.#replace(item, changed(now)),
    };
  }

  #end(place) {
    const { end } = this.#pointer ?? {};
    this.#drop();
    end?.(place);
  }

  #drop() {
    this.#pointer = null;
    this.#draw(null);
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    const acts = { Enter: () => this.addBox(), Delete: () => this.remove(this.selected), Backspace: () => this.remove(this.selected) };
    if (event.key !== "Enter" && !this.selected) return;
    if (arrow) this.#nudge(arrow, event.shiftKey);
    else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
  }

  #nudge([x, y], resizes) {
    const box = this.cornersOf(this.selected);
    const changed = resizes
      ? pulled(box, { x: 1, y: 1 }, [Math.min(box.x2 + x * NUDGE, 1), Math.min(box.y2 + y * NUDGE, 1)])
      : moved(box, x * NUDGE, y * NUDGE);
    if (isLarge(changed)) this.place(this.selected, changed);
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height].map((part) => Math.min(Math.max(part, 0), 1));
  }

  #gripAt([x, y], pointer) {
    if (!this.selected || this.tool in STROKES) return null;
    const { width, height } = this.canvas.getBoundingClientRect();
    const distance = ([u, v]) => Math.hypot((u - x) * width, (v - y) * height);
    return GRIPS.find((grip) => distance(gripPlace(this.cornersOf(this.selected), grip)) < (GRIP_PIXELS[pointer] ?? GRIP_PIXELS.mouse));
  }

  // History.

  #become(items, selected, isQuiet = false) {
    this.#past.push(this.items);
    this.#future = [];
    Object.assign(this, { items, selected: items.includes(selected) && "x1" in selected ? selected : null });
    this.#tell(isQuiet);
  }

  #travel(from, to) {
    if (!from.length) return;
    to.push(this.items);
    Object.assign(this, { items: from.pop(), selected: null });
    this.#tell();
  }

  #tell(isQuiet = false) {
    this.#paint();
    this.dispatchEvent(new CustomEvent("change", { detail: { isQuiet } }));
  }

  // Painting.

  #draw(items) {
    this.#drawn = items;
    this.#paint();
  }

  #paint() {
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    const items = this.#drawn ?? this.items;
    const unit = this.canvas.width / (this.canvas.getBoundingClientRect().width || this.canvas.width); // a pixel of the screen
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const item of items.filter(({ points }) => points)) {
      pen.globalCompositeOperation = item.kind === "erasure" ? "destination-out" : "source-over";
      stroke(pen, item, style.color);
    }
    fade(pen, STROKE_OPACITY);
    for (const item of items.filter(({ points }) => !points)) {
      const [box, colour] = [this.cornersOf(item), item.kind === "keep" ? style.getPropertyValue("--keep") : style.color];
      pen.globalAlpha = isNow(item, this.seconds) ? 1 : TIMED_OPACITY;
      outline(pen, { ...box, kind: item.kind }, colour, unit);
      if (item !== this.selected && !this.#drawn) continue;
      if (item.keyframes) path(pen, item.keyframes, colour, unit);
      grips(pen, box, unit);
    }
    pen.globalAlpha = 1;
  }
}

/** Make what is painted so far so much more transparent. */
function fade(pen, opacity) {
  pen.globalCompositeOperation = "destination-in";
  pen.fillStyle = `rgb(0 0 0 / ${opacity})`;
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.globalCompositeOperation = "source-over";
}

function outline(pen, { x1, y1, x2, y2, kind }, colour, unit) {
  const { width, height } = pen.canvas;
  const corners = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height];
  const opacity = pen.globalAlpha;
  pen.lineWidth = 2 * unit;
  pen.setLineDash(kind === "keep" ? [6 * unit, 4 * unit] : []);
  pen.strokeStyle = pen.fillStyle = colour;
  pen.strokeRect(...corners);
  pen.globalAlpha = opacity * BOX_OPACITY;
  pen.fillRect(...corners);
  pen.globalAlpha = opacity;
  pen.setLineDash([]);
}

/** The way of a box that moves: from the middle of each keyframe to that of the next. */
function path(pen, keyframes, colour, unit) {
  const { width, height } = pen.canvas;
  const places = keyframes.map(middle).map(([x, y]) => [x * width, y * height]);
  Object.assign(pen, { lineWidth: 2 * unit, strokeStyle: colour, fillStyle: colour });
  pen.beginPath();
  for (const place of places) pen.lineTo(...place);
  pen.stroke();
  for (const [x, y] of places) {
    pen.beginPath();
    pen.arc(x, y, DOT_PIXELS * unit, 0, 2 * Math.PI);
    pen.fill();
  }
}

function grips(pen, box, unit) {
  pen.fillStyle = "#fff";
  pen.strokeStyle = "#16191a";
  pen.lineWidth = unit;
  for (const grip of GRIPS) {
    const [x, y] = gripPlace(box, grip);
    const corner = [x * pen.canvas.width - 4 * unit, y * pen.canvas.height - 4 * unit, 8 * unit, 8 * unit];
    pen.fillRect(...corner);
    pen.strokeRect(...corner);
  }
}

function stroke(pen, { width: part, points }, colour) {
  const { width, height } = pen.canvas;
  Object.assign(pen, { lineWidth: part * width, lineCap: "round", lineJoin: "round", strokeStyle: colour });
  pen.beginPath();
  pen.moveTo(points[0][0] * width, points[0][1] * height);
  for (const [x, y] of [points[0], ...points]) pen.lineTo(x * width, y * height);
  pen.stroke();
}
