// Figures as people read them, and how late what we hear is.
//
// Pure: texts and times in, numbers and texts out.

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
