// One clock for two videos: the leader sets the time, the follower is kept in sync. Both may be the same one.

const JUMP_SECONDS = 0.2; // beyond this the follower seeks, which is visible
const STEER_SECONDS = 0.015; // half a frame: below this nothing is visible
const STEER_GAIN = 2; // corrects the drift in half a second
const STEER_MAX = 0.3; // of the speed
const STEER_STEP = 0.05; // browsers stutter if the speed changes with every frame

/** Fires `time` for each displayed frame, and `state` when playback starts or stops. */
export class Clock extends EventTarget {
  #stop = new AbortController();
  #held = false; // the leader waits for the follower
  #rate = 1;
  loops = false;

  constructor(leader, follower) {
    super();
    Object.assign(this, { leader, follower });
    const on = (video, name, act) => video.addEventListener(name, act, { signal: this.#stop.signal });
    for (const name of ["play", "pause", "ended"]) on(leader, name, () => this.#tell("state"));
    for (const name of ["seeked", "loadeddata", "durationchange"]) on(leader, name, () => this.#tick());
    on(leader, "ended", () => this.loops && this.play());
    if (follower !== leader) {
      on(leader, "pause", () => follower.pause());
      on(leader, "waiting", () => follower.pause());
      on(leader, "playing", () => this.#start(follower));
      on(follower, "waiting", () => this.#hold());
      on(follower, "canplay", () => this.#release());
    }
    this.#loop();
  }

  get seconds() { return this.leader.currentTime; }
  get duration() { return this.leader.duration || 0; }
  get playing() { return this.#held || !this.leader.paused; }

  /** How many times as fast as usual it plays. */
  set rate(rate) {
    this.#rate = this.leader.playbackRate = this.follower.playbackRate = rate;
  }

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

  /** Keep the follower in sync: play a little faster or slower, or seek if it is far off. */
  #steer() {
    const { leader, follower } = this;
    if (follower === leader || follower.error || follower.seeking || leader.seeking) return;
    const drift = follower.currentTime - leader.currentTime;
    const still = leader.paused;
    if (Math.abs(drift) > (still ? STEER_SECONDS : JUMP_SECONDS)) follower.currentTime = leader.currentTime;
    const rate = this.#rate * (still ? 1 : speed(drift));
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
    await video.play().catch(() => {}); // paused again before it started, or not allowed; the button shows the state
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** The follower's speed for this drift; positive: ahead of the leader. */
function speed(driftSeconds) {
  if (Math.abs(driftSeconds) < STEER_SECONDS) return 1;
  const wanted = Math.min(Math.max(-driftSeconds * STEER_GAIN, -STEER_MAX), STEER_MAX);
  return 1 + Math.round(wanted / STEER_STEP) * STEER_STEP;
}
