// The figures: the server's own, as it publishes them for everybody, and how late what we hear is.
//
// Pure: texts and times in, numbers and texts out.

/** Seconds of the little curve. */
const CURVE_POINTS = 60;

/** One sample of the metrics page, added up over its labels; undefined if it is not there. */
export function sample(page, name) {
  let sum;
  for (const line of page.split('\n')) {
    if (!line.startsWith(name)) continue;
    const rest = line.slice(name.length);
    const value = /^(?:\{[^}]*\})? ([0-9.eE+-]+)/.exec(rest)?.[1];
    if (value !== undefined) sum = (sum ?? 0) + Number(value);
  }
  return sum;
}

/** A count that only rises, and how fast. */
export class Rate {
  #last;
  curve = [];
  value;

  /** Takes the count at a moment; a count that fell is a server that restarted. */
  take(count, now) {
    if (this.#last && count >= this.#last.count && now > this.#last.now) {
      this.value = ((count - this.#last.count) * 1000) / (now - this.#last.now);
      this.curve.push(this.value);
      if (this.curve.length > CURVE_POINTS) this.curve.shift();
    }
    this.#last = { count, now };
  }
}

/** How long events are under way, by the server's clock. */
export class Lag {
  #ahead_ms = 0;
  #heard = [];

  /** Our clock and the server's differ; a question that was answered at once tells by how much. */
  compare(asked, answered, time_us) {
    this.#ahead_ms = time_us / 1000 - (asked + answered) / 2;
  }

  take(time_us, now) {
    // A sample of them is enough.
    if (this.#heard.length < 1000) this.#heard.push(now + this.#ahead_ms - time_us / 1000);
  }

  /** The middle one since the last time that somebody asked; undefined: there was none. */
  drain() {
    const sorted = this.#heard.sort((a, b) => a - b);
    this.#heard = [];
    const middle = sorted[Math.floor(sorted.length / 2)];
    return middle === undefined ? undefined : Math.max(0, middle);
  }
}

export function countText(number) {
  if (number === undefined) return '–';
  if (number < 10 && number % 1 !== 0) return number.toFixed(1);
  if (number < 1e6) return Math.round(number).toLocaleString('en');
  return number < 1e9 ? `${(number / 1e6).toFixed(2)} M` : `${(number / 1e9).toFixed(2)} G`;
}

export function lagText(ms) {
  if (ms === undefined) return '–';
  if (ms < 1) return '< 1 ms';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A server's objection, and under the filter the place that it names. */
export function objectionText(filter, error) {
  const byte = /\bbyte (\d+)/.exec(error.message)?.[1];
  if (byte === undefined || error.field !== 'filter') return error.message;
  const before = new TextDecoder().decode(new TextEncoder().encode(filter).slice(0, Number(byte)));
  return `${filter}\n${' '.repeat([...before].length)}↑ ${error.message.replace(/^filter: /, '')}`;
}
