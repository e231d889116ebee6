// The Fanwire client: subscribe to topics, be told what happens, publish, and never mind the connection.
//
// Works in browsers and in Node (before Node 22 hand in a WebSocket class, such as that of `ws`). What it promises: each subscription's
// events come in order, each once, and where something is missing a gap says so, also across lost connections and restarted servers.
// A publish is answered or it fails; it is never repeated behind your back. Speaks `fanwire.v1`; no dependencies.

import { Progress } from './position.js';

/** Publishes and pings that wait for a connection or an answer; one more fails with code `queue_full`. */
const REQUESTS_MAX = 10_000;
/** Wait before the first and between later attempts to connect, in milliseconds; the actual wait is half of it to all of it. */
const BACKOFF_MS = { min: 100, max: 10_000 };
/** After so long without a message we ask whether the server is still there, and after so long again we say it is not. */
const SILENCE_MS = 20_000;
/** Close codes after which the same connection would only be closed again: our mistake, or a token that ended. */
const FINAL_CODES = new Set([1002, 1003, 1007, 1009, 4001]);
/** Options of a subscription that `update` may change. */
const UPDATABLE = ['filter', 'batch', 'slow', 'max_rate', 'fields', 'leave'];
const OPTIONS = ['topics', 'since', ...UPDATABLE];

/** Something that the server refused, or that can no longer be answered. `code` is the protocol's, or one of ours:
 *  `connection_lost` (sent, not answered: it may have been done or not), `closed`, `queue_full`, `unsubscribed`. */
export class FanwireError extends Error {
  constructor({ code, message, field }) {
    super(field === undefined ? message : `${field}: ${message}`);
    this.name = 'FanwireError';
    this.code = code;
    this.field = field;
  }
}

/** One server. Connects when told to, and again whenever the connection is lost. */
export class Fanwire {
  /** 'idle' | 'connecting' | 'open' | 'waiting' | 'closed' */
  state = 'idle';
  /** The server's greeting, once there was one. */
  welcome = undefined;
  /** Called with the state and, where there is one, a `{code, reason, wait_ms}` that explains it. */
  onstate = undefined;
  /** Called with '<' or '>' and each message's text, for those who want to see what is said. */
  onmessage = undefined;
  /** Called with errors that belong to no request. */
  onerror = undefined;

  #url;
  #WebSocket;
  #timers;
  #random;
  #socket;
  #failures = 0;
  #retryTimer;
  #silenceTimer;
  #asked = false;
  #subscriptions = new Map();
  #requests = new Map();
  #unsent = [];
  #nextId = 1;
  #firstOpen;

  /**
   * @param {string} url `ws://host:port`, `http://host:port` or the full `ws://host:port/v1/ws`
   * @param {{WebSocket?: typeof WebSocket, timers?: object, random?: () => number}} options
   */
  constructor(url, { WebSocket = globalThis.WebSocket, timers = globalThis, random = Math.random } = {}) {
    if (typeof WebSocket !== 'function') {
      throw new TypeError('there is no WebSocket here: pass one, as in new Fanwire(url, { WebSocket })');
    }
    this.#url = socketUrl(url);
    this.#WebSocket = WebSocket;
    this.#timers = timers;
    this.#random = random;
  }

  get url() {
    return this.#url;
  }

  /** Connects; resolves with the server's welcome. Goes on trying until `close`. */
  connect() {
    if (this.state === 'closed') return Promise.reject(closedError());
    this.#firstOpen ??= deferred();
    if (this.state === 'idle') this.#open();
    return this.#firstOpen.promise;
  }

  /**
   * Subscribes. `handlers` is a function that takes events, or `{event, gap, skipped, live, error}`.
   * May be called at any time; connects if need be.
   * @returns {Subscription}
   */
  subscribe(what, handlers) {
    const options = typeof what === 'string' || Array.isArray(what) ? { topics: what } : { ...what };
    if (typeof options.topics === 'string') options.topics = [options.topics];
    const id = options.id ?? this.#freeId();
    delete options.id;
    for (const name of Object.keys(options)) {
      if (!OPTIONS.includes(name)) throw new TypeError(`a subscription has no option \`${name}\``);
    }
    if (typeof id !== 'string' || this.#subscriptions.has(id)) {
      throw new TypeError(`a subscription's id must be a string that is not in use, and ${JSON.stringify(id)} is not`);
    }
    const subscription = new Subscription(id, options, handlers, {
      send: (message) => this.state === 'open' && this.#send(message),
      forget: () => this.#subscriptions.delete(id),
    });
    this.#subscriptions.set(id, subscription);
    if (this.state === 'open') subscription[SERVER].begin(this.welcome.epoch);
    else this.#begin();
    return subscription;
  }

  /**
   * Publishes one event; resolves with `{topic, epoch, offset, time_us}` once it has its place in the topic.
   * @param {string} topic
   * @param {object} payload
   * @param {{key?: string, op?: 'upsert' | 'delete' | 'event'}} options
   */
  publish(topic, payload, { key, op } = {}) {
    return this.#request({ type: 'publish', topic, key, op, payload });
  }

  /** Asks whether the server is there; resolves with its `{time_us}`. */
  ping() {
    return this.#request({ type: 'ping' });
  }

  /** Ends the connection for good. What is still unanswered fails. */
  close() {
    if (this.state === 'closed') return;
    this.#timers.clearTimeout(this.#retryTimer);
    this.#stopListening();
    this.#socket?.close(1000);
    this.#socket = undefined;
    this.#end(closedError());
    this.#become('closed');
  }

  /**
   * The first of s1, s2, … that no subscription has; one that is ending has its own until the server has said so. Clients that want the same call it
   * the same then, whatever they did before, and a server writes what it tells them once for all.
   */
  #freeId() {
    for (let number = 1; ; number += 1) if (!this.#subscriptions.has(`s${number}`)) return `s${number}`;
  }

  #begin() {
    if (this.state === 'idle') this.connect().catch(() => {});
  }

  #request(message) {
    if (this.state === 'closed') return Promise.reject(closedError());
    if (this.#requests.size + this.#unsent.length >= REQUESTS_MAX) {
      const message = `${REQUESTS_MAX} requests wait already`;
      return Promise.reject(new FanwireError({ code: 'queue_full', message }));
    }
    const request = { message: { ...message, id: this.#nextId++ }, ...deferred() };
    if (this.state === 'open') this.#dispatch(request);
    else this.#unsent.push(request);
    this.#begin();
    return request.promise;
  }

  #dispatch(request) {
    this.#requests.set(request.message.id, request);
    this.#send(request.message);
  }

  #send(message) {
    const text = JSON.stringify(message);
    this.onmessage?.('>', text);
    this.#socket.send(text);
  }

  #open() {
    this.#become('connecting');
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, ['fanwire.v1']);
    } catch (error) {
      // The URL itself is wrong; another attempt would not help.
      this.#end(error);
      this.#become('closed', { reason: error.message });
      return;
    }
    this.#socket = socket;
    const mine = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onmessage = mine((event) => this.#hear(event.data));
    socket.onclose = mine((event) => this.#lost(event.code, event.reason));
    // A close follows, and says more.
    socket.onerror = () => {};
    this.#listen();
  }

  #lost(code, reason) {
    this.#stopListening();
    this.#socket = undefined;
    const lost = `the connection was lost (${code}${reason ? ` ${reason}` : ''}) before the answer`;
    const sent = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of sent) request.reject(new FanwireError({ code: 'connection_lost', message: lost }));
    for (const subscription of this.#subscriptions.values()) subscription[SERVER].lost();
    if (FINAL_CODES.has(code)) {
      this.#end(new FanwireError({ code: 'closed', message: `the server closed the connection: ${code} ${reason}` }));
      this.#become('closed', { code, reason });
      return;
    }
    const ceiling = Math.min(BACKOFF_MS.max, BACKOFF_MS.min * 2 ** Math.min(this.#failures, 16));
    // Spread, so that the clients of a restarted server do not return in step.
    const wait_ms = Math.round(ceiling / 2 + (this.#random() * ceiling) / 2);
    this.#failures += 1;
    this.#become('waiting', { code, reason, wait_ms });
    this.#retryTimer = this.#timers.setTimeout(() => this.#open(), wait_ms);
  }

  #end(error) {
    const requests = [...this.#requests.values(), ...this.#unsent];
    this.#requests.clear();
    this.#unsent = [];
    for (const request of requests) request.reject(error);
    for (const subscription of [...this.#subscriptions.values()]) subscription[SERVER].end(error);
    this.#subscriptions.clear();
    this.#firstOpen?.reject(error);
  }

  #become(state, detail) {
    this.state = state;
    guarded(this.onstate, state, detail);
  }

  // A browser does not tell us of the server's pings, and a network that drops packets does not tell of that: hence questions of our own.
  #listen() {
    this.#stopListening();
    this.#silenceTimer = this.#timers.setTimeout(() => this.#silent(), SILENCE_MS);
    // In Node a timer would keep the process alive; the socket decides that.
    this.#silenceTimer?.unref?.();
  }

  #stopListening() {
    this.#asked = false;
    this.#timers.clearTimeout(this.#silenceTimer);
  }

  #silent() {
    if (this.state === 'open' && !this.#asked) {
      this.#listen();
      this.#asked = true;
      this.#send({ type: 'ping' });
      return;
    }
    const socket = this.#socket;
    this.#lost(1006, 'nothing was heard from the server');
    socket.close();
  }

  #hear(text) {
    this.onmessage?.('<', text);
    this.#listen();
    const message = JSON.parse(text);
    switch (message.type) {
      case 'event':
        return this.#tell(message);
      case 'batch':
        for (const event of message.events) this.#tell({ type: 'event', ...event });
        return;
      case 'gap':
      case 'skipped':
        return this.#tell(message);
      case 'live':
      case 'subscribed':
      case 'updated':
      case 'unsubscribed':
        return this.#subscriptions.get(message.id)?.[SERVER].answer(message);
      case 'published':
      case 'pong':
        return this.#settle(message);
      case 'error':
        return this.#refused(message);
      case 'welcome':
        return this.#welcomed(message);
    }
  }

  #tell(message) {
    for (const id of message.subs) this.#subscriptions.get(id)?.[SERVER].tell(message);
  }

  #settle({ type, id, ...answer }) {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    request?.resolve(answer);
  }

  #refused(message) {
    const error = new FanwireError(message);
    const request = this.#requests.get(message.id);
    if (request) {
      this.#requests.delete(message.id);
      request.reject(error);
    } else if (this.#subscriptions.has(message.id)) {
      this.#subscriptions.get(message.id)[SERVER].refused(error);
    } else {
      guarded(this.onerror, error);
    }
  }

  #welcomed(message) {
    this.welcome = message;
    this.#failures = 0;
    this.#become('open');
    for (const subscription of this.#subscriptions.values()) subscription[SERVER].begin(message.epoch);
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const request of unsent) this.#dispatch(request);
    this.#firstOpen?.resolve(message);
  }
}

/** The part of a subscription that only the client may use. */
const SERVER = Symbol('server');

/** One standing wish. */
class Subscription {
  /** 'waiting' | 'replaying' | 'live' | 'ended' */
  state = 'waiting';
  #options;
  #handlers;
  #progress;
  #ready = deferred();
  /** Updates and the end that were not answered yet, in their order. */
  #pending = [];
  /** The server has agreed on this connection. */
  #agreed = false;
  #connection;

  constructor(id, { since, ...options }, handlers, connection) {
    this.id = id;
    this.#options = options;
    this.#handlers = typeof handlers === 'function' ? { event: handlers } : (handlers ?? {});
    this.#progress = new Progress(since);
    this.#connection = connection;
    // Whoever does not look at `ready` is told by `error`.
    this.#ready.promise.catch(() => {});
    this[SERVER] = {
      begin: (epoch) => this.#begin(epoch),
      lost: () => this.#lost(),
      end: (error) => this.#end(error),
      tell: (message) => this.#tell(message),
      answer: (message) => this.#answer(message),
      refused: (error) => this.#refused(error),
    };
  }

  /** Resolves when the server has agreed for the first time; rejects if it does not. */
  get ready() {
    return this.#ready.promise;
  }

  /** Where it stands, to be kept and handed in as `since` another day; undefined before the first replay is complete. */
  get position() {
    return this.#progress.position;
  }

  /** What it asks for, `since` aside. */
  get options() {
    return { ...this.#options };
  }

  /** Changes options from here on; `null` takes one away. Nothing is lost or told twice. */
  update(changes) {
    for (const name of Object.keys(changes)) {
      if (!UPDATABLE.includes(name)) return Promise.reject(new TypeError(`\`${name}\` cannot be updated`));
    }
    if (this.state === 'ended') return Promise.reject(endedError());
    const pending = { changes, ...deferred() };
    this.#pending.push(pending);
    if (this.state !== 'waiting') this.#connection.send({ type: 'update', id: this.id, ...changes });
    return pending.promise;
  }

  /** Ends it; resolves when no further event can come. */
  unsubscribe() {
    if (this.state === 'ended') return Promise.resolve();
    if (this.state === 'waiting') {
      this.#end(endedError());
      return Promise.resolve();
    }
    const pending = { changes: undefined, ...deferred() };
    this.#pending.push(pending);
    this.#connection.send({ type: 'unsubscribe', id: this.id });
    return pending.promise;
  }

  #begin(epoch) {
    const since = this.#progress.begin(epoch);
    this.state = 'replaying';
    this.#agreed = false;
    this.#connection.send({ type: 'subscribe', id: this.id, ...this.#options, since });
    // Updates that were made while there was no connection.
    for (const { changes } of this.#pending) this.#connection.send({ type: 'update', id: this.id, ...changes });
  }

  #lost() {
    this.state = 'waiting';
    // An update that was not answered is made again with the next connection; the end of a subscription needs no answer.
    if (this.#pending.some(({ changes }) => changes === undefined)) this.#end(endedError());
  }

  #end(error) {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.#connection.forget();
    this.#ready.reject(error);
    for (const { changes, resolve, reject } of this.#pending.splice(0)) {
      if (changes === undefined) resolve();
      else reject(error);
    }
  }

  #tell(message) {
    if (message.type === 'skipped') {
      guarded(this.#handlers.skipped, message, this);
      return;
    }
    const offset = message.type === 'gap' ? message.to : message.offset;
    if (this.#progress.hasSeen(message.topic, offset)) return;
    guarded(this.#handlers[message.type], message, this);
    // Of topics that the server has forgotten the pattern is told, which is no place to come back to.
    if (!message.topic.includes('*')) this.#progress.advance(message.topic, offset);
  }

  #answer(message) {
    if (message.type === 'subscribed') {
      this.#agreed = true;
      this.#ready.resolve(this);
    } else if (message.type === 'live') {
      this.#progress.live(message);
      this.state = 'live';
      guarded(this.#handlers.live, message, this);
    } else if (message.type === 'updated') {
      const pending = this.#pending.shift();
      this.#merge(pending.changes);
      pending.resolve();
    } else {
      this.#end(endedError());
    }
  }

  #merge(changes) {
    if ('filter' in changes && this.#options.leave) this.#progress.filterChanged();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) delete this.#options[name];
      else this.#options[name] = value;
    }
  }

  #refused(error) {
    // Answers come in the order of the requests: while there is an update under way, the subscription itself was agreed to.
    if (this.#pending.length > 0 && this.#agreed) {
      this.#pending.shift().reject(error);
      return;
    }
    guarded(this.#handlers.error, error, this);
    this.#end(error);
  }
}

function socketUrl(url) {
  const parsed = new URL(url);
  parsed.protocol = { 'http:': 'ws:', 'https:': 'wss:' }[parsed.protocol] ?? parsed.protocol;
  if (parsed.pathname === '/') parsed.pathname = '/v1/ws';
  return parsed.href;
}

function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** Calls what the application gave us. Its mistake is reported as its own, and does not stop what else is to be told. */
function guarded(handler, ...values) {
  try {
    handler?.(...values);
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function closedError() {
  return new FanwireError({ code: 'closed', message: 'the client is closed' });
}

function endedError() {
  return new FanwireError({ code: 'unsubscribed', message: 'the subscription has ended' });
}
