// Draws what was removed over the picture: each mark's matte in one colour, and its box.

import { make } from "./dom.js";

const MAX_BYTE = 255;
const STRENGTH = 0.8; // of the tint where the mark is most opaque, so that the picture stays visible

/** Whether a placement is visible at a time; always in an image (null). */
export function isVisible({ first_seconds: first, last_seconds: last }, seconds) {
  return seconds === null || (first <= seconds && seconds <= last);
}

/** Where a visible mark is at a time: a moving one at the last place that it has reached. (An old report has no paths.) */
export function placeAt(placement, seconds) {
  return placement.path?.findLast((place) => place.first_seconds <= seconds) ?? placement;
}

export class Overlay {
  /** `file`: from a report; `size`: of the displayed picture in pixels. */
  constructor(canvas, file, size) {
    Object.assign(this, { canvas, placements: file.placements, mattes: [] });
    Object.assign(canvas, size);
    this.colour = getComputedStyle(canvas).color;
    this.ready = Promise.all(file.mattes.map(tintWith(this.colour))).then((mattes) => { this.mattes = mattes; });
  }

  /** Draw the marks visible at a time; null: all. `withMattes`: not only where they are, but also what they hide. */
  draw(seconds, withMattes = true) {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.strokeStyle = this.colour;
    pen.lineWidth = Math.max(1, this.canvas.width / 640);
    for (const placement of this.placements.filter((each) => isVisible(each, seconds))) {
      const { box, matte } = placeAt(placement, seconds);
      const [left, top, right, bottom] = box;
      if (withMattes && this.mattes[matte]) pen.drawImage(this.mattes[matte], left, top, right - left, bottom - top);
      pen.strokeRect(left, top, right - left, bottom - top);
    }
  }
}

/** Turn a grey picture of opacities into a picture of one colour with that alpha. */
function tintWith(colour) {
  return async (address) => {
    const image = make("img", { src: address });
    await image.decode();
    const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
    toAlpha(pixels.data);
    pen.putImageData(pixels, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = colour;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    return canvas;
  };
}

function toAlpha(bytes) {
  let densest = 1;
  for (let place = 0; place < bytes.length; place += 4) densest = Math.max(densest, bytes[place]);
  for (let place = 0; place < bytes.length; place += 4) bytes[place + 3] = (bytes[place] / densest) * STRENGTH * MAX_BYTE;
}
