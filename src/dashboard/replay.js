// The page's time: live, or a moment of the past that goes on at a pace.
//
// The past is asked for by the protocol's own playback: the subscription goes to a place in time, and what lies a little before it is told at once, so that the map
// has its state. Pure: the time, the subscription and what is shown are handed in.

/** So far back the slider goes, in seconds. */
export const BACK_S = 3600;
/** So much of what lies before a moment is told at once: whoever was not heard of for so long was not there. */
const STATE_US = 90e6;
/** Silences of the past last no longer than this, in milliseconds of ours. */
const GAP_MS = 2000;
export const SPEEDS = [1, 10, 60];

export class Replay {
  /** Undefined while live: the moment on the map, in microseconds since 1970. */
  #at_us;
  #speed = 10;
  #isPaused = false;

  get isLive() {
    return this.#at_us === undefined;
  }

  get speed() {
    return this.#speed;
  }

  get isPaused() {
    return this.#isPaused;
  }

  /** Seconds that the map is behind the present. */
  behind_s(now_ms) {
    return this.isLive ? 0 : Math.max(0, now_ms / 1000 - this.#at_us / 1e6);
  }

  /** Goes so many seconds back from now; 0: to the present. */
  goTo(behind_s, now_ms) {
    this.#at_us = behind_s > 0 ? Math.round((now_ms - behind_s * 1000) * 1000) : undefined;
    if (this.isLive) this.#isPaused = false;
  }

  /** The past has been told up to the present. */
  arrived() {
    this.goTo(0, 0);
  }

  /** What is heard says where the map is, unless it is of the state before that. */
  hear(time_us) {
    if (!this.isLive) this.#at_us = Math.max(this.#at_us, time_us);
  }

  setSpeed(speed) {
    this.#speed = speed;
  }

  pause(isPaused) {
    this.#isPaused = isPaused;
  }

  /** Where a subscription begins that shows this: members of `subscribe`, and of `seek`. */
  place() {
    if (this.isLive) return { since: 'last' };
    return {
      since: { time_us: Math.max(0, this.#at_us - STATE_US) },
      speed: this.#isPaused ? 0 : this.#speed,
      play_from: this.#at_us,
      max_gap_ms: GAP_MS,
    };
  }

  /** Moves a running subscription here. */
  seek(subscription) {
    const { since, ...playback } = this.place();
    return subscription.seek(since, this.isLive ? { speed: null } : playback);
  }
}

/** The moment on the map, to the second, as clocks show it here. */
export function clockText(replay, now_ms) {
  return new Date(now_ms - replay.behind_s(now_ms) * 1000).toLocaleTimeString(undefined, { hour12: false });
}

/** What the slider says, in words: `12 minutes 5 seconds ago, 14:03:20`. */
export function sliderText(replay, now_ms) {
  if (replay.isLive) return 'live';
  const behind_s = Math.round(replay.behind_s(now_ms));
  const [minutes, seconds] = [Math.floor(behind_s / 60), behind_s % 60];
  const many = (count, word) => (count === 0 ? [] : [`${count} ${word}${count === 1 ? '' : 's'}`]);
  const words = [...many(minutes, 'minute'), ...many(seconds, 'second')].join(' ') || 'a moment';
  return `${words} ago, ${clockText(replay, now_ms)}`;
}
