// The RPC behind peat-node's endpoints through the Connect project's own client, over HTTP/1.1, as JSON and as protobuf.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, gunzipSync } from 'node:zlib';

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';

import { drivers } from '../ws/server.mjs';
import { put, serve, serveWithKeys, tokenOf } from './clients.mjs';
import { ChangeType, PeatSidecar } from './sidecar_pb.js';

function client(address, options) {
  return createClient(PeatSidecar, createConnectTransport({ baseUrl: `http://${address}`, httpVersion: '1.1', ...options }));
}

/** The changes of a call, one by one. */
function changes(call) {
  const each = call[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await each.next();
    assert.ok(!done, 'the stream has not ended');
    const { collection, docId, changeType, jsonData } = value;
    return [collection, docId, ChangeType[changeType], jsonData];
  };
}

/** How a call fails. */
async function failure(call) {
  try {
    for await (const change of call) assert.fail(`a change: ${change}`);
  } catch (error) {
    assert.ok(error instanceof ConnectError, `${error}`);
    return [Code[error.code], error.rawMessage];
  }
  return assert.fail('it ended as if nothing were wrong');
}

const eq = (field, value) => ({ q: { case: 'eq', value: { field, value } } });

for (const driver of await drivers()) {
  for (const useBinaryFormat of [false, true]) {
    const name = `${driver}, ${useBinaryFormat ? 'protobuf' : 'JSON'}`;

    test(`${name}: snapshot, live, delete`, { timeout: 60_000 }, async (t) => {
      const server = await serve(t, driver);
      await put(server.address, 'platforms', { n: 1 }, { key: 'bravo' });
      await put(server.address, 'platforms', { n: 2 }, { key: 'alpha:1' });
      await put(server.address, 'commands', { q: '"\\ \u2028' }, { key: 'c' });
      const gone = new AbortController();
      const call = client(server.address, { useBinaryFormat }).subscribe({ collections: ['commands', 'platforms'] }, { signal: gone.signal });
      const next = changes(call);
      assert.deepEqual(await next(), ['commands', 'c', 'UPSERT', JSON.stringify({ q: '"\\ \u2028' })]);
      // In the order in which they last changed.
      assert.deepEqual(await next(), ['platforms', 'bravo', 'UPSERT', '{"n":1}']);
      assert.deepEqual(await next(), ['platforms', 'alpha:1', 'UPSERT', '{"n":2}']);
      await put(server.address, 'elsewhere', {}, { key: 'x' });
      await put(server.address, 'platforms', {}, { key: 'bravo', op: 'delete' });
      assert.deepEqual(await next(), ['platforms', 'bravo', 'DELETE', undefined]);
      await put(server.address, 'platforms', { n: 3 });
      assert.deepEqual(await next(), ['platforms', '', 'UPSERT', '{"n":3}']);
      gone.abort();
      await assert.rejects(next(), { code: Code.Canceled });
      assert.equal(await server.stop(), 0);
    });

    test(`${name}: a query of every node`, { timeout: 60_000 }, async (t) => {
      const server = await serve(t, driver);
      const clauses = [
        { q: { case: 'or', value: { clauses: [eq('t', '"a"'), eq('t', '"b"')] } } },
        { q: { case: 'not', value: { q: { case: 'lt', value: { field: 'n', value: '5' } } } } },
        { q: { case: 'gt', value: { field: 'm', value: '"k"' } } },
        { q: { case: 'all', value: {} } },
      ];
      const query = { q: { case: 'and', value: { clauses } } };
      await put(server.address, 'x', { t: 'a', n: 5, m: 'l' }, { key: '1' });
      await put(server.address, 'x', { t: 'c', n: 5, m: 'l' }, { key: '2' });
      const next = changes(client(server.address, { useBinaryFormat }).subscribe({ collections: ['x'], query }));
      assert.equal((await next())[1], '1');
      await put(server.address, 'x', { t: 'b', n: 4, m: 'l' }, { key: '3' });
      await put(server.address, 'x', { t: 'b', m: 'k' }, { key: '4' });
      await put(server.address, 'x', {}, { key: '2', op: 'delete' });
      await put(server.address, 'x', { t: 'b', m: 'l' }, { key: '5' });
      assert.deepEqual((await next()).slice(1, 3), ['2', 'DELETE']);
      assert.equal((await next())[1], '5');
      assert.equal(await server.stop(), 0);
    });

    test(`${name}: what is wrong has its code and its text`, { timeout: 60_000 }, async (t) => {
      const server = await serve(t, driver);
      const peat = client(server.address, { useBinaryFormat });
      const refused = (query) => failure(peat.subscribe({ query }));
      assert.deepEqual(await refused(eq('', '1')), ['InvalidArgument', 'invalid subscription query: query field path is empty']);
      assert.deepEqual(await refused({}), ['InvalidArgument', 'invalid subscription query: query node has no variant set (oneof q is empty)']);
      assert.deepEqual(await refused(eq('a', 'x')), [
        'InvalidArgument',
        'invalid subscription query: invalid JSON in query value `x`: expected value at line 1 column 1',
      ]);
      let deep = { q: { case: 'all', value: {} } };
      for (let level = 1; level < 17; level += 1) deep = { q: { case: 'not', value: deep } };
      assert.deepEqual(await refused(deep), ['InvalidArgument', 'invalid subscription query: query nesting exceeds 16 levels']);
      assert.deepEqual(await failure(peat.subscribe({ collections: Array(257).fill('a') })), ['InvalidArgument', 'more than 256 collections']);
      const compression = { name: 'gzip', compress: async (bytes) => gzipSync(bytes), decompress: async (bytes) => gunzipSync(bytes) };
      const zipped = client(server.address, { useBinaryFormat, sendCompression: compression, compressMinBytes: 0 });
      const [code, text] = await failure(zipped.subscribe({ collections: ['a'] }));
      assert.equal(code, 'Unimplemented', text);
      const late = peat.subscribe({ collections: ['a'] }, { timeoutMs: 300 });
      assert.equal((await failure(late))[0], 'DeadlineExceeded');
      assert.equal(await server.stop(), 0);
    });

    test(`${name}: tokens`, { timeout: 60_000 }, async (t) => {
      const server = await serveWithKeys(t, driver, { 'auth.anonymous': 'nowhere' });
      const peat = client(server.address, { useBinaryFormat });
      assert.equal((await failure(peat.subscribe({})))[0], 'Unauthenticated');
      const headers = (token) => ({ headers: { Authorization: `Bearer ${token}` } });
      assert.equal((await failure(peat.subscribe({}, headers('nonsense'))))[0], 'Unauthenticated');
      const admin = tokenOf({ sub: 'ada', fanwire: { publish: ['**'] } });
      await put(server.address, 'a', { n: 1 }, { key: '1', token: admin });
      const next = changes(peat.subscribe({ collections: ['a'] }, headers(tokenOf({ sub: 'eve' }))));
      assert.deepEqual(await next(), ['a', '1', 'UPSERT', '{"n":1}']);
      assert.equal(await server.stop(), 0);
    });
  }
}

test('the server stops: unavailable', { timeout: 60_000 }, async (t) => {
  const server = await serve(t, 'epoll');
  await put(server.address, 'a', {}, { key: '1' });
  const call = client(server.address, {}).subscribe({ collections: ['a'] });
  const next = changes(call);
  await next();
  server.beginToStop();
  await assert.rejects(next(), { code: Code.Unavailable, rawMessage: 'the server is shutting down' });
  assert.equal(await server.stop(), 0);
});
