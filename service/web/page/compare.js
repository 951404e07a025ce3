// Shows the original and the result on top of each other, with a divider between them, or one of them alone.

import { byId, make } from "./dom.js";
import { percent } from "./format.js";
import { setText, t } from "./i18n.js";

const MIDDLE = 50;
const RESULT_ALONE = 0;
const BOTH = { before: "source_url", after: "url" };

/** Lay out the pictures of a job; return their elements and the displayed size, once it is known. `isSingle`: they are the same. */
export async function compare(job, isSingle) {
  const links = isSingle ? { before: "source_url" } : BOTH;
  const shown = Object.fromEntries(Object.entries(links).map(([side, link]) => [side, element(job, job.result[link])]));
  if (job.media === "video") for (const video of Object.values(shown)) video.muted = true;
  for (const side of ["before", "after"]) byId(side).replaceChildren(...[shown[side]].filter(Boolean));
  byId("stage").classList.toggle("single", isSingle);
  divide(MIDDLE);
  const sizes = await Promise.all(Object.values(shown).map(displayedSize));
  const size = sizes.find(Boolean) ?? { width: 16, height: 9 };
  byId("stage").style.setProperty("--ratio", size.width / size.height);
  byId("viewer").style.setProperty("--ratio", size.width / size.height);
  byId("unplayable").hidden = sizes.every(Boolean);
  return { before: shown.before, after: shown.after ?? shown.before, size, seen: sizes.some(Boolean) };
}

/** Move the divider to a percentage of the width; the original is on its left. */
export function divide(place) {
  const divider = byId("divider");
  divider.value = place;
  divider.setAttribute("aria-valuetext", t("compare.value", { part: percent(place / 100) }));
  byId("stage").style.setProperty("--split", `${place}%`);
}

export const dividedAt = () => Number(byId("divider").value);

/** Show another file in place of the original, at the same time: an earlier result, or the original again. */
export function replaceBefore(address, words) {
  const media = byId("before").firstElementChild;
  const seconds = media.currentTime;
  media.src = address;
  if (seconds) media.addEventListener("loadedmetadata", () => { media.currentTime = seconds; }, { once: true });
  setText(byId("stage").querySelector(".tag-before"), words);
}

/** Show the result alone, as leftovers are visible there; or both again. */
export function showResultAlone(isAlone) {
  divide(isAlone ? RESULT_ALONE : MIDDLE);
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
  byId("show-difference").addEventListener("change", ({ target }) => byId("stage").classList.toggle("difference", target.checked));
  document.addEventListener("language", () => divide(byId("divider").value));
}
