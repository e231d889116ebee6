// The client of a tab that shares one connection with the other tabs of its site.
//
// All tabs that name the same worker are one connection to the server, and one client to it: they show the same token, or none. Give each user a name of their own.
// Where there is no SharedWorker (some browsers on phones), a tab has a connection of its own, and nothing else is different.

import { Fanwire } from './fanwire.js';
import { HERE_MS } from './hub.js';

/**
 * A client whose connection is shared.
 * @param {string} url as of `Fanwire`
 * @param {{name?: string, token?: unknown}} options as of `Fanwire`, and the worker's name
 */
export function shared(url, { name = 'fanwire', ...options } = {}) {
  if (typeof SharedWorker === 'undefined') return new Fanwire(url, options);
  return new Fanwire(url, { ...options, WebSocket: sharedSocket(name) });
}

/** A class that is a WebSocket to the client, and a place on the worker's connection to everybody else. */
function sharedSocket(name) {
  return class SharedSocket {
    onmessage = undefined;
    onclose = undefined;
    onerror = undefined;
    #port;
    #hereTimer;
    #release = () => {};
    #leave = () => this.#gone(1001, 'the page is hidden for good');

    constructor(url, protocols) {
      const worker = new SharedWorker(new URL('./shared-worker.js', import.meta.url), { type: 'module', name });
      worker.onerror = () => this.#gone(1006, 'the shared worker does not start');
      this.#port = worker.port;
      this.#port.onmessage = ({ data }) => this.#hear(data);
      this.#port.postMessage({ open: url, protocols });
      this.#hold();
      this.#hereTimer = setInterval(() => this.#port.postMessage({ here: true }), HERE_MS);
      addEventListener('pagehide', this.#leave);
    }

    send(text) {
      this.#port.postMessage({ text });
    }

    close(code = 1005) {
      if (this.#port) this.#gone(code, '');
    }

    /** Holds a lock for as long as the tab is there: it comes to the worker, who waits for it, however the tab ends. */
    #hold() {
      // Only where a page is secure; elsewhere its silence tells.
      if (!navigator.locks) return;
      const lock = `fanwire ${crypto.randomUUID()}`;
      const held = navigator.locks.request(lock, () => {
        if (!this.#port) return undefined;
        this.#port.postMessage({ lock });
        return new Promise((resolve) => (this.#release = resolve));
      });
      // A page without an origin of its own may hold none.
      held.catch(() => {});
    }

    #hear({ data, closed }) {
      if (data) this.onmessage?.({ data });
      else if (closed) this.#gone(...closed);
    }

    #gone(code, reason) {
      if (!this.#port) return;
      clearInterval(this.#hereTimer);
      removeEventListener('pagehide', this.#leave);
      this.#port.postMessage({ close: true });
      this.#port.close();
      this.#port = undefined;
      this.#release();
      this.onclose?.({ code, reason });
    }
  };
}
