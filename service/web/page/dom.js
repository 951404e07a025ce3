// DOM helpers. Content is inserted as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter(Boolean));
  return element;
}

const VIEWS = { key: ["hero", "key-card"], start: ["hero", "new-job"], work: ["work"], result: ["result"] };
const OF_ACCOUNT = ["credits", "forget-key", "jobs", "examples"];

/** Show one view: key, start, work or result. */
export function view(name) {
  for (const id of Object.values(VIEWS).flat()) byId(id).hidden = !VIEWS[name].includes(id);
  for (const id of OF_ACCOUNT) byId(id).hidden = name === "key";
}

/** Announce a translated text to screen readers. */
export function announce(translated) {
  byId("status").textContent = translated;
}
