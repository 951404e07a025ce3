// Formats numbers and times in the page's language.

import { language, t } from "./i18n.js";

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** 83.2 -> 1:23 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** 83.25 -> 1:23.3, for positions that need tenths. */
export function moment(seconds) {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  return `${clock(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** "3 minutes", in the largest unit that fits. */
export function lasting(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  const value = Math.max(1, Math.round(seconds / size));
  return new Intl.NumberFormat(language(), { style: "unit", unit, unitDisplay: "long" }).format(value);
}

/** "3 minutes ago" */
export function ago(date, now = Date.now()) {
  const seconds = (now - date) / 1000;
  if (seconds < 10) return t("time.now");
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(language()).format(-Math.round(seconds / size), unit);
}

export function percent(fraction) {
  return new Intl.NumberFormat(language(), { style: "percent" }).format(fraction);
}

export function count(value) {
  return new Intl.NumberFormat(language()).format(value);
}

/** "2.3 MB" */
export function size(bytes) {
  const [unit, of] = [["gigabyte", 1e9], ["megabyte", 1e6], ["kilobyte", 1e3]].find(([, of]) => bytes >= of) ?? ["byte", 1];
  return new Intl.NumberFormat(language(), { style: "unit", unit, maximumFractionDigits: 1 }).format(bytes / of);
}
