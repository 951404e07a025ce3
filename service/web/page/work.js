// A job under way: sent, waited for, cleaned; how far it is, how long it still takes, and the way to stop it.

import { cancel } from "./api.js";
import { announce, byId, view } from "./dom.js";
import { Estimate, ended, follow } from "./follow.js";
import { lasting, percent } from "./format.js";
import { say, t } from "./i18n.js";
import { title } from "./jobs.js";
import { complain } from "./problems.js";
import { formOf, upload } from "./upload.js";

const FEW_SECONDS = 8;

const current = { stop: new AbortController(), id: null };

/** Send a file, a mask or both with options; the job. `name`: to show meanwhile. */
export async function send(options, file, mask, name) {
  const signal = begin(null);
  say(byId("work-title"), name ? "work.named" : "state.sending", { name });
  show("sending", 0);
  const estimate = new Estimate();
  return upload(formOf(options, file, mask), (fraction) => show("sending", fraction, estimate.left(fraction)), signal);
}

/** Watch a job to its end, which `onEnd` hears of; not if another takes its place. */
export async function watch(job, onEnd) {
  const signal = begin(job.id);
  const estimate = new Estimate();
  title(byId("work-title"), job);
  await follow(job, (now) => {
    if (signal.aborted) return;
    if (ended(now)) {
      leave();
      onEnd(now);
    } else {
      show(now.state, now.progress_percent / 100, now.state === "cleaning" ? estimate.left(now.progress_percent / 100) : null);
    }
  }, signal);
}

/** Nothing is watched any more; what runs goes on. */
export function leave() {
  current.stop.abort();
  hold(false);
}

/** What is being sent is stopped at once, and `onStop` called; a job ends when the service says so. */
export function listenToCancel(onStop) {
  byId("cancel").addEventListener("click", async () => {
    byId("cancel").disabled = true;
    try {
      if (current.id) await cancel(current.id);
      else onStop();
    } catch (error) {
      complain(error);
      byId("cancel").disabled = false;
    }
  });
}

/** While a file is being sent, nothing leads away from it: the way would be lost. */
function hold(isSending) {
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
  hold(state === "sending");
  say(byId("work-state"), `state.${state}`);
  if (before !== `state.${state}`) announce(t(`state.${state}`));
  const left = leftSeconds === null ? "" : leftSeconds < FEW_SECONDS ? t("work.soon") : t("work.left", { time: lasting(leftSeconds) });
  byId("work-left").textContent = [known && percent(fraction), left].filter(Boolean).join(" · ");
}
