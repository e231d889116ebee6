// The JavaScript client as the conformance script has it (`docs/CLIENTS.md`): commands as lines on standard input, what the client told as lines on standard output.

import { createInterface } from 'node:readline';

import { Fanwire } from '../../../src/clients/js/fanwire.js';

const say = (heard, members) => process.stdout.write(`${JSON.stringify({ heard, ...members })}\n`);
const failure = ({ code, message, field }) => ({ code, message, field });

let client;
const subscriptions = new Map();
/** Questions for a token, and answers to them, whichever came first. */
const asked = [];
const answers = [];

function fetchToken() {
  say('token_wanted', {});
  if (answers.length > 0) return answers.shift()();
  return new Promise((resolve, reject) => asked.push((answer) => Promise.resolve().then(answer).then(resolve, reject)));
}

const told = (answer) => () => {
  if (answer === null) throw new Error('there is none');
  return answer;
};

const COMMANDS = {
  open({ url, token, silence_ms, steady_ms }) {
    client = new Fanwire(url, { silence_ms, steady_ms, ...(token && { token: async () => fetchToken() }) });
    client.onstate = (state, detail) => say('state', { state, ...detail, ...(state === 'open' && { epoch: client.welcome.epoch }) });
    client.onerror = (error) => error.code && say('error', failure(error));
    client.connect().catch(() => {});
  },
  subscribe({ id, options }) {
    const subscription = client.subscribe(
      { ...options, id },
      {
        event: ({ topic, key, op, offset, time_us, payload }) => say('event', { id, event: { topic, key, op, offset, time_us, payload } }),
        gap: ({ topic, from, to, reason }) => say('gap', { id, gap: { topic, from, to, reason } }),
        skipped: ({ count }) => say('skipped', { id, count }),
        live: ({ recovered, replayed }) => say('live', { id, recovered, replayed }),
        ended: (error) => {
          subscriptions.delete(id);
          say('ended', { id, ...failure(error) });
        },
      },
    );
    subscriptions.set(id, subscription);
    subscription.ready.then(() => say('subscribed', { id }), () => {});
  },
  update({ id, changes }) {
    subscriptions.get(id).update(changes).then(() => say('updated', { id }), (error) => say('failed', { id, ...failure(error) }));
  },
  unsubscribe({ id }) {
    subscriptions.get(id).unsubscribe();
  },
  publish({ ref, topic, payload, key, op }) {
    client.publish(topic, payload, { key: key ?? undefined, op: op ?? undefined }).then((answer) => say('published', { ref, answer }), (error) => say('failed', { ref, ...failure(error) }));
  },
  position({ id }) {
    say('position', { id, position: subscriptions.get(id).position ?? null });
  },
  token({ token }) {
    const waiting = asked.shift();
    if (waiting) waiting(told(token));
    else answers.push(told(token));
  },
  close() {
    client.close();
    lines.close();
    process.stdin.destroy();
  },
};

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { do: what, ...members } = JSON.parse(line);
  COMMANDS[what](members);
});
