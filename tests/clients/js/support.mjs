// A WebSocket and a clock that do as they are told.

import { Fanwire } from '../../../src/clients/js/fanwire.js';

/** Time that moves when it is told to. */
export class Clock {
  #now = 0;
  #timers = new Map();
  #nextId = 1;

  setTimeout = (callback, ms) => {
    this.#timers.set(this.#nextId, { at: this.#now + ms, callback });
    return this.#nextId++;
  };

  clearTimeout = (id) => this.#timers.delete(id);

  pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = due[1].at;
      due[1].callback();
    }
    this.#now = end;
  }
}

/** Sockets in our hands: a class to make them of, and those that were made, the latest last. */
export function puppetSockets() {
  const sockets = [];
  class FakeSocket {
    sent = [];
    closed = undefined;
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close(code) {
      this.closed = code ?? 1005;
    }
    // What the other side does:
    say(message) {
      this.onmessage({ data: JSON.stringify(message) });
    }
    welcome(epoch = 'a') {
      this.say({ type: 'welcome', protocol: 'fanwire.v1', server: 'fanwire/0', epoch });
    }
    vanish(code = 1006, reason = '') {
      this.onclose({ code, reason });
    }
    take() {
      return this.sent.splice(0);
    }
  }
  return { FakeSocket, sockets };
}

/** A client whose sockets are in our hands. `sockets` are those that it opened, the latest last. */
export function puppet(options = {}) {
  const { FakeSocket, sockets } = puppetSockets();
  const clock = new Clock();
  const client = new Fanwire('http://host:1', { WebSocket: FakeSocket, timers: clock, random: () => 1, ...options });
  return {
    client,
    clock,
    sockets,
    get socket() {
      return sockets.at(-1);
    },
  };
}

export function event(topic, offset, { subs = ['s1'], payload = {} } = {}) {
  return { type: 'event', subs, topic, op: 'event', offset, time_us: offset, payload };
}

export function live(offsets, { id = 's1', epoch = 'a', time_us = 5 } = {}) {
  return { type: 'live', id, epoch, offsets, time_us, replayed: 0 };
}
