// The playback controls of the two videos, and the keys of the viewer.

import { Clock } from "./clock.js";
import { byId } from "./dom.js";
import { clock as clockText, moment } from "./format.js";
import { label } from "./i18n.js";
import { zoomWithKey } from "./zoom.js";

const PLAY = "M8 5v14l11-7z";
const PAUSE = "M7 5h4v14H7zM13 5h4v14h-4z";
const FRAMES_PER_SECOND = 25; // until the report says how many there are
const INTO_FRAME = 0.25; // of a frame: at its very start, rounding might show the one before
const ROUNDING = 0.01; // of a frame

const player = { clock: null, framesPerSecond: FRAMES_PER_SECOND };

/** Control the pair's videos; `onTime` is called with each frame's time in seconds. Returns null for images. */
export function startPlayer({ before, after }, isVideo, onTime) {
  stopPlayer();
  byId("player").hidden = !isVideo;
  if (!isVideo) return null;
  const [leader, follower] = after.error ? [before, after] : [after, before];
  player.clock = new Clock(leader, follower);
  player.framesPerSecond = FRAMES_PER_SECOND;
  player.clock.addEventListener("state", showState);
  player.clock.addEventListener("time", () => { showTime(); onTime(player.clock.seconds); });
  player.clock.rate = Number(byId("speed").value);
  loop(byId("loop").getAttribute("aria-pressed") === "true");
  showState();
  showTime();
  silence(true);
  return player.clock;
}

export function stopPlayer() {
  player.clock?.close();
  player.clock = null;
}

export const pause = () => player.clock?.playing && player.clock.pause();
export const toggle = () => player.clock?.toggle();
export const setFrameRate = (framesPerSecond) => { player.framesPerSecond = framesPerSecond || FRAMES_PER_SECOND; };

export function listenToPlayer() {
  byId("play").addEventListener("click", toggle);
  byId("seek").addEventListener("input", (event) => player.clock?.seek(Number(event.target.value)));
  byId("sound").addEventListener("click", () => silence(!player.clock.leader.muted));
  byId("step-back").addEventListener("click", () => step(-1));
  byId("step-on").addEventListener("click", () => step(1));
  byId("speed").addEventListener("change", ({ target }) => { if (player.clock) player.clock.rate = Number(target.value); });
  byId("loop").addEventListener("click", () => loop(byId("loop").getAttribute("aria-pressed") !== "true"));
  byId("full-screen").addEventListener("click", fullScreen);
  byId("full-screen").hidden = !document.fullscreenEnabled;
  byId("viewer").addEventListener("keydown", onKey);
}

function onKey(event) {
  const isTyping = event.target.matches("input:not([type=range], [type=checkbox], [type=radio]), select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const isPressing = event.key === " " && event.target.matches("button, [type=checkbox], [type=radio]");
  const acts = { ",": () => step(-1), ".": () => step(1), f: fullScreen, ...(isPressing ? {} : { " ": toggle }) };
  if (acts[event.key]) acts[event.key]();
  else if (!zoomWithKey(event.key)) return;
  event.preventDefault();
}

/** Pause and show the next frame, or the one before. */
function step(frames) {
  const { clock, framesPerSecond } = player;
  if (!clock) return;
  pause();
  const shown = Math.floor(clock.seconds * framesPerSecond + ROUNDING);
  clock.seek((shown + frames + INTO_FRAME) / framesPerSecond);
}

function loop(isOn) {
  byId("loop").setAttribute("aria-pressed", isOn);
  if (player.clock) player.clock.loops = isOn;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("viewer").requestFullscreen?.().catch(() => {}); // the browser forbids it here
}

function silence(muted) {
  player.clock.leader.muted = muted; // the follower stays muted, so that the sound plays once
  byId("sound").setAttribute("aria-pressed", !muted);
}

function showState() {
  byId("play-shape").setAttribute("d", player.clock.playing ? PAUSE : PLAY);
  label(byId("play"), player.clock.playing ? "player.pause" : "player.play");
}

function showTime() {
  const { seconds, duration } = player.clock;
  Object.assign(byId("seek"), { max: duration || 1, value: seconds });
  byId("seek").setAttribute("aria-valuetext", moment(seconds));
  byId("clock").textContent = `${clockText(seconds)} / ${clockText(duration)}`;
}
