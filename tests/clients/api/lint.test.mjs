// The documents of the API, linted by the tools of those who made the formats: Redocly's for OpenAPI, AsyncAPI's own parser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Parser } from '@asyncapi/parser';
import { createConfig, lint } from '@redocly/openapi-core';

const file = (name) => fileURLToPath(new URL(`../../../docs/api/${name}.json`, import.meta.url));

/** Advice that is not taken, and why. */
const RULES = {
  // A template and its siblings: `/openapi/ui` is the first layout of `/openapi/ui/{type}`.
  'no-ambiguous-paths': 'off',
  // Health and pages have no way to be asked wrongly.
  'operation-4xx-response': 'off',
  // Whoever says the right secret is sent on: 303 is what goes well.
  'operation-2xx-response': 'off',
  // The server's address is the one that the document comes from.
  'no-server-example.com': 'off',
};

test('Redocly finds nothing in the OpenAPI document', async () => {
  const config = await createConfig({ extends: ['recommended'], rules: RULES });
  const problems = await lint({ ref: file('openapi'), config });
  assert.deepEqual(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`), []);
});

test('AsyncAPI finds nothing in the AsyncAPI document', async () => {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file('asyncapi'), 'utf8'));
  assert.deepEqual(diagnostics.map(({ code, message, path }) => `${code}: ${message} ${path.join('/')}`), []);
  assert.ok(document.channels().length > 15);
});

test('examples are what their schemas say', async () => {
  // Of the native messages: those that the document shows are as the protocol has them.
  const asyncapi = JSON.parse(readFileSync(file('asyncapi'), 'utf8'));
  for (const [name, { payload, examples = [] }] of Object.entries(asyncapi.components.messages)) {
    for (const { payload: example } of examples) {
      for (const member of payload.required ?? []) assert.ok(member in example, `${name}: ${member}`);
      for (const member of Object.keys(example)) assert.ok(payload.additionalProperties !== false || member in payload.properties, `${name}: ${member}`);
    }
  }
});
