// The user's drawing on the picture: boxes and strokes in fractions of its size, and the mask of the strokes.

const STROKE_OPACITY = 0.6; // on the screen, so that the picture stays visible
const MIN_SIZE = 0.005; // of the picture: anything smaller was a click

/** Fires `change`. `items`: { kind: "box", x1, y1, x2, y2 } and { kind: "stroke", width, points: [[x, y], ...] }. */
export class Sketch extends EventTarget {
  items = [];
  tool = "box";
  brush = 0.05;
  #drawn = null;

  constructor(canvas, size) {
    super();
    this.canvas = canvas;
    Object.assign(canvas, size);
    canvas.onpointerdown = (event) => this.#begin(event);
    canvas.onpointermove = (event) => this.#drawn && this.#extend(event);
    canvas.onpointerup = canvas.onpointercancel = () => this.#drawn && this.#end();
    this.#paint();
  }

  get boxes() { return this.items.filter(({ kind }) => kind === "box"); }
  get strokes() { return this.items.filter(({ kind }) => kind === "stroke"); }

  add(item) { this.#become([...this.items, item]); }
  undo() { this.#become(this.items.slice(0, -1)); }
  clear() { this.#become([]); }
  remove(item) { this.#become(this.items.filter((each) => each !== item)); }

  /** Call after changing an item from outside. */
  redraw() { this.#paint(); }

  /** The strokes as a PNG of the picture's size, white on black; null without strokes. */
  async mask() {
    if (!this.strokes.length) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: this.canvas.width, height: this.canvas.height });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const item of this.strokes) stroke(pen, item, "#fff");
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  #begin(event) {
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const [x, y] = this.#place(event);
    this.#drawn = this.tool === "box"
      ? { kind: "box", x1: x, y1: y, x2: x, y2: y, from: [x, y] }
      : { kind: "stroke", width: this.brush, points: [[x, y]] };
    this.#paint();
  }

  #extend(event) {
    const [x, y] = this.#place(event);
    if (this.#drawn.kind === "box") Object.assign(this.#drawn, boxBetween(this.#drawn.from, [x, y]));
    else this.#drawn.points.push([x, y]);
    this.#paint();
  }

  #end() {
    const { from, ...item } = this.#drawn;
    this.#drawn = null;
    const large = item.kind === "stroke" || (item.x2 - item.x1 > MIN_SIZE && item.y2 - item.y1 > MIN_SIZE);
    if (large) this.add(item);
    else this.#paint();
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height].map((part) => Math.min(Math.max(part, 0), 1));
  }

  #become(items) {
    this.items = items;
    this.#paint();
    this.dispatchEvent(new Event("change"));
  }

  #paint() {
    const pen = this.canvas.getContext("2d");
    const colour = getComputedStyle(this.canvas).color;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const item of [...this.items, this.#drawn].filter(Boolean)) {
      if (item.kind === "box") outline(pen, item, colour);
      else stroke(pen, item, colour, STROKE_OPACITY);
    }
  }
}

function boxBetween([x, y], [u, v]) {
  return { x1: Math.min(x, u), y1: Math.min(y, v), x2: Math.max(x, u), y2: Math.max(y, v) };
}

function outline(pen, { x1, y1, x2, y2 }, colour) {
  const { width, height } = pen.canvas;
  const corners = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height];
  pen.lineWidth = Math.max(2, width / 400);
  pen.strokeStyle = pen.fillStyle = colour;
  pen.strokeRect(...corners);
  pen.globalAlpha = 0.25;
  pen.fillRect(...corners);
  pen.globalAlpha = 1;
}

function stroke(pen, { width: part, points }, colour, opacity = 1) {
  const { width, height } = pen.canvas;
  Object.assign(pen, { lineWidth: part * width, lineCap: "round", lineJoin: "round", strokeStyle: colour, globalAlpha: opacity });
  pen.beginPath();
  pen.moveTo(points[0][0] * width, points[0][1] * height);
  for (const [x, y] of [points[0], ...points]) pen.lineTo(x * width, y * height);
  pen.stroke();
  pen.globalAlpha = 1;
}
