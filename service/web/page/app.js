// The page: who is here, what is wanted, what comes of it. The parts are told of each other only here.

import { Problem, account, create, find, key } from "./api.js";
import { listenToDivider } from "./compare.js";
import { announce, byId, view } from "./dom.js";
import { forgetExamples, showExamples } from "./examples.js";
import { ended } from "./follow.js";
import { count } from "./format.js";
import { choose, preferred, say, speak, t } from "./i18n.js";
import { forgetJobs, listenToJobs, nameOf, refresh, remember } from "./jobs.js";
import { forgetInTab, keepInTab } from "./kept.js";
import { marked } from "./marking.js";
import { chosen, listenToOrder, preset } from "./order.js";
import { listenToPlayer } from "./player.js";
import { calm, complain } from "./problems.js";
import { hideResult, listenToResult, showResult, shownJob } from "./result.js";
import { leave, listenToCancel, send, watch } from "./work.js";

const page = { isOrdering: false };

/** For what a person does: its errors are told, and the errors before are forgotten. */
const attempt = (act) => async (...given) => {
  calm();
  try {
    await act(...given);
  } catch (error) {
    if (error.name === "AbortError") return; // something else took its place
    if (error instanceof Problem && error.status === 401) signOut();
    else if (!byId("work").hidden) goBack();
    complain(error);
  }
};

// Who is here.

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
  leave();
  hideResult();
  view("key");
  byId("key").focus();
}

async function showAccount() {
  const { total_credits: credits, rights } = await account();
  say(byId("credits"), "credits.left", { credits: count(credits) });
  preset(rights);
}

// What is wanted.

function needKey() {
  if (key()) return;
  byId("key").focus();
  throw new Problem({ kind: "key-missing" });
}

/** One at a time: a second click orders nothing twice. */
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
  const { options, mask } = await marked();
  await clean({ ...chosen(), ...options, media, source_url: result.source_url }, { name: nameOf(id), mask });
}

// What comes of it.

async function open(job) {
  hideResult();
  leave();
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

/** From work that came to nothing: to the result that is still there, with what was marked, or to the start. */
function goBack() {
  if (!shownJob()) return startOver();
  leave();
  view("result");
}

function startOver() {
  leave();
  hideResult();
  view("start");
  history.replaceState(null, "", location.pathname);
  byId("file").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function listen() {
  listenToOrder(
    attempt((file) => clean(chosen(), { file, name: file.name })),
    attempt((address) => clean({ ...chosen(), source_url: address }, {})),
  );
  listenToJobs(attempt(open), attempt);
  listenToResult(attempt(runAgain));
  listenToCancel(goBack);
  listenToPlayer();
  listenToDivider();
  for (const button of document.querySelectorAll(".again")) button.addEventListener("click", () => { calm(); startOver(); });
  byId("forget-key").addEventListener("click", () => { calm(); signOut(); });
  byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
}

const enter = attempt(async () => {
  keepInTab("key", byId("key").value.trim());
  byId("key").value = "";
  await signIn();
  byId("file").focus({ preventScroll: true });
});

// Before there are words to say, as one may choose others while they are fetched.
byId("language").value = preferred();
byId("language").addEventListener("change", ({ target }) => choose(target.value));
await speak(preferred());
listen();
view(key() ? "start" : "key");
if (key()) await attempt(signIn)();
