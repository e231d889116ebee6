// Many events in one message, member by member, as a server tells them to whoever asks for `batch: { form: 'columns' }`.
//
// Invariant: event by event it is what the same events are one by one. Of a payload's members those that all events have are columns, typed arrays where all their
// values are numbers; what only some have stands in `rest`.

export class Columns {
  type = 'columns';

  constructor(members) {
    Object.assign(this, members);
  }

  /** A message, with numbers added up and columns as long as there are events. */
  static of({ subs, count, topic, topics, op, key, offset, time_us, traceparent, payload = {}, bare = [], rest }) {
    const members = { subs, count, topic: topics ? topic.map((place) => topics[place]) : topic, op };
    if (key) members.key = key;
    if (traceparent) members.traceparent = traceparent;
    Object.assign(members, { offset: summed(offset), time_us: summed(time_us) });
    const isBare = new Set(bare);
    members.payload = Object.fromEntries(Object.entries(payload).map(([name, values]) => [name, column(values, count, isBare)]));
    if (rest) members.rest = rest;
    return new Columns(members);
  }

  /** One of the events, as a message `event` says it. */
  event(at) {
    const event = { type: 'event', subs: this.subs };
    const trace = this.traceparent?.[at];
    if (trace) event.traceparent = trace;
    event.topic = this.topicOf(at);
    const key = this.key?.[at];
    if (key) event.key = key;
    Object.assign(event, { op: each(this.op, at), offset: this.offset[at], time_us: this.time_us[at], payload: {} });
    for (const [name, values] of Object.entries(this.payload)) {
      // Absent of one event: all of its payload is.
      if (values[at] !== undefined) define(event.payload, name, values[at]);
    }
    for (const [name, value] of Object.entries(this.rest?.[at] ?? {})) define(event.payload, name, value);
    return event;
  }

  topicOf(at) {
    return each(this.topic, at);
  }

  /** All of them, in their order. */
  *events() {
    for (let at = 0; at < this.count; at += 1) yield this.event(at);
  }

  /** Only the events at these places. */
  only(places) {
    const pick = (values) => {
      if (values === undefined || typeof values === 'string') return values;
      const kept = places.map((at) => values[at]);
      return values instanceof Float64Array ? Float64Array.from(kept) : kept;
    };
    const { subs, payload } = this;
    const members = { subs, count: places.length };
    for (const name of ['topic', 'op', 'key', 'traceparent', 'offset', 'time_us', 'rest']) {
      if (this[name] !== undefined) members[name] = pick(this[name]);
    }
    members.payload = Object.fromEntries(Object.entries(payload).map(([name, values]) => [name, pick(values)]));
    return new Columns(members);
  }
}

function each(value, at) {
  return typeof value === 'string' ? value : value[at];
}

/** As a member, even where the name is one that objects have their own ideas of. */
function define(object, name, value) {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Each is told as how far it lies above the one before. */
function summed(steps) {
  let sum = 0;
  return Float64Array.from(steps, (step) => (sum += step));
}

function column(values, count, isBare) {
  if (isBare.size === 0) return values.every((value) => typeof value === 'number') ? Float64Array.from(values) : values;
  let next = 0;
  return Array.from({ length: count }, (_, at) => (isBare.has(at) ? undefined : values[next++]));
}
