// The live page while its server is restarted and replaced, and tabs that share a connection, in headless Chromium.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { SECRET, serve } from '../dialects/clients.mjs';
import { drawn, end, fleet, openPage, publish, shows, tabs, useBrowser } from './browser.mjs';

useBrowser();

test('the page survives a restart and an upgrade of its server, and shows both', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-upgrade-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'secret');
  writeFileSync(file, SECRET);
  const settings = { 'auth.admin_secret_file': file, return_spread_s: 1 };
  const first = await serve(t, 'epoll', settings);
  await publish(first, 'demo/fleet', fleet(5));
  const { page, faults } = await openPage(t, first);
  await drawn(page, 5);

  await first.stop();
  await page.waitForFunction(() => document.getElementById('state').dataset.state === 'waiting' || document.getElementById('state-text').textContent.includes('connecting'));
  // While it is away it is not there: at least one attempt finds nobody.
  await shows(page, 'happened', 'the server stops');
  const second = await serve(t, 'epoll', { ...settings, listen: first.address });
  await publish(second, 'demo/fleet', fleet(7));
  await shows(page, 'state-text', 'live');
  await page.waitForFunction(() => /restarted|took over/.test(document.getElementById('happened').textContent));
  await shows(page, 'happened', 'its history began anew');
  await drawn(page, 7);

  const answer = await fetch(`http://${second.address}/v1/admin/upgrade`, { method: 'POST', headers: { Authorization: `Bearer ${SECRET}` } });
  assert.equal(answer.status, 200);
  const { process: successor } = await answer.json();
  t.after(() => end(successor));
  await shows(page, 'happened', 'another process took over');
  await publish(second, 'demo/fleet', fleet(9));
  await shows(page, 'state-text', 'live');
  await drawn(page, 9);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation').length), 1, 'the page was never loaded anew');
  assert.deepEqual(faults, []);
});

test('tabs of a site share one connection, each hears what it asked for, and goes on when another is closed', async (t) => {
  const server = await serve(t, 'epoll');
  const context = await tabs(t);
  const open = async () => (await openPage(t, server, { path: '/healthz', context })).page;
  const [one, two] = [await open(), await open()];
  const subscribe = (page, topic) =>
    page.evaluate(async (topic) => {
      const { shared } = await import('/clients/js/shared.js');
      window.heard = [];
      window.client = shared(location.origin, { name: 'tabs' });
      await window.client.subscribe(topic, ({ payload }) => window.heard.push(payload.n)).ready;
    }, topic);
  await subscribe(one, 'a');
  await subscribe(two, ['a', 'b']);
  const connections = async () => Number(/^fanwire_dialect_connections\{dialect="native"\} (\d+)$/m.exec(await (await fetch(`http://${server.address}/metrics`)).text())?.[1] ?? 0);
  const until = async (count) => {
    // A bound that only a broken hub reaches.
    for (let times = 0; (await connections()) !== count; times += 1) {
      assert.ok(times < 1000, `there are never ${count} connections`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await until(1);
  await publish(server, 'a', { n: 1 });
  await publish(server, 'b', { n: 2 });
  await one.waitForFunction(() => window.heard.length === 1);
  await two.waitForFunction(() => window.heard.length === 2);
  const published = await one.evaluate(() => window.client.publishAll([{ topic: 'a', payload: { n: 3 } }, { topic: 'b', payload: { n: 4 } }, { topic: '', payload: {} }]));
  assert.deepEqual(published.map(({ offset }) => offset), [2, 2, undefined]);
  await two.waitForFunction(() => window.heard.length === 4);
  await one.close();
  await publish(server, 'a', { n: 5 });
  await two.waitForFunction(() => window.heard.length === 5);
  // Each once; of one topic in order.
  const heard = await two.evaluate(() => window.heard);
  assert.deepEqual(heard.toSorted(), [1, 2, 3, 4, 5]);
  assert.deepEqual(heard.filter((n) => n % 2 === 1), [1, 3, 5]);
  await until(1);
  await server.stop();
});

test('a tab that goes without a word takes what it asked for with it at once', async (t) => {
  const server = await serve(t, 'epoll');
  const context = await tabs(t);
  const subscriptions = async () => Number(/^fanwire_dialect_subscriptions\{dialect="native"\} (\d+)$/m.exec(await (await fetch(`http://${server.address}/metrics`)).text())?.[1] ?? 0);
  const until = async (count) => {
    // Far less than a hub waits for a tab that is silent.
    for (let times = 0; (await subscriptions()) !== count; times += 1) {
      assert.ok(times < 600, `there are never ${count} subscriptions`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const open = async (topic) => {
    const { page } = await openPage(t, server, { path: '/healthz', context });
    await page.evaluate(async (topic) => {
      // As a tab is that crashes, or whose browser lets it say nothing at its end: nobody hears of that.
      addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true);
      const { shared } = await import('/clients/js/shared.js');
      window.client = shared(location.origin, { name: 'silent' });
      await window.client.subscribe(topic, () => {}).ready;
    }, topic);
    return page;
  };
  const staying = await open('a');
  const going = await open('b');
  await until(2);
  await going.close();
  await until(1);
  await publish(server, 'a', { n: 1 });
  assert.equal(await staying.evaluate(() => window.client.state), 'open');
  await server.stop();
});
