// The page: signing in, creating jobs, showing results. Only this module connects the others.

import { Problem, account, create, find, key } from "./api.js";
import { listenToDivider } from "./compare.js";
import { announce, byId, view } from "./dom.js";
import { forgetExamples, showExamples } from "./examples.js";
import { ended } from "./follow.js";
import { count } from "./format.js";
import { choose, preferred, setText, setLanguage, t } from "./i18n.js";
import { forgetJobs, listenToJobs, nameOf, refresh, remember } from "./jobs.js";
import { forgetInTab, keepInTab } from "./kept.js";
import { markedOptions } from "./marking.js";
import { chosenOptions, listenToOrder, presetRights } from "./order.js";
import { listenToPlayer } from "./player.js";
import { clearProblem, showProblem } from "./problems.js";
import { hideResult, listenToResult, showResult, shownJob } from "./result.js";
import { stopWatching, listenToCancel, send, watch } from "./work.js";

const page = { isOrdering: false };

/** Wrap a user's action: clear previous errors, and show those that it throws. */
const attempt = (act) => async (...given) => {
  clearProblem();
  try {
    await act(...given);
  } catch (error) {
    if (error.name === "AbortError") return; // replaced by another action
    if (error instanceof Problem && error.status === 401) signOut();
    else if (!byId("work").hidden) goBack();
    showProblem(error);
  }
};

// Signing in.

async function signIn() {
  await showAccount();
  view("start");
  await Promise.all([refresh(), showExamples()]);
  const job = location.hash.slice(1);
  if (job) await open(await find(job));
}

function signOut() {
  forgetInTab();
  forgetJobs();
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

/** Create a job and open it. One at a time, so that a second click does not create another. */
async function clean(options, { file, name, mask }) {
  needKey();
  if (page.isOrdering) return;
  page.isOrdering = true;
  const ordered = file || mask ? send(options, file, mask, name) : create(options);
  const job = await ordered.finally(() => { page.isOrdering = false; });
  remember(job, name);
  await open(job);
}

async function runAgain() {
  const { id, result, media } = shownJob();
  const { options, mask } = await markedOptions();
  await clean({ ...chosenOptions(), ...options, media, source_url: result.source_url }, { name: nameOf(id), mask });
}

// Showing jobs.

async function open(job) {
  hideResult();
  stopWatching();
  history.replaceState(null, "", `#${job.id}`);
  if (ended(job)) return finish(job);
  const update = () => Promise.all([showAccount(), refresh()]);
  await Promise.all([watch(job, attempt(async (now) => { await update(); await finish(now); })), update()]);
}

async function finish(job) {
  announce(t(`state.${job.state}`));
  if (job.state === "succeeded") return showResult(job);
  startOver();
  if (job.state === "failed") throw Problem.of(job.error, job.error.status);
}

/** After a run without result: back to the previous result and its marking, or to the start. */
function goBack() {
  if (!shownJob()) return startOver();
  stopWatching();
  view("result");
}

function startOver() {
  stopWatching();
  hideResult();
  view("start");
  history.replaceState(null, "", location.pathname);
  byId("file").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function listen() {
  listenToOrder(
    attempt((file) => clean(chosenOptions(), { file, name: file.name })),
    attempt((address) => clean({ ...chosenOptions(), source_url: address }, {})),
  );
  listenToJobs(attempt(open), attempt);
  listenToResult(attempt(runAgain));
  listenToCancel(goBack);
  listenToPlayer();
  listenToDivider();
  for (const button of document.querySelectorAll(".again")) button.addEventListener("click", () => { clearProblem(); startOver(); });
  byId("forget-key").addEventListener("click", () => { clearProblem(); signOut(); });
  byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
}

const enter = attempt(async () => {
  keepInTab("key", byId("key").value.trim());
  byId("key").value = "";
  await signIn();
  byId("file").focus({ preventScroll: true });
});

// Before the texts are loaded, as the user may choose another language meanwhile.
byId("language").value = preferred();
byId("language").addEventListener("change", ({ target }) => choose(target.value));
await setLanguage(preferred());
listen();
view(key() ? "start" : "key");
if (key()) await attempt(signIn)();
