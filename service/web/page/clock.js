// One clock for two videos: the leader keeps the time, the follower is held to it.

const JUMP_SECONDS = 0.2; // further apart than this, the follower is set anew, which a person sees
const STEER_SECONDS = 0.015; // half a frame: below, nobody sees anything
const STEER_GAIN = 2; // the drift is caught up in half a second
const STEER_MOST = 0.3; // of the speed
const STEER_STEP = 0.05; // a browser stumbles over a speed that changes with every frame

/** Fires `time` for each frame that is shown and `state` when it starts or stops. */
export class Clock extends EventTarget {
  #stop = new AbortController();
  #held = false; // the leader waits for the follower

  constructor(leader, follower) {
    super();
    Object.assign(this, { leader, follower });
    const on = (video, name, act) => video.addEventListener(name, act, { signal: this.#stop.signal });
    for (const name of ["play", "pause", "ended"]) on(leader, name, () => this.#tell("state"));
    for (const name of ["seeked", "loadeddata", "durationchange"]) on(leader, name, () => this.#tick());
    on(leader, "pause", () => follower.pause());
    on(leader, "waiting", () => follower.pause());
    on(leader, "playing", () => this.#start(follower));
    on(follower, "waiting", () => this.#hold());
    on(follower, "canplay", () => this.#release());
    this.#loop();
  }

  get seconds() { return this.leader.currentTime; }
  get duration() { return this.leader.duration || 0; }
  get playing() { return this.#held || !this.leader.paused; }

  async play() {
    if (this.leader.ended) this.seek(0);
    await Promise.all([this.leader, this.follower].map((video) => this.#start(video)));
  }

  pause() {
    this.#held = false;
    this.leader.pause();
    this.seek(this.seconds);
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  seek(seconds) {
    const place = Math.min(Math.max(seconds, 0), this.duration);
    for (const video of [this.leader, this.follower]) video.currentTime = place;
    this.#tell("time");
  }

  close() {
    this.#stop.abort();
    for (const video of [this.leader, this.follower]) video.pause();
  }

  #loop() {
    if (this.#stop.signal.aborted) return;
    if (!this.leader.paused) this.#tick();
    requestAnimationFrame(() => this.#loop());
  }

  #tick() {
    this.#steer();
    this.#tell("time");
  }

  /** Bring the follower to the leader's place: a little faster or slower, or at once where it is far off. */
  #steer() {
    const { leader, follower } = this;
    if (follower.error || follower.seeking || leader.seeking) return;
    const drift = follower.currentTime - leader.currentTime;
    const still = leader.paused;
    if (Math.abs(drift) > (still ? STEER_SECONDS : JUMP_SECONDS)) follower.currentTime = leader.currentTime;
    const rate = still ? 1 : speed(drift);
    if (follower.playbackRate !== rate) follower.playbackRate = rate;
  }

  #hold() {
    if (this.leader.paused || this.follower.error) return;
    this.leader.pause();
    this.#held = true;
  }

  #release() {
    if (!this.#held) return;
    this.#held = false;
    this.#start(this.leader);
  }

  async #start(video) {
    await video.play().catch(() => {}); // paused again before it began, or not allowed to: the button shows it
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** How fast the follower is to go, that far ahead of the leader. */
function speed(driftSeconds) {
  if (Math.abs(driftSeconds) < STEER_SECONDS) return 1;
  const wanted = Math.min(Math.max(-driftSeconds * STEER_GAIN, -STEER_MOST), STEER_MOST);
  return 1 + Math.round(wanted / STEER_STEP) * STEER_STEP;
}
