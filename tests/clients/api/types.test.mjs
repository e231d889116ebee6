// The types of the JavaScript client: a program that uses all of it compiles, and what is a mistake does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const NAME = fileURLToPath(new URL('../../../src/clients/js/program.ts', import.meta.url));
const OPTIONS = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, moduleResolution: ts.ModuleResolutionKind.Bundler, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'], types: [] };

/** What the compiler says of a program that lies beside the client. */
function faults(program) {
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => name === NAME || fileExists(name);
  host.readFile = (name) => (name === NAME ? program : readFile(name));
  host.getSourceFile = (name, version) => (name === NAME ? ts.createSourceFile(name, program, version) : getSourceFile.call(host, name, version));
  const found = ts.getPreEmitDiagnostics(ts.createProgram([NAME], OPTIONS, host));
  return found.map(({ messageText, file, start }) => ({ text: ts.flattenDiagnosticMessageText(messageText, ' '), line: file?.getLineAndCharacterOfPosition(start).line }));
}

const PROGRAM = `
import { Fanwire, FanwireError, where, type Event, type Position } from './fanwire.js';
import { shared } from './shared.js';
import { circle, field } from './filters.js';

interface Report { altitude: number; callsign?: string }
const fanwire = new Fanwire('http://127.0.0.1:8080', { token: async (cause) => (cause === 'open' ? 'a' : 'b') });
fanwire.onstate = (state, detail) => console.log(state === 'waiting' && detail?.cause === 'stopping' ? detail.wait_ms : detail?.attempt);
const subscription = fanwire.subscribe<Report>(
  { topics: ['adsb/**'], filter: where.and(where.field('altitude').lt(1), where.within('lat', 'lon', circle(1, 2, 3)), field('a').in(['x', 1])), since: 'last', slow: 'latest_per_key', batch: { max_events: 2 } },
  { event: (event: Event<Report>) => event.payload.altitude.toFixed(), recovered: ({ complete, gaps }) => complete || gaps[0].to - gaps[0].from },
);
const position: Position | undefined = subscription.position;
for (const result of await fanwire.publishAll([{ topic: 'a', payload: { n: 1 }, key: 'k' }])) {
  if (result instanceof FanwireError) console.log(result.code, result.field);
  else console.log(result.offset, position);
}
const tab: Fanwire = shared('http://127.0.0.1:8080', { name: 'ada', token: 'a' });
await subscription.update({ filter: 'altitude < 2', max_rate: null });
tab.close();
`;

test('a program that uses all of it compiles', () => {
  assert.deepEqual(faults(PROGRAM), []);
});

test('mistakes do not', () => {
  const mistakes = [
    "fanwire.subscribe({ topics: 'a', slow: 'never' });",
    "fanwire.subscribe({ topics: 'a', filter: { lt: ['a'] } });",
    "where.field('a').lt({});",
    'where.field();',
    "new Fanwire('x', { token: 5 });",
    'fanwire.publishAll([{ payload: {} }]);',
    "fanwire.onstate = (state) => state === 'gone';",
  ];
  const program = ["import { Fanwire, where } from './fanwire.js';", "const fanwire = new Fanwire('x');", ...mistakes].join('\n');
  const lines = new Set(faults(program).map(({ line }) => line));
  assert.deepEqual([...lines].sort(), mistakes.map((_, index) => index + 2));
});
