// The playback controls of the two videos.

import { Clock } from "./clock.js";
import { byId } from "./dom.js";
import { clock as clockText, moment } from "./format.js";
import { label } from "./i18n.js";

const PLAY = "M8 5v14l11-7z";
const PAUSE = "M7 5h4v14H7zM13 5h4v14h-4z";

const player = { clock: null };

/** Control the pair's videos; `onTime` is called with each frame's time in seconds. Returns null for images. */
export function startPlayer({ before, after }, isVideo, onTime) {
  stopPlayer();
  byId("player").hidden = !isVideo;
  if (!isVideo) return null;
  const [leader, follower] = after.error ? [before, after] : [after, before];
  player.clock = new Clock(leader, follower);
  player.clock.addEventListener("state", showState);
  player.clock.addEventListener("time", () => { showTime(); onTime(player.clock.seconds); });
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

export function listenToPlayer() {
  byId("play").addEventListener("click", () => player.clock?.toggle());
  byId("seek").addEventListener("input", (event) => player.clock?.seek(Number(event.target.value)));
  byId("sound").addEventListener("click", () => silence(!player.clock.leader.muted));
  byId("stage").addEventListener("keydown", (event) => {
    if (event.key !== " " || !player.clock) return;
    event.preventDefault();
    player.clock.toggle();
  });
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
