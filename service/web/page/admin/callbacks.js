// Webhooks of all accounts, and sending them again.

import { announce, byId, make } from "../dom.js";
import { setText, t } from "../i18n.js";
import { post, read } from "./api.js";
import { button, field, form, link, older, plain, rowButton, table, time } from "./parts.js";

const PAGE = 50;
const OUTCOMES = ["pending", "delivered", "given_up"];

export async function showCallbacks(place, attempt) {
  const list = make("div");
  const columns = [
    { name: "admin.job", of: (row) => plain(row.id) },
    { name: "admin.account", of: (row) => link(row.account, `#accounts/${row.account_id}`) },
    { name: "admin.receiver", of: (row) => plain(row.host) },
    { name: "admin.outcome", of: (row) => setText(make("span", { className: row.outcome === "given_up" ? "bad" : "" }), `outcome.${row.outcome}`) },
    { name: "admin.attempts", of: (row) => row.attempts },
    { name: "admin.lastAt", of: (row) => time(row.at) },
    { name: "admin.nextAt", of: (row) => time(row.next_attempt_at) },
    { name: "admin.reason", of: (row) => plain(row.last_error) },
    { name: "admin.action", of: (row) => rowButton("admin.again", row.id, again(`callbacks/${encodeURIComponent(row.id)}/redeliver`)) },
  ];
  const load = async (cursor) => {
    const { data, next_cursor: next } = await read("callbacks", { outcome: filter.elements.outcome.value, limit: PAGE, cursor });
    const more = older(next, attempt(load));
    if (cursor) list.lastElementChild.remove();
    list[cursor ? "append" : "replaceChildren"](table("admin.callbacks", columns, data), ...(more ? [more] : []));
  };
  const again = (path) => attempt(async () => {
    const { callbacks } = await post(path);
    await load();
    byId("view-title").focus();
    announce(t("admin.sentAgain", { number: callbacks }));
  });
  const filter = form(attempt(() => load()), "admin.find",
    field("admin.outcome", { name: "outcome" }, [["", "jobs.all"], ...OUTCOMES.map((outcome) => [outcome, `outcome.${outcome}`])]));
  await load();
  place.replaceChildren(filter, list, make("p", {}, button("admin.againAll", again("callbacks/redeliver"))));
}
