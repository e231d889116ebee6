// How requests are answered: by a promise, by a handler of the application's, or by an error with a code.

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

/** A promise, and what settles it. */
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** Calls what the application gave us. Its mistake is reported as its own, and does not stop what else is to be told. */
export function guarded(handler, ...values) {
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

export function closedError() {
  return new FanwireError({ code: 'closed', message: 'the client is closed' });
}

export function endedError() {
  return new FanwireError({ code: 'unsubscribed', message: 'the subscription has ended' });
}
