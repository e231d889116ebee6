// The forms in which a server tells events, taken apart into the one that applications are handed.
//
// A message `event` says everything of one event; the compact form is a list of what differs from event to event. Invariant: whichever was said, the application is
// handed the same. Knows no socket; one of these belongs to one connection, as topics have their numbers for as long as that lasts.

/** The name under which the protocol is offered, and the one with the compact form, which comes first where that is wanted. */
export const SUBPROTOCOLS = ['fanwire.v1.compact', 'fanwire.v1'];

const UNFOLDED = { type: 'event' };

export class Forms {
  /** By subscription, the topics that its events name by number. */
  #topics = new Map();

  /** The events of a message, each as a message `event`; undefined: the message is about something else. */
  events(message) {
    if (Array.isArray(message)) return [this.#unfold(message)];
    switch (message.type) {
      case 'event':
        return [message];
      case 'batch':
        return message.events.map((event) => (Array.isArray(event) ? this.#unfold(event) : { ...UNFOLDED, ...event }));
      case 'subscribed':
        this.#topics.set(message.id, message.topics ?? []);
        return undefined;
      case 'unsubscribed':
        this.#topics.delete(message.id);
        return undefined;
    }
    return undefined;
  }

  #unfold(list) {
    // What is said of an event besides stands before it.
    const besides = isObject(list[0]) ? list[0] : undefined;
    const [subs, topic, key, offset, time_us, payload] = besides ? list.slice(1) : list;
    const event = { ...UNFOLDED, subs: Array.isArray(subs) ? subs : [subs], ...besides };
    event.topic = typeof topic === 'number' ? this.#topics.get(event.subs[0])?.[topic] : topic;
    const [op, named] = operation(key);
    if (named !== undefined) event.key = named;
    return Object.assign(event, { op, offset, time_us, payload });
  }
}

/** The operation and the key of an event: a key alone is given a new state, 0 is nothing in particular to which something happens. */
function operation(key) {
  if (typeof key === 'string') return ['upsert', key];
  return key === 0 ? ['event'] : key;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
