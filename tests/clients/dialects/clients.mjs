// What the tests share: a server, tokens, and one client of each kind, none of which knows anything of Fanwire.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EventSource } from 'eventsource';
import mqtt from 'mqtt';
import WebSocket from 'ws';

import { serve as serveFor } from '../ws/server.mjs';

const binary = process.env.FANWIRE_BIN ?? fileURLToPath(new URL('../../../target/debug/fanwire', import.meta.url));

/** Opens nothing but the servers of these tests. */
export const SECRET = '0123456789abcdef0123456789abcdef';

/** What closes the clients of the test that runs; one runs at a time. */
const closers = [];

/** A server for a test. It ends with the test, and so do the test's clients: those that come back would do so for ever. */
export async function serve(t, driver, settings, switches) {
  t.after(() => closers.splice(0).forEach((close) => close()));
  return serveFor(t, driver, settings, switches);
}

/** A server that looks at tokens. */
export async function serveWithKeys(t, driver, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-keys-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'secret');
  writeFileSync(file, SECRET);
  return serve(t, driver, { 'auth.key_file': file, ...settings });
}

/** A token (HS256) with these claims, good for ten minutes. */
export function tokenOf(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp, ...claims })}`;
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

/** Something that hears one thing after the other; `next` waits for it, within a bound that only a broken server reaches. */
export class Ear {
  #heard = [];
  #wake = () => {};

  hear(what) {
    this.#heard.push(what);
    this.#wake();
  }

  async next() {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('nothing came for 30 s')), 30_000)));
    try {
      while (this.#heard.length === 0) await Promise.race([new Promise((resolve) => (this.#wake = resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
    return this.#heard.shift();
  }

  async take(count) {
    const all = [];
    while (all.length < count) all.push(await this.next());
    return all;
  }

  /** What has come and nobody asked for. */
  rest() {
    return this.#heard.splice(0);
  }
}

/** MQTT.js over a WebSocket: what a subscriber of a topic hears, once it is one. */
export async function fleet(url, token, topic, qos) {
  const ear = new Ear();
  const options = { protocolVersion: 5, username: 'x', password: token, reconnectPeriod: 0 };
  const client = await mqtt.connectAsync(url, options, false);
  closers.push(() => client.end(true));
  client.on('message', (of, payload, packet) =>
    ear.hear({ topic: of, payload: String(payload), qos: packet.qos, key: packet.properties?.userProperties?.key }),
  );
  const [granted] = await client.subscribeAsync(topic, { qos });
  if (granted.qos !== qos) throw new Error(`granted ${granted.qos}`);
  return ear;
}

/** Plain RFC 6455, like websocat: prints what comes. `headers` are the request's. */
export async function listen(url, headers = {}) {
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  closers.push(() => socket.terminate());
  const ear = new Ear();
  socket.on('message', (data) => ear.hear(String(data)));
  socket.on('close', (code, reason) => ear.hear(`close ${code} ${reason}`.trim()));
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('open', resolve).once('error', reject);
    socket.once('unexpected-response', (_, response) => reject(Object.assign(new Error(`HTTP ${response.statusCode}`), { status: response.statusCode })));
  });
  return Object.assign(ear, { socket });
}

/** The status that a WebSocket is refused with. */
export async function refusal(url, headers = {}) {
  try {
    (await listen(url, headers)).socket.terminate();
    return 101;
  } catch (error) {
    return error.status;
  }
}

/** A browser's EventSource, as npm's `eventsource` has it. */
export async function watch(url, headers = {}) {
  const withHeaders = (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } });
  const source = new EventSource(url, { fetch: withHeaders });
  closers.push(() => source.close());
  const ear = new Ear();
  source.onmessage = ({ data }) => ear.hear(data);
  await new Promise((resolve, reject) => {
    source.onopen = resolve;
    source.onerror = (error) => reject(Object.assign(new Error(error.message), { status: error.code }));
  });
  source.onerror = () => {};
  return Object.assign(ear, { source });
}

/**
 * The client of the Provisioning Platform's own page, with its traps: what it says before the socket is open is lost, what has no
 * `event_type` is lost (so are batches), it comes back after any close, and it relies on hearing everything it may.
 */
export class PageClient extends EventEmitter {
  attempts = 0;
  warnings = [];
  frames = 0;

  constructor(url, token, { reconnectInterval = 5000, maxReconnectAttempts = 10 } = {}) {
    super();
    Object.assign(this, { url, token, reconnectInterval, maxReconnectAttempts });
    closers.push(() => this.ws && this.disconnect());
  }

  connect() {
    this.ws = new WebSocket(`${this.url}${this.url.includes('?') ? '&' : '?'}token=${this.token}`);
    this.ws.on('open', () => {
      this.attempts = 0;
      this.emit('connected');
    });
    this.ws.on('message', (data) => this.handleMessage(JSON.parse(String(data))));
    this.ws.on('error', (error) => {
      if (error.code === 4001) this.emit('tokenExpired');
    });
    this.ws.on('close', (code) => {
      this.emit('disconnected', code);
      if (this.attempts >= this.maxReconnectAttempts || this.isDone) return;
      this.attempts += 1;
      setTimeout(() => this.connect(), this.reconnectInterval);
    });
  }

  subscribe(events, filters = {}) {
    this.send({ type: 'subscribe', events, filters });
  }

  ping() {
    this.send({ type: 'ping' });
  }

  send(message) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(message));
    else this.warnings.push('WebSocket not connected');
  }

  handleMessage(message) {
    this.frames += 1;
    if (message.event_type) {
      this.emit(message.event_type, message);
      this.emit('event', message);
    }
  }

  disconnect() {
    this.isDone = true;
    this.ws.close();
  }
}

/** `fanwire publish`, to its end; resolves with its exit code. */
export function publish(address, ...args) {
  const child = spawn(binary, ['publish', '--url', `http://${address}`, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve) => child.once('exit', resolve));
}

/** One event over HTTP. */
export async function put(address, topic, payload, { key, op, token } = {}) {
  const query = new URLSearchParams({ ...(op && { op }), ...(token && { token }) });
  const headers = { 'Content-Type': 'application/json', ...(key !== undefined && { 'Fanwire-Key': key }) };
  const reply = await fetch(`http://${address}/v1/publish/${topic}?${query}`, { method: 'POST', headers, body: JSON.stringify(payload) });
  if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`);
}
