// Shows a running job: its step and progress, the time left, and how to cancel it.

import { cancel } from "./api.js";
import { announce, byId, view } from "./dom.js";
import { Countdown, Estimate, ended, follow } from "./follow.js";
import { lasting, percent } from "./format.js";
import { setText, t } from "./i18n.js";
import { nameOf, title } from "./jobs.js";
import { guard, notify, setTitle } from "./leaving.js";
import { showProblem } from "./problems.js";
import { formOf, upload } from "./upload.js";

const FEW_SECONDS = 3;
const TELLING_PERCENT = 5; // before that, how long it takes is not known from the job itself
const TICK_MILLISECONDS = 1000;

const current = { stop: new AbortController(), id: null, name: "", shown: null, timer: 0 };

/** Upload a file, a mask or both with options; return the job. `name`: shown during the upload. */
export async function send(options, file, mask, name) {
  const signal = begin(null, name);
  setText(byId("work-title"), name ? "work.named" : "state.sending", { name });
  show("sending", 0);
  const estimate = new Estimate();
  const onProgress = (fraction) => (fraction === null ? showAway() : show("sending", fraction, estimate.left(fraction)));
  return guard(upload(formOf(options, file, mask), onProgress, signal));
}

/** Watch a job and call `onEnd` when it has ended, unless another job replaces it. */
export async function watch(job, onEnd) {
  const signal = begin(job.id, nameOf(job));
  title(byId("work-title"), job);
  await follow(job, (now) => {
    if (signal.aborted) return;
    if (ended(now)) {
      stopWatching();
      notify(t(now.result?.mark_found === false ? "state.nothing" : `state.${now.state}`), current.name);
      onEnd(now);
    } else if (now.isAway) {
      showAway();
    } else {
      const isTelling = now.state !== "cleaning" || now.progress_percent >= TELLING_PERCENT;
      show(now.state, now.progress_percent / 100, isTelling ? now.eta_seconds : null, now.step);
    }
  }, signal);
}

/** Stop watching; the job continues. */
export function stopWatching() {
  current.stop.abort();
  clearInterval(current.timer);
  setTitle("");
  blockNavigation(false);
}

/** Cancelling stops an upload at once and calls `onStop`; a job ends when the service reports it. */
export function listenToCancel(onStop) {
  byId("cancel").addEventListener("click", async () => {
    byId("cancel").disabled = true;
    try {
      if (current.id) await cancel(current.id);
      else onStop();
    } catch (error) {
      showProblem(error);
      byId("cancel").disabled = false;
    }
  });
}

/** While a file is uploading, disable other navigation, as it would abort the upload. */
function blockNavigation(isSending) {
  byId("jobs").inert = isSending;
  byId("work").querySelector(".again").hidden = isSending;
}

function begin(id, name) {
  stopWatching();
  Object.assign(current, { stop: new AbortController(), id, name: name ?? "", shown: null, countdown: new Countdown() });
  current.timer = setInterval(tick, TICK_MILLISECONDS);
  byId("cancel").disabled = false;
  view("work");
  return current.stop.signal;
}

function show(state, fraction, leftSeconds = null, step = null) {
  const known = ["sending", "cleaning"].includes(state);
  if (known) byId("progress").value = 100 * fraction;
  else byId("progress").removeAttribute("value");
  blockNavigation(state === "sending");
  if (current.shown?.state !== state) current.countdown = new Countdown(); // an upload's time is not that of the cleaning
  current.countdown.take(leftSeconds);
  current.shown = { state, part: known ? percent(fraction) : "" };
  say(step ? `step.${step}` : `state.${state}`);
  tick();
}

/** The service does not respond: say so; what is left is not known meanwhile. */
function showAway() {
  current.shown = { state: "away", part: "" };
  current.countdown = new Countdown();
  byId("progress").removeAttribute("value");
  say("state.away");
  tick();
}

function say(words) {
  const isNew = byId("work-state").dataset.i18n !== words;
  setText(byId("work-state"), words);
  if (isNew) announce(t(words));
}

function tick() {
  if (!current.shown) return;
  const { part } = current.shown;
  const seconds = current.countdown.left();
  const left = seconds === null ? "" : seconds < FEW_SECONDS ? t("work.soon") : t("work.left", { time: lasting(seconds) });
  byId("work-left").textContent = [part, left].filter(Boolean).join(" · ");
  setTitle([part, current.name].filter(Boolean).join(" "));
}
