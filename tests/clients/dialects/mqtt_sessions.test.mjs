// MQTT sessions as MQTT.js has them, in both versions and over every listener: asleep, back, and taken over.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import mqtt from 'mqtt';

import { drivers, serve } from '../ws/server.mjs';
import { Ear } from './clients.mjs';

const fixture = (name) => fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url));
const ca = readFileSync(fixture('ca.pem'));

/** A client whose session lasts; whether it goes on with one, and what it hears. */
async function lasting(url, protocolVersion, clientId, clean = false) {
  const options = { protocolVersion, clientId, clean, ca, reconnectPeriod: 0, connectTimeout: 60_000 };
  if (protocolVersion === 5 && !clean) options.properties = { sessionExpiryInterval: 600 };
  const client = mqtt.connect(url, options);
  const ear = new Ear();
  client.on('message', (topic, payload, packet) => ear.hear({ topic, payload: String(payload), qos: packet.qos, dup: packet.dup }));
  client.on('disconnect', (packet) => ear.hear({ reason: packet.reasonCode }));
  const gone = new Promise((resolve) => client.once('close', resolve));
  const { sessionPresent } = await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
  return { client, ear, gone, sessionPresent };
}

for (const isSecure of [false, true]) {
  test(`MQTT.js sleeps and comes back ${isSecure ? 'over TLS' : 'in the clear'}`, { timeout: 120_000 }, async (t) => {
    const secure = isSecure ? { 'tls.certificate_file': fixture('localhost.pem'), 'tls.key_file': fixture('localhost.key.pem') } : {};
    const [driver] = await drivers();
    const server = await serve(t, driver, { 'mqtt.listen': '127.0.0.1:0', ...secure });
    const shared = server.address.split(':').at(-1);
    const [packets, sockets] = isSecure ? ['mqtts', 'wss'] : ['mqtt', 'ws'];
    const urls = [`${packets}://localhost:${server.ownPort}`, `${sockets}://localhost:${server.ownPort}/mqtt`, `${sockets}://localhost:${shared}/mqtt`];
    for (const [place, url] of urls.entries()) {
      for (const version of [4, 5]) {
        const name = `sleeper-${place}-${version}`;
        const sleeper = await lasting(url, version, name);
        assert.equal(sleeper.sessionPresent, false, url);
        const [granted] = await sleeper.client.subscribeAsync(`${name}/+`, { qos: 2 });
        assert.equal(granted.qos, 2);
        await sleeper.client.endAsync();

        const says = await lasting(url, version, `says-${name}`, true);
        for (let number = 0; number < 60; number += 1) {
          await says.client.publishAsync(`${name}/${number % 3}`, String(number), { qos: number % 3 });
        }

        const back = await lasting(url, version, name);
        assert.equal(back.sessionPresent, true, url);
        const seen = { 1: [], 2: [] };
        for (const { payload, qos } of await back.ear.take(40)) seen[qos].push(Number(payload));
        for (const qos of [1, 2]) assert.deepEqual(seen[qos], Array.from({ length: 20 }, (_, index) => 3 * index + qos), url);

        // Whoever takes its place goes on with the session.
        const taker = await lasting(url, version, name);
        assert.equal(taker.sessionPresent, true, url);
        await back.gone;
        if (version === 5) assert.deepEqual(await back.ear.next(), { reason: 0x8e });
        await says.client.publishAsync(`${name}/1`, 'live', { qos: 1 });
        // What it had heard and not acknowledged when its place was taken comes again, and says so.
        let heard = await taker.ear.next();
        while (heard.dup) heard = await taker.ear.next();
        assert.deepEqual(heard, { topic: `${name}/1`, payload: 'live', qos: 1, dup: false });
        await taker.client.endAsync();
        const fresh = await lasting(url, version, name, true);
        assert.equal(fresh.sessionPresent, false, url);
        await fresh.client.endAsync();
        await says.client.endAsync();
      }
    }
  });
}
