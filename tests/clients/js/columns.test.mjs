// Batches in columns: event by event, as typed arrays, and what of them is told after a lost connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Columns } from '../../../src/clients/js/columns.js';
import { live, puppet } from './support.mjs';

const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

const ONE_TOPIC = {
  type: 'columns', subs: ['s1'], count: 3, topic: 't', op: 'upsert', key: ['a', 'b', 'a'], offset: [7, 1, 1], time_us: [1_786_600_000_000_456, 20, 300],
  payload: { alt: [38000, 1.5, -2], name: ['x', null, 'z'] },
};

const MIXED = {
  type: 'columns', subs: ['s1'], count: 3, topics: ['t', 'u'], topic: [0, 1, 0], op: ['upsert', 'delete', 'event'], key: ['a', 'b', ''], offset: [7, -6, 7], time_us: [10, 5, 5],
  traceparent: [null, trace, null], payload: { alt: [1, 2] }, bare: [1], rest: [{ more: true }, null, null],
};

const event = (members) => ({ type: 'event', subs: ['s1'], ...members });

test('events are what they are one by one', () => {
  assert.deepEqual([...Columns.of(ONE_TOPIC).events()], [
    event({ topic: 't', key: 'a', op: 'upsert', offset: 7, time_us: 1_786_600_000_000_456, payload: { alt: 38000, name: 'x' } }),
    event({ topic: 't', key: 'b', op: 'upsert', offset: 8, time_us: 1_786_600_000_000_476, payload: { alt: 1.5, name: null } }),
    event({ topic: 't', key: 'a', op: 'upsert', offset: 9, time_us: 1_786_600_000_000_776, payload: { alt: -2, name: 'z' } }),
  ]);
  assert.deepEqual([...Columns.of(MIXED).events()], [
    event({ topic: 't', key: 'a', op: 'upsert', offset: 7, time_us: 10, payload: { alt: 1, more: true } }),
    event({ traceparent: trace, topic: 'u', key: 'b', op: 'delete', offset: 1, time_us: 15, payload: {} }),
    event({ topic: 't', op: 'event', offset: 8, time_us: 20, payload: { alt: 2 } }),
  ]);
  const odd = Columns.of({ ...ONE_TOPIC, payload: JSON.parse('{"__proto__":[1,2,3]}'), key: undefined });
  assert.equal(JSON.stringify(odd.event(1).payload), '{"__proto__":2}');
});

test('numbers are typed arrays, as long as there are events', () => {
  const { payload, offset, time_us } = Columns.of(ONE_TOPIC);
  assert.ok(payload.alt instanceof Float64Array && offset instanceof Float64Array && time_us instanceof Float64Array);
  assert.deepEqual(payload.name, ['x', null, 'z']);
  assert.deepEqual(Columns.of(MIXED).payload.alt, [1, undefined, 2]);
});

test('without a handler of columns events are told, with one the columns, and positions are the same', () => {
  for (const isTyped of [false, true]) {
    const it = puppet();
    const heard = [];
    const handlers = isTyped ? { columns: ({ offset }) => heard.push(...offset) } : { event: ({ offset }) => heard.push(offset) };
    const wish = { topics: 't', batch: { max_events: 8, form: 'columns' } };
    const subscription = it.client.subscribe(wish, handlers);
    it.socket.welcome();
    assert.deepEqual(it.socket.take()[0].batch, wish.batch);
    it.socket.say({ type: 'subscribed', id: 's1' });
    it.socket.say(live({ t: 6 }));
    it.socket.say(ONE_TOPIC);
    assert.deepEqual(heard, [7, 8, 9]);
    assert.deepEqual(subscription.position.offsets, { t: 9 });
  }
});

test('what was told before a connection was lost is not told again', () => {
  for (const isTyped of [false, true]) {
    const it = puppet();
    const heard = [];
    const handlers = isTyped ? { columns: ({ count, offset, key }) => heard.push([count, ...offset, ...key]) } : { event: ({ offset }) => heard.push(offset) };
    it.client.subscribe({ topics: 't', since: 'last' }, handlers);
    it.socket.welcome();
    it.socket.say({ type: 'subscribed', id: 's1' });
    it.socket.say({ ...ONE_TOPIC, count: 2, key: ['a', 'b'], offset: [7, 1], time_us: [1, 1], payload: { alt: [1, 2] } });
    it.socket.vanish();
    it.clock.pass(100);
    it.socket.welcome();
    it.socket.say({ type: 'subscribed', id: 's1' });
    it.socket.say(ONE_TOPIC);
    assert.deepEqual(heard, isTyped ? [[2, 7, 8, 'a', 'b'], [1, 9, 'a']] : [7, 8, 9]);
  }
});
