// A client of ResolveSpec as the example for strangers has it, over npm's `ws`: a CRUD round, its own and others' changes, order, errors, and another tenant's rows, which it never sees.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import WebSocket from 'ws';

import { ResolveSpec, round } from '../../../docs/examples/resolvespec/client.mjs';
import { SECRET, tokenOf } from './clients.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const binary = process.env.FANWIRE_BIN ?? join(root, 'target/debug/fanwire');

/** The example's tables, on a port of the system's choice. */
async function serve(t, more = '') {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-resolvespec-'));
  const example = readFileSync(join(root, 'docs/examples/resolvespec/resolvespec.toml'), 'utf8');
  writeFileSync(join(folder, 'secret'), SECRET);
  writeFileSync(join(folder, 'c.toml'), `${example.replace('127.0.0.1:8080', '127.0.0.1:0')}\n${more.replace('SECRET_FILE', join(folder, 'secret'))}`);
  const server = spawn(binary, ['serve', '--config', join(folder, 'c.toml')], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  t.after(async () => {
    server.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  });
  let log = '';
  return new Promise((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
      const found = /address=(\S+)/.exec(log);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
}

/** What a subscription hears, and a promise for when it has heard so much. */
function ear() {
  const heard = [];
  let wake = () => {};
  const hear = (notification) => {
    heard.push(notification);
    wake();
  };
  const until = async (count) => {
    while (heard.length < count) await new Promise((resolve) => (wake = resolve));
    return heard;
  };
  return { heard, hear, until };
}

test('the round of the example, as its page has it', { timeout: 60_000 }, async (t) => {
  const address = await serve(t);
  const said = [];
  await round(`ws://${address}/ws`, (line) => said.push(line), WebSocket);
  assert.deepEqual(said, [
    'heard: create {"id":1,"name":"Ada","team":"red","age":36}',
    '1 of 1: Ada wrote Notes',
    'heard: update {"id":1,"name":"Ada","team":"red","age":37}',
    'heard: delete {"id":"1"}',
    'read_error: failed to read record: sql: no rows in result set',
  ]);
});

test('a client hears its own changes and those of others, and each request is answered once and in order', { timeout: 60_000 }, async (t) => {
  const address = await serve(t);
  const [ada, bob] = await Promise.all([ResolveSpec.open(`ws://${address}/ws`, WebSocket), ResolveSpec.open(`ws://${address}/rs/ws`, WebSocket)]);
  const [own, others] = [ear(), ear()];
  const end = await ada.subscribe('users', own.hear);
  await bob.subscribe('users', others.hear);
  const order = [];
  const rows = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      ada.create('users', { name: `user ${index}` }).then((row) => {
        order.push(row.id);
        return row;
      }),
    ),
  );
  assert.deepEqual(order, rows.map((row) => row.id));
  await bob.update('users', `${rows[0].id}`, { name: 'Zoe' });
  const names = (heard) => heard.map(({ operation, data }) => `${operation} ${data.name}`);
  const expected = [...rows.map((row) => `create ${row.name}`), 'update Zoe'];
  assert.deepEqual(names(await own.until(51)), expected);
  assert.deepEqual(names(await others.until(51)), expected);
  const { data, metadata } = await bob.read('users', { limit: 2, sort: [{ column: 'id', direction: 'desc' }] });
  assert.deepEqual([data.map((row) => row.name), metadata], [['user 49', 'user 48'], { total: 50, count: 2 }]);
  await end();
  await assert.rejects(ada.read('nothing'), { code: 'model_not_found', message: 'model_not_found: Model not found: .nothing' });
  assert.deepEqual((await ada.meta('posts')).columns, ['id', 'user_id', 'title']);
  await bob.delete('users', `${rows[1].id}`);
  await others.until(52);
  await ada.ping();
  assert.equal(own.heard.length, 51, 'who has unsubscribed hears nothing more');
  ada.close();
  bob.close();
});

test('another tenant\'s rows are not there', { timeout: 60_000 }, async (t) => {
  const address = await serve(t, '[auth]\nkey_file = "SECRET_FILE"\n');
  const open = (claims) => ResolveSpec.open(`ws://${address}/rs/ws?token=${tokenOf(claims)}`, WebSocket);
  const all = await open({ sub: 'root', fanwire: { subscribe: ['**'], publish: ['**'] } });
  const red = await open({ sub: 'red', fanwire: { subscribe: ['tables/public.users'], publish: ['tables/public.users'], filter: 'team = "red"' } });
  const seen = ear();
  await red.subscribe('users', seen.hear);
  const bob = await all.create('users', { name: 'Bob', team: 'blue' });
  const ada = await all.create('users', { name: 'Ada', team: 'red' });
  assert.deepEqual((await seen.until(1))[0].data.name, 'Ada');
  const { data, metadata } = await red.read('users');
  assert.deepEqual([data.map((row) => row.name), metadata], [['Ada'], { total: 1, count: 1 }]);
  await assert.rejects(red.read('users', {}, `${bob.id}`), { code: 'read_error' });
  await assert.rejects(red.update('users', `${bob.id}`, { name: 'Eve' }), { code: 'update_error' });
  await assert.rejects(red.update('users', `${ada.id}`, { team: 'blue' }), { code: 'update_error' });
  await assert.rejects(red.create('users', { name: 'Eve', team: 'blue' }), { code: 'create_error' });
  await assert.rejects(red.read('posts'), { code: 'read_error' });
  await assert.rejects(red.subscribe('posts', seen.hear), { code: 'unauthorized' });
  await red.delete('users', `${bob.id}`);
  assert.equal((await all.read('users', {}, `${bob.id}`)).data.name, 'Bob');
  assert.equal(seen.heard.length, 1);
  all.close();
  red.close();
});
