// Keys: all of them or those of an account, a new one, revoking.

import { byId, make } from "../dom.js";
import { setText, t } from "../i18n.js";
import { post, read, remove } from "./api.js";
import { check, field, form, link, older, plain, rowButton, table, time } from "./parts.js";
import { showSecret } from "./secret.js";

const DAY_SECONDS = 86400;
const PAGE = 100;
const STATES = { active: "admin.active", expired: "admin.expired", revoked: "admin.revoked" };

export async function showKeys(place, attempt) {
  const list = make("div");
  const load = async (after) => {
    const { data, next_after: next } = await read("keys", { limit: PAGE, after });
    const more = older(next, attempt(load));
    if (after) list.lastElementChild.remove();
    list.append(keyTable(data, done, true), ...(more ? [more] : []));
  };
  const done = (act) => attempt(async () => {
    await act();
    await showKeys(place, attempt);
    byId("view-title").focus(); // what was clicked is gone
  });
  await load();
  place.replaceChildren(setText(make("p", { className: "hint" }), "admin.keysHint"), list);
}

/** `done` wraps an action after which the list is read again. */
export function keyTable(keys, done, withAccount) {
  const revoke = (key) => done(() => confirm(t("admin.sureRevoke", { name: key.id })) && remove(`keys/${key.id}`));
  const account = { name: "admin.account", of: (key) => link(key.account, `#accounts/${key.account_id}`) };
  return table("admin.keys", [
    { name: "admin.key", of: (key) => plain(key.id) },
    { name: "admin.begins", of: (key) => plain(`${key.hint}…`) },
    ...(withAccount ? [account] : []),
    { name: "admin.scopes", of: (key) => plain(key.scopes.join(", ")) },
    { name: "admin.created", of: (key) => time(key.created_at) },
    { name: "admin.expires", of: (key) => time(key.expires_at) },
    { name: "admin.state", of: (key) => setText(make("span", { className: key.state === "active" ? "good" : "bad" }), STATES[key.state]) },
    { name: "admin.action", of: (key) => (key.state === "revoked" ? null : rowButton("admin.revoke", key.id, revoke(key))) },
  ], keys);
}

/** The form for a new key, which is shown once. `again` draws the account once more. */
export function newKeyForm(accountId, attempt, again) {
  const boxes = ["submit", "read", "admin"].map((scope) => check(`scope.${scope}`, { name: scope, checked: scope !== "admin" }));
  const scopes = make("fieldset", {}, setText(make("legend"), "admin.scopes"), ...boxes);
  return form(attempt(async ({ elements }) => {
    const days = elements.days.value === "" ? null : elements.days.valueAsNumber;
    const chosen = ["submit", "read", "admin"].filter((scope) => elements[scope].checked);
    const body = { scopes: chosen, valid_seconds: days && Math.round(days * DAY_SECONDS) };
    const { key } = await post(`accounts/${accountId}/keys`, body);
    showSecret(key);
    await again();
  }), "admin.makeKey", scopes, field("admin.days", { name: "days", type: "number", min: 1, max: 36500, autocomplete: "off" }));
}
