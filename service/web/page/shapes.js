// Geometry of boxes in fractions of the picture: { x1, y1, x2, y2 }. Pure.

export const MIN_SIZE = 0.005; // of the picture: anything smaller was a click

/** The grips of a box: where they are along it, and which of its edges they move. */
export const GRIPS = [0, 0.5, 1].flatMap((x) => [0, 0.5, 1].map((y) => ({ x, y }))).filter(({ x, y }) => x !== 0.5 || y !== 0.5);

export const between = ([x, y], [u, v]) => ({ x1: Math.min(x, u), y1: Math.min(y, v), x2: Math.max(x, u), y2: Math.max(y, v) });

export const isLarge = ({ x1, y1, x2, y2 }) => x2 - x1 > MIN_SIZE && y2 - y1 > MIN_SIZE;

export const contains = ({ x1, y1, x2, y2 }, [x, y]) => x1 <= x && x <= x2 && y1 <= y && y <= y2;

export const middle = ({ x1, y1, x2, y2 }) => [(x1 + x2) / 2, (y1 + y2) / 2];

export const gripPlace = ({ x1, y1, x2, y2 }, { x, y }) => [x1 + x * (x2 - x1), y1 + y * (y2 - y1)];

/** The box moved by so much, but not out of the picture. */
export function moved(box, x, y) {
  const right = Math.min(Math.max(x, -box.x1), 1 - box.x2);
  const down = Math.min(Math.max(y, -box.y1), 1 - box.y2);
  return { ...box, x1: box.x1 + right, x2: box.x2 + right, y1: box.y1 + down, y2: box.y2 + down };
}

/** The box with a grip pulled to a place; pulled across the other side, it turns over. */
export function pulled(box, grip, [x, y]) {
  const { x1, y1, x2, y2 } = box;
  const across = grip.x === 0 ? [x, x2] : grip.x === 1 ? [x1, x] : [x1, x2];
  const down = grip.y === 0 ? [y, y2] : grip.y === 1 ? [y1, y] : [y1, y2];
  return { ...box, ...between([across[0], down[0]], [across[1], down[1]]) };
}

/** Whether a box holds at a time; always in an image (null). */
export const isNow = ({ first_seconds: first, last_seconds: last }, seconds) =>
  seconds === null || ((first ?? 0) <= seconds && seconds <= (last ?? Infinity));
