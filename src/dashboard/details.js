// One vehicle: its present state, and its last events as the server's history has them.
//
// They come by a subscription of its own, to the one key, from ten minutes ago; it ends when the panel is closed.

import { element } from './element.js';
import { payloadText } from './tail.js';

const BACK_US = 600e6;
const EVENTS_MAX = 40;

const $ = (id) => document.getElementById(id);

export class Details {
  #subscription;
  #events = [];
  #vehicle;
  #isStale = false;

  get vehicle() {
    return this.#vehicle;
  }

  /** Shows a vehicle, and asks for what is known of it. */
  show(vehicle, fanwire) {
    this.close();
    this.#vehicle = vehicle;
    $('details').hidden = false;
    $('details-name').textContent = vehicle.callsign ?? vehicle.key ?? 'a vehicle';
    const [source, value] = vehicle.key === undefined ? ['id', vehicle.payload?.id] : ['$key', vehicle.key];
    this.#isStale = true;
    if (value === undefined) return;
    const wish = { topics: [vehicle.topic], filter: { eq: [source, value] }, since: { time_us: Math.max(0, Date.now() * 1000 - BACK_US) }, slow: 'drop_oldest' };
    this.#subscription = fanwire.subscribe(wish, { event: (event) => this.#hear(event) });
  }

  close() {
    this.#subscription?.unsubscribe().catch(() => {});
    this.#subscription = undefined;
    this.#vehicle = undefined;
    this.#events = [];
    $('details').hidden = true;
    $('details-events').replaceChildren();
  }

  #hear(event) {
    this.#events.unshift(event);
    if (this.#events.length > EVENTS_MAX) this.#events.pop();
    this.#isStale = true;
  }

  /** Paints what has changed since the last time. */
  paint() {
    if (!this.#vehicle || !this.#isStale) return;
    this.#isStale = false;
    const payload = this.#events[0]?.payload ?? this.#vehicle.payload ?? {};
    const members = Object.entries(payload).slice(0, 16);
    $('details-now').replaceChildren(...members.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, typeof value === 'object' ? payloadText(value) : String(value))]));
    $('details-events').replaceChildren(...this.#events.map(({ time_us, op, offset, payload: told }, index) => element('li', {}, element('time', {}, new Date(time_us / 1000).toLocaleTimeString(undefined, { hour12: false })), ` ${op} ${offset} `, element('code', {}, changesText(told, this.#events[index + 1]?.payload)))));
  }
}

/** What an event changed: members that the one before had otherwise. */
export function changesText(payload = {}, before) {
  if (!before) return payloadText(payload);
  const changed = Object.entries(payload).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  return changed.length === 0 ? 'as before' : payloadText(Object.fromEntries(changed));
}
