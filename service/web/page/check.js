// Checks a file against the service's limits before it is uploaded, as far as the browser can tell.

import { Problem, limits } from "./api.js";
import { byId, make } from "./dom.js";
import { clock, count, lasting, size } from "./format.js";
import { setText } from "./i18n.js";

const PATIENCE_MILLISECONDS = 3000; // for a browser that cannot say whether it can read a file

const known = { limits: null };

/** Ask for the limits and prices, and say them. */
export async function showLimits() {
  known.limits = await limits();
  say();
}

export function listenToLimits() {
  document.addEventListener("language", () => known.limits && say());
}

function say() {
  const { file_bytes: bytes, duration_seconds: seconds, long_side_pixels: long, short_side_pixels: short } = known.limits;
  const { video_credits: video, image_credits: image } = known.limits;
  const values = { size: size(bytes), time: lasting(seconds), pixels: pixels(long, short), video: count(video), image: count(image) };
  setText(byId("limits"), "new.limits", values).hidden = false;
}

/** Throw a Problem with the limit and the file's figure if the file is beyond a limit. */
export async function check(file) {
  const most = known.limits;
  if (!most) return;
  if (file.size > most.file_bytes) throw beyond("too-large", size(file.size), size(most.file_bytes));
  const media = await measure(file);
  if (!media) return;
  const { seconds, width, height } = media;
  if (seconds > most.duration_seconds) throw beyond("too-long", clock(seconds), clock(most.duration_seconds));
  if (seconds === null && width * height > most.still_pixels) throw beyond("too-many-pixels", pixels(width, height), count(most.still_pixels));
  const isLarge = Math.max(width, height) > most.long_side_pixels || Math.min(width, height) > most.short_side_pixels;
  if (seconds !== null && isLarge) throw beyond("too-many-pixels", pixels(width, height), pixels(most.long_side_pixels, most.short_side_pixels));
}

const pixels = (width, height) => `${width} × ${height}`;
const beyond = (kind, found, limit) => new Problem({ kind, more: { found, limit } });

/** Seconds (null: an image), width and height; null if the browser cannot tell. */
async function measure(file) {
  const isVideo = !file.type.startsWith("image/");
  const media = isVideo ? make("video", { preload: "metadata", muted: true }) : make("img");
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      media.addEventListener(isVideo ? "loadedmetadata" : "load", resolve, { once: true });
      media.addEventListener("error", reject, { once: true });
      setTimeout(reject, PATIENCE_MILLISECONDS);
      media.src = url;
    });
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
  if (!isVideo) return { seconds: null, width: media.naturalWidth, height: media.naturalHeight };
  return media.videoWidth ? { seconds: media.duration, width: media.videoWidth, height: media.videoHeight } : null;
}
