// What happened to the server as this page saw it: losses, restarts, upgrades, and what was made up for.
//
// A connection tells no reason why it is gone; what comes after it does: another numbering of offsets is another process without the history of the one before, another
// version an upgrade. Pure: states and times in, sentences out.

/** Sentences that are kept. */
const KEPT_MAX = 50;

export class Happenings {
  /** The newest first: `{at_ms, text, kind}`, kind 'loss', 'back', 'restart', 'upgrade' or 'gap'. */
  list = [];
  #server;
  #lost;

  /** A state of the client, with what it says about it, and the server's welcome once there is one. */
  state(state, detail = {}, welcome, now_ms) {
    if (state === 'waiting') this.#waiting(detail, now_ms);
    if (state === 'closed' && detail.cause !== 'closed') this.#say('loss', `closed for good: ${closedText(detail)}`, now_ms);
    if (state !== 'open') return;
    const lost = this.#lost;
    const before = this.#server;
    this.#server = welcome;
    this.#lost = undefined;
    if (!lost || !before) return;
    const away = `away for ${durationText(now_ms - lost.at_ms)}`;
    if (before.server !== welcome.server) this.#say('upgrade', `upgraded from ${before.server} to ${welcome.server}, ${away}; load this page anew for the one that it brings`, now_ms);
    else if (lost.cause === 'stopping' && lost.attempts === 1) this.#say('upgrade', `another process took over (${welcome.server}), nobody was turned away`, now_ms);
    else if (before.epoch !== welcome.epoch || lost.cause === 'stopping') this.#say('restart', `restarted, ${away}`, now_ms);
    else this.#say('back', `connected again, ${away}`, now_ms);
  }

  /** What has become of the time without a connection. */
  recovered({ complete, gaps, replayed }, now_ms) {
    if (complete) return this.#say('back', replayed > 0 ? `nothing is missing: ${countWords(replayed, 'event')} made up for` : 'nothing is missing', now_ms);
    const anew = gaps.some(({ reason }) => reason === 'epoch');
    const missing = gaps.reduce((sum, { from, to }) => sum + Math.max(0, to - from + 1), 0);
    const text = anew ? 'its history began anew: what came between is unknown' : `${countWords(missing, 'event')} missing in ${countWords(gaps.length, 'gap')}`;
    this.#say('gap', text, now_ms);
  }

  #waiting({ cause, reason, code, wait_ms, attempt }, now_ms) {
    if (this.#lost) {
      this.#lost.attempts = attempt;
      return;
    }
    this.#lost = { at_ms: now_ms, cause, attempts: attempt };
    const text = {
      stopping: `the server stops, and has us back in ${durationText(wait_ms ?? 0)}`,
      silent: 'nothing was heard from the server',
      expired: 'the token was over',
      revoked: 'the token was revoked',
    };
    this.#say('loss', text[cause] ?? `the connection was lost (${reason || code})`, now_ms);
  }

  #say(kind, text, at_ms) {
    this.list.unshift({ at_ms, text, kind });
    if (this.list.length > KEPT_MAX) this.list.pop();
  }
}

export function closedText({ cause, code, reason }) {
  const text = {
    required: 'a token is needed',
    refused: `the token is not taken (${reason})`,
    expired: 'the token was over',
    revoked: 'the token was revoked',
  };
  return text[cause] ?? (reason || code || 'for good');
}

export function durationText(ms) {
  if (ms < 100) return 'a moment';
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

function countWords(count, word) {
  return `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
}
