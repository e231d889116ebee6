// Who a client is, to a server in our hands: tokens that are shown, renewed, refused, revoked and asked for; and what is told of a connection's state.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';

import { event, live, puppet } from './support.mjs';

/** Lets what was promised be done. */
async function settle() {
  for (let times = 0; times < 5; times += 1) await turn();
}

test('a token is shown before anything else is said, and what waits follows its answer', async () => {
  const it = puppet({ token: 'abc' });
  it.client.subscribe('a');
  it.socket.welcome();
  await settle();
  assert.deepEqual(it.socket.take(), [{ type: 'auth', id: 1, token: 'abc' }]);
  assert.equal(it.client.state, 'connecting');
  it.socket.say({ type: 'authenticated', id: 1, expires_at_s: 60 });
  await settle();
  assert.equal(it.client.state, 'open');
  assert.deepEqual(it.socket.take().map(({ type }) => type), ['subscribe']);
});

test('a function is asked for each connection, and before a token is over', async () => {
  const causes = [];
  const it = puppet({ token: async (cause) => `token ${causes.push(cause)}` });
  it.client.subscribe('a');
  it.socket.welcome();
  await settle();
  it.socket.say({ type: 'authenticated', id: 1, expires_at_s: 60 });
  await settle();
  it.socket.say({ type: 'token_expiring', expires_at_s: 60 });
  await settle();
  const auths = it.socket.take().filter(({ type }) => type === 'auth');
  assert.deepEqual(auths.map(({ token }) => token), ['token 1', 'token 2']);
  it.socket.say({ type: 'authenticated', id: auths[1].id, expires_at_s: 120 });
  it.socket.vanish();
  it.clock.pass(100);
  it.socket.welcome();
  await settle();
  assert.deepEqual(causes, ['open', 'expiring', 'open']);
});

test('a token that is over or revoked is asked for anew if it can be, and is the end if it cannot', async () => {
  for (const [code, reason, cause] of [[4001, 'token expired', 'expired'], [1008, 'token revoked', 'revoked'], [1008, 'authentication required', 'required']]) {
    const causes = [];
    const it = puppet({ token: (asked) => `token ${causes.push(asked)}` });
    const states = [];
    it.client.onstate = (state, detail) => states.push([state, detail?.cause]);
    it.client.connect();
    it.socket.welcome();
    await settle();
    it.socket.say({ type: 'authenticated', id: 1, expires_at_s: 60 });
    await settle();
    it.socket.vanish(code, reason);
    it.clock.pass(100);
    it.socket.welcome();
    await settle();
    assert.deepEqual(causes, ['open', cause], reason);
    assert.deepEqual(states, [['connecting', undefined], ['open', undefined], ['waiting', cause], ['connecting', undefined]], reason);
    const fixed = puppet({ token: 'abc' });
    fixed.client.onstate = (state, detail) => states.push([state, detail?.cause]);
    fixed.client.connect().catch(() => {});
    fixed.socket.vanish(code, reason);
    fixed.clock.pass(60_000);
    assert.deepEqual([states.at(-1), fixed.sockets.length], [['closed', cause], 1], reason);
  }
});

test('a refused token is asked for again a few times, and then it is the end', async () => {
  const causes = [];
  const it = puppet({ token: (cause) => `token ${causes.push(cause)}` });
  const states = [];
  it.client.onstate = (state, detail) => states.push([state, detail?.cause]);
  const subscription = it.client.subscribe('a');
  const opened = it.client.connect();
  it.socket.welcome();
  for (let times = 0; times < 3; times += 1) {
    await settle();
    const [{ id }] = it.socket.take();
    it.socket.say({ type: 'error', code: 'forbidden', field: 'token', message: 'no key has signed it', id });
  }
  await settle();
  assert.deepEqual(causes, ['open', 'refused', 'refused']);
  assert.deepEqual(states.at(-1), ['closed', 'refused']);
  assert.equal(it.socket.closed, 1000);
  await assert.rejects(opened, { code: 'closed' });
  await assert.rejects(subscription.ready, { code: 'closed', message: 'the server takes no token that we have: token: no key has signed it' });
  it.clock.pass(60_000);
  assert.equal(it.sockets.length, 1);
});

test('whoever answers tokens may be away for a while', async () => {
  let isAway = true;
  const it = puppet({ token: async () => (isAway ? Promise.reject(new Error('502')) : 'abc') });
  const faults = [];
  it.client.onerror = (error) => faults.push(error.message);
  it.client.connect();
  it.socket.welcome();
  await settle();
  assert.deepEqual([it.client.state, faults], ['waiting', ['502']]);
  isAway = false;
  it.clock.pass(100);
  it.socket.welcome();
  await settle();
  assert.deepEqual(it.socket.take(), [{ type: 'auth', id: 1, token: 'abc' }]);
});

test('a token that comes after its connection was lost is not shown to the next', async () => {
  const waiting = [];
  const it = puppet({ token: () => new Promise((resolve) => waiting.push(resolve)) });
  it.client.connect();
  it.socket.welcome();
  await settle();
  it.socket.vanish();
  it.clock.pass(100);
  it.socket.welcome();
  await settle();
  waiting[0]('late');
  waiting[1]('fresh');
  await settle();
  assert.deepEqual(it.sockets.map((socket) => socket.take().map(({ token }) => token)), [[], ['fresh']]);
});

test('waits are spread from nothing to all, grow while connections fail, and begin anew once one has lasted', () => {
  const shares = [0, 0.25, 1, 0.5, 1];
  const it = puppet({ random: () => shares.shift() });
  const waits = [];
  it.client.onstate = (state, detail) => state === 'waiting' && waits.push([detail.wait_ms, detail.attempt]);
  it.client.connect();
  for (let times = 0; times < 4; times += 1) {
    // It opens, and is closed at once: that is a failure as well.
    it.socket.welcome();
    it.socket.vanish(1008, 'filter_work');
    it.clock.pass(1000);
  }
  it.socket.welcome();
  it.clock.pass(5000);
  it.socket.vanish();
  assert.deepEqual(waits, [[0, 1], [50, 1], [400, 1], [400, 1], [100, 1]]);
});

test('a lost connection was made up for, or exactly these gaps are missing', () => {
  const it = puppet();
  const told = [];
  it.client.subscribe('a', { event: ({ offset }) => told.push(offset), gap: ({ from, to }) => told.push(`${from}-${to}`), recovered: ({ complete, gaps, replayed }) => told.push({ complete, gaps: gaps.map(({ from, to }) => [from, to]), replayed }) });
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say(live({ a: 0 }));
  it.socket.say(event('a', 1));
  const again = () => {
    it.socket.vanish();
    it.clock.pass(1000);
    it.socket.welcome();
    it.socket.say({ type: 'subscribed', id: 's1' });
  };
  again();
  it.socket.say(event('a', 2));
  // Lost once more before everything was told: it is one loss.
  again();
  it.socket.say(event('a', 3));
  it.socket.say({ ...live({ a: 3 }), replayed: 1 });
  again();
  it.socket.say({ type: 'gap', subs: ['s1'], topic: 'a', from: 4, to: 7, reason: 'evicted' });
  it.socket.say(live({ a: 7 }));
  assert.deepEqual(told, [1, 2, 3, { complete: true, gaps: [], replayed: 1 }, '4-7', { complete: false, gaps: [[4, 7]], replayed: 0 }]);
});

test('events that are published together are said in their order, and each is answered for itself', async () => {
  const it = puppet();
  const done = it.client.publishAll([{ topic: 'a', payload: { n: 1 } }, { topic: 'b', payload: { n: 2 }, key: 'k' }, { topic: 'c', op: 'delete', key: 'k' }]);
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), [
    { type: 'publish', topic: 'a', payload: { n: 1 }, id: 1 },
    { type: 'publish', topic: 'b', key: 'k', payload: { n: 2 }, id: 2 },
    { type: 'publish', topic: 'c', key: 'k', op: 'delete', id: 3 },
  ]);
  it.socket.say({ type: 'published', id: 1, topic: 'a', epoch: 'e', offset: 5, time_us: 9 });
  it.socket.say({ type: 'error', id: 2, code: 'full', message: 'later' });
  it.socket.vanish();
  const [first, second, third] = await done;
  assert.deepEqual(first, { topic: 'a', epoch: 'e', offset: 5, time_us: 9 });
  assert.deepEqual([second.code, third.code], ['full', 'connection_lost']);
});
