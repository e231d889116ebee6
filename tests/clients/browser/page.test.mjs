// A page of another origin, in headless Chromium: it publishes, subscribes, reads errors, reconnects through a polyfill, and keeps a map without ghosts.
//
// The browser is Debian's (`CHROMIUM` names another); everything that it loads comes from loopback.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, createServer as createProxy } from 'node:net';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve, serveWithKeys, tokenOf } from '../dialects/clients.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const POLYFILL = readFileSync(fileURLToPath(import.meta.resolve('event-source-polyfill/src/eventsource.min.js')));
// Nothing of the network but what a test asks for.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

let browser, site, stranger;

/** A site of its own origin, whose pages are empty. */
async function siteOf() {
  const server = createServer((request, response) => {
    const isScript = request.url === '/polyfill.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? POLYFILL : '<!doctype html><title>page</title><script src="/polyfill.js"></script>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

/** A way to a server that can be cut. */
async function wayTo(address) {
  const [host, port] = address.split(':');
  const open = new Set();
  const proxy = createProxy((client) => {
    const server = connect(Number(port), host);
    for (const [one, other] of [[client, server], [server, client]]) {
      open.add(one);
      one.on('error', () => other.destroy()).on('close', () => (open.delete(one), other.destroy()));
      one.pipe(other);
    }
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = () => open.forEach((socket) => socket.destroy());
  return { address: `127.0.0.1:${proxy.address().port}`, cut, stop: () => (cut(), new Promise((resolve) => proxy.close(resolve))) };
}

async function pageAt(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  return page;
}

async function publish(address, topic, body, key) {
  const headers = { 'Content-Type': 'application/json', ...(key && { 'Fanwire-Key': key }) };
  const response = await fetch(`http://${address}/v1/publish/${topic}`, { method: 'POST', body: JSON.stringify(body), headers });
  assert.equal(response.status, 200);
}

before(async () => {
  browser = await chromium.launch({ executablePath, args: FLAGS });
  [site, stranger] = [await siteOf(), await siteOf()];
});

after(async () => {
  await browser?.close();
  await site?.stop();
  await stranger?.stop();
});

/** What a page gets of a request: its status, some fields and the body; or the name of the error, where the browser keeps it from the page. */
async function ask(page, url, options = {}) {
  return page.evaluate(async ([url, options]) => {
    try {
      const response = await fetch(url, options);
      const field = (name) => response.headers.get(name);
      return { status: response.status, date: field('date'), retryAfter: field('retry-after'), body: await response.text() };
    } catch (error) {
      return { error: error.name };
    }
  }, [url, options]);
}

test('a page of an allowed origin publishes in every dialect, and reads what went wrong', async (t) => {
  const server = await serve(t, 'epoll', { 'auth.origins': site.origin });
  try {
    const page = await pageAt(site.origin);
    const base = `http://${server.address}`;
    const json = { 'Content-Type': 'application/json' };
    const published = await ask(page, `${base}/v1/publish/a`, { method: 'POST', body: '{"n":1}', headers: { ...json, 'Fanwire-Key': 'k' } });
    assert.equal(published.status, 200);
    assert.equal(JSON.parse(published.body).accepted, 1);
    assert.match(published.date, / GMT$/);
    const bad = await ask(page, `${base}/v1/publish/a`, { method: 'POST', body: '{"n":', headers: json });
    assert.equal(bad.status, 400);
    assert.equal(JSON.parse(bad.body).error.code, 'bad_json');
    const cast = await ask(page, `${base}/~websocket@1.0/cast`, { method: 'POST', body: '{"topic":"a"}', headers: json });
    assert.deepEqual([cast.status, cast.body], [200, 'OK']);
    const posted = await ask(page, `${base}/pv/events`, { method: 'POST', body: '{"event_type":"Custom","data":{}}', headers: json });
    assert.equal(posted.status, 200);
    assert.equal((await ask(page, `${base}/nowhere`)).status, 404);
    assert.equal((await ask(page, `${base}/v1/sse?topic=`)).status, 400);
    assert.deepEqual(await ask(page, `${base}/v1/publish/a`, { method: 'DELETE' }), { error: 'TypeError' }, 'a preflight that allows POST only');
  } finally {
    await server.stop();
  }
});

test('a page is told by a status why it may not', async (t) => {
  const server = await serveWithKeys(t, 'epoll', { 'auth.origins': site.origin, 'auth.anonymous': 'nowhere' });
  try {
    const page = await pageAt(site.origin);
    const base = `http://${server.address}`;
    const headers = { Authorization: `Bearer ${tokenOf({ sub: 'ada', fanwire: { subscribe: ['a'] } })}` };
    assert.equal((await ask(page, `${base}/v1/sse?topic=a`)).status, 401);
    const forbidden = await ask(page, `${base}/v1/sse?topic=b`, { headers });
    assert.equal(forbidden.status, 403);
    assert.match(JSON.parse(forbidden.body).error.message, /b is not allowed/);
    assert.equal((await ask(page, `${base}/v1/publish/a`, { method: 'POST', body: '{}', headers: { ...headers, 'Content-Type': 'application/json' } })).status, 403);
  } finally {
    await server.stop();
  }
});

test('a page that publishes faster than it may reads when to try again', async (t) => {
  // A page without a token is on this machine, which is not counted (`auth.publish_per_s`), so it shows one.
  const server = await serveWithKeys(t, 'epoll', { 'auth.origins': site.origin, 'auth.publish_per_s': 3 });
  try {
    const page = await pageAt(site.origin);
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${tokenOf({ sub: 'ada', fanwire: { publish: ['**'] } })}` };
    const event = { event_type: 'Custom', data: {} };
    const body = JSON.stringify({ type: 'batch', events: [event, event, event, event] });
    const answer = await ask(page, `http://${server.address}/pv/events`, { method: 'POST', body, headers });
    assert.equal(answer.status, 429);
    assert.equal(answer.retryAfter, '1');
    const { error, accepted } = JSON.parse(answer.body);
    assert.match(error, /^publish_per_s: /);
    assert.equal(accepted, 3);
  } finally {
    await server.stop();
  }
});

test('a page of another origin gets nothing, and publishes nothing', async (t) => {
  const server = await serve(t, 'epoll', { 'auth.origins': site.origin });
  try {
    const page = await pageAt(stranger.origin);
    const base = `http://${server.address}`;
    assert.deepEqual(await ask(page, `${base}/v1/publish/a`, { method: 'POST', body: '{}' }), { error: 'TypeError' });
    assert.deepEqual(await ask(page, `${base}/v1/sse?topic=a`), { error: 'TypeError' });
    assert.deepEqual(await ask(page, `${base}/healthz`), { error: 'TypeError' });
    const socket = await page.evaluate((url) => new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('refused');
    }), `ws://${server.address}/v1/ws`);
    assert.equal(socket, 'refused');
    const metrics = await (await fetch(`${base}/metrics`)).text();
    assert.match(metrics, /\nfanwire_events_total 0\n/);
  } finally {
    await server.stop();
  }
});

test('a page reconnects through a polyfill where it was', async (t) => {
  const server = await serve(t, 'epoll', { 'auth.origins': site.origin });
  const way = await wayTo(server.address);
  try {
    const page = await pageAt(site.origin);
    await page.evaluate((url) => new Promise((resolve) => {
      window.heard = [];
      window.gaps = 0;
      const source = new EventSourcePolyfill(url);
      source.onmessage = (event) => window.heard.push(JSON.parse(event.data).payload.n);
      source.addEventListener('gap', () => (window.gaps += 1));
      source.addEventListener('live', resolve);
    }), `http://${way.address}/v1/sse?topic=a`);
    const until = (count) => page.waitForFunction((count) => window.heard.length >= count, count, { timeout: 60_000 });
    await publish(server.address, 'a', { n: 1 });
    await until(1);
    for (let n = 2; n <= 4; n += 1) {
      way.cut();
      await publish(server.address, 'a', { n });
      await until(n);
    }
    assert.deepEqual(await page.evaluate(() => [window.heard, window.gaps]), [[1, 2, 3, 4], 0]);
  } finally {
    await way.stop();
    await server.stop();
  }
});

test('a map over an event stream has no ghosts', async (t) => {
  const server = await serve(t, 'epoll', { 'auth.origins': site.origin });
  try {
    const page = await pageAt(site.origin);
    await publish(server.address, 'fleet', { altitude: 100 }, 'low');
    await publish(server.address, 'fleet', { altitude: 90000 }, 'high');
    const filter = encodeURIComponent('altitude < 10000');
    await page.evaluate((url) => new Promise((resolve) => {
      window.map = {};
      const source = new EventSource(url);
      source.onmessage = (event) => {
        const { key, op, payload } = JSON.parse(event.data);
        if (op === 'upsert') window.map[key] = payload.altitude;
        else delete window.map[key];
      };
      source.addEventListener('live', resolve);
    }), `http://${server.address}/v1/sse?topic=fleet&since=last&leave=true&filter=${filter}`);
    const is = (map) => page.waitForFunction((map) => JSON.stringify(window.map) === map, JSON.stringify(map), { timeout: 60_000 });
    await is({ low: 100 });
    await publish(server.address, 'fleet', { altitude: 200 }, 'climbs');
    await is({ low: 100, climbs: 200 });
    await publish(server.address, 'fleet', { altitude: 20000 }, 'climbs');
    await is({ low: 100 });
    await publish(server.address, 'fleet', { altitude: 50000 }, 'low');
    await publish(server.address, 'fleet', { altitude: 300 }, 'high');
    await is({ high: 300 });
  } finally {
    await server.stop();
  }
});

test('a page with a token publishes and keeps a map without ghosts through a polyfill: what leaves, what is deleted, what its token hides, however often it is cut off', async (t) => {
  const server = await serveWithKeys(t, 'epoll', { 'auth.origins': site.origin });
  const way = await wayTo(server.address);
  try {
    const page = await pageAt(site.origin);
    const token = tokenOf({ sub: 'ada', fanwire: { subscribe: ['fleet'], publish: ['fleet'], filter: 'area = "CH"' } });
    await page.evaluate(([base, token]) => {
      window.tell = async (key, payload, op = 'upsert') => {
        const headers = { 'Content-Type': 'application/json', 'Fanwire-Key': key, Authorization: `Bearer ${token}` };
        const response = await fetch(`${base}/v1/publish/fleet?op=${op}`, { method: 'POST', body: JSON.stringify(payload), headers });
        if (response.status !== 200) throw new Error(await response.text());
      };
    }, [`http://${server.address}`, token]);
    const tell = (...event) => page.evaluate((event) => window.tell(...event), event);
    const at = (altitude, area = 'CH') => ({ altitude, area });
    for (const [key, payload] of [['stays', at(1)], ['climbs', at(2)], ['lands', at(3)], ['goes abroad', at(4)], ['abroad', at(5, 'FR')], ['high', at(20_000)]]) await tell(key, payload);
    const filter = encodeURIComponent('altitude < 10000');
    await page.evaluate(([url, token]) => {
      window.map = {};
      window.opened = 0;
      window.abroad = [];
      const source = new EventSourcePolyfill(url, { headers: { Authorization: `Bearer ${token}` } });
      source.onopen = () => (window.opened += 1);
      source.onmessage = ({ data }) => {
        const { key, op, payload } = JSON.parse(data);
        if (payload.area && payload.area !== 'CH') window.abroad.push(key);
        if (op === 'upsert') window.map[key] = payload.altitude;
        else delete window.map[key];
      };
    }, [`http://${way.address}/v1/sse?topic=fleet&since=last&leave=true&filter=${filter}`, token]);
    const is = (map) => page.waitForFunction((map) => JSON.stringify(Object.entries(window.map).sort()) === map, JSON.stringify(Object.entries(map).sort()), { timeout: 60_000 });
    await is({ stays: 1, climbs: 2, lands: 3, 'goes abroad': 4 });
    way.cut();
    await tell('climbs', at(30_000));
    await tell('lands', {}, 'delete');
    await tell('goes abroad', at(4, 'FR'));
    await tell('high', at(6));
    await is({ stays: 1, high: 6 });
    // And the same while it listens.
    await page.waitForFunction(() => window.opened >= 2, undefined, { timeout: 60_000 });
    await tell('abroad', at(7));
    await is({ stays: 1, high: 6, abroad: 7 });
    await tell('abroad', at(7, 'FR'));
    await tell('high', at(40_000));
    await tell('stays', {}, 'delete');
    await is({});
    assert.deepEqual(await page.evaluate(() => window.abroad), [], 'nothing is told of what the token hides');
  } finally {
    await way.stop();
    await server.stop();
  }
});
