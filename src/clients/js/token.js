// Who we are: a token that is shown to each connection, and a fresh one before it is over.
//
// A token that was refused is asked for again, a few times and not for ever: a server that takes none is told so, and not asked without end. Knows no socket.

import { FanwireError } from './answers.js';

/** Tokens that a connection's opening shows, one after the other was refused. */
const TRIES_MAX = 3;

export class Credentials {
  #token;
  #ask;
  #failed;
  /** Which connection it is: what comes of a question of one before counts no longer. */
  #turn = 0;
  /** Why the next token is asked for. */
  #cause = 'open';

  /**
   * @param {undefined | string | ((cause: string) => string | Promise<string>)} token
   * @param {{ask: (message: object) => Promise<object>, failed: (error: Error) => void}} connection
   */
  constructor(token, { ask, failed }) {
    if (token !== undefined && typeof token !== 'string' && typeof token !== 'function') {
      throw new TypeError('token is a string, or a function that answers one');
    }
    this.#token = token;
    this.#ask = ask;
    this.#failed = failed;
  }

  /** Shows a token to a new connection; undefined if there is none to show. Rejects if none that we have is taken. */
  show() {
    if (this.#token === undefined) return undefined;
    const cause = this.#cause;
    this.#cause = 'open';
    return this.#try(cause, ++this.#turn, 1);
  }

  async #try(cause, turn, attempt) {
    const token = await this.#next(cause);
    if (turn !== this.#turn) return undefined;
    try {
      return await this.#ask({ type: 'auth', token });
    } catch (error) {
      const isRefused = error.code === 'forbidden';
      if (!isRefused || typeof this.#token !== 'function' || attempt >= TRIES_MAX) throw error;
      return this.#try('refused', turn, attempt + 1);
    }
  }

  /** The token of this connection will be over soon: shows another one, if there is one to be had. */
  expiring() {
    if (typeof this.#token !== 'function') return;
    const turn = this.#turn;
    this.#try('expiring', turn, 1).catch((error) => turn === this.#turn && this.#failed(error));
  }

  /** The connection was ended because of its token: whether another one may be had for the next. */
  renew(cause) {
    this.#cause = cause;
    return typeof this.#token === 'function';
  }

  lost() {
    this.#turn += 1;
  }

  async #next(cause) {
    const token = typeof this.#token === 'function' ? await this.#token(cause) : this.#token;
    if (typeof token !== 'string') throw new FanwireError({ code: 'no_token', message: 'the function that answers tokens has answered none' });
    return token;
  }
}
