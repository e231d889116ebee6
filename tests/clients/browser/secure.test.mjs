// The live page over https, with a certificate that an authority has issued and a browser that believes nobody else, in headless Chromium: on map and charts, through a restart and an upgrade.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { SECRET, serve } from '../dialects/clients.mjs';
import { ask, authority } from './authority.mjs';
import { drawn, end, fleet, launch, openPage, shows } from './browser.mjs';

test('over https the fleet is followed on map and charts, through a restart and an upgrade', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-secure-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const secret = join(folder, 'secret');
  writeFileSync(secret, SECRET);
  const { settings: of, issue, numberOf } = await authority(t);
  const settings = { ...of, 'auth.admin_secret_file': secret, return_spread_s: 1 };
  const first = await serve(t, 'epoll', settings);
  const { ca, number, issuer } = await issue(first);
  const publish = async (count, step = 0) => {
    const body = fleet(count, step).map((one) => JSON.stringify(one)).join('\n');
    const answer = await ask(first.address, '/v1/publish/demo/fleet?key_field=id', { ca, method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body });
    assert.equal(answer.status, 200, answer.text);
  };
  const stranger = await launch(t);
  await assert.rejects((await stranger.newPage()).goto(`https://${first.address}/`), /ERR_CERT_AUTHORITY_INVALID/);
  const browser = await launch(t, `--ignore-certificate-errors-spki-list=${issuer}`);
  const { page, faults } = await openPage(t, first, { isEncrypted: true, context: await browser.newContext() });
  await shows(page, 'state-text', 'live');
  let step = 0;
  // Charts have a figure once two pages of figures were read with something between them.
  while (/events –|events 0,/.test((await page.getAttribute('#rates', 'aria-label')).replace('no figures yet', 'events –'))) {
    await publish(40, step);
    step += 1;
    await page.waitForTimeout(200);
    assert.ok(step < 300, 'no figures');
  }
  await drawn(page, 40);
  assert.match(await page.getAttribute('#latency', 'aria-label'), /p50 .*, p99 .*, lag here /);
  assert.equal(await page.locator('#rates canvas').count(), 1);

  await first.stop();
  await shows(page, 'happened', 'the server stops');
  const second = await serve(t, 'epoll', { ...settings, listen: first.address });
  await publish(45);
  await shows(page, 'happened', 'its history began anew');
  await drawn(page, 45);

  const answer = await ask(second.address, '/v1/admin/upgrade', { ca, method: 'POST', headers: { Authorization: `Bearer ${SECRET}` } });
  assert.equal(answer.status, 200, answer.text);
  const { process: successor } = JSON.parse(answer.text);
  t.after(() => end(successor));
  await shows(page, 'happened', 'another process took over');
  await publish(50);
  await shows(page, 'state-text', 'live');
  await drawn(page, 50);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation').length), 1, 'the page was never loaded anew');
  // Issued once, and kept by whoever went on.
  assert.equal(await numberOf(second, ca), number);
  assert.deepEqual(faults, []);
});
