import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Fanwire, FanwireError } from '../../../src/clients/js/fanwire.js';
import { event, live, puppet } from './support.mjs';

function hearing({ client }, id, heard) {
  client.subscribe({ id, topics: ['t'] }, ({ offset }) => heard.push(`${id}${offset}`));
}

test('an URL may be short', () => {
  class WebSocket {}
  const url = (text) => new Fanwire(text, { WebSocket }).url;
  assert.equal(url('http://h:1'), 'ws://h:1/v1/ws');
  assert.equal(url('https://h'), 'wss://h/v1/ws');
  assert.equal(url('ws://h/live/v1/ws'), 'ws://h/live/v1/ws');
  assert.throws(() => new Fanwire('http://h', { WebSocket: null }), /pass one, as in/);
});

test('a subscription hears its events', async () => {
  const it = puppet();
  const heard = [];
  const wish = { topics: 't', filter: 'x < 1', since: 'last' };
  const subscription = it.client.subscribe(wish, ({ offset }) => heard.push(offset));
  const { socket } = it;
  assert.deepEqual([socket.url, socket.protocols], ['ws://host:1/v1/ws', ['fanwire.v1.compact', 'fanwire.v1']]);
  socket.welcome();
  assert.deepEqual(socket.take(), [{ type: 'subscribe', id: 's1', topics: ['t'], filter: 'x < 1', since: 'last' }]);
  socket.say({ type: 'subscribed', id: 's1' });
  assert.equal(await subscription.ready, subscription);
  socket.say(event('t', 1));
  socket.say(live({ t: 1 }));
  socket.say({ type: 'batch', events: [event('t', 2), event('u', 9, { subs: ['other'] }), event('t', 3)] });
  assert.deepEqual(heard, [1, 2, 3]);
  assert.equal(subscription.state, 'live');
  assert.deepEqual(subscription.position, { epoch: 'a', offsets: { t: 3 }, time_us: 5 });
});

test('an event of several subscriptions is told to each', () => {
  const it = puppet();
  const heard = [];
  hearing(it, 'a', heard);
  hearing(it, 'b', heard);
  it.socket.welcome();
  it.socket.say(event('t', 1, { subs: ['a', 'b'] }));
  it.socket.say(event('t', 2, { subs: ['b'] }));
  assert.deepEqual(heard, ['a1', 'b1', 'b2']);
});

test('a lost connection is made again, later each time, and resumed', () => {
  const it = puppet();
  const states = [];
  it.client.onstate = (state, detail) => states.push(detail?.wait_ms ? `${state} ${detail.wait_ms}` : state);
  const heard = [];
  hearing(it, 's', heard);
  it.socket.welcome();
  it.socket.say(live({ t: 0 }, { id: 's' }));
  it.socket.say(event('t', 1, { subs: ['s'] }));
  it.socket.vanish();
  it.clock.pass(99);
  assert.equal(it.sockets.length, 1);
  it.clock.pass(1);
  it.socket.vanish();
  it.clock.pass(200);
  assert.equal(it.sockets.length, 3);
  it.socket.welcome();
  const since = { epoch: 'a', offsets: { t: 1 }, time_us: 5 };
  assert.deepEqual(it.socket.take(), [{ type: 'subscribe', id: 's', topics: ['t'], since }]);
  it.socket.say(event('t', 2, { subs: ['s'] }));
  assert.deepEqual(heard, ['s1', 's2']);
  assert.deepEqual(states, ['connecting', 'open', 'waiting 100', 'connecting', 'waiting 200', 'connecting', 'open']);
});

test('an error after which no close comes is the end of a connection, too', () => {
  const it = puppet();
  const states = [];
  it.client.onstate = (state, detail) => states.push([state, detail?.cause, detail?.reason]);
  hearing(it, 's', []);
  it.socket.onerror();
  it.clock.pass(999);
  assert.deepEqual(states, [['connecting', undefined, undefined]]);
  it.clock.pass(1);
  assert.deepEqual(states.at(-1), ['waiting', 'lost', 'the connection could not be made']);
  it.clock.pass(100);
  // With a close behind it, that is what is told, and once.
  const { socket } = it;
  socket.onerror();
  socket.vanish(4008, 'slow subscriber');
  it.clock.pass(150);
  assert.deepEqual(states.filter(([state]) => state === 'waiting').map(([, , reason]) => reason), ['the connection could not be made', 'slow subscriber']);
});

test('a server that stops says when to come back, once', () => {
  const it = puppet();
  const waits = [];
  it.client.onstate = (state, detail) => state === 'waiting' && waits.push(detail.wait_ms);
  hearing(it, 's', []);
  it.socket.welcome();
  it.socket.say({ type: 'reconnect', after_ms: 4321 });
  it.socket.vanish();
  it.clock.pass(4320);
  assert.equal(it.sockets.length, 1);
  it.clock.pass(1);
  assert.equal(it.sockets.length, 2);
  it.socket.vanish();
  assert.deepEqual(waits, [4321, 200], 'and from then on the client decides itself');
});

test('a restarted server says what is missing, and a replay that is cut short tells nothing twice', () => {
  const it = puppet();
  const heard = [];
  it.client.subscribe('t', {
    event: ({ offset }) => heard.push(offset),
    gap: ({ from, to, reason }) => heard.push(`${from}-${to} ${reason}`),
    skipped: ({ count }) => heard.push(`skipped ${count}`),
  });
  it.socket.welcome('a');
  it.socket.say(live({ t: 6 }));
  it.socket.say(event('t', 7));
  it.socket.vanish(1001);
  it.clock.pass(100);
  const since = { epoch: 'a', offsets: { t: 7 }, time_us: 5 };
  for (const rest of [[], [event('t', 3), { type: 'skipped', subs: ['s1'], count: 4 }]]) {
    it.socket.welcome('b');
    assert.deepEqual(it.socket.take()[0].since, since);
    it.socket.say({ type: 'gap', subs: ['s1'], topic: 't', from: 1, to: 1, reason: 'epoch' });
    it.socket.say(event('t', 2));
    rest.forEach((message) => it.socket.say(message));
    it.socket.vanish();
    it.clock.pass(10_000);
  }
  assert.deepEqual(heard, [7, '1-1 epoch', 2, 3, 'skipped 4']);
});

test('a publish is answered, or fails with the server\'s reason', async () => {
  const it = puppet();
  const first = it.client.publish('t', { n: 1 }, { key: 'k' });
  const second = it.client.publish('t', {}, { op: 'delete' });
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), [
    { type: 'publish', topic: 't', key: 'k', payload: { n: 1 }, id: 1 },
    { type: 'publish', topic: 't', op: 'delete', payload: {}, id: 2 },
  ]);
  it.socket.say({ type: 'published', id: 1, topic: 't', epoch: 'a', offset: 4, time_us: 9 });
  it.socket.say({ type: 'error', id: 2, code: 'missing_field', field: 'key', message: 'needed' });
  assert.deepEqual(await first, { topic: 't', epoch: 'a', offset: 4, time_us: 9 });
  await assert.rejects(second, { name: 'FanwireError', code: 'missing_field', field: 'key', message: 'key: needed' });
});

test('a publish that was not answered fails, one that was not sent waits', async () => {
  const it = puppet();
  it.client.connect();
  it.socket.welcome();
  const sent = it.client.publish('t', { n: 1 });
  it.socket.vanish();
  const unsent = it.client.publish('t', { n: 2 });
  await assert.rejects(sent, { code: 'connection_lost' });
  it.clock.pass(100);
  it.socket.welcome();
  assert.deepEqual(it.socket.take().map(({ payload }) => payload.n), [2]);
  it.client.close();
  await assert.rejects(unsent, { code: 'closed' });
  await assert.rejects(it.client.publish('t', {}), { code: 'closed' });
  assert.equal(it.socket.closed, 1000);
});

test('the queue of publishes has an end', async () => {
  const it = puppet();
  const queued = Array.from({ length: 10_000 }, () => it.client.publish('t', {}).catch(({ code }) => code));
  await assert.rejects(it.client.publish('t', {}), { code: 'queue_full' });
  it.client.close();
  assert.deepEqual([...new Set(await Promise.all(queued))], ['closed']);
});

test('a refused subscription ends and says why', async () => {
  const it = puppet();
  const errors = [];
  const subscription = it.client.subscribe({ topics: 't', filter: 'x <' }, { error: (error) => errors.push(error) });
  it.socket.welcome();
  it.socket.say({ type: 'error', id: 's1', code: 'bad_filter', field: 'filter', message: 'unexpected end at byte 3' });
  await assert.rejects(subscription.ready, { code: 'bad_filter' });
  assert.equal(errors[0].message, 'filter: unexpected end at byte 3');
  assert.ok(errors[0] instanceof FanwireError);
  assert.equal(subscription.state, 'ended');
  it.socket.vanish();
  it.clock.pass(100);
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), []);
});

test('an update is agreed to, refused, or made again with the next connection', async () => {
  const it = puppet();
  const subscription = it.client.subscribe({ topics: 't', filter: 'x < 1' });
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.take();
  const good = subscription.update({ filter: 'x < 2', max_rate: { per: 'key', hz: 2 } });
  const bad = subscription.update({ filter: 'x <' });
  it.socket.say({ type: 'updated', id: 's1' });
  it.socket.say({ type: 'error', id: 's1', code: 'bad_filter', field: 'filter', message: 'no' });
  await good;
  await assert.rejects(bad, { code: 'bad_filter' });
  const late = subscription.update({ max_rate: null });
  it.socket.vanish();
  it.clock.pass(100);
  it.socket.take();
  it.socket.welcome();
  const [again, update] = it.socket.take();
  assert.deepEqual([again.filter, again.max_rate.hz], ['x < 2', 2]);
  assert.deepEqual(update, { type: 'update', id: 's1', max_rate: null });
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say({ type: 'updated', id: 's1' });
  await late;
  assert.deepEqual(subscription.options, { topics: ['t'], filter: 'x < 2' });
  await assert.rejects(subscription.update({ topics: ['u'] }), TypeError);
});

test('after a change of filter the position says so, where keys may leave', () => {
  for (const leave of [true, undefined]) {
    const it = puppet();
    const subscription = it.client.subscribe({ topics: 't', filter: 'x < 1', leave });
    it.socket.welcome();
    const { id } = subscription;
    it.socket.say({ type: 'subscribed', id });
    it.socket.say({ type: 'live', id, epoch: 'e', offsets: { t: 3 }, time_us: 50, replayed: 0 });
    subscription.update({ filter: 'x < 2' });
    assert.equal(subscription.position.filter_changed, undefined);
    it.socket.say({ type: 'updated', id });
    assert.equal(subscription.position.filter_changed, leave);
  }
});

test('an ended subscription hears nothing more', async () => {
  const it = puppet();
  const heard = [];
  const subscription = it.client.subscribe('t', ({ offset }) => heard.push(offset));
  it.socket.welcome();
  const ended = subscription.unsubscribe();
  it.socket.say(event('t', 1));
  it.socket.say({ type: 'unsubscribed', id: 's1' });
  it.socket.say(event('t', 2));
  await ended;
  await subscription.unsubscribe();
  assert.deepEqual(heard, [1]);
  await assert.rejects(subscription.update({ filter: null }), { code: 'unsubscribed' });
});

test('options that the protocol does not know are refused before they are sent', () => {
  const { client } = puppet();
  assert.throws(() => client.subscribe({ topics: 't', fitler: 'x' }), /no option `fitler`/);
  client.subscribe({ id: 'a', topics: 't' });
  assert.throws(() => client.subscribe({ id: 'a', topics: 't' }), /not in use, and "a" is not/);
  assert.throws(() => client.subscribe({ id: 7, topics: 't' }), /must be a string/);
});

test('silence is asked about, and then taken for death', () => {
  const it = puppet();
  it.client.connect();
  it.socket.welcome();
  it.clock.pass(20_000);
  assert.deepEqual(it.socket.take(), [{ type: 'ping' }]);
  it.socket.say({ type: 'pong', time_us: 1 });
  it.clock.pass(20_000);
  assert.deepEqual(it.socket.take(), [{ type: 'ping' }]);
  it.clock.pass(20_000);
  assert.equal(it.client.state, 'waiting');
  assert.equal(it.sockets[0].closed, 1005);
  it.clock.pass(100);
  it.socket.welcome();
  assert.deepEqual([it.client.state, it.sockets.length], ['open', 2]);
});

test('a token that ended ends the client', async () => {
  const it = puppet();
  const states = [];
  it.client.onstate = (state, detail) => states.push([state, detail?.code]);
  const subscription = it.client.subscribe('t');
  it.socket.vanish(4001, 'token expired');
  it.clock.pass(60_000);
  assert.deepEqual(states, [['connecting', undefined], ['closed', 4001]]);
  await assert.rejects(subscription.ready, { code: 'closed', message: 'the server closed the connection: 4001 token expired' });
});

test('a handler\'s mistake is reported as such, and stops nobody else', (context) => {
  const it = puppet();
  const heard = [];
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  context.after(() => delete globalThis.reportError);
  it.client.subscribe({ id: 'a', topics: 't' }, () => {
    throw new Error('mine');
  });
  hearing(it, 'b', heard);
  it.socket.welcome();
  it.socket.say(event('t', 1, { subs: ['a', 'b'] }));
  assert.deepEqual(heard, ['b1']);
  assert.deepEqual(reported, ['mine']);
});

test('everything that is said can be listened to', () => {
  const it = puppet();
  const said = [];
  it.client.onmessage = (direction, text) => said.push(direction + JSON.parse(text).type);
  it.client.subscribe('t');
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1' });
  assert.deepEqual(said, ['<welcome', '>subscribe', '<subscribed']);
});

test('clients that want the same call it the same, whatever they did before', () => {
  const [fresh, busy] = [puppet(), puppet()];
  for (const it of [fresh, busy]) {
    it.client.connect();
    it.socket.welcome();
  }
  busy.client.ping();
  busy.client.publish('t', {});
  const former = busy.client.subscribe('other', () => {});
  busy.client.subscribe('second', () => {});
  busy.socket.say({ type: 'subscribed', id: 's1' });
  former.unsubscribe();
  assert.equal(busy.client.subscribe('third', () => {}).id, 's3', 'the end of s1 is not known yet, and events of it may still come');
  busy.socket.say({ type: 'unsubscribed', id: 's1' });
  assert.equal(busy.client.subscribe('t', () => {}).id, fresh.client.subscribe('t', () => {}).id);
});

test('the past is asked for at a pace until it is live, also over a lost connection', async () => {
  const it = puppet();
  const subscription = it.client.subscribe({ topics: 't', since: 'earliest', speed: 60, play_from: 7, max_gap_ms: 500 }, () => {});
  it.socket.welcome();
  const wish = { type: 'subscribe', id: 's1', topics: ['t'], speed: 60, play_from: 7, max_gap_ms: 500 };
  assert.deepEqual(it.socket.take(), [{ ...wish, since: 'earliest' }]);
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say(event('t', 1));
  it.socket.vanish();
  it.clock.pass(10_000);
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), [{ ...wish, since: { epoch: 'a', offsets: { t: 1 }, time_us: 0 } }]);
  assert.equal(subscription.speed, 60);
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say(live({ t: 1 }));
  assert.equal(subscription.speed, undefined);
  it.socket.vanish();
  it.clock.pass(10_000);
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), [{ type: 'subscribe', id: 's1', topics: ['t'], since: { epoch: 'a', offsets: { t: 1 }, time_us: 5 } }]);
});

test('it is paused and moved, and what was told of the place before holds nothing back', async () => {
  const it = puppet();
  const heard = [];
  const subscription = it.client.subscribe({ topics: 't' }, ({ offset }) => heard.push(offset));
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1' });
  it.socket.say(live({ t: 0 }));
  for (const offset of [1, 2, 3]) it.socket.say(event('t', offset));
  it.socket.take();
  const moved = subscription.seek('earliest', { speed: 10 });
  assert.deepEqual(it.socket.take(), [{ type: 'update', id: 's1', since: 'earliest', speed: 10 }]);
  it.socket.say({ type: 'updated', id: 's1' });
  await moved;
  assert.deepEqual([subscription.state, subscription.speed], ['replaying', 10]);
  for (const offset of [1, 2]) it.socket.say(event('t', offset));
  assert.deepEqual(heard, [1, 2, 3, 1, 2]);
  const paused = subscription.pause();
  assert.deepEqual(it.socket.take(), [{ type: 'update', id: 's1', speed: 0 }]);
  it.socket.say({ type: 'updated', id: 's1' });
  await paused;
  // A connection lost while it is paused: it goes on where it was, and is paused still.
  it.socket.vanish();
  it.clock.pass(10_000);
  it.socket.welcome();
  assert.deepEqual(it.socket.take(), [{ type: 'subscribe', id: 's1', topics: ['t'], since: { epoch: 'a', offsets: { t: 2 }, time_us: 0 }, speed: 0 }]);
  it.socket.say({ type: 'subscribed', id: 's1' });
  const back = subscription.seek('last', { speed: null });
  assert.deepEqual(it.socket.take(), [{ type: 'update', id: 's1', since: 'last', speed: null }]);
  it.socket.say({ type: 'updated', id: 's1' });
  await back;
  it.socket.say(event('t', 3));
  it.socket.say(live({ t: 3 }));
  assert.deepEqual([heard.at(-1), subscription.state, subscription.speed], [3, 'live', undefined]);
});
