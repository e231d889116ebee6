// What a frame draws has bounds, counted on canvases that only count: how long it takes is a machine's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DARTS_FROM, Painter, SPRITES_FRAME_MAX, TRAIL_POINTS_MAX } from '../../src/dashboard/paint.js';
import { Tracks } from '../../src/dashboard/tracks.js';
import { View } from '../../src/dashboard/view.js';

/** A browser of which nothing is there but counts. */
function scene() {
  const counts = { points: 0, sprites: 0, dots: 0, canvases: 0, darts: 0, fills: 0 };
  const context = new Proxy({ drawImage: () => (counts.sprites += 1), fillRect: () => (counts.dots += 1), moveTo: () => (counts.darts += 1), fill: () => (counts.fills += 1) }, { get: (of, name) => of[name] ?? (() => {}), set: () => true });
  const canvas = () => ({ width: 0, height: 0, getContext: () => context });
  const globals = {
    document: { documentElement: {}, createElement: () => ((counts.canvases += 1), canvas()) },
    getComputedStyle: () => ({ getPropertyValue: () => '#000' }),
    matchMedia: () => ({ matches: false }),
    devicePixelRatio: 1,
    Path2D: class {
      moveTo() {
        counts.points += 1;
      }
      lineTo() {
        counts.points += 1;
      }
    },
  };
  Object.assign(globalThis, globals);
  const view = new View();
  const painter = new Painter({ ground: canvas(), trails: canvas(), sky: canvas() }, view);
  view.resize(420, 500);
  painter.resize(420, 500);
  const take = () => {
    const taken = { ...counts };
    for (const name of Object.keys(counts)) counts[name] = 0;
    return taken;
  };
  return { painter, take };
}

function crowd(count, { reports = 30, longitude = 7 } = {}) {
  const tracks = new Tracks();
  for (let report = 0; report < reports; report += 1) {
    for (let number = 0; number < count; number += 1) {
      tracks.hear({ topic: 't', key: `v${number}`, op: 'upsert', payload: { longitude: longitude + (number % 50) / 50 + report * 0.02, latitude: 46 + (number % 97) / 97, altitude: (number * 997) % 40_000, track: (number * 7) % 360 } }, report * 100);
    }
  }
  tracks.advance(reports * 100, 16);
  return tracks;
}

test('trails of a crowd are shorter, so that all of them have so many points, and of a larger one there are none', () => {
  const { painter, take } = scene();
  for (const count of [1, 100, 1900, 2001, 5000, 19_000]) {
    const tracks = crowd(count, { reports: count > 5000 ? 3 : 30 });
    take();
    painter.trails(tracks);
    const { points } = take();
    assert.ok(points <= TRAIL_POINTS_MAX, `${count}: ${points}`);
    assert.ok(points >= (count > 2000 ? 0 : Math.min(4 * count, TRAIL_POINTS_MAX / 2)), `${count}: ${points}`);
    assert.equal(points === 0, count > 2000, `${count}: ${points}`);
  }
});

test('sprites are made a few a frame, vehicles without one are dots, and after some frames each has its own', () => {
  const { painter, take } = scene();
  const tracks = crowd(DARTS_FROM, { reports: 1 });
  take();
  let made = 0;
  for (let frame = 0; frame < 40; frame += 1) {
    painter.vehicles(tracks);
    const { canvases, sprites, dots } = take();
    assert.ok(canvases <= SPRITES_FRAME_MAX, `${canvases}`);
    assert.equal(sprites + dots, DARTS_FROM);
    made += canvases;
    if (dots === 0) break;
  }
  assert.ok(made > 100 && made <= 16 * 48, String(made));
  painter.vehicles(tracks);
  const { sprites, dots, canvases } = take();
  assert.deepEqual([sprites, dots, canvases], [DARTS_FROM, 0, 0]);
});

test('a crowd is one path for each colour', () => {
  const { painter, take } = scene();
  const tracks = crowd(5000, { reports: 1 });
  take();
  painter.vehicles(tracks);
  assert.deepEqual(take(), { points: 0, sprites: 0, dots: 0, canvases: 0, darts: 5000, fills: painter.shades.length });
});

test('what is not on the screen is not drawn', () => {
  const { painter, take } = scene();
  const tracks = crowd(1000, { reports: 3, longitude: 100 });
  take();
  painter.vehicles(tracks);
  painter.trails(tracks);
  const { points, sprites, dots, canvases, darts } = take();
  assert.deepEqual([points, sprites, dots, canvases, darts], [0, 0, 0, 0, 0]);
});
