// The page's words, one file a language. An element remembers its words' name, so that it can be said anew in another language.

import { kept, keep } from "./kept.js";

export const LANGUAGES = ["en", "zh", "vi"];
const ATTRIBUTES = { i18nLabel: "aria-label", i18nPlaceholder: "placeholder" };

const page = { language: "en", wanted: "en", words: {} };

export const language = () => page.language;

/** The language that was chosen here before, else the first of the browser's that we have. */
export function preferred(wanted = [kept("language"), ...navigator.languages]) {
  return wanted.map((tag) => (tag ?? "").toLowerCase().split("-")[0]).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Say everything in this language from now on; listeners of `language` draw anew what they drew with dates and numbers. The last call counts. */
export async function speak(chosen) {
  page.wanted = chosen;
  const answer = await fetch(new URL(`languages/${chosen}.json`, import.meta.url));
  const words = await answer.json();
  if (page.wanted !== chosen) return;
  page.words = words;
  page.language = chosen;
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-i18n], [data-i18n-label], [data-i18n-placeholder]")) resay(element);
  document.dispatchEvent(new Event("language"));
}

export async function choose(chosen) {
  keep("language", chosen);
  await speak(chosen);
}

export const has = (name) => name in page.words;

/** The words of this name, with `{values}` filled in. */
export function t(name, values = {}) {
  return (page.words[name] ?? name).replace(/\{(\w+)\}/g, (_, value) => values[value] ?? "");
}

/** Give an element these words, in this language and those to come. */
export function say(element, name, values = {}) {
  return remember(element, "i18n", name, values);
}

/** The same for its accessible name. */
export function label(element, name, values = {}) {
  return remember(element, "i18nLabel", name, values);
}

function remember(element, place, name, values) {
  element.dataset[place] = name;
  element.dataset.values = JSON.stringify(values);
  return resay(element);
}

function resay(element) {
  const values = JSON.parse(element.dataset.values ?? "{}");
  if (element.dataset.i18n) element.textContent = t(element.dataset.i18n, values);
  for (const [place, attribute] of Object.entries(ATTRIBUTES)) {
    if (element.dataset[place]) element.setAttribute(attribute, t(element.dataset[place], values));
  }
  return element;
}
