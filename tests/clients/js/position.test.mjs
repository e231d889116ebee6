import assert from 'node:assert/strict';
import { test } from 'node:test';

import { POSITION_TOPICS_MAX, Progress } from '../../../src/clients/js/position.js';

test('live only becomes a position', () => {
  const progress = new Progress(undefined);
  assert.equal(progress.begin('a'), undefined);
  assert.equal(progress.position, undefined);
  progress.live({ epoch: 'a', offsets: { t: 3 }, time_us: 50 });
  progress.advance('t', 4);
  progress.advance('u', 1);
  assert.deepEqual(progress.begin('a'), { epoch: 'a', offsets: { t: 4, u: 1 }, time_us: 50 });
  assert.equal(progress.hasSeen('t', 4), false);
});

test('a replay of everything is gone on with', () => {
  for (const [since, time_us] of [['earliest', 0], [{ time_us: 80 }, 79]]) {
    const progress = new Progress(since);
    assert.deepEqual(progress.begin('a'), since);
    progress.advance('t', 7);
    assert.deepEqual(progress.begin('a'), { epoch: 'a', offsets: { t: 7 }, time_us });
  }
});

test('a replay of last values begins again without what was handed over', () => {
  const progress = new Progress('last');
  progress.begin('a');
  progress.advance('t', 7);
  assert.equal(progress.begin('a'), 'last');
  assert.ok(progress.hasSeen('t', 7) && progress.hasSeen('t', 2));
  assert.ok(!progress.hasSeen('t', 8) && !progress.hasSeen('u', 1));
  assert.equal(progress.begin('b'), 'last');
  assert.ok(!progress.hasSeen('t', 7));
});

test('a position of another epoch is asked for until the replay is complete', () => {
  const old = { epoch: 'a', offsets: { t: 100 }, time_us: 50 };
  const progress = new Progress(old);
  assert.deepEqual(progress.begin('b'), old);
  assert.ok(!progress.hasSeen('t', 0), 'a gap from 1 to 0: nothing is known');
  progress.advance('t', 0);
  assert.ok(progress.hasSeen('t', 0));
  progress.advance('t', 2);
  assert.deepEqual(progress.begin('b'), old);
  assert.ok(progress.hasSeen('t', 2) && !progress.hasSeen('t', 3));
  progress.live({ epoch: 'b', offsets: { t: 5 }, time_us: 70 });
  assert.deepEqual(progress.position, { epoch: 'b', offsets: { t: 5 }, time_us: 70 });
});

test('a position is the keeper\'s own, and a topic may have any name', () => {
  const since = JSON.parse('{"epoch":"a","offsets":{"__proto__":3,"constructor":1}}');
  const progress = new Progress(since);
  since.offsets.t = 9;
  const kept = progress.begin('a');
  assert.equal(JSON.stringify(kept), '{"epoch":"a","offsets":{"__proto__":3,"constructor":1}}');
  kept.offsets.t = 9;
  assert.equal(progress.position.offsets.t, undefined);
});

test('a position says that keys came inside by another filter, until the server counts anew', () => {
  const progress = new Progress(undefined);
  progress.begin('a');
  progress.live({ epoch: 'a', offsets: { t: 3 }, time_us: 50 });
  progress.filterChanged();
  const said = { epoch: 'a', offsets: { t: 3 }, time_us: 50, filter_changed: true };
  assert.deepEqual(progress.begin('a'), said);
  assert.deepEqual(new Progress(said).begin('a'), said);
  progress.begin('b');
  progress.live({ epoch: 'b', offsets: { t: 1 }, time_us: 60 });
  assert.deepEqual(progress.begin('b'), { epoch: 'b', offsets: { t: 1 }, time_us: 60 });
});

test('there is room for so many topics', () => {
  const progress = new Progress({ epoch: 'a', offsets: {} });
  progress.begin('a');
  for (let topic = 0; topic <= POSITION_TOPICS_MAX; topic += 1) progress.advance(`t${topic}`, 1);
  assert.equal(Object.keys(progress.position.offsets).length, POSITION_TOPICS_MAX);
});
