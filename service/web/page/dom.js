// The smallest pieces of a page. Whatever goes in goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter(Boolean));
  return element;
}

const VIEWS = { key: ["hero", "key-card"], start: ["hero", "new-job"], work: ["work"], result: ["result"] };
const OF_ACCOUNT = ["credits", "forget-key", "jobs", "examples"];

/** Show one step of the way: the key, what to clean, the work, the result. */
export function view(name) {
  for (const id of Object.values(VIEWS).flat()) byId(id).hidden = !VIEWS[name].includes(id);
  for (const id of OF_ACCOUNT) byId(id).hidden = name === "key";
}

/** For those who cannot see what changed; `translated` says it in their language. */
export function announce(translated) {
  byId("status").textContent = translated;
}
