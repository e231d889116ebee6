// The live page as an operator has it open, in headless Chromium: on a phone and a desk, in light and dark, by keyboard and by screen reader; map, tail, filter, areas,
// topics, who is slow, and what a stranger sees of it.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { SECRET, serve, serveWithKeys, tokenOf } from '../dialects/clients.mjs';
import { drawn, fleet, openPage, publish, shows, useBrowser } from './browser.mjs';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const PHONE = { width: 420, height: 760 };

useBrowser();

/** What axe has against a page, in words. */
async function objections(page) {
  // The page's policy lets no script in but its own; the browser's debugger is not a page.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document));
  assert.ok(passes.length > 20, `axe has looked: ${passes.length}`);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
}

/** A settings file's secret, for a test. */
function adminSecret(t) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-admin-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'secret');
  writeFileSync(file, SECRET);
  return { 'auth.admin_secret_file': file };
}

async function flying(t, settings, count = 12) {
  const server = await serve(t, 'epoll', settings);
  await publish(server, 'demo/fleet', fleet(count));
  return server;
}

test('axe finds nothing: phone and desk, light and dark, with a vehicle, a fault and the dialog open', async (t) => {
  const server = await flying(t);
  for (const [size, scheme] of [[PHONE, 'dark'], [{}, 'light'], [{}, 'dark'], [PHONE, 'light']]) {
    const { page, faults } = await openPage(t, server, { ...size, scheme });
    await drawn(page, 12);
    await shows(page, 'dialects', 'native');
    assert.deepEqual(await objections(page), [], `${scheme} ${JSON.stringify(size)}`);
    await page.locator('#sky').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await shows(page, 'details-events', 'upsert');
    await page.fill('#filter', 'altitude <');
    await page.locator('#objection').waitFor();
    assert.deepEqual(await objections(page), [], 'with a vehicle and a fault');
    await page.locator('#access').click();
    assert.deepEqual(await objections(page), [], 'with the dialog');
    assert.deepEqual(faults, []);
  }
  await server.stop();
});

test('on a phone nothing lies over anything, and everything can be had', async (t) => {
  const server = await flying(t);
  const { page, faults } = await openPage(t, server, PHONE);
  await drawn(page, 12);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 420);
  const covered = await page.evaluate(() => {
    // Whatever may be used is on top of its own place, once it is scrolled to.
    const covered = [];
    for (const node of document.querySelectorAll('input, button, a, canvas#sky, #legend, .panel h2, #tail h2')) {
      if (node.closest('dialog, [hidden]') || node.getClientRects().length === 0) continue;
      node.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = node.getBoundingClientRect();
      const found = document.elementsFromPoint(left + width / 2, top + height / 2);
      const isPassive = getComputedStyle(node).pointerEvents === 'none';
      if (!isPassive && found[0] !== node && !node.contains(found[0])) covered.push(`${node.id || node.textContent}: ${found[0]?.id || found[0]?.tagName}`);
    }
    return covered;
  });
  assert.deepEqual(covered, []);
  const [legend, filter] = [await page.locator('#legend').boundingBox(), await page.locator('#filter').boundingBox()];
  const apart = legend.y >= filter.y + filter.height || filter.y >= legend.y + legend.height || legend.x >= filter.x + filter.width || filter.x >= legend.x + legend.width;
  assert.ok(apart, `${JSON.stringify(legend)} lies over ${JSON.stringify(filter)}`);
  assert.deepEqual(faults, []);
  await server.stop();
});

test('a filter is explained while it is typed, and what was shown goes on until one is right', async (t) => {
  const server = await flying(t);
  const { page, faults } = await openPage(t, server);
  await drawn(page, 12);
  await page.locator('#filter').pressSequentially('altitude < ');
  await shows(page, 'objection', '↑');
  assert.equal(await page.getAttribute('#filter', 'aria-invalid'), 'true');
  assert.equal(await page.textContent('#vehicles'), '12');
  await page.locator('#filter').pressSequentially('10000');
  const low = fleet(12).filter(({ altitude }) => altitude < 10_000).length;
  await drawn(page, low);
  assert.equal(await page.isHidden('#objection'), true);
  await page.fill('#topic', 'demo//fleet');
  await page.keyboard.press('Enter');
  await shows(page, 'objection', 'empty segment');
  assert.deepEqual(faults, []);
  await server.stop();
});

test('the tail shows events of any topic, and is held', async (t) => {
  const server = await serve(t, 'epoll');
  const { page, faults } = await openPage(t, server, { path: '/?topic=chat/**' });
  await shows(page, 'state-text', 'live');
  await publish(server, 'chat/lobby', { text: '<b>hello</b>' }, { key: 'ada' });
  await shows(page, 'tail-events', '<b>hello</b>');
  assert.match(await page.textContent('#tail-events li'), /chat\/lobby.*ada.*upsert/);
  // Nothing has a position: the tail has the map's place.
  await page.locator('#stage').waitFor({ state: 'hidden' });
  await publish(server, 'chat/lobby', { text: 'here', latitude: 47, longitude: 8 }, { key: 'ada' });
  await page.locator('#stage').waitFor({ state: 'visible' });
  await drawn(page, 1);
  await shows(page, 'topic-rows', 'chat/lobby');
  await page.locator('#hold').click();
  await publish(server, 'chat/lobby', { text: 'held' });
  await shows(page, 'tail-count', '3 heard');
  assert.equal(await page.locator('#tail-events li').count(), 2);
  await page.locator('#hold').click();
  await shows(page, 'tail-events', 'held');
  // A topic of the list is shown by a press, without leaving the page.
  await page.getByRole('button', { name: 'chat/lobby' }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('topic') === 'chat/lobby');
  assert.deepEqual(faults, []);
  await server.stop();
});

test('an area that is drawn becomes the filter, and a press shows a vehicle and its last events', async (t) => {
  const server = await serve(t, 'epoll');
  for (const [step, longitude] of [7, 7.001, 7.002].entries()) {
    await publish(server, 'demo/fleet', { longitude, latitude: 46.5, altitude: 1000 + step }, { key: 'west' });
  }
  await publish(server, 'demo/fleet', { longitude: 9.5, latitude: 46.5 }, { key: 'east' });
  const { page, faults } = await openPage(t, server);
  await drawn(page, 2);
  const box = await page.locator('#sky').boundingBox();
  // The western half of the map, around its middle line.
  const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
  await page.locator('#draw').click();
  await page.mouse.move(...at(0.05, 0.1));
  await page.mouse.down();
  for (const [x, y] of [[0.48, 0.1], [0.48, 0.95], [0.05, 0.95], [0.05, 0.12]]) await page.mouse.move(...at(x, y), { steps: 12 });
  await page.mouse.up();
  await drawn(page, 1);
  assert.match(await page.inputValue('#filter'), /^within\(latitude, longitude, polygon\(/);
  await page.locator('#sky').focus();
  await page.keyboard.press('ArrowRight');
  const tip = await page.locator('#tip').boundingBox();
  assert.match(await page.textContent('#tip'), /west/);
  // The vehicle lies up and left of its tip.
  await page.mouse.click(tip.x - 18, tip.y - 12);
  await shows(page, 'details-name', 'west');
  await page.waitForFunction(() => document.querySelectorAll('#details-events li').length === 3);
  assert.match(await page.textContent('#details-events li'), /upsert 3 .*"altitude":1002/);
  await page.keyboard.press('Escape');
  await page.locator('#details-close').click();
  await page.locator('#area-clear').click();
  await drawn(page, 2);
  assert.equal(await page.inputValue('#filter'), '');
  await page.locator('#area-view').click();
  await page.waitForFunction(() => /^within\(latitude, longitude, box\(/.test(document.getElementById('filter').value));
  await drawn(page, 2);
  assert.deepEqual(faults, []);
  await server.stop();
});

test('the map is zoomed and pulled by wheel, hand and keys, and follows again', async (t) => {
  const server = await flying(t);
  const { page, faults } = await openPage(t, server);
  await drawn(page, 12);
  const picture = () => page.evaluate(() => document.getElementById('ground').toDataURL());
  const follows = () => page.getAttribute('#fit', 'aria-pressed');
  const seen = [await picture()];
  const changed = async (what) => {
    assert.equal(seen.includes(await picture()), false, what);
    assert.equal(await follows(), 'false', what);
    seen.push(await picture());
  };
  const { x, y, width, height } = await page.locator('#sky').boundingBox();
  await page.mouse.move(x + width / 3, y + height / 3);
  await page.mouse.wheel(0, -300);
  await page.waitForFunction(() => document.getElementById('fit').getAttribute('aria-pressed') === 'false');
  await changed('wheel');
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2, { steps: 5 });
  await page.mouse.up();
  await changed('pull');
  await page.locator('#sky').focus();
  for (const key of ['+', 'Shift+ArrowLeft']) {
    await page.keyboard.press(key);
    await changed(key);
  }
  await page.locator('#zoom-out').click();
  await changed('button');
  await page.locator('#sky').focus();
  await page.keyboard.press('0');
  assert.equal(await follows(), 'true');
  assert.deepEqual(faults, []);
  await server.stop();
});

test('a stranger sees totals and what anyone may hear; an operator sees who is there, and leaves no trace', async (t) => {
  const server = await flying(t, adminSecret(t));
  await publish(server, 'hidden/depot', { depot: true });
  const { page, faults } = await openPage(t, server);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await drawn(page, 12);
  await shows(page, 'topic-rows', 'demo/fleet');
  await shows(page, 'slow-count', 'nobody is behind');
  // Some turns of figures later nothing of an operator's was asked for.
  const turns = () => asked.filter((url) => url.endsWith('/metrics')).length;
  const before = turns();
  while (turns() < before + 4) await page.waitForRequest(/\/metrics$/);
  assert.deepEqual(asked.filter((url) => url.includes('/admin/')), []);
  assert.equal((await page.textContent('#topic-rows')).includes('hidden/depot'), false);
  assert.equal(await page.isHidden('#slow-rows'), true);

  await page.locator('#access').click();
  await page.fill('#access-secret', 'another');
  await page.getByRole('button', { name: 'use', exact: true }).click();
  await shows(page, 'access-fault', 'is not taken');
  await page.fill('#access-secret', SECRET);
  await page.getByRole('button', { name: 'use', exact: true }).click();
  await shows(page, 'topic-rows', 'hidden/depot');
  await shows(page, 'topic-rows', '{"depot":true}');
  await page.locator('#slow-rows').waitFor();
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href, document.body.innerHTML]);
  assert.deepEqual(kept.slice(0, 3), [0, 0, '']);
  assert.equal(kept.slice(3).some((text) => text.includes(SECRET)), false);
  assert.deepEqual(asked.filter((url) => url.includes(SECRET)), []);
  assert.deepEqual(faults, []);
  await server.stop();
});

test('where nobody may be anonymous the page says so, and a token shows what it grants', async (t) => {
  const server = await serveWithKeys(t, 'epoll', { 'auth.anonymous': 'nowhere' });
  const token = tokenOf({ sub: 'ada', fanwire: { subscribe: ['demo/**'], publish: ['demo/**'] } });
  await publish(server, 'demo/fleet', fleet(3), { token });
  const { page, faults } = await openPage(t, server);
  await page.waitForFunction(() => document.getElementById('objection').textContent !== '' || document.getElementById('state-text').textContent.includes('token'), undefined, { timeout: 60_000 });
  assert.equal(await page.textContent('#vehicles'), '0');
  await page.locator('#access').click();
  await page.fill('#access-token', token);
  await page.getByRole('button', { name: 'use', exact: true }).click();
  await drawn(page, 3);
  assert.equal(await page.isHidden('#objection'), true);
  assert.deepEqual(faults, []);
  await server.stop();
});

test('five thousand vehicles on a phone: all are there, and the page goes on', async (t) => {
  const server = await serve(t, 'epoll');
  const { page, faults } = await openPage(t, server, PHONE);
  await shows(page, 'state-text', 'live');
  await page.evaluate(() => {
    window.frames = [];
    let last = performance.now();
    requestAnimationFrame(function frame(now) {
      window.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    });
  });
  for (let step = 0; step < 5; step += 1) await publish(server, 'demo/fleet', fleet(5000, step));
  await page.waitForFunction(() => document.getElementById('vehicles').textContent === '5,000', undefined, { timeout: 60_000 });
  const frames = await page.evaluate(() => window.frames.slice(1).sort((a, b) => a - b));
  // How long frames are is for a calm machine: `node tests/clients/browser/frames.mjs` measures it.
  t.diagnostic(`${frames.length} frames, median ${frames[Math.floor(frames.length / 2)].toFixed(1)} ms, longest ${frames.at(-1).toFixed(1)} ms`);
  assert.deepEqual(faults, []);
  await server.stop();
});
