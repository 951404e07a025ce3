// The marks of a report: placements with the same id are one mark, and intervals that follow each other are one. Pure.

const GAP_FRAMES = 1.5; // between the last frame of an interval and the first of the next one

/** The marks of a report's file: { id, kind, confidence, opacity, placements, intervals: [[first, last], ...] } in seconds. */
export function marksOf({ placements, video }) {
  const byId = group(placements);
  const gap = GAP_FRAMES / (video.frames_per_second || 1);
  return [...byId].map(([id, all]) => ({
    id,
    kind: all[0].kind,
    confidence: Math.max(...all.map(({ confidence }) => confidence ?? 0)),
    opacity: Math.max(...all.map(({ opacity }) => opacity ?? 1)),
    placements: all,
    intervals: joined(all.map(({ first_seconds: first, last_seconds: last }) => [first, last]), gap),
  }));
}

const nameOf = (placement, index) => placement.id || `${index}`; // an old report has no ids

function group(placements) {
  const found = new Map();
  placements.forEach((placement, index) => {
    const name = nameOf(placement, index);
    found.set(name, [...(found.get(name) ?? []), placement]);
  });
  return found;
}

/** Intervals in order, with those joined that touch or overlap. */
export function joined(intervals, gap) {
  const result = [];
  for (const [first, last] of [...intervals].sort((one, other) => one[0] - other[0])) {
    const before = result.at(-1);
    if (before && first <= before[1] + gap) before[1] = Math.max(before[1], last);
    else result.push([first, last]);
  }
  return result;
}
