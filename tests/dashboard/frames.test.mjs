// What a frame of the map draws while five thousand updates come a second, counted: how long that takes is a machine's own (`tests/clients/browser/frames.mjs`), how much it is, is ours.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { LiveMap } from '../../src/dashboard/map.js';
import { TRAIL_POINTS_MAX } from '../../src/dashboard/paint.js';
import { Tracks } from '../../src/dashboard/tracks.js';
import { fleet } from '../clients/browser/fleet.mjs';

const LAND = readFileSync(new URL('../../src/dashboard/land.bin', import.meta.url));
/** Milliseconds from one frame to the next, and from one part of a second's updates to the next. */
const FRAME_MS = 16;
const PART_MS = 100;
/** Calls of a canvas besides those for each vehicle, point or outline. */
const BESIDES_MAX = 200;
/** Calls that the ground may take: outlines as they are seen on a phone. */
const GROUND_MAX = 12_000;

/** A browser of which nothing is there but what a map asks for, and counts of what it draws, by canvas. */
function browser() {
  const counts = { ground: 0, trails: 0, sky: 0, other: 0 };
  const context = (name) => new Proxy({}, { get: () => () => (counts[name] += 1), set: () => true });
  const element = (name) => {
    const own = context(name in counts ? name : 'other');
    return { clientWidth: 420, clientHeight: 500, offsetWidth: 80, offsetHeight: 40, style: {}, classList: { toggle() {} }, addEventListener() {}, setAttribute() {}, replaceChildren() {}, getContext: () => own };
  };
  const elements = new Map();
  const find = (name) => elements.get(name) ?? elements.set(name, element(name)).get(name);
  const globals = {
    document: { documentElement: {}, getElementById: find, createElement: () => element('other') },
    getComputedStyle: () => ({ getPropertyValue: () => '#000' }),
    matchMedia: () => ({ matches: false }),
    devicePixelRatio: 2,
    ResizeObserver: class {
      observe() {}
    },
    // A path is drawn on the canvas of trails alone.
    Path2D: class {
      moveTo() {
        counts.trails += 1;
      }
      lineTo() {
        counts.trails += 1;
      }
    },
    fetch: async () => ({ ok: true, arrayBuffer: async () => LAND }),
  };
  Object.assign(globalThis, globals);
  return () => {
    const taken = { ...counts };
    for (const name of Object.keys(counts)) counts[name] = 0;
    return taken;
  };
}

/** What each frame of so many seconds draws, with so many vehicles of which each is heard of once a second. */
async function frames(count, seconds) {
  const take = browser();
  const tracks = new Tracks();
  const map = new LiveMap(tracks);
  // The world has been read.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const began = performance.now();
  const drawn = [];
  let parts = 0;
  for (let passed = 0; passed < seconds * 1000; passed += FRAME_MS) {
    const now = began + passed;
    for (; parts * PART_MS <= passed; parts += 1) {
      const vehicles = fleet(count, Math.floor(parts / 10));
      const size = Math.ceil(count / 10);
      for (const one of vehicles.slice((parts % 10) * size, (parts % 10 + 1) * size)) tracks.hear({ topic: 'demo/fleet', key: one.id, op: 'upsert', payload: one }, now);
    }
    take();
    map.frame(now);
    drawn.push(take());
  }
  assert.equal(tracks.size, count);
  return drawn;
}

test('at five thousand updates a second a frame draws each vehicle once at most, and trails in a frame of their own', async () => {
  for (const count of [1500, 5000]) {
    const drawn = await frames(count, 8);
    // By then each has been heard of.
    const complete = drawn.slice(Math.ceil(1100 / FRAME_MS));
    for (const { ground, trails, sky, other } of complete) {
      assert.ok(sky <= 3 * count + BESIDES_MAX, `${count}: ${sky} calls for vehicles`);
      assert.ok(trails <= TRAIL_POINTS_MAX + BESIDES_MAX, `${count}: ${trails} for trails`);
      assert.ok(ground <= GROUND_MAX, `${count}: ${ground} for the ground`);
      assert.ok(sky === 0 || trails < 10, `${count}: ${sky} for vehicles and ${trails} for trails`);
      assert.equal(other, 0);
    }
    // The view has come to rest: the ground stays, pictures are 22 a second at most, and trails ten.
    const atRest = drawn.slice(drawn.length / 2);
    const each = (canvas) => atRest.filter((frame) => frame[canvas] > 0).length / 4;
    assert.equal(each('ground'), 0);
    assert.ok(each('sky') <= 22 && each('sky') >= 15, `${count}: ${each('sky')} pictures a second`);
    assert.ok(each('trails') <= 10 && each('trails') >= 5, `${count}: ${each('trails')} times trails a second`);
  }
});

test('a few vehicles are drawn with every frame', async () => {
  const drawn = await frames(100, 4);
  const pictures = drawn.filter(({ sky }) => sky > 0).length;
  assert.ok(pictures >= drawn.length - 3, `${pictures} of ${drawn.length}`);
});
