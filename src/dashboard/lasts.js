// Last values of topics that the page lists and does not hear of otherwise: one subscription each, one event a second at most.
//
// They are asked for with the page's own token: what that does not cover is asked for once, and has no value. At most `LASTS_MAX` stand at a time.

export const LASTS_MAX = 12;

export class Lasts {
  #subscriptions = new Map();
  #refused = new Set();
  #hear;

  constructor(hear) {
    this.#hear = hear;
  }

  /** Follows these topics and no others, but for those that the pattern covers, of which everything is heard anyway. */
  follow(names, pattern, fanwire) {
    const wanted = new Set(names.filter((name) => !covers(pattern, name) && !this.#refused.has(name)).slice(0, LASTS_MAX));
    for (const [name, subscription] of this.#subscriptions) {
      if (wanted.has(name)) continue;
      this.#subscriptions.delete(name);
      subscription.unsubscribe().catch(() => {});
    }
    for (const name of wanted) {
      if (this.#subscriptions.has(name)) continue;
      const wish = { topics: [name], since: 'last', slow: 'latest_per_key', max_rate: { per: 'subscription', hz: 1 } };
      const refused = () => {
        this.#refused.add(name);
        this.#subscriptions.delete(name);
      };
      const subscription = fanwire.subscribe(wish, { event: this.#hear, error: refused });
      if (!this.#refused.has(name)) this.#subscriptions.set(name, subscription);
    }
  }

  /** Another client, who may be somebody else: everything is asked for anew. */
  clear() {
    this.#subscriptions.clear();
    this.#refused.clear();
  }
}

/** Whether a pattern covers a topic: `*` is one segment, `**` at the end one or more. */
export function covers(pattern, name) {
  const [of, segments] = [pattern.split('/'), name.split('/')];
  for (const [at, segment] of of.entries()) {
    if (segment === '**') return segments.length > at;
    if (segments[at] === undefined || (segment !== '*' && segment !== segments[at])) return false;
  }
  return of.length === segments.length;
}
