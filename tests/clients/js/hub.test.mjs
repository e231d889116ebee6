// One connection for many tabs, with a server and a clock in our hands: the real client in each tab, the real hub between them and the server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Fanwire } from '../../../src/clients/js/fanwire.js';
import { GONE_MS, HERE_MS, Hub } from '../../../src/clients/js/hub.js';
import { Clock, event, live, puppetSockets } from './support.mjs';

/** A hub, and tabs that are there at once. */
function scene() {
  const { FakeSocket, sockets } = puppetSockets();
  const clock = new Clock();
  const hub = new Hub({ WebSocket: FakeSocket, timers: clock });
  const tab = (options = {}) => {
    const lines = [];
    class TabSocket {
      // What comes before somebody listens waits, as on a port.
      early = [];
      #listener;
      set onmessage(listener) {
        this.#listener = listener;
        for (const message of this.early.splice(0)) listener(message);
      }
      #hear({ data, closed }) {
        if (closed) this.onclose?.({ code: closed[0], reason: closed[1] });
        else if (this.#listener) this.#listener({ data });
        else this.early.push({ data });
      }
      constructor(url, protocols) {
        this.way = hub.join((message) => this.#hear(message));
        lines.push(this);
        this.way.hear({ open: url, protocols });
      }
      send(text) {
        this.way.hear({ text });
      }
      close() {
        this.way.hear({ close: true });
      }
    }
    const client = new Fanwire('http://host:1', { WebSocket: TabSocket, timers: clock, random: () => 1, ...options });
    return { client, lines, here: () => lines.at(-1).way.hear({ here: true }) };
  };
  return { hub, clock, sockets, tab, get socket() { return sockets.at(-1); } };
}

test('tabs share one connection, each with its own subscriptions, positions and answers', async () => {
  const it = scene();
  const [one, two] = [it.tab(), it.tab()];
  const heard = { one: [], two: [] };
  one.client.subscribe({ topics: 'a', id: 'map' }, { event: ({ subs, offset }) => heard.one.push([subs, offset]) });
  it.socket.welcome();
  two.client.subscribe({ topics: 'a', id: 'map' }, { event: ({ subs, offset }) => heard.two.push([subs, offset]) });
  two.client.subscribe({ topics: 'b' }, { event: ({ subs, offset }) => heard.two.push([subs, offset]) });
  assert.equal(it.sockets.length, 1);
  assert.deepEqual(it.socket.take().map(({ id, topics }) => [id, topics]), [['s1', ['a']], ['s2', ['a']], ['s3', ['b']]]);
  it.socket.say(event('a', 1, { subs: ['s1', 's2'] }));
  it.socket.say({ type: 'batch', events: [event('b', 1, { subs: ['s3'] }), event('a', 2, { subs: ['s1', 's2'] })].map(({ type: _, ...rest }) => rest) });
  assert.deepEqual(heard, { one: [[['map'], 1], [['map'], 2]], two: [[['map'], 1], [['s1'], 1], [['map'], 2]] });
  const published = [one.client.publish('a', { n: 1 }), two.client.publish('a', { n: 2 })];
  const ids = it.socket.take().map(({ id }) => id);
  it.socket.say({ type: 'published', id: ids[1], topic: 'a', epoch: 'e', offset: 4, time_us: 2 });
  it.socket.say({ type: 'error', id: ids[0], code: 'full', message: 'later' });
  await assert.rejects(published[0], { code: 'full' });
  assert.equal((await published[1]).offset, 4);
});

test('a tab that goes takes what it asked for with it, and the last one the connection', async () => {
  const it = scene();
  const [one, two] = [it.tab(), it.tab()];
  one.client.subscribe('a');
  two.client.subscribe('b');
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say({ type: 'subscribed', id: 's2' });
  it.socket.take();
  one.client.close();
  assert.deepEqual(it.socket.take(), [{ type: 'unsubscribe', id: 's1' }]);
  // Until the server has said so the name is not given to another.
  two.client.subscribe('c');
  assert.deepEqual(it.socket.take().map(({ id }) => id), ['s3']);
  it.socket.say({ type: 'unsubscribed', id: 's1' });
  two.client.subscribe('d');
  assert.deepEqual(it.socket.take().map(({ id }) => id), ['s1']);
  two.client.close();
  assert.deepEqual([it.socket.closed, it.hub.size], [1000, 0]);
});

test('a tab that is silent for long is gone, and one that says that it is there is not', () => {
  const it = scene();
  const [one, two] = [it.tab(), it.tab()];
  one.client.subscribe('a');
  two.client.subscribe('b');
  it.socket.welcome();
  it.socket.take();
  // The clients themselves ask the server, which is a word, too: they rest here as those of frozen tabs do.
  for (const { client } of [one, two]) client.onmessage = undefined;
  one.lines[0].send = () => {};
  for (let passed = 0; passed <= GONE_MS; passed += HERE_MS) {
    two.here();
    it.clock.pass(HERE_MS);
    it.socket.say({ type: 'pong', time_us: 1 });
  }
  assert.deepEqual(it.socket.take().filter(({ type }) => type === 'unsubscribe'), [{ type: 'unsubscribe', id: 's1' }]);
  // The one that was gone was told so, and as it is there after all it came back.
  assert.deepEqual([one.lines.length, two.lines.length], [2, 1]);
});

test('what a lost connection means each tab knows for itself, and they come back on one', () => {
  const it = scene();
  const [one, two] = [it.tab(), it.tab()];
  const recovered = [];
  one.client.subscribe('a', { recovered: ({ complete }) => recovered.push(['one', complete]) });
  two.client.subscribe('b', { recovered: ({ complete }) => recovered.push(['two', complete]) });
  it.socket.welcome();
  for (const id of ['s1', 's2']) it.socket.say({ type: 'subscribed', id });
  it.socket.say({ ...live({ a: 3 }), id: 's1' });
  it.socket.say({ ...live({ b: 9 }), id: 's2' });
  it.socket.say({ type: 'reconnect', after_ms: 500 });
  it.socket.vanish(1001, 'the server is shutting down');
  assert.deepEqual([one.client.state, two.client.state, it.hub.size], ['waiting', 'waiting', 0]);
  it.clock.pass(500);
  assert.equal(it.sockets.length, 2);
  it.socket.welcome();
  assert.deepEqual(it.socket.take().map(({ since }) => since.offsets), [{ a: 3 }, { b: 9 }]);
  for (const id of ['s1', 's2']) it.socket.say({ type: 'subscribed', id });
  it.socket.say({ ...live({ a: 3 }), id: 's1' });
  it.socket.say({ type: 'gap', subs: ['s2'], topic: 'b', from: 10, to: 11, reason: 'evicted' });
  it.socket.say({ ...live({ b: 11 }), id: 's2' });
  assert.deepEqual(recovered, [['one', true], ['two', false]]);
});

test('a token that one tab has shown is not asked about again for another', async () => {
  const it = scene();
  const one = it.tab({ token: 'abc' });
  one.client.connect();
  it.socket.welcome();
  await new Promise(setImmediate);
  assert.deepEqual(it.socket.take(), [{ type: 'auth', id: 1, token: 'abc' }]);
  it.socket.say({ type: 'authenticated', id: 1, expires_at_s: 60 });
  const two = it.tab({ token: 'abc' });
  const welcome = await two.client.connect();
  assert.deepEqual([welcome.epoch, it.socket.take()], ['a', []]);
  const other = it.tab({ token: 'def' });
  const refused = other.client.connect();
  await new Promise(setImmediate);
  assert.deepEqual(it.socket.take(), [{ type: 'auth', id: 2, token: 'def' }]);
  it.socket.say({ type: 'error', id: 2, code: 'forbidden', field: 'token', message: 'another user' });
  await assert.rejects(refused, { code: 'closed', message: /another user/ });
  assert.equal(two.client.state, 'open');
});

test('a URL that is none, and a server that is not there, are told as such', () => {
  const it = scene();
  const heard = [];
  const hub = new Hub({ WebSocket: class { constructor() { throw new SyntaxError('no such scheme'); } }, timers: it.clock });
  hub.join((message) => heard.push(message)).hear({ open: 'x:y' });
  assert.deepEqual(heard, [{ closed: [1006, 'no such scheme'] }]);
  const tab = it.tab();
  tab.client.connect();
  it.socket.vanish(1006);
  assert.equal(tab.client.state, 'waiting');
});
