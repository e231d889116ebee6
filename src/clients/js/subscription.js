// One standing wish: what it asks for, how far it has come, and what it has been answered.
//
// It outlives connections: with each new one it asks anew for what follows its position. Answers come in the order of the requests. Knows no socket.

import { FanwireError, deferred, endedError, guarded } from './answers.js';
import { Progress } from './position.js';

/** The part of a subscription that only the client may use. */
export const SERVER = Symbol('server');

/** Of the past: where to begin, and at which pace it is told. */
const TIMES = ['since', 'speed', 'play_from', 'max_gap_ms'];
/** Options of a subscription that `update` may change. */
const UPDATABLE = ['filter', 'batch', 'slow', 'max_rate', 'fields', 'leave', ...TIMES];
/** Gaps of one loss that are told together; a server tells no more of them, as it closes a connection before that. */
const GAPS_MAX = 1024;
export const OPTIONS = ['topics', 'compact', ...UPDATABLE];

/** One standing wish. */
export class Subscription {
  /** 'waiting' | 'replaying' | 'live' | 'ended' */
  state = 'waiting';
  #options;
  #handlers;
  #progress;
  /** While the past is told at a pace: `{speed, play_from, max_gap_ms}`. */
  #playback;
  #epoch;
  #ready = deferred();
  /** Updates and the end that were not answered yet, in their order. */
  #pending = [];
  /** The server has agreed on this connection. */
  #agreed = false;
  /** After a lost connection: the gaps that were told since, until the replay is complete. */
  #gaps;
  /** A gap was told since this connection's `subscribe`. */
  #hasGap = false;
  #connection;

  constructor(id, { since, speed, play_from, max_gap_ms, ...options }, handlers, connection) {
    this.id = id;
    if (speed !== undefined) this.#playback = { speed, play_from, max_gap_ms };
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

  /** The pace at which the past is told, 0 while that is paused; undefined once it is live, or told as fast as can be. */
  get speed() {
    return this.#playback?.speed;
  }

  /** Pauses the past; `update({ speed })` goes on. */
  pause() {
    return this.update({ speed: 0 });
  }

  /** Goes to another place in time, out of the past or out of the present: `since` as in `subscribe`, with `speed`, `play_from` and `max_gap_ms` if they are to be
   *  others. What was told before counts no longer; when this resolves, what comes is of the new place. */
  seek(since, { speed, play_from, max_gap_ms } = {}) {
    const changes = { since, speed, play_from, max_gap_ms };
    return this.update(Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)));
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
    this.#epoch = epoch;
    this.state = 'replaying';
    this.#agreed = false;
    this.#hasGap = false;
    this.#connection.send({ type: 'subscribe', id: this.id, ...this.#options, since, ...this.#playback });
    // Updates that were made while there was no connection.
    for (const { changes } of this.#pending) this.#connection.send({ type: 'update', id: this.id, ...changes });
  }

  #lost() {
    if (this.#agreed) this.#gaps ??= [];
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
    guarded(this.#handlers.ended, error, this);
  }

  #tell(message) {
    if (message.type === 'columns') return this.#tellColumns(message);
    if (message.type === 'skipped') {
      guarded(this.#handlers.skipped, message, this);
      return;
    }
    const offset = message.type === 'gap' ? message.to : message.offset;
    if (this.#progress.hasSeen(message.topic, offset)) return;
    if (message.type === 'gap') this.#hasGap = true;
    if (message.type === 'gap' && this.#gaps && this.#gaps.length < GAPS_MAX) this.#gaps.push(message);
    guarded(this.#handlers[message.type], message, this);
    // Of topics that the server has forgotten the pattern is told, which is no place to come back to.
    if (!message.topic.includes('*')) this.#progress.advance(message.topic, offset);
  }

  /** Many events at once to whoever takes them so, and else one by one. */
  #tellColumns(columns) {
    if (typeof this.#handlers.columns !== 'function') {
      for (const event of columns.events()) this.#tell(event);
      return;
    }
    const isNew = (at) => !this.#progress.hasSeen(columns.topicOf(at), columns.offset[at]);
    const places = Array.from(columns.offset.keys()).filter(isNew);
    if (places.length === 0) return;
    guarded(this.#handlers.columns, places.length === columns.count ? columns : columns.only(places), this);
    for (const at of places) this.#progress.advance(columns.topicOf(at), columns.offset[at]);
  }

  #answer(message) {
    if (message.type === 'subscribed') {
      this.#agreed = true;
      this.#ready.resolve(this);
    } else if (message.type === 'live') {
      this.#progress.live(message);
      this.#playback = undefined;
      this.state = 'live';
      guarded(this.#handlers.live, { ...message, recovered: !this.#hasGap }, this);
      this.#recovered(message);
    } else if (message.type === 'updated') {
      const pending = this.#pending.shift();
      this.#merge(pending.changes);
      pending.resolve();
    } else if (message.reason === 'token') {
      const error = new FanwireError({ code: 'token', message: 'the new token does not cover the subscription' });
      guarded(this.#handlers.error, error, this);
      this.#end(error);
    } else {
      this.#end(endedError());
    }
  }

  /** What has become of the time without a connection: nothing is missing, or exactly these gaps are. */
  #recovered({ replayed }) {
    const gaps = this.#gaps;
    this.#gaps = undefined;
    if (gaps) guarded(this.#handlers.recovered, { type: 'recovered', complete: gaps.length === 0, gaps, replayed }, this);
  }

  #merge({ since, speed, play_from, max_gap_ms, ...changes }) {
    if (since !== undefined) {
      this.#progress = new Progress(since);
      this.#progress.begin(this.#epoch);
      this.state = 'replaying';
      if (this.#playback) this.#playback.play_from = play_from;
    }
    if (speed === null || since === 'last') this.#playback = undefined;
    else if (speed !== undefined) this.#playback = { play_from, ...this.#playback, speed };
    if (this.#playback && max_gap_ms !== undefined) this.#playback.max_gap_ms = max_gap_ms ?? undefined;
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
