// One connection for many tabs: what each of them says goes out on it under names of the hub's own, and what comes is told to whom it is for.
//
// Invariants: an answer goes to who asked, an event to those whose subscriptions it names, once and in order; a tab that goes takes what it asked for with it. A tab
// keeps its positions itself: to it the hub is a server. Knows no worker: whoever has the tabs hands in ways to them.

import { Forms } from './forms.js';

/** Tabs that have said nothing for so long are gone: one that is not says so every `HERE_MS`, and a browser lets a hidden one speak once a minute. */
export const GONE_MS = 180_000;
export const HERE_MS = 20_000;

export class Hub {
  #WebSocket;
  #timers;
  #lines = new Map();

  constructor({ WebSocket = globalThis.WebSocket, timers = globalThis } = {}) {
    this.#WebSocket = WebSocket;
    this.#timers = timers;
  }

  /** How many connections there are. */
  get size() {
    return this.#lines.size;
  }

  /** A tab's way in: hand what it says to `hear`; `post` is the way back. */
  join(post) {
    let member;
    return {
      hear: (message) => {
        if (message.open !== undefined) {
          member?.leave();
          member = this.#enter(message, post);
        } else if (message.text !== undefined) member?.say(JSON.parse(message.text));
        else if (message.close) {
          member?.leave();
          member = undefined;
        }
        member?.stays();
      },
    };
  }

  #enter({ open: url, protocols }, post) {
    try {
      return this.#line(url, protocols).join(post);
    } catch (error) {
      post({ closed: [1006, error.message] });
      return undefined;
    }
  }

  #line(url, protocols) {
    const known = this.#lines.get(url);
    if (known) return known;
    const line = new Line(new this.#WebSocket(url, protocols), this.#timers, () => {
      if (this.#lines.get(url) === line) this.#lines.delete(url);
    });
    this.#lines.set(url, line);
    return line;
  }
}

/** One connection, and who shares it. */
class Line {
  #socket;
  #timers;
  #forget;
  #members = new Set();
  /** How the server tells events; tabs are told them in the long form. */
  #forms = new Forms();
  #welcome;
  /** The token that was taken last, and the answer to it. */
  #identity;
  /** Subscriptions by their names here: whose, and under which name there. */
  #subscriptions = new Map();
  /** Requests by their numbers here. */
  #requests = new Map();
  #nextId = 1;

  constructor(socket, timers, forget) {
    this.#socket = socket;
    this.#timers = timers;
    this.#forget = forget;
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    socket.onerror = () => {};
  }

  join(post) {
    const member = new Member(post, this, this.#timers);
    this.#members.add(member);
    if (this.#welcome) member.opened(this.#welcome);
    return member;
  }

  leave(member) {
    if (!this.#members.delete(member)) return;
    if (this.#members.size === 0) {
      this.#socket.close(1000);
      this.#end(1000, '');
      return;
    }
    for (const [name, of] of this.#subscriptions) {
      if (of.member !== member) continue;
      // Its name is free once the server has said so.
      of.member = undefined;
      this.#send({ type: 'unsubscribe', id: name });
    }
    for (const of of this.#requests.values()) if (of.member === member) of.member = undefined;
  }

  say(member, message) {
    switch (message.type) {
      case 'subscribe':
        return this.#subscribe(member, message);
      case 'update':
      case 'unsubscribe': {
        const name = this.#nameOf(member, message.id);
        // One that has ended meanwhile: its end is on its way to the tab.
        if (name !== undefined) this.#send({ ...message, id: name });
        return;
      }
      case 'auth':
        if (this.#identity?.token === message.token) return member.tell({ ...this.#identity.answer, id: message.id });
        return this.#ask(member, message);
      default:
        return this.#ask(member, message);
    }
  }

  #subscribe(member, message) {
    let number = 1;
    // The same names for the same wishes, whichever tab asks: servers write what they tell them once for all.
    while (this.#subscriptions.has(`s${number}`)) number += 1;
    this.#subscriptions.set(`s${number}`, { member, id: message.id, isAgreed: false });
    this.#send({ ...message, id: `s${number}` });
  }

  #ask(member, message) {
    const number = this.#nextId++;
    this.#requests.set(number, { member, id: message.id, token: message.token });
    this.#send({ ...message, id: number });
  }

  #nameOf(member, id) {
    for (const [name, of] of this.#subscriptions) if (of.member === member && of.id === id) return name;
    return undefined;
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #hear(message) {
    const events = this.#forms.events(message);
    if (events) return message.type === 'batch' ? this.#unpack(events) : events.forEach((event) => this.#pass(event));
    switch (message.type) {
      case 'welcome':
        this.#welcome = message;
        for (const member of [...this.#members]) member.opened(message);
        return;
      case 'columns':
      case 'gap':
      case 'skipped':
        return this.#pass(message);
      case 'token_expiring':
      case 'reconnect':
        for (const member of [...this.#members]) member.tell(message);
        return;
      default:
        return this.#answer(message);
    }
  }

  /** Hands a message on to those whose subscriptions it names. */
  #pass(message) {
    for (const [member, subs] of this.#whose(message.subs)) member.tell({ ...message, subs });
  }

  /** By tab, the names that it has for these subscriptions. */
  #whose(subs) {
    const whose = new Map();
    for (const name of subs) {
      const of = this.#subscriptions.get(name);
      if (!of?.member) continue;
      const names = whose.get(of.member);
      if (names) names.push(of.id);
      else whose.set(of.member, [of.id]);
    }
    return whose;
  }

  #unpack(events) {
    const batches = new Map();
    for (const event of events) {
      for (const [member, subs] of this.#whose(event.subs)) {
        const batch = batches.get(member) ?? [];
        batch.push({ ...event, subs });
        batches.set(member, batch);
      }
    }
    for (const [member, batch] of batches) member.tell({ type: 'batch', events: batch });
  }

  #answer(message) {
    const request = this.#requests.get(message.id);
    if (request) {
      this.#requests.delete(message.id);
      const answer = { ...message, id: request.id };
      if (message.type === 'authenticated') this.#identity = { token: request.token, answer };
      request.member?.tell(answer);
      return;
    }
    const of = this.#subscriptions.get(message.id);
    if (!of) {
      // About nobody in particular.
      if (message.id === undefined) for (const member of [...this.#members]) member.tell(message);
      return;
    }
    if (message.type === 'subscribed') of.isAgreed = true;
    if (message.type === 'unsubscribed' || (message.type === 'error' && !of.isAgreed)) this.#subscriptions.delete(message.id);
    of.member?.tell({ ...message, id: of.id });
  }

  #end(code, reason) {
    this.#forget();
    this.#socket.onmessage = this.#socket.onclose = undefined;
    const members = [...this.#members];
    this.#members.clear();
    for (const member of members) member.closed(code, reason);
  }
}

/** One tab on a connection. */
class Member {
  #post;
  #line;
  #timers;
  #goneTimer;
  #isOpen = false;

  constructor(post, line, timers) {
    this.#post = post;
    this.#line = line;
    this.#timers = timers;
  }

  /** It has said something: it is there. */
  stays() {
    this.#timers.clearTimeout(this.#goneTimer);
    this.#goneTimer = this.#timers.setTimeout(() => {
      this.#post({ closed: [1006, 'nothing was heard from the tab'] });
      this.leave();
    }, GONE_MS);
  }

  say(message) {
    if (this.#isOpen) this.#line.say(this, message);
  }

  leave() {
    this.#timers.clearTimeout(this.#goneTimer);
    this.#isOpen = false;
    this.#line.leave(this);
  }

  opened(welcome) {
    this.#isOpen = true;
    this.#post({ data: welcome });
  }

  tell(message) {
    this.#post({ data: message });
  }

  closed(code, reason) {
    this.#timers.clearTimeout(this.#goneTimer);
    this.#isOpen = false;
    this.#post({ closed: [code, reason] });
  }
}
