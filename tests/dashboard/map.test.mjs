import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Lag, countText, lagText, objectionText } from '../../src/dashboard/figures.js';
import { BACK_S, Replay, clockText, sliderText } from '../../src/dashboard/replay.js';
import { FADE_MS, Tracks } from '../../src/dashboard/tracks.js';
import { HOME, View, boxFor, graticuleStep } from '../../src/dashboard/view.js';

const report = (key, longitude, latitude, rest = {}) => ({
  topic: 't',
  key,
  op: 'upsert',
  payload: { longitude, latitude, ...rest },
});

test('a vehicle goes on as it went, and only for as long as its reports were apart', () => {
  const tracks = new Tracks();
  tracks.hear(report('a', 8, 47), 0);
  tracks.hear(report('a', 8.001, 47), 1000);
  const [vehicle] = tracks;
  tracks.advance(1500, Infinity);
  assert.ok(Math.abs(vehicle.x - 8.0015) < 1e-9);
  tracks.advance(9000, Infinity);
  assert.ok(Math.abs(vehicle.x - 8.002) < 1e-9);
  assert.equal(Math.round(vehicle.heading), 90);
});

test('a jump begins a new trail, and a known heading counts for more than the way gone', () => {
  const tracks = new Tracks();
  tracks.hear(report('a', 8, 47, { track: 10 }), 0);
  tracks.hear(report('a', 8.01, 47, { track: 10 }), 1000);
  tracks.hear(report('a', 8.02, 47, { track: 10 }), 2000);
  const [vehicle] = tracks;
  assert.deepEqual([vehicle.heading, vehicle.trail], [10, [8, 47, 8.02, 47]]);
  tracks.hear(report('a', 9.5, 47), 3000);
  assert.deepEqual([vehicle.trail, vehicle.x, vehicle.east], [[9.5, 47], 9.5, 0]);
});

test('what is not heard of fades and is gone, what was deleted is gone at once', () => {
  const tracks = new Tracks();
  tracks.hear(report('a', 8, 47), 0);
  tracks.hear(report('b', 8, 47), 0);
  tracks.hear({ topic: 't', key: 'b', op: 'delete', payload: {} }, 10);
  tracks.advance(2000, 16);
  assert.deepEqual([...tracks].map(({ key }) => key), ['a']);
  tracks.advance((FADE_MS.begin + FADE_MS.end) / 2, 16);
  assert.ok(Math.abs([...tracks][0].presence - 0.5) < 0.01);
  tracks.advance(FADE_MS.end, 16);
  assert.equal(tracks.size, 0);
});

test('one that comes back after it was deleted is another one', () => {
  const tracks = new Tracks();
  tracks.hear(report('a', 8, 47, { callsign: 'ONE' }), 0);
  tracks.hear({ topic: 't', key: 'a', op: 'leave', payload: {} }, 10);
  tracks.hear(report('a', 8.1, 47), 20);
  tracks.advance(3000, 16);
  const [vehicle] = tracks;
  assert.deepEqual([tracks.size, vehicle.callsign, vehicle.presence], [1, undefined, 1]);
});

test('reports may lack what they like', () => {
  const tracks = new Tracks();
  tracks.hear(report('a', null, 47), 0);
  tracks.hear({ topic: 't', key: 'x', op: 'event', payload: { text: 'hello' } }, 0);
  assert.equal(tracks.size, 0);
  tracks.hear(report('a', 8, 47, { altitude: 900, callsign: ' SWR1 ' }), 0);
  tracks.hear(report('a', null, null, { altitude: null, groundspeed: 140 }), 1000);
  const [vehicle] = tracks;
  assert.deepEqual([vehicle.altitude, vehicle.speed, vehicle.callsign, vehicle.longitude], [900, 140, 'SWR1', 8]);
});

test('other names for the same members', () => {
  const tracks = new Tracks();
  tracks.hear({ topic: 't', op: 'event', payload: { id: 'truck', lat: 1, lng: 2, speed: 3, heading: 4, name: 'T' } }, 0);
  const [vehicle] = tracks;
  assert.deepEqual([vehicle.longitude, vehicle.latitude, vehicle.speed, vehicle.heading, vehicle.callsign], [2, 1, 3, 4, 'T']);
});

test('a place is where it was found', () => {
  const view = new View();
  for (const [width, height] of [[1600, 900], [400, 900]]) {
    view.resize(width, height);
    for (const [longitude, latitude] of [[6, 46], [8.5, 47.3]]) {
      assert.ok(Math.abs(view.longitude(view.x(longitude)) - longitude) < 1e-9);
      assert.ok(Math.abs(view.latitude(view.y(latitude)) - latitude) < 1e-9);
    }
    assert.ok(view.x(HOME.west) >= -1e-9 && view.x(HOME.east) <= width + 1e-9);
    assert.ok(view.y(HOME.north) >= -1e-9 && view.y(HOME.south) <= height + 1e-9);
  }
});

test('the view keeps the country in sight where the data are near, and goes to them where they are not', () => {
  assert.equal(boxFor(undefined), HOME);
  const near = boxFor({ west: 8, east: 8.1, south: 47, north: 47.1 });
  assert.ok(near.west < HOME.west && near.north > HOME.north);
  const far = boxFor({ west: -74, east: -74, south: 40.7, north: 40.7 });
  assert.ok(far.east - far.west > 0.09 && far.east < -70);
  const view = new View();
  for (let step = 0; step < 500; step += 1) view.approach(far, 0.06);
  assert.ok(Math.abs(view.box.west - far.west) < 0.002 && !view.approach(far, 0.06));
});

test('the graticule is quiet at every scale', () => {
  for (const span of [0.05, 0.3, 5, 20, 180, 360]) assert.ok(span / graticuleStep(span) <= 8.01, String(span));
});

test('lag is told by the server\'s clock', () => {
  const lag = new Lag();
  assert.equal(lag.drain(), undefined);
  lag.compare(1000, 1020, 2_010_000);
  for (const age of [5, 40, 7]) lag.take((3000 - age) * 1000, 2000);
  assert.equal(lag.drain(), 7);
  assert.equal(lag.drain(), undefined);
});

test('figures are readable', () => {
  assert.deepEqual([undefined, 0, 4.25, 139_098, 1_234_567].map(countText), ['–', '0', '4.3', '139,098', '1.23 M']);
  assert.deepEqual([undefined, 0.2, 12.4, 2500].map(lagText), ['–', '< 1 ms', '12 ms', '2.5 s']);
});

test('an objection points at its place, counted in letters', () => {
  const error = { field: 'filter', message: 'filter: unexpected `<` at byte 10' };
  assert.equal(objectionText('name = "é" <', error), 'name = "é" <\n         ↑ unexpected `<` at byte 10');
  assert.equal(objectionText('x', { field: 'topics[0]', message: 'no byte 3' }), 'no byte 3');
});

test('the map is live, or at a moment of the past that goes on with what is heard', () => {
  const replay = new Replay();
  const now_ms = 1_800_000_000_000;
  assert.deepEqual([replay.isLive, replay.behind_s(now_ms), replay.place()], [true, 0, { since: 'last' }]);
  assert.equal(sliderText(replay, now_ms), 'live');
  replay.goTo(725, now_ms);
  const at_us = (now_ms - 725_000) * 1000;
  assert.deepEqual(replay.place(), { since: { time_us: at_us - 90e6 }, speed: 10, play_from: at_us, max_gap_ms: 2000 });
  assert.equal(replay.behind_s(now_ms), 725);
  assert.match(sliderText(replay, now_ms), /^12 minutes 5 seconds ago, \d\d:\d\d:\d\d$/);
  // What is told of the state before it does not take it back.
  replay.hear(at_us - 5e6);
  assert.equal(replay.behind_s(now_ms), 725);
  replay.hear(at_us + 60e6);
  assert.equal(replay.behind_s(now_ms), 665);
  assert.equal(clockText(replay, now_ms), clockText({ behind_s: () => 0 }, now_ms - 665_000));
  replay.setSpeed(60);
  replay.pause(true);
  assert.equal(replay.place().speed, 0);
  replay.arrived();
  assert.deepEqual([replay.isLive, replay.isPaused, replay.speed], [true, false, 60]);
  assert.ok(BACK_S >= 3600, 'an hour');
});
