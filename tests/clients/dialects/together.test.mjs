// One recording, published once, as five foreign clients hear it at the same time: every event, in order, byte for byte.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { drivers } from '../ws/server.mjs';
import { Ear, PageClient, fleet, listen, publish, put, refusal, serveWithKeys, tokenOf, watch } from './clients.mjs';

const recording = fileURLToPath(new URL('../../fixtures/adsb-sample.ndjson.gz', import.meta.url));
const lines = gunzipSync(readFileSync(recording)).toString().split('\n').filter(Boolean);
const keys = lines.map((line) => JSON.parse(line).icao24);

const change = (line, index) =>
  `{"collection":"aircraft","docId":"${keys[index]}","changeType":"CHANGE_TYPE_UPSERT","jsonData":${JSON.stringify(line)}}`;

/** The page's client, and what it emits. */
function page(url, token, options) {
  const client = new PageClient(url, token, options);
  const ear = new Ear();
  client.on('event', (event) => ear.hear(event));
  const connected = new Promise((resolve) => client.once('connected', resolve));
  return { client, ear, connected };
}

for (const driver of await drivers()) {
  test(`${driver}: the same aircraft on all of them at once`, { timeout: 120_000 }, async (t) => {
    const server = await serveWithKeys(t, driver);
    const ws = `ws://${server.address}`;
    const token = tokenOf({ sub: 'ada', role: ['admin'] });

    const websocat = await listen(`${ws}/ws/subscribe?collections=aircraft`);
    const browser = await watch(`http://${server.address}/sse/subscribe?collections=aircraft`);
    const beam = await listen(`${ws}/ws?topic=aircraft`);
    assert.match(await beam.next(), /^\{"type":"connection_established","subscribed_topics":\["aircraft"\],"timestamp":\d{13}\}$/);
    const vehicles = await fleet(`${ws}/mqtt`, token, 'aircraft', 1);
    const { client, ear, connected } = page(`${ws}/ws`, token);
    client.connect();
    client.subscribe(['TaskStatusChanged'], { status: 'Failed' });
    assert.deepEqual(client.warnings, ['WebSocket not connected'], 'what it asked for is lost, and it hears everything');
    await connected;

    assert.equal(await publish(server.address, '--topic', 'aircraft', '--key', 'icao24', '--max', recording), 0);

    const [changes, seen, messages, events, packets] = await Promise.all([
      websocat.take(lines.length),
      browser.take(lines.length),
      beam.take(lines.length),
      ear.take(lines.length),
      vehicles.take(lines.length),
    ]);
    lines.forEach((line, index) => {
      assert.equal(changes[index], change(line, index));
      assert.equal(seen[index], change(line, index));
      const [, data] = /^\{"type":"message","topic":"aircraft","data":(.*),"timestamp":\d{13}\}$/.exec(messages[index]);
      assert.equal(data, line);
      assert.deepEqual(packets[index], { topic: 'aircraft', payload: line, qos: 1, key: keys[index] });
      const { event_type, timestamp, data: payload, metadata, ...rest } = events[index];
      assert.deepEqual([event_type, metadata, rest], ['aircraft', { key: keys[index] }, {}]);
      assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.deepEqual(payload, JSON.parse(line));
    });
    // One event more, so that whatever came twice would stand before it.
    await put(server.address, 'aircraft', { last: true }, { key: 'x' });
    const last = '{"collection":"aircraft","docId":"x","changeType":"CHANGE_TYPE_UPSERT","jsonData":"{\\"last\\":true}"}';
    assert.equal(await websocat.next(), last);
    assert.equal(await browser.next(), last);
    assert.match(await beam.next(), /"data":\{"last":true\}/);
    assert.deepEqual((await ear.next()).data, { last: true });
    assert.equal((await vehicles.next()).payload, '{"last":true}');
    client.disconnect();
    browser.source.close();
    assert.equal(await server.stop(), 0);
    assert.match(await websocat.next(), /^close 1001 /);
    assert.match(await beam.next(), /^close 1001 /);
  });

  test(`${driver}: a HyperBEAM client's whole conversation`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver);
    const beam = await listen(`ws://${server.address}/ws?topic=a`);
    const said = async (text) => {
      beam.socket.send(text);
      return JSON.parse(await beam.next());
    };
    assert.equal(JSON.parse(await beam.next()).type, 'connection_established');
    assert.deepEqual((await said('{"type":"subscribe","topics":["c","b"]}')).subscribed_topics, ['a', 'b', 'c']);
    assert.deepEqual((await said('{"type":"unsubscribe","topics":["c"]}')).removed_topics, ['c']);
    assert.equal((await said('{"type":"ping"}')).type, 'pong');
    assert.equal((await said(Buffer.from('{"type":"ping"}'))).type, 'pong');
    assert.equal((await said('{')).message, 'Invalid JSON');
    const pong = new Promise((resolve) => beam.socket.once('pong', resolve));
    beam.socket.ping('x');
    assert.equal(String(await pong), 'x');
    const cast = async (body) => {
      const reply = await fetch(`http://${server.address}/~websocket@1.0/cast`, { method: 'POST', body });
      return `${reply.status} ${await reply.text()}`;
    };
    const body = '{"Id":"m1","Tags":[{"name":"Topic","value":"b"}],"Data":1.0}';
    assert.equal(await cast('not JSON'), '200 OK');
    assert.equal(await cast('{"topic":"c"}'), '200 OK');
    assert.equal(await cast(body), '200 OK');
    const heard = await beam.next();
    assert.equal(heard.replace(/\d{13}\}$/, 'T}'), `{"type":"message","topic":"b","data":${body},"timestamp":T}`);
    const info = await (await fetch(`http://${server.address}/~websocket@1.0/info`)).json();
    assert.deepEqual([info.uri, info.topics, info.device], [`ws://${server.address}/ws`, ['a', 'b'], 'websocket@1.0']);
    beam.socket.close();
    assert.equal(await beam.next(), 'close 1005');
    assert.equal(await server.stop(), 0);
  });

  test(`${driver}: the page's client comes back, and loses batches`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver);
    const url = `ws://${server.address}/ws`;
    const token = tokenOf({ sub: 'ada', role: 'developer' });
    const { client, ear, connected } = page(url, token, { reconnectInterval: 50 });
    client.connect();
    await connected;
    await put(server.address, 'LogEntry', { level: 'info' });
    assert.equal((await ear.next()).event_type, 'LogEntry');
    const back = new Promise((resolve) => client.once('connected', resolve));
    client.ws.terminate();
    await back;
    client.ping();
    await put(server.address, 'LogEntry', { level: 'error' });
    assert.deepEqual((await ear.next()).data, { level: 'error' });
    assert.equal(client.warnings.length, 0);
    client.subscribe(['task'], { task_name: 'deploy' });
    // Answered after the subscription was taken in.
    client.send({ type: 'nonsense' });
    await put(server.address, 'LogEntry', {});
    await put(server.address, 'TaskStatusChanged', { name: 'other' });
    await put(server.address, 'TaskStatusChanged', { name: 'deploy' });
    const filtered = await ear.next();
    assert.deepEqual([filtered.event_type, filtered.data], ['TaskStatusChanged', { name: 'deploy' }]);
    client.disconnect();

    const batched = page(`${url}?batch_size=2`, token);
    const raw = await listen(`${url}?batch_size=2&token=${token}`);
    batched.client.connect();
    await batched.connected;
    for (const n of [1, 2, 3]) await put(server.address, 'TaskStatusChanged', { n });
    const full = JSON.parse(await raw.next());
    const late = JSON.parse(await raw.next());
    assert.deepEqual([full, late].map(({ type, events }) => [type, events.map(({ data }) => data.n)]), [['batch', [1, 2]], ['batch', [3]]]);
    while (batched.client.frames < 2) await new Promise((resolve) => batched.client.ws.once('message', () => setImmediate(resolve)));
    assert.deepEqual(batched.ear.rest(), [], 'it emits nothing of a batch');
    batched.client.disconnect();
    assert.equal(await server.stop(), 0);
  });

  test(`${driver}: an expired token closes 4001, and the page's client comes back with a fresh one`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver, { 'auth.leeway_s': 0 });
    const soon = Math.floor(Date.now() / 1000) + 5;
    const { client, ear, connected } = page(`ws://${server.address}/ws`, tokenOf({ sub: 'ada', exp: soon }), { reconnectInterval: 50 });
    const closed = new Promise((resolve) => client.once('disconnected', resolve));
    client.connect();
    await connected;
    assert.equal(await closed, 4001);
    client.token = tokenOf({ sub: 'ada' });
    await new Promise((resolve) => client.once('connected', resolve));
    await put(server.address, 'x', { n: 1 });
    assert.deepEqual((await ear.next()).data, { n: 1 });
    client.disconnect();
    assert.equal(await server.stop(), 0);
  });

  test(`${driver}: a viewer's token never sees a log entry`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver);
    const ws = `ws://${server.address}`;
    const as = (name, role) => ({ Authorization: `Bearer ${tokenOf({ sub: name, role })}` });
    // What was there before them, and what comes.
    await put(server.address, 'LogEntry', { secret: 1 }, { key: 'old' });
    const viewer = as('eve', ['viewer']);
    const ears = await Promise.all([
      listen(`${ws}/pv/ws`, viewer),
      listen(`${ws}/pv/ws?events=LogEntry,x&since=2020-01-01`, viewer),
      listen(`${ws}/logs?tail=10`, viewer),
      listen(`${ws}/ws/subscribe?collections=LogEntry,x`, viewer),
      listen(`${ws}/ws/subscribe?snapshot=all`, viewer),
      listen(`${ws}/hb/ws?topic=LogEntry,x`, viewer),
      watch(`http://${server.address}/sse/subscribe?collections=LogEntry,x`, viewer),
    ]);
    ears[0].socket.send('{"type":"subscribe","events":["logs","x"]}');
    ears[3].socket.send('{"collections":["LogEntry","x","y"]}');
    ears[5].socket.send('{"type":"subscribe","topics":["LogEntry","y"]}');
    const developer = await listen(`${ws}/pv/logs`, as('bob', 'developer'));
    await put(server.address, 'LogEntry', { secret: 2 }, { key: 'new' });
    assert.match(await developer.next(), /"secret":2/);
    await put(server.address, 'x', { marker: true });
    for (const [index, ear] of ears.entries()) {
      const heard = [];
      // The one on /logs hears nothing at all; whatever it was sent came before its close.
      const isEnd = (text) => /marker/.test(text) || (index === 2 && /^close/.test(text));
      if (index === 2) ear.socket.close();
      for (let text = await ear.next(); !isEnd(text); text = await ear.next()) heard.push(text);
      assert.ok(!heard.some((text) => /secret/.test(text)), `client ${index} heard ${heard}`);
      ear.source?.close();
    }
    assert.equal(await server.stop(), 0);
  });

  test(`${driver}: the server's own figures and log entries, and Prometheus beside them`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver, { 'own.figures_s': 1, 'own.logs': true });
    const token = tokenOf({ sub: 'ada', role: 'developer' });
    const metrics = await listen(`ws://${server.address}/metrics?token=${token}`);
    const logs = await listen(`ws://${server.address}/logs?level=warn&component=auth&token=${token}`);
    const figure = JSON.parse(await metrics.next());
    assert.deepEqual(Object.keys(figure), ['event_type', 'timestamp', 'data', 'metadata']);
    assert.equal(figure.event_type, 'MetricUpdate');
    assert.deepEqual(Object.keys(figure.data), ['metric_name', 'metric_type', 'value', 'labels']);
    assert.deepEqual(figure.metadata, { interval: 1, aggregation: 'last' });
    assert.equal(await refusal(`ws://${server.address}/ws?token=nonsense`), 401);
    const entry = JSON.parse(await logs.next());
    assert.equal(entry.event_type, 'LogEntry');
    const { level, message, component, task_id, details, ...rest } = entry.data;
    assert.deepEqual([level, component, task_id, details, rest], ['warning', 'auth', null, {}, {}]);
    assert.match(message, /^token refused: /);
    assert.deepEqual(Object.keys(entry.metadata), ['source', 'thread']);
    const plain = await fetch(`http://${server.address}/metrics`);
    assert.match(plain.headers.get('content-type'), /^text\/plain/);
    assert.match(await plain.text(), /^# TYPE fanwire_connections gauge$/m);
    assert.equal((await fetch(`http://${server.address}/logs`)).status, 426);
    assert.equal(await server.stop(), 0);
  });

  test(`${driver}: a user has ten connections, of whatever kind; the eleventh is refused`, { timeout: 60_000 }, async (t) => {
    const server = await serveWithKeys(t, driver);
    const ws = `ws://${server.address}`;
    const token = tokenOf({ sub: 'ada', role: 'admin' });
    const paths = ['/ws', '/pv/ws', '/metrics', '/logs', '/ws/subscribe', '/hb/ws', '/v1/ws', '/ws?events=task', '/ws'];
    const open = [];
    for (const path of paths) open.push(await listen(`${ws}${path}${path.includes('?') ? '&' : '?'}token=${token}`));
    const stream = await watch(`http://${server.address}/sse/subscribe?token=${token}`);
    assert.equal(await refusal(`${ws}/ws?token=${token}`), 429);
    assert.equal(await refusal(`${ws}/ws/subscribe?token=${token}`), 429);
    const reply = await fetch(`http://${server.address}/sse/subscribe?token=${token}`);
    assert.equal(reply.status, 429);
    assert.match(await reply.text(), /user_connections/);
    assert.equal(await refusal(`${ws}/ws?token=${tokenOf({ sub: 'bob' })}`), 101, "another user's is none of them");
    open[0].socket.close();
    assert.equal(await open[0].next(), 'close 1005');
    // One shard counts for all, and hears of it a moment later.
    let status = 429;
    for (let tries = 0; tries < 1000 && status === 429; tries += 1) status = await refusal(`${ws}/ws?token=${token}`);
    assert.equal(status, 101);
    stream.source.close();
    assert.equal(await server.stop(), 0);
  });
}

test('a stream that breaks off goes on where it was', { timeout: 60_000 }, async (t) => {
  const server = await serveWithKeys(t, 'epoll');
  const [host, port] = server.address.split(':');
  const pipes = new Set();
  const proxy = createServer((near) => {
    const far = connectTcp(Number(port), host);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {}).on('close', () => (near.destroy(), far.destroy()));
    pipes.add(near);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    proxy.close();
    for (const pipe of pipes) pipe.destroy();
  });
  // Every home shard has said something, so that a position is known of each.
  for (let n = 0; n < 40; n += 1) await put(server.address, `topic${n}`, {});
  await put(server.address, 'a', { n: 1 }, { key: 'k' });
  const stream = await watch(`http://127.0.0.1:${proxy.address().port}/sse/subscribe?collections=a`);
  assert.match(await stream.next(), /"n\\":1/);
  await put(server.address, 'a', { n: 2 }, { key: 'k' });
  assert.match(await stream.next(), /"n\\":2/);
  const back = new Promise((resolve) => (stream.source.onopen = resolve));
  for (const pipe of pipes) pipe.destroy();
  for (const n of [3, 4]) await put(server.address, 'a', { n }, { key: 'k' });
  await back;
  await put(server.address, 'a', { n: 5 }, { key: 'k' });
  const numbers = (await stream.take(3)).map((text) => JSON.parse(JSON.parse(text).jsonData).n);
  assert.deepEqual(numbers, [3, 4, 5], 'each once, though all have one key');
  stream.source.close();
  assert.equal(await server.stop(), 0);
});
