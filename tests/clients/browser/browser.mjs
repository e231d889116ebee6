// What the tests of pages share: a headless Chromium, the live page with what it says and hears, and publishing.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

export { fleet } from './fleet.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
// Nothing of the network but what a test asks for.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

let browser;

/** One browser for all tests of a file. */
export function useBrowser() {
  before(async () => {
    browser = await chromium.launch({ executablePath, args: FLAGS });
  });
  after(() => browser?.close());
}

/** A browser of a test's own, started with these flags besides. */
export async function launch(t, ...flags) {
  const own = await chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
  t.after(() => own.close());
  return own;
}

/** A page of a server; what goes wrong on it, and what is loaded from elsewhere, is in `faults`. */
export async function openPage(t, server, { path = '/', width = 1280, height = 800, scheme = 'dark', isEncrypted = false, context } = {}) {
  const own = context ?? (await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce', ignoreHTTPSErrors: isEncrypted }));
  if (!context) t.after(() => own.close());
  const page = await own.newPage();
  const origin = `${isEncrypted ? 'https' : 'http'}://${server.address}`;
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) faults.push(`loads ${request.url()}`);
  });
  page.on('console', (message) => message.type() === 'error' && /Content Security Policy/.test(message.text()) && faults.push(message.text()));
  await page.goto(`${origin}${path}`);
  return { page, faults };
}

/** A context that several pages share, as tabs of one browser do. */
export async function tabs(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

/** Waits until an element says this. */
export function shows(page, id, text) {
  return page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text], { timeout: 60_000 });
}

export async function publish(server, topic, body, { key, token } = {}) {
  const headers = { 'Content-Type': Array.isArray(body) ? 'application/x-ndjson' : 'application/json', ...(key && { 'Fanwire-Key': key }), ...(token && { Authorization: `Bearer ${token}` }) };
  const text = Array.isArray(body) ? body.map((one) => JSON.stringify(one)).join('\n') : JSON.stringify(body);
  const query = Array.isArray(body) ? '?key_field=id' : '';
  const response = await fetch(`http://${server.address}/v1/publish/${topic}${query}`, { method: 'POST', headers, body: text });
  assert.equal(response.status, 200, await response.text());
}

/** Waits until so many vehicles are on the map. */
export function drawn(page, count) {
  return page.waitForFunction((count) => document.getElementById('vehicles').textContent === count, String(count), { timeout: 60_000 });
}

/** Ends a process that a test has started, by its id, if it has not ended by itself. */
export function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    assert.equal(error.code, 'ESRCH');
  }
}
