// Several files: uploaded one after the other in their order, each with its progress; one that fails does not stop the rest.

import { Problem, archive, cancel, find, listJobs } from "./api.js";
import { check } from "./check.js";
import { announce, byId, make } from "./dom.js";
import { ended } from "./follow.js";
import { count } from "./format.js";
import { label, setText, t } from "./i18n.js";
import { guard, notify } from "./leaving.js";
import { textNameOf, figuresOf } from "./problems.js";
import { formOf, pause, upload } from "./upload.js";

const POLL_SECONDS = 1.5;
const BUSY_SECONDS = 5; // before a file is sent again that the service had no room for
const BUSY = new Set(["rate-limited", "queue-full"]);
const LISTED_JOBS = 100; // the most that one request lists

const page = { items: [], isPumping: false, isPolling: false, open: () => {}, attempt: (act) => act, onChange: () => {} };

/** `open`: shows a job; `attempt`: wraps a user's action; `onChange`: called when jobs were made or have ended. */
export function listenToQueue({ open, attempt, onChange }) {
  Object.assign(page, { open, attempt, onChange });
  byId("download-all").addEventListener("click", attempt(downloadAll));
  byId("clear-queue").addEventListener("click", clear);
}

/** Add files at the end, with the options of each job. `before`: a promise after which they may be sent. */
export async function enqueue(files, options, before) {
  page.items.push(...[...files].map((file) => ({ file, options, name: file.name, state: "waiting", fraction: 0, stop: new AbortController() })));
  for (const item of page.items) item.card ??= card(item);
  byId("queue-list").append(...page.items.map(({ card }) => card.place));
  draw();
  await before?.catch(() => {});
  await pump();
}

export function forgetQueue() {
  for (const item of page.items) item.stop.abort();
  page.items = [];
  byId("queue-list").replaceChildren();
  draw();
}

async function pump() {
  if (page.isPumping) return;
  page.isPumping = true;
  await guard(sendAll()).finally(() => { page.isPumping = false; });
}

async function sendAll() {
  for (let item = next(); item; item = next()) {
    try {
      await sendItem(item);
    } catch (error) {
      if (error.name === "AbortError") change(item, { state: "cancelled" });
      else if (BUSY.has(error.kind)) await waitForRoom(item);
      else change(item, { state: "failed", problem: error });
    }
  }
}

const next = () => page.items.find(({ state }) => state === "waiting");

async function sendItem(item) {
  await check(item.file);
  change(item, { state: "sending" });
  const form = formOf(item.options, item.file, null);
  const onProgress = (fraction) => change(item, fraction === null ? { isAway: true } : { fraction, isAway: false });
  const job = await upload(form, onProgress, item.stop.signal);
  change(item, { state: job.state, job, file: null, fraction: 0 });
  page.onChange();
  poll();
}

async function waitForRoom(item) {
  change(item, { state: "waiting" });
  await pause(BUSY_SECONDS, item.stop.signal);
  if (item.stop.signal.aborted) change(item, { state: "cancelled" });
}

/** Ask for the states of all jobs at once until they have ended: a stream for each would use up the browser's connections. */
async function poll() {
  if (page.isPolling) return;
  page.isPolling = true;
  const unfinished = () => page.items.filter(({ job }) => job && !ended(job));
  while (unfinished().length) {
    await pause(POLL_SECONDS, new AbortController().signal);
    await update(unfinished()).catch(() => {}); // the next time may succeed
  }
  page.isPolling = false;
  if (page.items.length && page.items.every(isOver)) announceEnd();
}

async function update(items) {
  const { data } = await listJobs({ limit: LISTED_JOBS });
  for (const item of items) {
    const job = data.find(({ id }) => id === item.job.id) ?? await find(item.job.id);
    const problem = job.error && job.state === "failed" ? Problem.of(job.error, job.error.status) : item.problem;
    change(item, { job, problem, state: stateOf(job), fraction: job.progress_percent / 100 });
    if (ended(job)) page.onChange();
  }
}

const stateOf = (job) => (job.state === "succeeded" && !job.result.mark_found ? "nothing" : job.state);
const isOver = ({ state }) => ["succeeded", "nothing", "failed", "cancelled"].includes(state);
const withResult = () => page.items.filter(({ job }) => job?.state === "succeeded" && job.kind !== "detect");

function announceEnd() {
  const values = { done: count(withResult().length), all: count(page.items.length) };
  announce(t("queue.title", values));
  notify(t("queue.title", values), "");
}

async function downloadAll() {
  const { url } = await archive(withResult().map(({ job }) => job.id));
  make("a", { href: url, download: "" }).click();
}

/** Take what has ended off the list; the jobs themselves stay. */
function clear() {
  for (const { card } of page.items.filter(isOver)) card.place.remove();
  page.items = page.items.filter((item) => !isOver(item));
  draw();
}

// The cards.

function change(item, values) {
  Object.assign(item, values);
  draw();
}

function card(item) {
  const place = make("li", { className: "queued" });
  const name = make("span", { className: "name" }, item.name);
  const state = make("span", { className: "hint state" });
  const bar = make("progress", { max: 1 });
  const act = make("button", { type: "button", className: "secondary" });
  bar.setAttribute("aria-label", item.name);
  act.addEventListener("click", page.attempt(() => press(item)));
  place.append(name, state, bar, act);
  return { place, state, bar, act };
}

async function press(item) {
  if (item.job && ended(item.job)) return page.open(item.job);
  if (item.job) return cancel(item.job.id);
  item.stop.abort();
  if (item.state === "waiting") change(item, { state: "cancelled" });
}

function draw() {
  byId("queue").hidden = page.items.length === 0;
  setText(byId("queue-title"), "queue.title", { done: count(withResult().length), all: count(page.items.length) });
  byId("download-all").disabled = withResult().length === 0;
  byId("clear-queue").disabled = !page.items.some(isOver);
  page.items.forEach(drawCard);
}

function drawCard(item) {
  const { card, state, problem, fraction, job } = item;
  card.place.dataset.state = state;
  if (problem) setText(card.state, textNameOf(problem), figuresOf(problem));
  else setText(card.state, item.isAway ? "state.away" : `state.${state}`);
  card.bar.hidden = isOver(item);
  if (["sending", "cleaning"].includes(state)) card.bar.value = fraction;
  else card.bar.removeAttribute("value");
  const isOpen = job && ended(job) && job.state === "succeeded";
  card.act.hidden = isOver(item) && !isOpen;
  setText(card.act, isOpen ? "queue.open" : "work.cancel");
  label(card.act, isOpen ? "queue.openNamed" : "queue.cancelNamed", { name: item.name });
}
