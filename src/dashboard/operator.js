// What only an operator may see: asked with the admin secret, which this tab keeps in its memory and nowhere else.
//
// Without the secret nothing here is asked. A secret that is not taken is forgotten at once.

export class Operator {
  #secret;
  /** Called when the secret is not taken, with the reason. */
  onrefused = () => {};

  get isKnown() {
    return this.#secret !== undefined;
  }

  /** An empty text: no longer. */
  show(secret) {
    this.#secret = secret === '' ? undefined : secret;
  }

  /** Fields of a request that may need the secret. */
  get headers() {
    return this.isKnown ? { Authorization: `Bearer ${this.#secret}` } : {};
  }

  /** The answer to a question under `/v1/admin/`; undefined if it may not be asked, or there is none. */
  async ask(path) {
    if (!this.isKnown) return undefined;
    try {
      const answer = await fetch(`/v1/admin/${path}`, { headers: this.headers, cache: 'no-store' });
      if (answer.status === 401 || answer.status === 403) {
        const { error } = await answer.json();
        this.#secret = undefined;
        this.onrefused(error.message);
        return undefined;
      }
      return answer.ok ? await answer.json() : undefined;
    } catch {
      // The server is away; the page says so elsewhere.
      return undefined;
    }
  }
}
