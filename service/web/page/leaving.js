// What reaches a person who looks elsewhere: the tab's title, a notification at the end, and a question before an upload is lost.

import { byId } from "./dom.js";
import { keep, kept } from "./kept.js";

const NAME = "Cleanplate";

const page = { uploads: 0 };

/** Show this in the tab's title; empty: only the page's name. */
export function setTitle(text) {
  document.title = text ? `${text} · ${NAME}` : NAME;
}

/** Ask before the page is left while this promise is pending. */
export async function guard(upload) {
  page.uploads += 1;
  try {
    return await upload;
  } finally {
    page.uploads -= 1;
  }
}

/** Tell the end of a job to a person who is in another tab, if they asked for that. */
export function notify(text, name) {
  const wanted = kept("notify") && globalThis.Notification?.permission === "granted";
  if (wanted && document.hidden) new Notification(name || NAME, { body: text, tag: name });
}

export function listenToLeaving() {
  addEventListener("beforeunload", (event) => page.uploads && event.preventDefault());
  byId("notify-line").hidden = !("Notification" in globalThis && isSecureContext);
  byId("notify").checked = Boolean(kept("notify")) && globalThis.Notification?.permission === "granted";
  byId("notify").addEventListener("change", async ({ target }) => {
    if (target.checked) target.checked = (await Notification.requestPermission()) === "granted";
    keep("notify", target.checked ? "yes" : "");
  });
}
