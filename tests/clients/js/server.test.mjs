// The client against a real server: that of FANWIRE_URL, or one of our own, target/debug/fanwire or FANWIRE_BIN.
//
// Before Node 22 there is no WebSocket without asking for it; then this file runs itself once more, asking.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Fanwire } from '../../../src/clients/js/fanwire.js';

const file = fileURLToPath(import.meta.url);
const binary = process.env.FANWIRE_BIN ?? fileURLToPath(new URL('../../../target/debug/fanwire', import.meta.url));

if (typeof WebSocket === 'undefined') {
  test('with a WebSocket', () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const ran = spawnSync(process.execPath, ['--no-warnings', '--experimental-websocket', file], { env, encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  });
} else {
  suite();
}

/** Starts a server; resolves with its process and address once it listens. */
async function serve(listen = '127.0.0.1:0') {
  const server = spawn(binary, ['serve', '--listen', listen], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const address = await new Promise((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
      const found = /address=(\S+)/.exec(log)?.[1];
      if (found) resolve(found);
    });
    server.once('exit', () => reject(new Error(`the server did not start: ${log}`)));
  });
  return { server, address };
}

/** Resolves when `count` items lie in the list that `push` fills. */
function collector(count) {
  const items = [];
  let done;
  const full = new Promise((resolve) => (done = resolve));
  const push = (item) => {
    items.push(item);
    if (items.length === count) done();
  };
  return { items, push, full };
}

function suite() {
  let url = process.env.FANWIRE_URL;
  let own;
  const clients = [];
  const client = (options) => {
    clients.push(new Fanwire(url, options));
    return clients.at(-1);
  };
  // A server that has been there for a while knows topics of the tests before.
  const topic = (name) => `test/${process.pid}/${name}`;

  before(async () => {
    if (url) return;
    own = await serve();
    url = `http://${own.address}`;
  });

  after(async () => {
    clients.forEach((client) => client.close());
    if (!own) return;
    own.server.kill('SIGTERM');
    await once(own.server, 'exit');
  });

  test('what is published is heard, in order, as it was', async () => {
    const { items, push, full } = collector(100);
    const subscription = client().subscribe(topic('order'), push);
    await subscription.ready;
    const publisher = client();
    const acks = await Promise.all(
      Array.from({ length: 100 }, (_, n) => publisher.publish(topic('order'), { n, text: 'é "\n' }, { key: `k${n % 7}` })),
    );
    await full;
    assert.deepEqual(acks.map(({ offset }) => offset), Array.from({ length: 100 }, (_, n) => n + 1));
    assert.deepEqual(items.map(({ payload }) => payload.n), Array.from({ length: 100 }, (_, n) => n));
    assert.deepEqual([items[9].key, items[9].op, items[9].payload.text], ['k2', 'upsert', 'é "\n']);
  });

  test('a batch is unpacked, history comes first, and live is announced', async () => {
    const publisher = client();
    await Promise.all(Array.from({ length: 10 }, (_, n) => publisher.publish(topic('batch'), { n })));
    const { items, push, full } = collector(11);
    let replayed;
    const subscription = client().subscribe(
      { topics: topic('batch'), since: 'earliest', batch: { max_events: 4, max_delay_ms: 20 } },
      { event: push, live: (live) => (replayed = live.replayed) },
    );
    await subscription.ready;
    await publisher.publish(topic('batch'), { n: 10 });
    await full;
    assert.deepEqual(items.map(({ payload }) => payload.n), Array.from({ length: 11 }, (_, n) => n));
    assert.ok(replayed >= 10);
  });

  test('connections that break lose nothing and repeat nothing', async () => {
    const count = 300;
    const sockets = [];
    class Breakable extends WebSocket {
      constructor(...args) {
        super(...args);
        sockets.push(this);
      }
    }
    const { items, push, full } = collector(count);
    const subscription = client({ WebSocket: Breakable }).subscribe({ topics: topic('broken'), since: 'earliest' }, (event) => {
      push(event);
      if (items.length % 50 === 0) sockets.at(-1).close();
    });
    await subscription.ready;
    const publisher = client();
    for (let n = 1; n <= count; n += 1) await publisher.publish(topic('broken'), { n });
    await full;
    assert.deepEqual(items.map(({ offset }) => offset), Array.from({ length: count }, (_, n) => n + 1));
    assert.ok(sockets.length > 1, 'no connection was broken');
  });

  test('objections name what is wrong', async () => {
    const objecting = client();
    await assert.rejects(objecting.subscribe('a//b').ready, { code: 'bad_topic', field: 'topics[0]' });
    await assert.rejects(objecting.subscribe({ topics: 'a', batch: { max_events: 1 } }).ready, { code: 'bad_field' });
    await assert.rejects(objecting.publish('a/*', {}), { code: 'bad_topic' });
    await assert.rejects(objecting.publish('a', 7), { code: 'bad_field', field: 'payload' });
  });

  test('an ended subscription hears nothing more', async () => {
    const { items, push, full } = collector(1);
    const subscriber = client();
    const subscription = subscriber.subscribe(topic('ended'), push);
    await subscription.ready;
    await subscriber.publish(topic('ended'), { n: 1 });
    await full;
    await subscription.unsubscribe();
    await subscriber.publish(topic('ended'), { n: 2 });
    // Everything of this connection comes in order: what was to come has come before the answer.
    await subscriber.ping();
    assert.equal(items.length, 1);
  });

  test('a filter lets through what it should, and an update changes it', async () => {
    const { items, push, full } = collector(3);
    const subscriber = client();
    const subscription = subscriber.subscribe({ topics: topic('filter'), filter: 'n < 10' }, push);
    await subscription.ready;
    for (const n of [5, 15, 6]) await subscriber.publish(topic('filter'), { n });
    await subscription.update({ filter: 'n >= 10' });
    for (const n of [7, 17]) await subscriber.publish(topic('filter'), { n });
    await full;
    await subscriber.ping();
    assert.deepEqual(items.map(({ payload }) => payload.n), [5, 6, 17]);
  });

  test('the past is told at a pace, paused, moved, and left for the present', async () => {
    const subscriber = client();
    for (let n = 0; n < 3; n += 1) await subscriber.publish(topic('played'), { n });
    const heard = [];
    let told = (n) => heard.push(n);
    let live;
    const isLive = new Promise((resolve) => (live = resolve));
    const subscription = subscriber.subscribe({ topics: topic('played'), since: 'earliest', speed: 0 }, { event: ({ payload }) => told(payload.n), live: () => live() });
    await subscription.ready;
    await subscriber.ping();
    assert.deepEqual(heard, [], 'paused, nothing is told');
    await subscription.update({ speed: 10_000, max_gap_ms: 10 });
    await isLive;
    assert.deepEqual([heard, subscription.state], [[0, 1, 2], 'live']);
    const again = collector(4);
    told = again.push;
    await subscription.seek('earliest', { speed: null });
    await subscriber.publish(topic('played'), { n: 3 });
    await again.full;
    assert.deepEqual(again.items, [0, 1, 2, 3]);
    await assert.rejects(subscription.update({ speed: 5 }), { code: 'bad_field', field: 'speed' });
  });

  test('a restarted server is found again, and what it forgot is named', async (context) => {
    if (!own) {
      context.skip('the server is not ours to stop');
      return;
    }
    const { items, push, full } = collector(2);
    const first = collector(1);
    const gaps = [];
    const subscriber = client();
    const event = (heard) => {
      push(heard);
      first.push(heard);
    };
    const subscription = subscriber.subscribe(topic('restart'), { event, gap: (gap) => gaps.push(gap) });
    await subscription.ready;
    await subscriber.publish(topic('restart'), { n: 1 });
    // The answer comes before the event, and a server that is killed between the two has only its answer behind it.
    await first.full;
    const { address, server } = own;
    const opened = new Promise((resolve) => {
      subscriber.onstate = (state) => state === 'open' && resolve();
    });
    server.kill('SIGKILL');
    await once(server, 'exit');
    own = await serve(address);
    await opened;
    await subscriber.publish(topic('restart'), { n: 2 });
    await full;
    assert.deepEqual(items.map(({ payload }) => payload.n), [1, 2]);
    assert.deepEqual(gaps.map(({ topic, reason }) => [topic, reason]), [[topic('restart'), 'epoch']]);
  });
}
