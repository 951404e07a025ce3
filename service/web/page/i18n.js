// The page's texts, one file per language. Elements remember the name of their text, so that it can be shown in another language.

import { kept, keep } from "./kept.js";

/** Their names as their speakers call them. Another language is another line here and a file in `languages`. */
export const LANGUAGES = { en: "English", es: "Español", "pt-BR": "Português (Brasil)", vi: "Tiếng Việt", zh: "中文" };
const ATTRIBUTES = { i18nLabel: "aria-label", i18nPlaceholder: "placeholder" };

const page = { language: "en", wanted: "en", words: {} };

export const language = () => page.language;

/** The language chosen earlier, else the browser's first that is available. */
export function preferred(wanted = [kept("language"), ...navigator.languages]) {
  const base = (tag) => tag.toLowerCase().split("-")[0];
  const known = (tag) => Object.keys(LANGUAGES).find((name) => base(name) === base(tag));
  return wanted.filter(Boolean).map(known).find(Boolean) ?? "en";
}

/** Switch to this language; listeners of `language` redraw texts with dates and numbers. The last call wins. */
export async function setLanguage(chosen) {
  page.wanted = chosen;
  const answer = await fetch(new URL(`languages/${chosen}.json`, import.meta.url));
  const words = await answer.json();
  if (page.wanted !== chosen) return;
  page.words = words;
  page.language = chosen;
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-i18n], [data-i18n-label], [data-i18n-placeholder]")) refreshText(element);
  document.dispatchEvent(new Event("language"));
}

/** Fill a `select` with the languages. */
export function offerLanguages(select) {
  for (const [lang, textContent] of Object.entries(LANGUAGES)) {
    select.append(Object.assign(document.createElement("option"), { value: lang, lang, textContent }));
  }
}

export async function choose(chosen) {
  keep("language", chosen);
  await setLanguage(chosen);
}

export const has = (name) => name in page.words;

/** The text of this name, with `{values}` filled in. */
export function t(name, values = {}) {
  return (page.words[name] ?? name).replace(/\{(\w+)\}/g, (_, value) => values[value] ?? "");
}

/** Give an element this text, in the current and any later language. */
export function setText(element, name, values = {}) {
  return remember(element, "i18n", name, values);
}

/** The same for an element's accessible name. */
export function label(element, name, values = {}) {
  return remember(element, "i18nLabel", name, values);
}

function remember(element, place, name, values) {
  element.dataset[place] = name;
  element.dataset.values = JSON.stringify(values);
  return refreshText(element);
}

function refreshText(element) {
  const values = JSON.parse(element.dataset.values ?? "{}");
  if (element.dataset.i18n) element.textContent = t(element.dataset.i18n, values);
  for (const [place, attribute] of Object.entries(ATTRIBUTES)) {
    if (element.dataset[place]) element.setAttribute(attribute, t(element.dataset[place], values));
  }
  return element;
}
