// Boxes that move: where they are at which time (`keyframes`), evenly in between, and at rest before the first and after the last. Pure.

const CORNERS = ["x1", "y1", "x2", "y2"];
const SAME = 1e-6; // of the picture, and of a second: what an answer of the API may be off by

const cornersOf = ({ x1, y1, x2, y2 }) => ({ x1, y1, x2, y2 });
const inOrder = (keyframes) => [...keyframes].sort((one, other) => one.seconds - other.seconds);

/** The corners of a box at a time; of one that stays, at any, and in an image (null). */
export function cornersAt(box, seconds) {
  const { keyframes = [] } = box;
  if (!keyframes.length || seconds === null) return cornersOf(keyframes[0] ?? box);
  const after = keyframes.findIndex((each) => each.seconds >= seconds);
  if (after <= 0) return cornersOf(after ? keyframes.at(-1) : keyframes[0]);
  const [one, other] = [keyframes[after - 1], keyframes[after]];
  const share = (seconds - one.seconds) / (other.seconds - one.seconds);
  return Object.fromEntries(CORNERS.map((corner) => [corner, one[corner] + share * (other[corner] - one[corner])]));
}

/** The box with these corners: of one that moves, at this time only. Keyframes are at least `frame` seconds apart. */
export function placedAt(box, seconds, corners, frame) {
  if (!box.keyframes) return { ...box, ...cornersOf(corners) };
  const others = box.keyframes.filter((each) => Math.abs(each.seconds - seconds) >= frame);
  return { ...box, keyframes: inOrder([...others, { seconds, ...cornersOf(corners) }]) };
}

/** The box with a keyframe at this time, from which on it moves wherever it is placed at another time. */
export const moving = (box, seconds) => ({ ...box, keyframes: [{ seconds, ...cornersOf(box) }] });

/** The box as it is at this time, for all times. */
export function resting({ keyframes, ...box }, seconds) {
  return { ...box, ...cornersAt({ keyframes, ...box }, seconds) };
}

/** The box without a keyframe; the last one remains as its place. */
export function without(box, keyframe) {
  const keyframes = box.keyframes.filter((each) => each !== keyframe);
  return keyframes.length ? { ...box, keyframes } : resting(box, keyframe.seconds);
}

/** The box as boxes of the API, each beginning where the last one ends. `end`: of the video, `frame`: of one of its frames, in seconds. */
export function piecesOf({ kind, keyframes, ...box }, end, frame) {
  if (!keyframes || keyframes.length < 2) return [{ ...box, ...cornersOf(keyframes?.[0] ?? box) }];
  const at = (seconds) => cornersAt({ keyframes }, seconds);
  const [first, last] = [box.first_seconds ?? 0, box.last_seconds ?? end];
  const between = keyframes.map(({ seconds }) => seconds).filter((seconds) => seconds - first >= frame && last - seconds >= frame);
  const isSame = (one, other) => CORNERS.every((corner) => Math.abs(at(one)[corner] - at(other)[corner]) < SAME);
  const all = [first, ...between, last];
  const rests = (index) => index > 0 && index < all.length - 1 && isSame(all[index - 1], all[index]) && isSame(all[index], all[index + 1]);
  const times = all.filter((_, index) => !rests(index)); // one piece, however many keyframes it rests for
  return times.slice(1).map((seconds, index) => {
    const [here, there] = [at(times[index]), at(seconds)];
    return { ...here, first_seconds: times[index], last_seconds: seconds, ...(!isSame(times[index], seconds) && { end: there }) };
  });
}

/** Boxes of the API as boxes with keyframes: those that follow each other are one. The inverse of `piecesOf`. */
export function joined(pieces) {
  const found = [];
  for (const piece of pieces) {
    const before = found.at(-1);
    if (before && goesOn(before, piece)) found[found.length - 1] = extended(before, piece);
    else found.push(piece.end ? extended(piece, piece) : piece);
  }
  return found.map(({ end, ...box }) => box);
}

const keyframe = (corners, seconds) => ({ seconds, ...cornersOf(corners) });

function goesOn(before, piece) {
  if (!(before.keyframes || piece.end) || before.kind !== piece.kind || before.last_seconds === undefined) return false;
  const last = cornersAt(before, before.last_seconds);
  const isSame = CORNERS.every((corner) => Math.abs(last[corner] - piece[corner]) < SAME);
  return isSame && Math.abs(before.last_seconds - piece.first_seconds) < SAME;
}

function extended(before, piece) {
  const { keyframes = [] } = before;
  const rested = !keyframes.length || keyframes.at(-1).seconds < piece.first_seconds - SAME; // until it moves on
  const begun = piece.end && rested ? [keyframe(piece, piece.first_seconds)] : [];
  const reached = piece.end ? [keyframe(piece.end, piece.last_seconds)] : [];
  return { ...before, keyframes: [...keyframes, ...begun, ...reached], last_seconds: piece.last_seconds };
}
