// The transcripts of the native protocol (tests/fixtures/native) once more, through npm's ws: what our own test client believes of
// framing and compression, another implementation believes, too.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import WebSocket from 'ws';

import { drivers, serve } from './server.mjs';

const folder = new URL('../../fixtures/native/', import.meta.url);

/** `{{x*9}}` is nine times x. */
const expand = (text) => text.replace(/\{\{([^{}]*)\*(\d+)\}\}/g, (_, what, count) => what.repeat(Number(count)));

function* transcripts() {
  for (const file of readdirSync(folder).sort()) {
    let current;
    for (const [index, line] of readFileSync(new URL(file, folder), 'utf8').split('\n').entries()) {
      const [mark, text] = [line[0], line.slice(2)];
      if (mark === '#') {
        if (current) yield current;
        current = { name: `${file}: ${text}`, settings: {}, coreOnly: false, steps: [] };
      } else if (mark === '%') {
        const [key, value] = text.split(' ');
        if (value === undefined) current.coreOnly ||= key === 'only-core';
        else current.settings[key] = value;
      } else if (mark) {
        current.steps.push({ mark, text: expand(text), line: index + 1 });
      }
    }
    yield current;
  }
}

/** What `@name` stands for. */
class Names {
  #known = new Map();

  fill(text) {
    return text.replace(/@(\w+)/g, (_, name) => this.#known.get(name));
  }

  matches(expected, heard) {
    const names = [];
    const literal = (part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const pattern = expected.split(/(@\w+)/).map((part) => {
      if (!part.startsWith('@')) return literal(part);
      names.push(part.slice(1));
      return '([0-9A-Za-z._-]+)';
    });
    const found = new RegExp(`^${pattern.join('')}$`, 's').exec(heard);
    if (!found) return false;
    return names.every((name, index) => {
      const value = found[index + 1];
      if (name === '_') return true;
      if (!this.#known.has(name)) this.#known.set(name, value);
      return this.#known.get(name) === value;
    });
  }
}

/** A connection whose messages can be awaited one by one. */
async function connect(address, perMessageDeflate) {
  const socket = new WebSocket(`ws://${address}/v1/ws`, ['fanwire.v1'], { perMessageDeflate, autoPong: false });
  const heard = [];
  let wake = () => {};
  const hears = (what) => {
    heard.push(what);
    wake();
  };
  socket.on('message', (data, isBinary) => hears(isBinary ? `binary ${data}` : String(data)));
  socket.on('pong', (data) => hears(`pong ${data}`));
  socket.on('close', (code, reason) => {
    hears(`close ${code === 1005 ? '' : code} ${reason}`.replace('  ', ' ').trim());
    hears('end');
  });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => (wake = resolve));
    return heard.shift();
  };
  return { socket, next };
}

function say({ socket }, text) {
  const [, word, rest] = /^(\w*) ?(.*)$/s.exec(text) ?? [undefined, '', ''];
  if (word === 'close') {
    const [, code, reason] = /^(\d*) ?(.*)$/.exec(rest);
    socket.close(code ? Number(code) : undefined, reason);
  } else if (word === 'binary') socket.send(Buffer.from(rest), { binary: true });
  else if (word === 'ping') socket.ping(rest);
  else socket.send(text);
}

async function play(t, { settings, steps }, driver, perMessageDeflate) {
  const server = await serve(t, driver, settings);
  const names = new Names();
  const welcome = '{"type":"welcome","protocol":"fanwire.v1","server":"fanwire/@version","epoch":"@epoch"}';
  const open = async () => {
    const connection = await connect(server.address, perMessageDeflate);
    assert.ok(names.matches(welcome, await connection.next()));
    return connection;
  };
  const other = await open();
  let client = await open();
  try {
    for (const { mark, text, line } of steps) {
      if (mark === '>') say(client, names.fill(text));
      else if (mark === '<') {
        const heard = await client.next();
        assert.ok(names.matches(text, heard), `line ${line}:\n expected ${text}\n    heard ${heard}`);
      } else if (mark === '!') {
        const [, topic, words, payload] = /^(\S+) ([^{]*)(\{.*)$/s.exec(text);
        const { times = 1, ...members } = Object.fromEntries(words.split(' ').filter(Boolean).map((word) => word.split('=')));
        for (let time = 0; time < times; time += 1) {
          const rest = Object.entries(members).map(([name, value]) => `"${name}":"${value}",`).join('');
          other.socket.send(`{"type":"publish","id":1,"topic":"${topic}",${rest}"payload":${payload}}`);
          assert.match(await other.next(), /^\{"type":"published"/);
        }
      } else if (mark === '~') {
        client.socket.terminate();
        client = await open();
      } else if (text === 'the client has 64 subscriptions') {
        for (let number = 0; number < 64; number += 1) {
          client.socket.send(`{"type":"subscribe","id":"s${number}","topics":["t"]}`);
          assert.equal(await client.next(), `{"type":"subscribed","id":"s${number}"}`);
          assert.match(await client.next(), /^\{"type":"live"/);
        }
      } else if (mark === '*') server.beginToStop();
    }
  } finally {
    client.socket.terminate();
    other.socket.terminate();
    assert.equal(await server.stop(), 0);
  }
}

// ws refuses to send what is malformed, and nobody signs tokens here: those stay with the test client that can.
const isPossible = ({ coreOnly, steps }) => !coreOnly && !steps.some(({ mark, text }) => mark === '>' && /^(raw|close 1005)|«/.test(text));

for (const driver of await drivers()) {
  for (const transcript of transcripts()) {
    if (!isPossible(transcript)) continue;
    // One driver plain, the other compressed: the two have nothing to do with each other.
    const deflate = driver === 'epoll';
    test(`${driver}: ${transcript.name}`, { timeout: 60_000 }, (t) => play(t, transcript, driver, deflate));
  }
}
