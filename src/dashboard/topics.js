// Topics with their last values and rates: those that the page hears of, and with the admin secret all there are.
//
// What stands in a row was heard by this page's own subscription, with this page's own token; the operator's list has names and counts alone. Pure.

/** Topics that are kept in mind; further ones are not listed. */
export const TOPICS_MAX = 500;
/** A rate is over so long, in milliseconds. */
const RATE_MS = 5_000;

export class Topics {
  #topics = new Map();

  get size() {
    return this.#topics.size;
  }

  hear({ topic, key, op, offset, payload }) {
    const of = this.#of(topic);
    if (!of) return;
    of.heard += 1;
    of.last = { key, op, payload };
    of.offset = Math.max(of.offset ?? 0, offset);
  }

  /** A page of the operator's list. */
  list(rows) {
    for (const { topic, offset, durable } of rows) {
      const of = this.#of(topic);
      if (of) Object.assign(of, { offset: Math.max(of.offset ?? 0, offset), durable });
    }
  }

  /** Rates as of now: offsets count everything that is published, whatever this page's own rate leaves out. */
  measure(now_ms) {
    for (const of of this.#topics.values()) {
      of.marks.push({ now_ms, offset: of.offset ?? 0 });
      while (of.marks.length > 2 && of.marks[1].now_ms <= now_ms - RATE_MS) of.marks.shift();
      const [from, to] = [of.marks[0], of.marks.at(-1)];
      const passed = to.now_ms - from.now_ms;
      of.rate = passed > 0 && to.offset >= from.offset ? ((to.offset - from.offset) * 1000) / passed : undefined;
    }
  }

  /** The busiest first, so many. */
  top(count) {
    const rows = [...this.#topics].map(([topic, of]) => ({ topic, ...of }));
    rows.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || a.topic.localeCompare(b.topic));
    return rows.slice(0, count);
  }

  /** Offsets of another numbering are no rates. */
  restart() {
    for (const of of this.#topics.values()) Object.assign(of, { offset: undefined, marks: [], rate: undefined });
  }

  clear() {
    this.#topics.clear();
  }

  #of(topic) {
    const known = this.#topics.get(topic);
    if (known || this.#topics.size >= TOPICS_MAX) return known;
    const fresh = { heard: 0, last: undefined, offset: undefined, durable: false, marks: [], rate: undefined };
    this.#topics.set(topic, fresh);
    return fresh;
  }
}
