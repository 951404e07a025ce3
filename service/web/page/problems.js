// Shows errors as sentences that say what to do.

import { Problem } from "./api.js";
import { byId, make } from "./dom.js";
import { has, setText } from "./i18n.js";

const BY_STATUS = {
  401: "key-invalid",
  403: "account-banned",
  404: "unknown-job",
  413: "too-large",
  415: "not-media",
  422: "invalid-fields",
  429: "rate-limited",
  502: "fetch-unavailable",
  503: "queue-full",
};
const SPOKEN = new Set([
  "invalid-fields", "parameter-error", "request-error", "too-large", "too-long", "too-many-pixels", "fetch-refused", "fetch-unavailable",
  "unknown",
]);

/** The name of the text for a problem. */
export function textNameOf({ kind, status }) {
  const known = [kind, BY_STATUS[status]].map((name) => `problem.${name}`).find(has);
  return known ?? "problem.unknown";
}

/** The values of that text. */
export function figuresOf({ more = {} }) {
  return { current: more.current_credits, required: more.required_credits };
}

/** Show a problem, with its figures or the service's message if that contains details. Anything but a Problem is a bug of the page. */
export function showProblem(error) {
  if (!(error instanceof Problem)) console.error(error);
  const problem = error instanceof Problem ? error : new Problem({ detail: String(error?.message ?? error) });
  const words = textNameOf(problem);
  const box = byId("alert");
  box.hidden = false;
  box.replaceChildren(setText(make("p"), words, figuresOf(problem)));
  const { found, limit } = problem.more;
  if (found) box.append(setText(make("p", { className: "hint" }), "check.beyond", { found, limit }));
  else if (SPOKEN.has(words.replace("problem.", "")) && problem.detail) box.append(make("p", { className: "hint", lang: "en" }, problem.detail));
  box.scrollIntoView({ block: "nearest" });
}

export function clearProblem() {
  byId("alert").hidden = true;
  byId("alert").replaceChildren();
}
