/** The Fanwire client. See README.md. */

import type { Filter } from './filters.js';
/** Filters, built: `where.field('altitude').lt(10000)`. */
export * as where from './filters.js';

export type Payload = Record<string, unknown>;

export interface Position {
  epoch: string;
  offsets: Record<string, number>;
  time_us?: number;
  /** What was told up to here was told under other filters, too: with `leave`, keys that they let pass are announced as well. */
  filter_changed?: boolean;
}

/** A word, a time (ISO 8601, or microseconds since 1970), or a position. */
export type Since = 'earliest' | 'last' | string | number | { time_us: number } | Position;

/** What of a subscription may be changed while it runs. */
export interface Wishes {
  /** `altitude < 10000`, or the structured notation. */
  filter?: string | Filter;
  /** `form`: how several events come over the wire; `columns` takes the fewest bytes. What is handed over is events all the same, unless there is a handler `columns`. */
  batch?: { max_events: number; max_delay_ms?: number; form?: 'rows' | 'columns' };
  slow?: 'disconnect' | 'drop_oldest' | 'latest_per_key';
  max_rate?: { per: 'key' | 'subscription'; hz: number };
  /** Only these members of the payload, dotted. */
  fields?: string[];
  /** Announce a key once when it no longer passes the filter; needs `filter`. */
  leave?: boolean;
}

/** At which pace the past is told. */
export interface Playback {
  /** So many times the pace at which it happened, 0.01 to 10000; 0: paused. As fast as can be if absent. */
  speed?: number;
  /** With `speed`: what was ordered before this time is told at once. ISO 8601, or microseconds since 1970. */
  play_from?: string | number;
  /** With `speed`: silences of the past last no longer than this, in milliseconds of yours. */
  max_gap_ms?: number;
}

export interface SubscribeOptions extends Wishes, Playback {
  /** Names the subscription on this connection; chosen if absent. */
  id?: string;
  topics: string | string[];
  /** Whether its events come over the wire in the compact form; as the client's `compact` if absent. What is handed over is the same. */
  compact?: boolean;
  /** Where to begin; live only if absent. */
  since?: Since;
}

export interface Event<P = Payload> {
  type: 'event';
  subs: string[];
  topic: string;
  /** Absent: about nothing in particular. */
  key?: string;
  op: 'upsert' | 'delete' | 'event' | 'leave';
  offset: number;
  time_us: number;
  payload: P;
}

/** Many events at once, of which each has a place from 0; made by `batch: { form: 'columns' }`. */
export interface Columns {
  type: 'columns';
  subs: string[];
  count: number;
  /** One for all of them, or that of each. */
  topic: string | string[];
  op: Event['op'] | Event['op'][];
  /** `''`: about nothing in particular. Absent: none of them has one. */
  key?: string[];
  traceparent?: (string | null)[];
  offset: Float64Array;
  time_us: Float64Array;
  /** Of each member that all payloads have its values: a typed array if they are numbers, all of them. `undefined` where a payload is `{}`. */
  payload: Record<string, Float64Array | unknown[]>;
  /** What else there is of each payload. */
  rest?: (Payload | null)[];
  /** One of them as an event. */
  event(at: number): Event;
  events(): IterableIterator<Event>;
}

/** Events of a topic that are not coming; `from` and `to` are the first and last of them. */
export interface Gap {
  type: 'gap';
  subs: string[];
  topic: string;
  from: number;
  to: number;
  reason: 'evicted' | 'epoch' | 'slow' | 'corrupt' | 'unavailable';
}

/** Events that were passed over because a newer one of the same key follows. */
export interface Skipped {
  type: 'skipped';
  subs: string[];
  count: number;
  from_us: number;
  to_us: number;
}

export interface Live extends Position {
  type: 'live';
  id: string;
  replayed: number;
  /** No gap was told since this connection's `subscribe`. */
  recovered: boolean;
}

/** What has become of the time without a connection. */
export interface Recovered {
  type: 'recovered';
  /** Nothing is missing. */
  complete: boolean;
  /** What is missing, exactly: they were told as gaps, in their places. */
  gaps: Gap[];
  replayed: number;
}

export interface Welcome {
  type: 'welcome';
  protocol: string;
  server: string;
  epoch: string;
}

export interface Published {
  topic: string;
  epoch: string;
  offset: number;
  time_us: number;
}

export interface Handlers<P = Payload> {
  event?(event: Event<P>, subscription: Subscription): void;
  /** Takes what comes in columns as it is; without it, `event` is called for each event of it. */
  columns?(columns: Columns, subscription: Subscription): void;
  gap?(gap: Gap, subscription: Subscription): void;
  skipped?(skipped: Skipped, subscription: Subscription): void;
  /** The replay is complete; called again after each reconnection. */
  live?(live: Live, subscription: Subscription): void;
  /** After each lost connection, once everything since it has been told. */
  recovered?(recovered: Recovered, subscription: Subscription): void;
  /** The server refuses the subscription, now or after a reconnection: it has ended. */
  error?(error: FanwireError, subscription: Subscription): void;
  /** It has ended, whatever ended it: `unsubscribed`, `closed`, `token` (a new one does not cover it), or the server's code. */
  ended?(error: FanwireError, subscription: Subscription): void;
}

export interface Subscription {
  readonly id: string;
  readonly state: 'waiting' | 'replaying' | 'live' | 'ended';
  /** Resolves when the server has agreed for the first time; rejects if it does not. */
  readonly ready: Promise<Subscription>;
  /** Hand it in as `since` another day; undefined before the first replay is complete. */
  readonly position: Position | undefined;
  readonly options: Omit<SubscribeOptions, 'id' | 'since' | keyof Playback>;
  /** The pace at which the past is told, 0 while that is paused; undefined once it is live. */
  readonly speed: number | undefined;
  /** Changes options from here on; `null` takes one away. */
  update(changes: { [Name in keyof (Wishes & Playback)]: (Wishes & Playback)[Name] | null } & { since?: Since }): Promise<void>;
  /** Pauses the past; `update({ speed })` goes on. */
  pause(): Promise<void>;
  /** Goes to another place in time, out of the past or out of the present. What was told before counts no longer. */
  seek(since: Since, playback?: { [Name in keyof Playback]: Playback[Name] | null }): Promise<void>;
  unsubscribe(): Promise<void>;
}

export class FanwireError extends Error {
  readonly name: 'FanwireError';
  /** The protocol's code, or `connection_lost`, `closed`, `queue_full`, `unsubscribed`, `no_token`. */
  readonly code: string;
  /** The member that is at fault. */
  readonly field?: string;
}

export type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed';

/** Why a state is what it is. `stopping`: the server has said when to come back; `refused`: it takes no token that we have; `mistake`: ours. */
export type Cause = 'lost' | 'silent' | 'stopping' | 'expired' | 'revoked' | 'required' | 'no_token' | 'refused' | 'mistake' | 'closed';

export interface StateDetail {
  cause?: Cause;
  /** The close code, where there was one. */
  code?: number;
  reason?: string;
  /** Until the next attempt. */
  wait_ms?: number;
  /** Which attempt since there was a connection it will be, or was. */
  attempt?: number;
}

/** Why a token is asked for: a connection opens, the last one will be over in half a minute, is over, was revoked, was refused, or none was shown in time. */
export type TokenCause = 'open' | 'expiring' | 'expired' | 'revoked' | 'refused' | 'required';

export interface Draft {
  topic: string;
  payload?: Payload;
  key?: string;
  op?: 'upsert' | 'delete' | 'event';
}

export interface Options {
  /** Who we are: a token, or a function that is asked for one for each connection and before one is over. */
  token?: string | ((cause: TokenCause) => string | Promise<string>);
  /** Needed where there is no global one, as before Node 22. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
  /** After so long without a message we ask whether the server is there, and after so long again we say it is not; 20 s if absent. */
  silence_ms?: number;
  /** Whether events are asked for in the compact form; true if absent. What is handed over is the same. */
  compact?: boolean;
  /** A connection that has lasted so long was none that failed; 5 s if absent. */
  steady_ms?: number;
  /** For tests. */
  timers?: Pick<typeof globalThis, 'setTimeout' | 'clearTimeout'>;
  random?: () => number;
}

export class Fanwire {
  constructor(url: string, options?: Options);
  readonly url: string;
  readonly state: State;
  readonly welcome: Welcome | undefined;
  onstate?: (state: State, detail?: StateDetail) => void;
  onmessage?: (direction: '<' | '>', text: string) => void;
  onerror?: (error: FanwireError) => void;
  connect(): Promise<Welcome>;
  subscribe<P = Payload>(
    what: string | string[] | SubscribeOptions,
    handlers?: Handlers<P> | Handlers<P>['event'],
  ): Subscription;
  publish(
    topic: string,
    payload?: Payload,
    options?: { key?: string; op?: 'upsert' | 'delete' | 'event' },
  ): Promise<Published>;
  /** Events in their order, pipelined; what became of each. Never rejects. */
  publishAll(events: Draft[]): Promise<(Published | FanwireError)[]>;
  ping(): Promise<{ time_us: number }>;
  close(): void;
}
