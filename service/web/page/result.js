// Shows a successful job: result and original, what was removed, and marking for another run.

import { report } from "./api.js";
import { MIDDLE, RESULT_ALONE, compare, divide } from "./compare.js";
import { byId, view } from "./dom.js";
import { count, lasting, size as bytes } from "./format.js";
import { setText } from "./i18n.js";
import { title } from "./jobs.js";
import { listenToMarking, startMarking, disableMarking } from "./marking.js";
import { Overlay } from "./overlay.js";
import { pause, startPlayer, stopPlayer } from "./player.js";
import { showProblem } from "./problems.js";
import { drawTimeline, showTime } from "./timeline.js";

const shown = { job: null, overlay: null, clock: null };

export const shownJob = () => shown.job;

export async function showResult(job) {
  Object.assign(shown, { job, overlay: null, clock: null });
  describe(job);
  clearReport();
  disableMarking();
  view("result");
  byId("result").focus({ preventScroll: true });
  byId("result").scrollIntoView({ block: "start" });
  const pair = await compare(job);
  if (shown.job !== job) return;
  if (pair.seen) startMarking(pair.size, job.media === "video");
  shown.clock = startPlayer(pair, job.media === "video" && pair.seen, redraw);
  await showReport(job, pair.size);
}

export function hideResult() {
  stopPlayer();
  Object.assign(shown, { job: null, overlay: null, clock: null });
  for (const name of ["before", "after"]) byId(name).replaceChildren();
}

export function listenToResult(onRun) {
  byId("show-mask").addEventListener("change", redraw);
  document.addEventListener("language", () => shown.job && describe(shown.job));
  listenToMarking(mark, onRun);
}

function describe(job) {
  const { result } = job;
  title(byId("result-title"), job);
  const words = result.mark_found ? `result.${job.media}` : job.credits_used ? "result.nothing" : "result.nothing_free";
  setText(byId("result-summary"), words, { frames: count(result.frames), time: lasting(result.seconds), size: bytes(result.bytes) });
  const download = new URL(result.url);
  if (download.searchParams.has("signature")) download.searchParams.set("download", "true"); // our links only; a bucket signs the whole URL
  byId("download").href = download.href;
  byId("download").download = "";
  byId("report").hidden = !result.report_page_url;
  if (result.report_page_url) byId("report").href = result.report_page_url;
}

/** While marking, pause and show only the result, as that is where leftovers are visible. */
function mark(isBegun) {
  if (isBegun) pause();
  divide(isBegun ? RESULT_ALONE : MIDDLE);
}

function clearReport() {
  byId("timeline").hidden = true;
  byId("timeline").replaceChildren();
  byId("show-mask").disabled = true;
  byId("show-mask").checked = false;
  byId("overlay").getContext("2d").clearRect(0, 0, byId("overlay").width, byId("overlay").height);
}

async function showReport(job, size) {
  const summary = await report(job.id).catch((error) => error.status !== 404 && showProblem(error)); // an old job may have no report
  const file = summary?.files?.[0];
  if (!file || shown.job !== job) return;
  shown.overlay = new Overlay(byId("overlay"), file, size);
  await shown.overlay.ready;
  byId("show-mask").disabled = file.placements.length === 0;
  const seek = (seconds) => shown.clock?.seek(seconds);
  if (job.media === "video") drawTimeline(byId("timeline"), file.placements, file.video.duration_seconds, seek);
  redraw();
}

function redraw() {
  const seconds = shown.clock?.seconds ?? null;
  byId("overlay").hidden = !byId("show-mask").checked;
  if (!shown.overlay) return;
  if (byId("show-mask").checked) shown.overlay.draw(seconds);
  showTime(byId("timeline"), shown.overlay.placements, seconds);
}
