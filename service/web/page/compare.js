// Shows the original and the result on top of each other, with a divider between them.

import { byId, make } from "./dom.js";
import { percent } from "./format.js";
import { t } from "./i18n.js";

export const MIDDLE = 50;
export const RESULT_ALONE = 0;

/** Lay out both pictures; return their elements and the displayed size, once it is known. */
export async function compare(job) {
  const [before, after] = ["source_url", "url"].map((link) => element(job, job.result[link]));
  if (job.media === "video") before.muted = after.muted = true;
  byId("before").replaceChildren(before);
  byId("after").replaceChildren(after);
  divide(MIDDLE);
  const sizes = await Promise.all([before, after].map(displayedSize));
  const size = sizes.find(Boolean) ?? { width: 16, height: 9 };
  byId("stage").style.setProperty("--ratio", size.width / size.height);
  byId("unplayable").hidden = sizes.every(Boolean);
  return { before, after, size, seen: sizes.some(Boolean) };
}

/** Move the divider to a percentage of the width; the original is on its left. */
export function divide(place) {
  const divider = byId("divider");
  divider.value = place;
  divider.setAttribute("aria-valuetext", t("compare.value", { part: percent(place / 100) }));
  byId("stage").style.setProperty("--split", `${place}%`);
}

function element(job, address) {
  if (job.media === "image") return make("img", { src: address, alt: "", draggable: false });
  return make("video", { src: address, playsInline: true, preload: "auto", tabIndex: -1 });
}

/** The displayed size in pixels; null if the browser cannot show the media. */
function displayedSize(media) {
  const image = media instanceof HTMLImageElement;
  return new Promise((resolve) => {
    const known = () => resolve(image ? { width: media.naturalWidth, height: media.naturalHeight } : videoSize(media));
    media.addEventListener(image ? "load" : "loadedmetadata", known, { once: true });
    media.addEventListener("error", () => resolve(null), { once: true });
  });
}

function videoSize({ videoWidth: width, videoHeight: height }) {
  return width && height ? { width, height } : null; // the browser may support only the sound
}

export function listenToDivider() {
  byId("divider").addEventListener("input", (event) => divide(event.target.value));
  document.addEventListener("language", () => divide(byId("divider").value));
}
