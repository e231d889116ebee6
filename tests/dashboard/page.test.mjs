// What the page computes without a browser: figures of the metrics page, areas and filters, the world's outlines, what happened, topics.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { areaOf, boxClause, polygonClause, simplify, withClause } from '../../src/dashboard/area.js';
import { Happenings } from '../../src/dashboard/happenings.js';
import { LASTS_MAX, Lasts, covers } from '../../src/dashboard/lasts.js';
import { decode, isSeen, trace } from '../../src/dashboard/land.js';
import { byLabel, parse, quantile, rate, total } from '../../src/dashboard/metrics.js';
import { TOPICS_MAX, Topics } from '../../src/dashboard/topics.js';
import { View } from '../../src/dashboard/view.js';

const PAGE = `# HELP a_total x
# TYPE a_total counter
a_total{shard="0"} 3
a_total{shard="1"} 4
a_totals 9
b 1.5e3
d_connections{dialect="native"} 2
d_connections{dialect="MQTT \\"5\\""} 1
h_seconds_bucket{le="0.001"} 10
h_seconds_bucket{le="0.002"} 30
h_seconds_bucket{le="+Inf"} 40
`;

test('figures are found by their whole name, and added up or told apart by a label', () => {
  const samples = parse(PAGE);
  assert.deepEqual([total(samples, 'a_total'), total(samples, 'b'), total(samples, 'c'), total(undefined, 'b')], [7, 1500, undefined, undefined]);
  assert.equal(byLabel(samples, 'd_connections', 'dialect').get('native'), 2);
  assert.equal(byLabel(samples, 'c', 'dialect').size, 0);
});

test('a rate is a difference, and a restart is no negative one', () => {
  const at = (count) => parse(`a_total ${count}\n`);
  assert.equal(rate(at(100), at(350), 'a_total', 500), 500);
  assert.equal(rate(at(350), at(10), 'a_total', 1000), undefined);
  assert.equal(rate(at(1), at(2), 'a_total', 0), undefined);
  assert.equal(rate(undefined, at(2), 'a_total', 1000), undefined);
});

test('a quantile is of what came between two pages', () => {
  const page = (low, middle, all) => parse(`h_bucket{le="0.001"} ${low}\nh_bucket{le="0.002"} ${middle}\nh_bucket{le="+Inf"} ${all}\n`);
  // Twenty came: none below a millisecond, ten between one and two, ten beyond.
  const [before, after] = [page(10, 10, 10), page(10, 20, 30)];
  assert.equal(quantile(before, after, 'h', 0.25), 0.0015);
  assert.equal(quantile(before, after, 'h', 0.99), 0.002, 'beyond the last bound nothing is known but that');
  assert.equal(quantile(after, after, 'h', 0.5), undefined);
  assert.equal(quantile(after, before, 'h', 0.5), undefined, 'a server that started anew');
  assert.equal(quantile(undefined, page(4, 4, 4), 'h', 0.5), 0.0005);
});

test('a line that a hand drew becomes an area of few corners that lies where it was drawn', () => {
  const drawn = Array.from({ length: 400 }, (_, index) => {
    const angle = (index / 400) * 2 * Math.PI;
    return [8 + Math.cos(angle), 47 + Math.sin(angle) / 2];
  });
  const corners = simplify(drawn);
  assert.ok(corners.length <= 24 && corners.length >= 8, String(corners.length));
  for (const [x, y] of corners) assert.ok(Math.abs((x - 8) ** 2 + (2 * (y - 47)) ** 2 - 1) < 0.01, `${x} ${y}`);
  assert.equal(simplify([[8, 47], [8, 47], [8, 47]]), undefined, 'a point');
  assert.equal(simplify([[8, 47], [9, 47], [8.5, 47]]), undefined, 'a line');
});

test('an area is the last clause of a filter: it takes the place of the one before, and leaves the rest', () => {
  const names = ['lat', 'lon'];
  const area = polygonClause([[8, 46], [9, 46], [9, 47]], names);
  assert.equal(area, 'within(lat, lon, polygon(46 8, 46 9, 47 9))');
  assert.equal(withClause('', area), area);
  assert.equal(withClause('altitude < 10', area), `altitude < 10 and ${area}`);
  assert.equal(withClause('a = 1 or b = 2', area), `(a = 1 or b = 2) and ${area}`);
  assert.equal(withClause('(a = 1 or b = 2) and c = "or ("', area), `(a = 1 or b = 2) and c = "or (" and ${area}`);
  const box = boxClause({ west: 6.123456, east: 10, south: 45, north: 48 }, names);
  assert.equal(box, 'within(lat, lon, box(45, 6.1235, 48, 10))');
  const once = withClause('altitude < 10', area);
  assert.equal(withClause(once, box), `altitude < 10 and ${box}`);
  assert.equal(withClause(once, undefined), 'altitude < 10');
  assert.equal(withClause(area, undefined), '');
  assert.deepEqual(areaOf(once), [[8, 46], [9, 46], [9, 47]]);
  assert.deepEqual(areaOf(box), [[6.1235, 45], [10, 45], [10, 48], [6.1235, 48]]);
  for (const other of ['', 'altitude < 10', 'within(lat, lon, circle(1, 2, 3km))', 'within(lat, lon, box(1, 2, x, 4))']) assert.equal(areaOf(other), undefined, other);
});

test('the world is read: areas of land, borders, and the country that most data fly over', () => {
  const { areas, borders } = decode(readFileSync(new URL('../../src/dashboard/land.bin', import.meta.url)));
  assert.ok(areas.length > 1000 && borders.length > 200, `${areas.length} ${borders.length}`);
  for (const { points, west, east, south, north } of [...areas, ...borders]) {
    assert.ok(points.length >= 4 && west >= -180 && east <= 180 && south >= -90 && north <= 90);
  }
  const around = { west: 6.1, east: 10.4, south: 45.9, north: 47.7 };
  const near = borders.filter((border) => isSeen(border, around));
  const points = near.reduce((sum, border) => sum + border.points.length / 2, 0);
  assert.ok(near.length >= 5 && points > 100, `${near.length} borders around Switzerland, of ${points} points`);
});

test('what lies within a pixel is not drawn, and the last point is', () => {
  const view = new View();
  view.resize(400, 400);
  const drawn = [];
  const context = { moveTo: (x, y) => drawn.push([x, y]), lineTo: (x, y) => drawn.push([x, y]) };
  const points = new Float32Array(2000);
  for (let index = 0; index < 1000; index += 1) points.set([7 + index / 10_000, 47], 2 * index);
  trace(context, { points }, view);
  assert.ok(drawn.length < 20, String(drawn.length));
  assert.ok(Math.abs(drawn.at(-1)[0] - view.x(7.0999)) < 0.1);
});

test('the map is zoomed about a place, and pulled, and stays on the globe', () => {
  const view = new View();
  view.resize(800, 600);
  const [longitude, latitude] = [view.longitude(200), view.latitude(150)];
  const scale = view.scale;
  view.zoom(2, 200, 150);
  assert.ok(view.scale > 1.9 * scale && Math.abs(view.longitude(200) - longitude) < 0.05 && Math.abs(view.latitude(150) - latitude) < 0.05);
  const before = view.longitude(0);
  view.pan(100, 0);
  assert.ok(view.longitude(0) < before && Math.abs(view.longitude(100) - before) < 1e-6);
  for (let times = 0; times < 50; times += 1) view.zoom(0.5);
  assert.ok(view.seen.east - view.seen.west <= 800 && Number.isFinite(view.scale));
  for (let times = 0; times < 100; times += 1) view.zoom(2);
  assert.ok(view.seen.north - view.seen.south >= 0.049);
  for (let times = 0; times < 2000; times += 1) view.pan(-1e6, -1e6);
  const { west, east, south, north } = view.seen;
  assert.ok(Math.abs((west + east) / 2) <= 180.1 && Math.abs((south + north) / 2) <= 80.1);
});

/** What a page says of these states, the newest last: `[state, detail, welcome, seconds]`. */
function told(...states) {
  const happenings = new Happenings();
  for (const [state, detail, welcome, second] of states) happenings.state(state, detail, welcome, second * 1000);
  return happenings.list.map(({ kind, text }) => `${kind}: ${text}`).reverse();
}

test('a restart, an upgrade and a lost connection are told apart', () => {
  const [old, anew, newer] = [{ server: 'fanwire/1', epoch: 'a' }, { server: 'fanwire/1', epoch: 'b' }, { server: 'fanwire/2', epoch: 'b' }];
  const lost = { cause: 'lost', code: 1006, reason: '', wait_ms: 50, attempt: 1 };
  const stops = { cause: 'stopping', code: 1001, wait_ms: 400, attempt: 1 };
  assert.deepEqual(told(['open', undefined, old, 1], ['waiting', lost, old, 5], ['waiting', { ...lost, attempt: 2 }, old, 6], ['open', undefined, old, 7.5]), ['loss: the connection was lost (1006)', 'back: connected again, away for 2.5 s']);
  assert.deepEqual(told(['open', undefined, old, 1], ['waiting', lost, old, 5], ['open', undefined, anew, 9]), ['loss: the connection was lost (1006)', 'restart: restarted, away for 4.0 s']);
  assert.deepEqual(told(['open', undefined, old, 1], ['waiting', stops, old, 5], ['open', undefined, anew, 5.4]), ['loss: the server stops, and has us back in 0.4 s', 'upgrade: another process took over (fanwire/1), nobody was turned away']);
  assert.deepEqual(told(['open', undefined, old, 1], ['waiting', stops, old, 5], ['waiting', { ...lost, attempt: 2 }, old, 6], ['open', undefined, anew, 95]), ['loss: the server stops, and has us back in 0.4 s', 'restart: restarted, away for 1 min 30 s']);
  assert.deepEqual(told(['open', undefined, old, 1], ['waiting', stops, old, 5], ['open', undefined, newer, 5.4]).at(-1), 'upgrade: upgraded from fanwire/1 to fanwire/2, away for 0.4 s; load this page anew for the one that it brings');
  assert.deepEqual(told(['closed', { cause: 'required', code: 1008, reason: 'authentication required' }, undefined, 1]), ['loss: closed for good: a token is needed']);
  assert.deepEqual(told(['closed', { cause: 'closed' }, undefined, 1]), []);
});

test('what a loss cost is told exactly', () => {
  const happenings = new Happenings();
  happenings.recovered({ complete: true, gaps: [], replayed: 12_345 }, 0);
  happenings.recovered({ complete: true, gaps: [], replayed: 0 }, 0);
  happenings.recovered({ complete: false, gaps: [{ from: 3, to: 5, reason: 'evicted' }, { from: 9, to: 9, reason: 'slow' }], replayed: 0 }, 0);
  happenings.recovered({ complete: false, gaps: [{ from: 1, to: 0, reason: 'epoch' }], replayed: 0 }, 0);
  assert.deepEqual(happenings.list.map(({ text }) => text).reverse(), ['nothing is missing: 12,345 events made up for', 'nothing is missing', '4 events missing in 2 gaps', 'its history began anew: what came between is unknown']);
  for (let times = 0; times < 200; times += 1) happenings.recovered({ complete: true, gaps: [], replayed: 0 }, times);
  assert.equal(happenings.list.length, 50);
});

test('last values are asked for where nothing else tells them, a few at a time, and not again where they are refused', () => {
  const asked = [];
  const ended = [];
  const fanwire = {
    subscribe({ topics: [name] }, { event, error }) {
      asked.push(name);
      if (name === 'secret') error(new Error('forbidden'));
      else event({ topic: name });
      return { unsubscribe: async () => ended.push(name) };
    },
  };
  const heard = [];
  const lasts = new Lasts(({ topic }) => heard.push(topic));
  lasts.follow(['fleet/a', 'chat', 'secret'], 'fleet/**', fanwire);
  lasts.follow(['fleet/a', 'chat', 'secret', 'weather'], 'fleet/**', fanwire);
  assert.deepEqual([asked, heard, ended], [['chat', 'secret', 'weather'], ['chat', 'weather'], []]);
  lasts.follow(['fleet/a'], 'chat', fanwire);
  assert.deepEqual([asked.at(-1), ended], ['fleet/a', ['chat', 'weather']]);
  lasts.follow(Array.from({ length: 40 }, (_, number) => `t${number}`), 'chat', fanwire);
  assert.equal(asked.length, 4 + LASTS_MAX);
  lasts.clear();
  lasts.follow(['secret'], 'chat', fanwire);
  assert.equal(asked.at(-1), 'secret', 'whoever it is now may be allowed');
});

test('a pattern covers what the server says that it does', () => {
  for (const [pattern, name, is] of [['a/**', 'a/b', true], ['a/**', 'a', false], ['**', 'a', true], ['a/*', 'a/b', true], ['a/*', 'a/b/c', false], ['a', 'a', true], ['a', 'a/b', false], ['*/b', 'a/b', true], ['a/b', 'a', false]]) assert.equal(covers(pattern, name), is, `${pattern} ${name}`);
});

test('topics have their last values, their rates by offset, and an end', () => {
  const topics = new Topics();
  topics.hear({ topic: 'a', key: 'k', op: 'upsert', offset: 10, payload: { n: 1 } });
  topics.list([{ topic: 'a', offset: 10, durable: true }, { topic: 'b', offset: 100, durable: false }]);
  topics.measure(0);
  topics.hear({ topic: 'a', key: 'k', op: 'upsert', offset: 15, payload: { n: 2 } });
  topics.list([{ topic: 'b', offset: 400, durable: false }]);
  topics.measure(2000);
  assert.deepEqual(topics.top(9).map(({ topic, rate: a_second, last, durable }) => [topic, a_second, last?.payload.n, durable]), [['b', 150, undefined, false], ['a', 2.5, 2, true]]);
  topics.measure(20_000);
  topics.measure(26_000);
  assert.deepEqual(topics.top(9).map(({ rate: a_second }) => a_second), [0, 0]);
  topics.restart();
  topics.list([{ topic: 'b', offset: 3, durable: false }]);
  topics.measure(27_000);
  assert.equal(topics.top(9).find(({ topic }) => topic === 'b').rate, undefined, 'offsets of another server are no rate');
  for (let number = 0; number < 2 * TOPICS_MAX; number += 1) topics.hear({ topic: `t${number}`, op: 'event', offset: 1, payload: {} });
  assert.equal(topics.size, TOPICS_MAX);
});
