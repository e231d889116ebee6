// The tail: events as they come, the newest first, no faster than anyone reads.
//
// However many come, a paint makes at most `ROWS_PAINT` rows, and the list has at most `ROWS_MAX`; what is left out between two paints is counted.

import { element } from './element.js';
import { countText } from './figures.js';

const ROWS_PAINT = 24;
const ROWS_MAX = 120;
/** Characters of a payload. */
const SHOWN_MAX = 400;

export class Tail {
  #list;
  #count;
  #fresh = [];
  #heard = 0;
  #missed = 0;
  isHeld = false;

  constructor(list, count) {
    this.#list = list;
    this.#count = count;
  }

  hear(event) {
    this.#heard += 1;
    this.#fresh.push(event);
    if (this.#fresh.length > ROWS_PAINT) this.#fresh.shift();
  }

  get hasHeard() {
    return this.#heard > 0;
  }

  /** Something that was to be heard and is not. */
  miss(count) {
    this.#missed += count;
  }

  clear() {
    this.#fresh = [];
    this.#heard = this.#missed = 0;
    this.#list.replaceChildren();
  }

  paint() {
    this.#count.textContent = `${countText(this.#heard)} heard${this.#missed > 0 ? `, ${countText(this.#missed)} passed over` : ''}`;
    if (this.isHeld || this.#fresh.length === 0) return;
    const rows = this.#fresh.reverse().map(rowOf);
    this.#fresh = [];
    this.#list.prepend(...rows);
    while (this.#list.childElementCount > ROWS_MAX) this.#list.lastElementChild.remove();
  }
}

export function rowOf({ topic, key, op, time_us, payload }) {
  const time = new Date(time_us / 1000);
  return element(
    'li',
    {},
    element('time', {}, time.toLocaleTimeString(undefined, { hour12: false })),
    element('b', {}, topic),
    element('span', { class: 'key' }, key ?? ''),
    element('span', { class: `op ${op}` }, op),
    element('code', {}, payloadText(payload)),
  );
}

export function payloadText(payload) {
  const text = JSON.stringify(payload ?? {});
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
