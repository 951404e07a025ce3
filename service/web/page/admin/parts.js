// What the parts of the page are made of: tables, forms, buttons. Content is inserted as text, never as markup.

import { make } from "../dom.js";
import { count } from "../format.js";
import { language, setText, t } from "../i18n.js";

/** A table, or a line that says that there is nothing. Columns: `name` of its heading, and `of` a row: text, number or element. */
export function table(name, columns, rows) {
  if (!rows.length) return setText(make("p", { className: "hint" }), "admin.none");
  const heads = columns.map((column) => setText(role(make("th", { scope: "col" }), "columnheader"), column.name));
  const body = rows.map((row) => role(make("tr", {}, ...columns.map((column, place) => cell(column, row, place))), "row"));
  const caption = setText(make("caption", { className: "unseen" }), name);
  const head = role(make("thead", {}, role(make("tr", {}, ...heads), "row")), "rowgroup");
  return role(make("table", {}, caption, head, role(make("tbody", {}, ...body), "rowgroup")), "table");
}

function cell(column, row, place) {
  const value = column.of(row);
  const isNumber = typeof value === "number";
  const content = isNumber ? count(value) : value ?? "–";
  const found = place ? role(make("td", {}), "cell") : role(make("th", { scope: "row" }), "rowheader");
  found.append(...[content].flat());
  found.dataset.head = t(column.name); // shown beside the value where the page is narrow
  if (isNumber) found.className = "number";
  return found;
}

/** Narrow pages show rows as blocks, with which some browsers forget what a table is. */
function role(element, name) {
  element.setAttribute("role", name);
  return element;
}

/** A heading with what belongs to it. */
export const block = (name, ...content) => make("section", { className: "block" }, setText(make("h2"), name), ...content);

/** Pairs of a text's name and a value. */
export function facts(pairs) {
  const items = pairs.map(([name, value]) => {
    const shown = typeof value === "number" ? count(value) : value ?? "–";
    return make("div", {}, setText(make("dt"), name), make("dd", {}, ...[shown].flat()));
  });
  return make("dl", { className: "facts" }, ...items);
}

export function button(name, act, className = "secondary") {
  return setText(make("button", { type: "button", className, onclick: act }), name);
}

/** A button of a row, whose accessible name also says which row. */
export function rowButton(name, of, act) {
  const found = button(name, act, "text");
  found.setAttribute("aria-label", `${t(name)}: ${of}`);
  return found;
}

/** A form; `act` is called with its values when it is sent. */
export function form(act, sendName, ...fields) {
  const send = setText(make("button", { className: "primary" }), sendName);
  const found = make("form", { className: "fields" }, ...fields, send);
  found.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true; // a second click sends nothing
    try {
      await act(found);
    } finally {
      send.disabled = false;
    }
  });
  return found;
}

/** A labelled field. `properties` are those of an input; `choices`: values with their texts' names, or with the texts themselves. */
export function field(name, properties, choices) {
  const control = choices ? make("select", properties) : make("input", properties);
  for (const [value, text] of choices ?? []) {
    const option = make("option", { value });
    control.append(text.includes(".") ? setText(option, text) : Object.assign(option, { textContent: text }));
  }
  if (choices && properties.value !== undefined) control.value = properties.value;
  return make("label", {}, setText(make("span"), name), control);
}

export function check(name, properties) {
  return make("label", { className: "check" }, make("input", { type: "checkbox", ...properties }), setText(make("span"), name));
}

/** A button that adds the next page, while there is one. `load(next)` returns what follows, or null. */
export function older(next, load) {
  return next == null ? null : button("admin.more", () => load(next));
}

export function link(text, href) {
  return make("a", { textContent: text, href });
}

/** A date and time in the page's language; the whole of it as a hint. */
export function time(text) {
  if (!text) return null;
  const at = new Date(text);
  const shown = new Intl.DateTimeFormat(language(), { dateStyle: "short", timeStyle: "short" }).format(at);
  return make("time", { dateTime: text, textContent: shown, title: at.toISOString() });
}

/** Words of the service, which are English in every language. */
export function plain(text) {
  return text ? make("span", { lang: "en", textContent: text }) : null;
}
