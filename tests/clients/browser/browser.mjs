// What the tests of pages share: a headless Chromium, the live page with what it says and hears, and publishing.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

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

/** So many vehicles, spread over a country. */
export function fleet(count, step = 0) {
  return Array.from({ length: count }, (_, number) => ({
    id: `v${number}`,
    callsign: `FAN${number}`,
    longitude: 6 + ((number * 37) % 400) / 100 + step / 500,
    latitude: 46 + ((number * 53) % 150) / 100,
    altitude: (number * 997) % 40_000,
    groundspeed: 300 + (number % 200),
  }));
}
