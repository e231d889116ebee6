// Messages there and back through /echo, whatever is agreed about compression and however they are cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import WebSocket from 'ws';

import { drivers, serve } from './server.mjs';

const OFFERS = {
  plain: false,
  deflate: true,
  'no context takeover': { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  'a small window': { serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0 },
};

/** Repeatable noise, half of it compressible. */
function noise(bytes) {
  const buffer = Buffer.alloc(bytes);
  let state = 0x9e3779b9;
  for (let index = 0; index < bytes; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[index] = index % 64 < 32 ? state >>> 24 : 0x61;
  }
  return buffer;
}

async function exchange(socket, send, expected, isBinary) {
  const answer = new Promise((resolve, reject) => {
    socket.once('message', (data, binary) => resolve({ data, binary }));
    socket.once('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
  });
  send();
  const { data, binary } = await answer;
  socket.removeAllListeners('close');
  assert.equal(binary, isBinary);
  assert.ok(Buffer.compare(data, expected) === 0, `${data.length} bytes came back for ${expected.length}`);
}

for (const driver of await drivers()) {
  for (const [name, perMessageDeflate] of Object.entries(OFFERS)) {
    test(`${driver}, ${name}: everything comes back as it was`, { timeout: 120_000 }, async (t) => {
      const server = await serve(t, driver, { echo: true });
      const socket = new WebSocket(`ws://${server.address}/echo`, { perMessageDeflate, maxPayload: 1 << 25 });
      t.after(() => socket.terminate());
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      assert.equal(socket.extensions.includes('permessage-deflate'), perMessageDeflate !== false);
      for (const bytes of [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 16 * 1024 * 1024]) {
        const message = noise(bytes);
        await exchange(socket, () => socket.send(message, { binary: true }), message, true);
      }
      for (const text of ['', 'κόσμε', '𝄞'.repeat(5000)]) {
        await exchange(socket, () => socket.send(text), Buffer.from(text), false);
      }
      const whole = noise(10_000);
      const inPieces = () => {
        for (let at = 0; at < whole.length; at += 100) {
          socket.send(whole.subarray(at, at + 100), { binary: true, fin: at + 100 >= whole.length });
          if (at % 1000 === 0) socket.ping(String(at));
        }
      };
      await exchange(socket, inPieces, whole, true);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.close(1000);
      assert.equal(await closed, 1000);
      assert.equal(await server.stop(), 0);
    });
  }
}
