// Shows a job that has ended well: result and original, or the marks that were found; what was removed, and marking for another run.

import { Problem, find, rename, report } from "./api.js";
import { compare, replaceBefore, showResultAlone } from "./compare.js";
import { announce, byId, make, view } from "./dom.js";
import { clearFound, placeChips, startFound } from "./found.js";
import { count, lasting, size as bytes } from "./format.js";
import { setText, t } from "./i18n.js";
import { marksOf } from "./intervals.js";
import { nameOf, refresh, title } from "./jobs.js";
import {
  boxes, chooseTool, disableMarking, listenToMarking, removeKeyframe, selectBox, setFrame, setTimes, showBoxesAt, startMarking, tool, update
} from "./marking.js";
import { Overlay } from "./overlay.js";
import { pause, setFrameRate, startPlayer, stopPlayer, toggle } from "./player.js";
import { showProblem } from "./problems.js";
import { listenToStage } from "./stage.js";
import { drawTimeline, showTime } from "./timeline.js";
import { resetZoom } from "./zoom.js";

const NOTHING = { job: null, overlay: null, clock: null, marks: [], seconds: 0 };

const shown = { ...NOTHING };

export const shownJob = () => shown.job;

export async function showResult(job) {
  Object.assign(shown, NOTHING, { job });
  describe(job);
  clearReport();
  disableMarking();
  resetZoom();
  view("result");
  byId("result").focus({ preventScroll: true });
  byId("result").scrollIntoView({ block: "start" });
  const pair = await compare(job, isSingle(job));
  if (shown.job !== job) return;
  const isVideo = job.media === "video";
  if (pair.seen) startMarking(job, pair.size, () => (isVideo ? shown.clock?.seconds ?? 0 : null));
  shown.clock = startPlayer(pair, isVideo && pair.seen, redraw);
  if (pair.seen && isSingle(job)) chooseTool("box"); // there is nothing to compare, but something to mark
  await showReport(job, pair.size);
}

export function hideResult() {
  stopPlayer();
  Object.assign(shown, NOTHING);
  for (const name of ["before", "after"]) byId(name).replaceChildren();
}

export function listenToResult(onRun, attempt) {
  byId("show-mask").addEventListener("change", redraw);
  document.addEventListener("language", () => shown.job && describe(shown.job));
  listenToMarking(useTool, drawBoxes, seek, onRun);
  listenToStage(toggle);
  byId("share").addEventListener("click", attempt(share));
  byId("rename-open").addEventListener("click", openRename);
  byId("compare-with").addEventListener("change", attempt(compareWith));
  byId("rename").addEventListener("submit", (event) => { event.preventDefault(); attempt(saveName)(); });
}

/** Whether there is only one picture to see: nothing was removed. */
const isSingle = ({ kind, result }) => kind === "detect" || !result.mark_found;

function describe(job) {
  const { result } = job;
  title(byId("result-title"), job);
  setText(byId("result-summary"), summaryOf(job), {
    frames: count(result.frames), time: lasting(result.seconds), size: bytes(result.bytes), credits: count(job.credits_used),
  });
  byId("rename").hidden = true;
  byId("download").hidden = byId("share").hidden = job.kind === "detect";
  byId("download").href = downloadLink(result);
  byId("download").download = "";
  byId("report").hidden = !result.report_page_url;
  if (result.report_page_url) byId("report").href = result.report_page_url;
  byId("show-difference").parentElement.hidden = isSingle(job);
  byId("compare-with").parentElement.hidden = isSingle(job) || !job.metadata.rerun_of;
  describeLoss(result.not_kept ?? []);
}

function summaryOf({ kind, media, result, credits_used: used }) {
  if (kind === "detect") return result.mark_found ? "result.looked" : "result.lookedNothing";
  if (result.mark_found) return `result.${media}`;
  return used ? "result.nothing" : "result.nothing_free";
}

/** What the original carries and the result does not. */
function describeLoss(lost) {
  byId("not-kept").hidden = lost.length === 0;
  setText(byId("not-kept-title"), "result.notKept", { number: count(lost.length) });
  byId("not-kept-list").replaceChildren(...lost.map(({ what, reason }) => make("li", {}, `${what}: ${reason}`)));
}

function downloadLink({ url }) {
  const link = new URL(url);
  if (link.searchParams.has("signature")) link.searchParams.set("download", "true"); // our links only; a bucket signs the whole URL
  return link.href;
}

/** Compare with the original, or with the result that this run was to improve. */
async function compareWith({ target }) {
  const { metadata, result } = shown.job;
  if (target.value === "original") return replaceBefore(result.source_url, "compare.before");
  const earlier = await find(metadata.rerun_of);
  if (!earlier.result || earlier.files_deleted_at) throw new Problem({ kind: "unknown-job" });
  replaceBefore(earlier.result.url, "compare.earlier");
}

async function share() {
  const { url } = shown.job.result;
  try {
    await navigator.clipboard.writeText(url);
    announce(t("result.shared"));
    setText(byId("share"), "result.shared");
  } catch { // browsers offer no clipboard to pages loaded over plain HTTP from another machine
    prompt(t("result.share"), url);
  }
}

function openRename() {
  byId("rename").hidden = false;
  byId("new-name").value = nameOf(shown.job) ?? "";
  byId("new-name").select();
}

async function saveName() {
  const job = await rename(shown.job.id, byId("new-name").value.trim());
  if (shown.job?.id !== job.id) return;
  shown.job = job;
  describe(job);
  byId("rename-open").focus();
  await refresh();
}

/** While drawing, pause and show only the result, as leftovers are visible there. */
function useTool(name) {
  if (name !== "look") pause();
  byId("stage").classList.toggle("drawing", name !== "look");
  showResultAlone(name !== "look");
  redraw();
}

function clearReport() {
  byId("timeline").hidden = true;
  byId("timeline").replaceChildren();
  byId("show-mask").disabled = true;
  byId("show-mask").checked = false;
  setText(byId("share"), "result.share");
  byId("compare-with").value = "original";
  setText(byId("stage").querySelector(".tag-before"), "compare.before");
  clearFound();
  byId("overlay").getContext("2d").clearRect(0, 0, byId("overlay").width, byId("overlay").height);
}

async function showReport(job, size) {
  const summary = await report(job.id).catch((error) => error.status !== 404 && showProblem(error)); // an old job may have no report
  const file = summary?.files?.[0];
  if (!file || shown.job !== job) return;
  shown.marks = marksOf(file);
  shown.seconds = job.media === "video" ? file.video.duration_seconds : 0;
  setFrameRate(file.video.frames_per_second);
  setFrame(1 / (file.video.frames_per_second || 1));
  shown.overlay = new Overlay(byId("overlay"), file, size);
  await shown.overlay.ready;
  if (shown.job !== job) return;
  byId("show-mask").disabled = file.placements.length === 0;
  byId("show-mask").checked = job.kind === "detect" && file.placements.length > 0;
  const isShown = () => byId("show-mask").checked || tool() !== "look";
  startFound(shown.marks, job.reject, { ...size, isVideo: job.media === "video" }, { isShown, onChange: update, onSeek: seek });
  update();
  if (job.kind === "detect" && shown.marks.length) seek(Math.min(...shown.marks.map(({ intervals }) => intervals[0][0])));
  redraw();
}

const seek = (seconds) => shown.clock?.seek(seconds);

function drawBoxes() {
  const acts = { onSeek: seek, onTimes: setTimes, onSelect: selectBox, onRemove: removeKeyframe };
  if (shown.job?.media === "video" && shown.seconds) drawTimeline(byId("timeline"), shown.marks, boxes(), shown.seconds, acts);
}

function redraw() {
  const seconds = shown.job?.media === "video" ? shown.clock?.seconds ?? 0 : null;
  const withMattes = byId("show-mask").checked;
  byId("overlay").hidden = !withMattes && tool() === "look";
  showBoxesAt(seconds);
  if (!shown.overlay) return;
  if (!byId("overlay").hidden) shown.overlay.draw(seconds, withMattes);
  placeChips(seconds);
  showTime(byId("timeline"), seconds);
}
