// The Fanwire client: subscribe to topics, be told what happens, publish, and never mind the connection.
//
// Works in browsers and in Node (before Node 22 hand in a WebSocket class, such as that of `ws`). What it promises: each subscription's
// events come in order, each once, and where something is missing a gap says so, also across lost connections and restarted servers.
// A publish is answered or it fails; it is never repeated behind your back. Speaks `fanwire.v1`; no dependencies.

import { FanwireError, closedError, deferred, guarded } from './answers.js';
import { Columns } from './columns.js';
import * as where from './filters.js';
import { Forms, SUBPROTOCOLS } from './forms.js';
import { OPTIONS, SERVER, Subscription } from './subscription.js';
import { Credentials } from './token.js';

export { FanwireError, where };

/** Publishes and pings that wait for a connection or an answer; one more fails with code `queue_full`. */
const REQUESTS_MAX = 10_000;
/** Wait before the first and between later attempts to connect, in milliseconds, at most: the actual wait is anything from nothing to that. */
const BACKOFF_MS = { min: 100, max: 10_000 };
/** A connection that has lasted for so long has not failed: waits begin anew with the next. */
const STEADY_MS = 5_000;
/** An error of the socket's after which no close has come for so long is the end of it. */
const ERROR_MS = 1_000;
/** A server that stops is obeyed for so long, and no longer. */
const ADVICE_MS_MAX = 3_600_000;
/** After so long without a message we ask whether the server is still there, and after so long again we say it is not. */
const SILENCE_MS = 20_000;
/** Close codes after which the same connection would only be closed again, as the mistake is ours. */
const FINAL_CODES = new Set([1002, 1003, 1007, 1009]);
/** Reasons of a close that are about who the client is: another token may help. */
const TOKEN_REASONS = { 'token expired': 'expired', 'token revoked': 'revoked', 'authentication required': 'required' };

/** One server. Connects when told to, and again whenever the connection is lost. */
export class Fanwire {
  /** 'idle' | 'connecting' | 'open' | 'waiting' | 'closed' */
  state = 'idle';
  /** The server's greeting, once there was one. */
  welcome = undefined;
  /**
   * Called with the state and what explains it: `{cause, code, reason, wait_ms, attempt}`. `cause`: 'lost' (the connection broke or could not be made), 'silent'
   * (nothing was heard), 'stopping' (the server has said when to come back), 'expired', 'revoked' and 'required' (it is about the token), 'no_token' (none was
   * to be had), 'refused' (the server takes none), 'mistake' (ours), 'closed' (by `close`).
   */
  onstate = undefined;
  /** Called with '<' or '>' and each message's text, for those who want to see what is said. */
  onmessage = undefined;
  /** Called with errors that belong to no request. */
  onerror = undefined;

  #url;
  #WebSocket;
  #protocols;
  #timers;
  #random;
  #silence_ms;
  #steady_ms;
  #socket;
  /** How this connection's server tells events. */
  #forms;
  #failures = 0;
  /** Attempts since there was a connection. */
  #attempts = 0;
  /** When a server that stops has said to come back, in milliseconds from then. */
  #advice_ms;
  #retryTimer;
  #silenceTimer;
  #steadyTimer;
  #credentials;
  #asked = false;
  #subscriptions = new Map();
  #requests = new Map();
  #unsent = [];
  #nextId = 1;
  #firstOpen;

  /**
   * @param {string} url `ws://host:port`, `http://host:port` or the full `ws://host:port/v1/ws`
   * @param {{token?: string | ((cause: string) => string | Promise<string>), silence_ms?: number, steady_ms?: number, WebSocket?: typeof WebSocket, timers?: object,
   * random?: () => number, compact?: boolean}} options `token`: who we are; a function is asked for each connection, and again before the token that it gave is
   * over. `compact`: whether events are asked for in the compact form, which is as good as the long one for everybody but who reads what is said.
   */
  constructor(url, options = {}) {
    const { token, silence_ms = SILENCE_MS, steady_ms = STEADY_MS, WebSocket = globalThis.WebSocket, timers = globalThis, random = Math.random, compact = true } = options;
    if (typeof WebSocket !== 'function') {
      throw new TypeError('there is no WebSocket here: pass one, as in new Fanwire(url, { WebSocket })');
    }
    this.#url = socketUrl(url);
    this.#WebSocket = WebSocket;
    this.#protocols = compact ? SUBPROTOCOLS : SUBPROTOCOLS.slice(1);
    this.#timers = timers;
    this.#random = random;
    this.#silence_ms = silence_ms;
    this.#steady_ms = steady_ms;
    this.#credentials = new Credentials(token, {
      ask: (message) => this.#dispatch(requestOf(message, this.#nextId++)),
      failed: (error) => guarded(this.onerror, error),
    });
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
   * Subscribes. `handlers` is a function that takes events, or `{event, gap, skipped, live, recovered, error, ended}`.
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

  /**
   * Publishes events in their order without waiting for one another's answers; resolves with what became of each, in that order: an answer of `publish`, or a
   * `FanwireError`. Never rejects. What was said on one connection and not answered when it broke has the code `connection_lost`.
   * @param {{topic: string, payload?: object, key?: string, op?: string}[]} events
   */
  publishAll(events) {
    return Promise.all(events.map(({ topic, payload, ...options }) => this.publish(topic, payload, options).catch((error) => error)));
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
    this.#credentials.lost();
    this.#end(closedError());
    this.#become('closed', { cause: 'closed' });
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
    const request = requestOf(message, this.#nextId++);
    if (this.state === 'open') this.#dispatch(request);
    else this.#unsent.push(request);
    this.#begin();
    return request.promise;
  }

  #dispatch(request) {
    this.#requests.set(request.message.id, request);
    this.#send(request.message);
    return request.promise;
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
      socket = new this.#WebSocket(this.#url, [...this.#protocols]);
    } catch (error) {
      // The URL itself is wrong; another attempt would not help.
      this.#end(error);
      this.#become('closed', { cause: 'mistake', reason: error.message });
      return;
    }
    this.#socket = socket;
    this.#forms = new Forms();
    const mine = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onmessage = mine((event) => this.#hear(event.data));
    socket.onclose = mine((event) => this.#lost(event.code, event.reason, TOKEN_REASONS[event.reason] ?? (event.code === 4001 ? 'expired' : 'lost')));
    // A close follows, and says more; but for Node 20, which tells of a handshake that is refused by this alone.
    socket.onerror = mine(() => this.#timers.setTimeout(mine(() => this.#givenUp(socket)), ERROR_MS));
    this.#listen();
  }

  #givenUp(socket) {
    this.#lost(1006, 'the connection could not be made', 'lost');
    socket.close();
  }

  #lost(code, reason, cause) {
    this.#stopListening();
    this.#timers.clearTimeout(this.#steadyTimer);
    this.#socket = undefined;
    this.#credentials.lost();
    const lost = `the connection was lost (${code}${reason ? ` ${reason}` : ''}) before the answer`;
    const sent = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of sent) request.reject(new FanwireError({ code: 'connection_lost', message: lost }));
    for (const subscription of this.#subscriptions.values()) subscription[SERVER].lost();
    const isToken = Object.values(TOKEN_REASONS).includes(cause);
    if (FINAL_CODES.has(code) || (isToken && !this.#credentials.renew(cause))) {
      this.#fail(new FanwireError({ code: 'closed', message: `the server closed the connection: ${code} ${reason}` }), { cause: isToken ? cause : 'mistake', code, reason });
      return;
    }
    const ceiling = Math.min(BACKOFF_MS.max, BACKOFF_MS.min * 2 ** Math.min(this.#failures, 16));
    // Full jitter: the clients of a server that restarts do not return in step.
    const wait_ms = this.#advice_ms ?? Math.round(this.#random() * ceiling);
    const because = this.#advice_ms === undefined ? cause : 'stopping';
    this.#advice_ms = undefined;
    this.#failures += 1;
    this.#attempts += 1;
    this.#become('waiting', { cause: because, code, reason, wait_ms, attempt: this.#attempts });
    this.#retryTimer = this.#timers.setTimeout(() => this.#open(), wait_ms);
  }

  /** The end, and not ours: no further connection would be another. */
  #fail(error, detail) {
    this.#stopListening();
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
    this.#end(error);
    this.#become('closed', detail);
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
    this.#silenceTimer = this.#timers.setTimeout(() => this.#silent(), this.#silence_ms);
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
    this.#lost(1006, 'nothing was heard from the server', 'silent');
    socket.close();
  }

  #hear(data) {
    this.onmessage?.('<', typeof data === 'string' ? data : JSON.stringify(data));
    this.#listen();
    // A socket that many tabs share hands over what it has read already.
    const message = typeof data === 'string' ? JSON.parse(data) : data;
    const events = this.#forms.events(message);
    if (events) {
      for (const event of events) this.#tell(event);
      return;
    }
    switch (message.type) {
      case 'columns':
        return this.#tell(Columns.of(message));
      case 'gap':
      case 'skipped':
        return this.#tell(message);
      case 'live':
      case 'subscribed':
      case 'updated':
      case 'unsubscribed':
        return this.#subscriptions.get(message.id)?.[SERVER].answer(message);
      case 'published':
      case 'authenticated':
      case 'pong':
        return this.#settle(message);
      case 'reconnect':
        this.#advice_ms = Math.min(Math.max(0, message.after_ms), ADVICE_MS_MAX);
        return;
      case 'token_expiring':
        this.#credentials.expiring();
        return;
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
    const shown = this.#credentials.show();
    if (!shown) return this.#opened();
    const socket = this.#socket;
    const failed = (error) => {
      if (this.#socket !== socket) return;
      if (error.code === 'forbidden') {
        const closed = new FanwireError({ code: 'closed', message: `the server takes no token that we have: ${error.message}` });
        return this.#fail(closed, { cause: 'refused', reason: error.message });
      }
      // Whoever answers tokens may be away for a while, as a server may.
      guarded(this.onerror, error);
      this.#lost(1006, `no token: ${error.message}`, 'no_token');
      socket.close();
    };
    shown.then(() => this.#socket === socket && this.#opened(), failed);
  }

  #opened() {
    this.#steadyTimer = this.#timers.setTimeout(() => (this.#failures = 0), this.#steady_ms);
    this.#steadyTimer?.unref?.();
    const attempt = this.#attempts;
    this.#attempts = 0;
    this.#become('open', attempt === 0 ? undefined : { attempt });
    for (const subscription of this.#subscriptions.values()) subscription[SERVER].begin(this.welcome.epoch);
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const request of unsent) this.#dispatch(request).catch(() => {});
    this.#firstOpen?.resolve(this.welcome);
  }
}

function requestOf(message, id) {
  return { message: { ...message, id }, ...deferred() };
}

function socketUrl(url) {
  const parsed = new URL(url);
  parsed.protocol = { 'http:': 'ws:', 'https:': 'wss:' }[parsed.protocol] ?? parsed.protocol;
  if (parsed.pathname === '/') parsed.pathname = '/v1/ws';
  return parsed.href;
}
