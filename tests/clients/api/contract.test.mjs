// Every call of the OpenAPI document is made on a real server, as a stranger and as an operator: what is answered is an answer that the document has, of a type that it has.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { serve } from '../ws/server.mjs';

const SECRET = '0123456789abcdef0123456789abcdef';
const api = JSON.parse(readFileSync(new URL('../../../docs/api/openapi.json', import.meta.url), 'utf8'));
/** Calls that end the server, or the process that it is; each is made by a test of its own elsewhere. */
const LAST = ['adminDrain', 'adminUpgrade'];

function resolve(value) {
  let at = value;
  while (at?.$ref) at = at.$ref.slice(2).split('/').reduce((node, name) => node[name.replaceAll('~1', '/')], api);
  return at;
}

/** The call with what the document has for examples, and nothing where that may be left out. */
function requestOf(path, method, { parameters = [], requestBody }) {
  const query = new URLSearchParams();
  let target = path;
  for (const { name, in: place, required, example, schema } of parameters.map(resolve)) {
    const value = example ?? schema?.enum?.[0] ?? 'a';
    if (place === 'path') target = target.replace(`{${name}}`, value);
    else if (required && place === 'query') query.set(name, value);
  }
  const [type, content] = Object.entries(resolve(requestBody)?.content ?? {})[0] ?? [];
  const example = content?.example ?? {};
  const body = type && (typeof example === 'string' ? example : JSON.stringify(example));
  return [query.size > 0 ? `${target}?${query}` : target, { method: method.toUpperCase(), redirect: 'manual', body, headers: type && type !== '*/*' ? { 'Content-Type': type } : {} }];
}

test('what is answered is what the document says', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-contract-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'secret');
  writeFileSync(file, SECRET);
  const server = await serve(t, 'epoll', { 'auth.admin_secret_file': file });
  const seen = [];
  const operations = Object.entries(api.paths).flatMap(([path, item]) => ['get', 'post'].filter((method) => item[method]).map((method) => [path, method, item[method]]));
  for (const [path, method, operation] of operations) {
    for (const headers of [{}, { Authorization: `Bearer ${SECRET}` }]) {
      const isOperator = 'Authorization' in headers;
      if (isOperator && (LAST.includes(operation.operationId) || !path.startsWith('/v1/admin/'))) continue;
      const [target, options] = requestOf(path, method, operation);
      const ended = new AbortController();
      const answer = await fetch(`http://${server.address}${target}`, { ...options, headers: { ...options.headers, ...headers }, signal: ended.signal });
      const said = resolve(operation.responses[answer.status]);
      const call = `${options.method} ${target}${isOperator ? ' as an operator' : ''}`;
      assert.ok(said, `${call} is answered ${answer.status}: ${answer.statusText}`);
      const types = Object.keys(said.content ?? {});
      const isEmpty = answer.headers.get('content-length') === '0';
      const type = isEmpty ? undefined : answer.headers.get('content-type')?.split(';')[0];
      assert.ok(types.includes('*/*') || (type ? types.includes(type) : types.length === 0), `${call} ${answer.status}: ${type}, and the document has ${types}`);
      for (const [name, header] of Object.entries(said.headers ?? {})) assert.ok(answer.headers.has(name) || !resolve(header).required, `${call} ${answer.status}: ${name}`);
      if (type === 'application/json') {
        const schema = resolve(said.content['application/json'].schema);
        const value = await answer.json();
        for (const member of schema.required ?? []) assert.ok(member in value, `${call}: ${member} in ${JSON.stringify(value)}`);
      }
      ended.abort();
      seen.push(`${operation.operationId} ${answer.status}`);
    }
  }
  // Strangers are refused what is an operator's, and operators are not.
  for (const name of ['adminConnections', 'adminTopics', 'adminPublish']) assert.ok(seen.includes(`${name} 401`), name);
  for (const name of ['publish', 'listen', 'peatListen', 'hyperbeamCast', 'provisioningPublish', 'figures', 'openapi', 'adminConnections', 'adminSlowest', 'adminTopics', 'adminRevoke', 'adminLog']) assert.ok(seen.includes(`${name} 200`), `${name}: ${seen}`);
  const drained = await fetch(`http://${server.address}/v1/admin/drain`, { method: 'POST', headers: { Authorization: `Bearer ${SECRET}` } });
  assert.deepEqual([drained.status, await drained.json()], [202, { draining: true }]);
});
