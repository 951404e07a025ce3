// The page: signing in, creating jobs, showing results. Only this module connects the others.

import { Problem, account, create, find, key } from "./api.js";
import { check, listenToLimits, showLimits } from "./check.js";
import { listenToDivider } from "./compare.js";
import { announce, byId, view } from "./dom.js";
import { forgetExamples, listenToExamples } from "./examples.js";
import { ended } from "./follow.js";
import { count } from "./format.js";
import { choose, offerLanguages, preferred, setText, setLanguage, t } from "./i18n.js";
import { forgetJobs, listenToJobs, nameOf, refresh } from "./jobs.js";
import { forget, forgetInTab, keep, keepInTab } from "./kept.js";
import { listenToLeaving } from "./leaving.js";
import { markedOrder, rememberStrokes } from "./marking.js";
import { chosenKind, chosenOptions, listenToOrder, presetRights } from "./order.js";
import { listenToPlayer } from "./player.js";
import { clearProblem, showProblem } from "./problems.js";
import { enqueue, forgetQueue, listenToQueue } from "./queue.js";
import { hideResult, listenToResult, showResult, shownJob } from "./result.js";
import { stopWatching, listenToCancel, send, watch } from "./work.js";
import { listenToZoom } from "./zoom.js";

const page = { ordering: null };

/** Wrap a user's action: clear previous errors, and show those that it throws. */
const attempt = (act) => async (...given) => {
  clearProblem();
  try {
    await act(...given);
  } catch (error) {
    if (error.name === "AbortError") return; // replaced by another action
    if (error instanceof Problem && error.status === 401) signOut();
    else if (!byId("work").hidden && !page.ordering) goBack();
    showProblem(error);
  }
};

// Signing in.

async function signIn() {
  await showAccount();
  if (!page.ordering) view("start"); // when the page is loaded, a file may be chosen before the account is known
  await Promise.all([refresh(), showLimits()]);
  await openAddressed();
}

function signOut() {
  forget("key");
  forgetInTab();
  forgetJobs();
  forgetQueue();
  forgetExamples();
  stopWatching();
  hideResult();
  view("key");
  byId("key").focus();
}

async function showAccount() {
  const { total_credits: credits, rights } = await account();
  setText(byId("credits"), "credits.left", { credits: count(credits) });
  presetRights(rights);
}

// Creating jobs.

function needKey() {
  if (key()) return;
  byId("key").focus();
  throw new Problem({ kind: "key-missing" });
}

/** One file has the page to itself; several, and those that come during an upload, are queued. */
async function takeFiles(files) {
  needKey();
  const options = { ...chosenOptions(), kind: chosenKind() };
  if (files.length > 1 || page.ordering || !byId("queue").hidden) return enqueue(files, options, page.ordering);
  await check(files[0]);
  await order(options, { file: files[0], name: files[0].name });
}

/** Create a job and open it. One at a time, so that a second click does not create another. */
async function order(options, { file, name, mask } = {}) {
  needKey();
  if (page.ordering) return;
  page.ordering = file || mask ? send(options, file, mask, name) : create(options);
  const job = await page.ordering.finally(() => { page.ordering = null; });
  rememberStrokes(job);
  await open(job);
}

async function runAgain() {
  const shown = shownJob();
  const { options, mask } = await markedOrder();
  const { classes, ...common } = chosenOptions();
  const name = nameOf(shown) ?? undefined;
  if (options.detection) return order({ ...options, ...common, name });
  const source = { media: shown.media, source_url: shown.result.source_url };
  const metadata = shown.kind === "clean" ? { rerun_of: shown.id } : {}; // a detection has no result to compare with
  await order({ ...common, classes, ...options, ...source, name, metadata }, { name, mask });
}

// Showing jobs. Each has an address, and Back leads to the one before.

async function open(job) {
  if (location.hash !== `#${job.id}`) history.pushState(null, "", `#${job.id}`);
  await show(job);
}

async function show(job) {
  hideResult();
  stopWatching();
  if (ended(job)) return finish(job);
  const update = () => Promise.all([showAccount(), refresh()]);
  await Promise.all([watch(job, attempt(async (now) => { await update(); await finish(now); })), update()]);
}

/** Show the job that the address names, or the start; not during an upload, which that would end. */
async function openAddressed() {
  const id = location.hash.slice(1);
  const job = id ? await find(id) : null;
  if (page.ordering || location.hash.slice(1) !== id) return;
  if (job) await show(job);
  else showStart();
}

async function finish(job) {
  announce(t(job.result?.mark_found === false ? "state.nothing" : `state.${job.state}`));
  if (job.state === "succeeded" && !job.files_deleted_at) return showResult(job);
  startOver();
  if (job.state === "failed") throw Problem.of(job.error, job.error.status);
  if (job.files_deleted_at) throw new Problem({ kind: "unknown-job" });
}

/** After a run without result: back to the previous result and its marking, or to the start. */
function goBack() {
  if (!shownJob()) return startOver();
  stopWatching();
  view("result");
}

function startOver() {
  if (location.hash) history.pushState(null, "", location.pathname);
  showStart();
}

function showStart() {
  stopWatching();
  hideResult();
  view("start");
  byId("file").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function listen() {
  listenToOrder(attempt(takeFiles), attempt((address) => order({ ...chosenOptions(), kind: chosenKind(), source_url: address })));
  listenToQueue({ open: attempt(open), attempt, onChange: () => Promise.all([showAccount(), refresh()]).catch(() => {}) });
  listenToJobs(attempt(open), attempt, ({ id }) => shownJob()?.id === id && startOver());
  listenToResult(attempt(runAgain), attempt);
  listenToCancel(goBack);
  for (const listenTo of [listenToPlayer, listenToDivider, listenToZoom, listenToLimits, listenToLeaving]) listenTo();
  listenToExamples(attempt);
  for (const button of document.querySelectorAll(".again")) button.addEventListener("click", () => { clearProblem(); startOver(); });
  byId("forget-key").addEventListener("click", () => { clearProblem(); signOut(); });
  byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
  addEventListener("popstate", () => key() && attempt(openAddressed)());
}

const enter = attempt(async () => {
  const given = byId("key").value.trim();
  keepInTab("key", given);
  byId("key").value = "";
  await signIn();
  if (byId("remember-key").checked) keep("key", given); // one that is valid
  if (!shownJob()) byId("file").focus({ preventScroll: true });
});

// Before the texts are loaded, as the user may choose another language meanwhile.
offerLanguages(byId("language"));
byId("language").value = preferred();
byId("language").addEventListener("change", ({ target }) => choose(target.value));
await setLanguage(preferred());
listen();
view(key() ? "start" : "key");
if (key()) await attempt(signIn)();
