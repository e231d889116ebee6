// The viewer of the API's documents, in headless Chromium: both documents in the four layouts that ResolveSpec names, found, tried, and read by screen reader.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { serve } from '../dialects/clients.mjs';
import { openPage, useBrowser } from './browser.mjs';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

useBrowser();

const ready = (page) => page.waitForFunction(() => document.documentElement.dataset.ready === 'true');

test('both documents are shown in each layout, light and dark, and axe finds nothing', async (t) => {
  const server = await serve(t, 'epoll');
  for (const [layout, scheme, width] of [['', 'dark', 1280], ['/swagger-ui', 'light', 420], ['/rapidoc', 'dark', 1280], ['/redoc', 'light', 1280], ['/scalar', 'dark', 1280]]) {
    for (const spec of ['/openapi', '/asyncapi']) {
      const { page, faults } = await openPage(t, server, { path: `/openapi/ui${layout}?spec=${spec}`, scheme, width });
      await ready(page);
      const of = spec === '/openapi' ? '/v1/publish/{topic}' : 'fanwire.v1';
      assert.ok((await page.textContent('main')).includes(of), `${layout} ${spec}`);
      if (layout !== '/redoc' && layout !== '/scalar') await page.locator('details.operation > summary').first().click();
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, 'nothing runs out of the page');
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run(document));
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`), [], `${layout} ${spec}`);
      assert.deepEqual(faults, []);
      await page.close();
    }
  }
  const other = await fetch(`http://${server.address}/openapi/ui/other`);
  assert.equal(other.status, 400);
  assert.match((await other.json()).error.message, /^Unsupported UI type/);
  await server.stop();
});

test('a call is found and made, and a stream is shown until it is stopped', async (t) => {
  const server = await serve(t, 'epoll');
  const { page, faults } = await openPage(t, server, { path: '/openapi/ui#publish' });
  await ready(page);
  await page.fill('#find', 'last-event-id play_from');
  assert.deepEqual(await page.locator('details.operation:visible').evaluateAll((nodes) => nodes.map((node) => node.id)), ['listen']);
  await page.fill('#find', '');
  const listen = page.locator('#listen');
  await listen.locator('summary').first().click();
  await listen.getByLabel('topic').fill('fleet/**');
  await listen.getByRole('button', { name: 'try it' }).click();
  await page.waitForFunction(() => document.querySelector('#listen output').textContent.includes('event: live'));
  const publish = page.locator('#publish');
  await publish.getByRole('button', { name: 'try it' }).click();
  await page.waitForFunction(() => document.querySelector('#publish output').textContent.includes('"accepted":1'));
  await page.waitForFunction(() => document.querySelector('#listen output').textContent.includes('38000'));
  await listen.getByRole('button', { name: 'stop' }).click();
  await listen.getByRole('button', { name: 'try it' }).waitFor();
  assert.deepEqual(faults, []);
  await server.stop();
});

test('what is served is what stands in docs', async (t) => {
  const server = await serve(t, 'epoll');
  for (const name of ['openapi', 'asyncapi']) {
    const answer = await fetch(`http://${server.address}/${name}`);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(await answer.text(), readFileSync(new URL(`../../../docs/api/${name}.json`, import.meta.url), 'utf8'));
  }
  await server.stop();
});
