// The package as it is published: what `npm pack` puts in, that all of it is needed and nothing is missing, and that it works from where it is installed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../../src/clients/js/', import.meta.url));

test('what is packed is what is there, and works where it is installed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-pack-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [packed] = JSON.parse(execFileSync('npm', ['pack', source, '--json', '--pack-destination', folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  const names = packed.files.map(({ path }) => path).sort();
  assert.deepEqual(names, readdirSync(source).sort(), 'nothing of the folder is left out, and nothing else is in');
  const installed = join(folder, 'node_modules', 'fanwire');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', installed]);
  for (const name of names.filter((name) => /\.js$/.test(name))) {
    for (const [, imported] of readFileSync(join(installed, name), 'utf8').matchAll(/from '\.\/([^']+)'/g)) assert.ok(names.includes(imported), `${name} imports ${imported}`);
    const isEntry = name === 'fanwire.js' || name === 'filters.js' || name === 'shared.js';
    assert.equal(isEntry, names.includes(name.replace(/\.js$/, '.d.ts')), `types of ${name}`);
  }
  const program = `
    import { Fanwire, FanwireError, where } from 'fanwire';
    import { field } from 'fanwire/filters';
    import { shared } from 'fanwire/shared';
    class Socket {}
    const client = new Fanwire('http://host:1', { WebSocket: Socket });
    const tab = shared('http://host:1', { WebSocket: Socket, name: 'ada' });
    console.log(JSON.stringify([client.state, tab.url, new FanwireError({ code: 'full' }).code, where.all, field('a').lt(1)]));
  `;
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: folder, encoding: 'utf8' });
  assert.deepEqual(JSON.parse(said), ['idle', 'ws://host:1/v1/ws', 'full', { and: [] }, { lt: ['a', 1] }]);
});
