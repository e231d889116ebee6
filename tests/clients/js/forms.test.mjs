// Events in the forms in which they come, each as the long form has it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Forms } from '../../../src/clients/js/forms.js';
import { puppet } from './support.mjs';

const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** The compact form, and the long form of the same event. */
const PAIRS = [
  [[1, 0, 'k', 42, 9, { n: 1.5 }], { subs: [1], topic: 'a', key: 'k', op: 'upsert', offset: 42, time_us: 9, payload: { n: 1.5 } }],
  [['map', 1, 0, 1, 2, {}], { subs: ['map'], topic: 'y', op: 'event', offset: 1, time_us: 2, payload: {} }],
  [[[1, 'map'], 'b/c', ['delete', 'k'], 3, 4, {}], { subs: [1, 'map'], topic: 'b/c', key: 'k', op: 'delete', offset: 3, time_us: 4, payload: {} }],
  [[1, 1, ['leave', 'k'], 3, 4, {}], { subs: [1], topic: 'b', key: 'k', op: 'leave', offset: 3, time_us: 4, payload: {} }],
  [[1, 1, ['upsert'], 3, 4, {}], { subs: [1], topic: 'b', op: 'upsert', offset: 3, time_us: 4, payload: {} }],
  [[{ traceparent: trace }, 1, 0, 0, 3, 4, {}], { subs: [1], traceparent: trace, topic: 'a', op: 'event', offset: 3, time_us: 4, payload: {} }],
];

function agreed() {
  const forms = new Forms();
  assert.equal(forms.events({ type: 'subscribed', id: 1, topics: ['a', 'b'] }), undefined);
  assert.equal(forms.events({ type: 'subscribed', id: 'map', topics: ['x', 'y'] }), undefined);
  return forms;
}

test('the compact form says what the long form says, alone and in a batch', () => {
  const forms = agreed();
  for (const [compact, long] of PAIRS) {
    assert.deepEqual(forms.events(compact), [{ type: 'event', ...long }]);
    assert.deepEqual(forms.events({ type: 'batch', events: [compact, long] }), [{ type: 'event', ...long }, { type: 'event', ...long }]);
  }
});

test('what is no message of events is none', () => {
  const forms = agreed();
  for (const type of ['gap', 'live', 'error', 'of a later version']) assert.equal(forms.events({ type, id: 1 }), undefined);
});

test('a client hears what is told in either form, and numbers of topics end with their subscription and connection', () => {
  const it = puppet();
  const heard = [];
  it.client.subscribe({ topics: ['t', 'u'] }, ({ topic, offset }) => heard.push([topic, offset]));
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1', topics: ['t', 'u'] });
  it.socket.say(['s1', 1, 0, 1, 5, {}]);
  it.socket.say({ type: 'event', subs: ['s1'], topic: 't', op: 'event', offset: 1, time_us: 6, payload: {} });
  it.socket.vanish();
  it.clock.pass(100);
  it.socket.welcome();
  it.socket.say({ type: 'subscribed', id: 's1', topics: ['u'] });
  it.socket.say({ type: 'batch', events: [['s1', 0, 0, 2, 7, {}]] });
  assert.deepEqual(heard, [['u', 1], ['t', 1], ['u', 2]]);
});

test('who does not want the compact form does not offer it', () => {
  const it = puppet({ compact: false });
  it.client.connect();
  assert.deepEqual(it.socket.protocols, ['fanwire.v1']);
});
