// The live page's time, in headless Chromium: back an hour, played at 60 times its pace, faster and slower, paused, by keyboard alone, narrow, with a filter, and live again.
//
// The past is imported with stamps of its own, so nobody waits for an hour.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve } from '../dialects/clients.mjs';

const binary = process.env.FANWIRE_BIN ?? fileURLToPath(new URL('../../../target/debug/fanwire', import.meta.url));
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const VEHICLES = 12;
const EVERY_S = 5;

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath, args: FLAGS });
});

after(() => browser?.close());

/** A server with an hour of the past in its folder: vehicles that go east, each heard of every five seconds. Odd ones fly high. */
async function hourAgo(t) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-slider-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const end_us = Date.now() * 1000;
  const lines = [];
  for (let second = 3600; second > 0; second -= EVERY_S) {
    for (let number = 0; number < VEHICLES; number += 1) {
      const way = (3600 - second) / 3600;
      const payload = { id: `v${number}`, longitude: 6 + way * 3, latitude: 46 + number / 10, altitude: number % 2 ? 30_000 : 3_000, second };
      lines.push(JSON.stringify({ topic: 'demo/fleet', key: `v${number}`, op: 'upsert', time_us: end_us - second * 1e6 + number, payload }));
    }
  }
  const data = join(folder, 'data');
  const imported = spawnSync(binary, ['history', 'import', '--topics', 'demo/**', data], { input: lines.join('\n') });
  assert.equal(imported.status, 0, String(imported.stderr));
  const server = await serve(t, 'epoll', { data_dir: data }, ['--durable', 'demo/**']);
  return server;
}

/** The page, what its WebSocket says and is told, and what it shows. */
async function open(server, { width = 1200, height = 800, query = '' } = {}) {
  const page = await browser.newPage({ viewport: { width, height } });
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  const said = [];
  const heard = [];
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => said.push(JSON.parse(payload)));
    socket.on('framereceived', ({ payload }) => {
      const message = JSON.parse(payload);
      // In the compact form an event is a list, its payload the last of it.
      const told = Array.isArray(message) ? [message] : (message.events ?? [message]);
      for (const event of told) heard.push(Array.isArray(event) ? { payload: event.at(-1) } : event);
    });
  });
  await page.goto(`http://${server.address}/${query}`);
  const shows = (id, text) => page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);
  const pressed = (id) => page.getAttribute(id, 'aria-pressed');
  await shows('state-text', 'live');
  await page.waitForFunction(() => Number(document.getElementById('vehicles').textContent) > 0);
  return { page, faults, said, heard, shows, pressed };
}

/** What was last asked of the server about the past. */
const lastSeek = (said) => said.findLast((message) => message.type === 'update' && message.since !== undefined);
const seconds = (heard) => heard.filter((event) => event.payload?.second !== undefined).map((event) => event.payload.second);

test('the map goes back an hour, plays it at 60 times its pace, waits, and is live again', async (t) => {
  const server = await hourAgo(t);
  const { page, faults, said, heard, shows, pressed } = await open(server);
  const slider = page.getByRole('slider', { name: 'Time' });
  assert.equal(await slider.getAttribute('aria-valuetext'), 'live');
  assert.equal(await page.getByRole('button', { name: '60×' }).isDisabled(), true, 'the present has one pace');

  heard.length = 0;
  await slider.fill('-3500');
  await shows('state-text', 'past, 10×');
  await page.getByRole('button', { name: '60×' }).click();
  await shows('state-text', 'past, 60×');
  assert.deepEqual([lastSeek(said).speed, lastSeek(said).max_gap_ms], [10, 2000]);
  assert.equal(said.at(-1).speed, 60);
  // A minute of the past a second: it comes in its order.
  await page.waitForFunction(() => Number(document.getElementById('slider').value) > -3380, undefined, { timeout: 60_000 });
  const told = seconds(heard);
  assert.ok(told[0] > 3480 && told.at(-1) < 3440, `${told[0]} to ${told.at(-1)}`);
  assert.ok(told.every((second, at) => at === 0 || second <= told[at - 1]), 'in the order in which it happened');
  assert.match(await slider.getAttribute('aria-valuetext'), /^\d+ minutes.* ago, \d\d:\d\d:\d\d$/);
  assert.equal(await page.textContent('#vehicles'), String(VEHICLES));

  await page.getByRole('button', { name: 'pause' }).click();
  await shows('state-text', 'paused');
  await page.waitForFunction(() => document.getElementById('pause').ariaPressed === 'true');
  const paused = said.findLast((message) => message.type === 'update');
  assert.equal(paused.speed, 0);
  await page.getByRole('button', { name: 'pause' }).click();
  await shows('state-text', 'past, 60×');

  await page.getByRole('button', { name: 'live', exact: true }).click();
  await shows('state-text', 'live');
  assert.deepEqual([lastSeek(said).since, lastSeek(said).speed], ['last', null]);
  assert.deepEqual([await pressed('#live'), await slider.inputValue()], ['true', '0']);
  await page.waitForFunction((count) => document.getElementById('vehicles').textContent === String(count), VEHICLES);
  assert.deepEqual(faults, []);
  await page.close();
  await server.stop();
});

test('near the present the past ends by itself, and the page says so', async (t) => {
  const server = await hourAgo(t);
  const { page, shows, faults } = await open(server);
  await page.getByRole('slider', { name: 'Time' }).fill('-60');
  await shows('state-text', 'past');
  await page.getByRole('button', { name: '60×' }).click();
  await shows('state-text', 'live');
  assert.equal(await page.getByRole('slider', { name: 'Time' }).getAttribute('aria-valuetext'), 'live');
  assert.deepEqual(faults, []);
  await page.close();
  await server.stop();
});

test('by keyboard alone, on a narrow page, with a filter', async (t) => {
  const server = await hourAgo(t);
  const { page, said, heard, shows, faults } = await open(server, { width: 420, height: 760, query: '?topic=demo/fleet&filter=altitude%20<%2010000' });
  assert.equal(await page.textContent('#vehicles'), String(VEHICLES / 2));
  // Everything is there to be seen and used.
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 420);
  for (const id of ['live', 'slider', 'pause', 'filter']) {
    const box = await page.locator(`#${id}`).boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 420 && box.y + box.height <= 760 && box.height >= 14, `${id}: ${JSON.stringify(box)}`);
  }
  const widths = await page.locator('#slider').boundingBox();
  assert.ok(widths.width >= 120, `a slider that can be held: ${widths.width}`);

  heard.length = 0;
  await page.locator('#slider').focus();
  await page.keyboard.press('Home');
  await shows('state-text', 'past');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.speed), '1');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await shows('state-text', 'past, 60×');
  await page.waitForFunction(() => Number(document.getElementById('vehicles').textContent) > 0);
  assert.ok(heard.filter((event) => event.payload?.altitude > 10_000).length === 0, 'the filter holds in the past');
  // Another filter goes on where the map is.
  await page.fill('#filter', 'altitude > 10000');
  await page.waitForFunction(() => location.search.includes('%3E') || location.search.includes('>'));
  const anew = said.findLast((message) => message.type === 'subscribe');
  assert.deepEqual([anew.filter, anew.speed], ['altitude > 10000', 60]);
  assert.ok(anew.play_from < (Date.now() - 3_000_000) * 1000, 'most of an hour ago');
  await page.locator('#slider').focus();
  await page.keyboard.press('End');
  await shows('state-text', 'live');
  assert.deepEqual(faults, []);
  await page.close();
  await server.stop();
});
