// How far one subscription has come, so that it can go on from there.
//
// It covers what the application was handed, never more. A replay that was cut short is gone on with where the protocol allows it, and
// else begun again, with what was handed over already held back. Knows no socket and no clock.

/** Topics whose offsets are remembered; events of further ones are handed over, but may be repeated after a lost connection. */
export const POSITION_TOPICS_MAX = 65_536;

export class Progress {
  /** Where the replay begins that is under way or was completed last: a word, `{time_us}`, nothing, or a `Place`. */
  #since;
  /** What was handed over of a replay that cannot be resumed by itself. */
  #seen;

  /** @param since what the first `subscribe` asks for */
  constructor(since) {
    this.#since = typeof since?.epoch === 'string' ? Place.of(since) : since;
  }

  /** A server of this epoch is there: answers what to ask it for. */
  begin(epoch) {
    const seen = this.#seen?.epoch === epoch ? this.#seen : undefined;
    this.#seen = undefined;
    if (this.#since instanceof Place) {
      // Its own numbering: what is handed over moves the position itself. Another: until the replay is complete both are needed.
      if (this.#since.epoch !== epoch) this.#seen = seen ?? new Place(epoch);
    } else if (seen && (this.#since === 'earliest' || this.#since?.time_us !== undefined)) {
      // Everything, and everything from a moment on, are positions too once something of it was seen.
      seen.time_us = this.#since === 'earliest' ? 0 : Math.max(0, this.#since.time_us - 1);
      this.#since = seen;
    } else {
      this.#seen = seen ?? new Place(epoch);
    }
    return this.#since instanceof Place ? this.#since.asSince() : this.#since;
  }

  /** Whether what ends at this offset has been handed over already, when a replay had to begin again. */
  hasSeen(topic, offset) {
    const seen = this.#seen?.offsets.get(topic);
    // A gap of a topic that nothing is known of ends at 0, and is news all the same.
    return seen !== undefined && seen >= offset;
  }

  /** An event, or a gap that ends there, was handed over. */
  advance(topic, offset) {
    const place = this.#seen ?? this.#since;
    if (place instanceof Place) place.advance(topic, offset);
  }

  /** The replay is complete. From here on the position is exact. */
  live({ epoch, offsets, time_us }) {
    const known = this.#seen ?? this.#since;
    const place = known instanceof Place && known.epoch === epoch ? known : new Place(epoch);
    for (const [topic, offset] of Object.entries(offsets ?? {})) place.advance(topic, offset);
    place.time_us = time_us ?? place.time_us;
    this.#since = place;
    this.#seen = undefined;
  }

  /** From here on another filter holds: keys that the former one let pass may be inside all the same. */
  filterChanged() {
    for (const place of [this.#seen, this.#since]) {
      if (place instanceof Place) place.filter_changed = true;
    }
  }

  /** The position as a `since`, to be kept and handed in again; undefined while a replay is under way that has none. */
  get position() {
    return this.#since instanceof Place && !this.#seen ? this.#since.asSince() : undefined;
  }
}

class Place {
  offsets = new Map();
  time_us = undefined;
  /** What was told up to here was told under other filters, too. */
  filter_changed = false;

  constructor(epoch) {
    this.epoch = epoch;
  }

  static of({ epoch, offsets, time_us, filter_changed }) {
    const place = new Place(epoch);
    for (const [topic, offset] of Object.entries(offsets ?? {})) place.advance(topic, offset);
    place.time_us = time_us;
    place.filter_changed = filter_changed === true;
    return place;
  }

  advance(topic, offset) {
    const known = this.offsets.get(topic);
    if (known !== undefined) this.offsets.set(topic, Math.max(known, offset));
    else if (this.offsets.size < POSITION_TOPICS_MAX) this.offsets.set(topic, offset);
  }

  asSince() {
    const since = { epoch: this.epoch, offsets: Object.fromEntries(this.offsets) };
    if (this.time_us !== undefined) since.time_us = this.time_us;
    if (this.filter_changed) since.filter_changed = true;
    return since;
  }
}
