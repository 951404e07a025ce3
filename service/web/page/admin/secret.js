// Shows a new key once: when the dialogue is closed, the page has it no more.

import { announce, byId } from "../dom.js";
import { t } from "../i18n.js";

export function showSecret(secret) {
  byId("secret-text").textContent = secret;
  byId("secret").showModal();
  byId("secret-copy").focus();
}

export function listenToSecret() {
  byId("secret").addEventListener("close", () => {
    byId("secret-text").replaceChildren();
    byId("view-title").focus(); // what opened it may be gone
  });
  byId("secret-copy").addEventListener("click", async () => {
    await copy();
    announce(t("admin.copied"));
  });
}

/** Without the clipboard, as on http, the text is selected, for the keyboard to copy. */
async function copy() {
  try {
    await navigator.clipboard.writeText(byId("secret-text").textContent);
  } catch {
    getSelection().selectAllChildren(byId("secret-text"));
  }
}
