// Shows a running job: its progress, the time left, and how to cancel it.

import { cancel } from "./api.js";
import { announce, byId, view } from "./dom.js";
import { Estimate, ended, follow } from "./follow.js";
import { lasting, percent } from "./format.js";
import { setText, t } from "./i18n.js";
import { title } from "./jobs.js";
import { showProblem } from "./problems.js";
import { formOf, upload } from "./upload.js";

const FEW_SECONDS = 8;

const current = { stop: new AbortController(), id: null };

/** Upload a file, a mask or both with options; return the job. `name`: shown during the upload. */
export async function send(options, file, mask, name) {
  const signal = begin(null);
  setText(byId("work-title"), name ? "work.named" : "state.sending", { name });
  show("sending", 0);
  const estimate = new Estimate();
  return upload(formOf(options, file, mask), (fraction) => show("sending", fraction, estimate.left(fraction)), signal);
}

/** Watch a job and call `onEnd` when it has ended, unless another job replaces it. */
export async function watch(job, onEnd) {
  const signal = begin(job.id);
  const estimate = new Estimate();
  title(byId("work-title"), job);
  await follow(job, (now) => {
    if (signal.aborted) return;
    if (ended(now)) {
      stopWatching();
      onEnd(now);
    } else {
      show(now.state, now.progress_percent / 100, now.state === "cleaning" ? estimate.left(now.progress_percent / 100) : null);
    }
  }, signal);
}

/** Stop watching; the job continues. */
export function stopWatching() {
  current.stop.abort();
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

function begin(id) {
  current.stop.abort();
  Object.assign(current, { stop: new AbortController(), id });
  byId("cancel").disabled = false;
  view("work");
  return current.stop.signal;
}

function show(state, fraction, leftSeconds = null) {
  const before = byId("work-state").dataset.i18n;
  const known = ["sending", "cleaning"].includes(state);
  if (known) byId("progress").value = 100 * fraction;
  else byId("progress").removeAttribute("value");
  blockNavigation(state === "sending");
  setText(byId("work-state"), `state.${state}`);
  if (before !== `state.${state}`) announce(t(`state.${state}`));
  const left = leftSeconds === null ? "" : leftSeconds < FEW_SECONDS ? t("work.soon") : t("work.left", { time: lasting(leftSeconds) });
  byId("work-left").textContent = [known && percent(fraction), left].filter(Boolean).join(" · ");
}
