// A server of our own for each test: FANWIRE_BIN or target/debug/fanwire, on both drivers where the kernel has both.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const binary = process.env.FANWIRE_BIN ?? fileURLToPath(new URL('../../../target/debug/fanwire', import.meta.url));

/** Settings as the file has them: `a.b` is a key of table `a`. */
function toml(settings) {
  const lines = { '': [] };
  for (const [name, value] of Object.entries(settings)) {
    const [key, table = ''] = name.split('.').reverse();
    const written = /^(true|false|\d+)$/.test(value) ? value : JSON.stringify(value);
    (lines[table] ??= []).push(`${key} = ${written}`);
  }
  return Object.entries(lines).map(([table, keys]) => (table ? `[${table}]\n` : '') + keys.join('\n')).join('\n');
}

/**
 * Starts a server for a test, at a port of its own unless `listen` says which, and resolves once it listens. `stop` resolves with its exit code. The server ends with the test `t`, even with one
 * that failed before it stopped it: what is left running would keep this process from ending.
 */
export async function serve(t, driver, settings, switches) {
  const server = await start(driver, settings, switches);
  t.after(server.end);
  return server;
}

async function start(driver, { listen = '127.0.0.1:0', ...settings } = {}, switches = []) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-'));
  const config = join(folder, 'fanwire.toml');
  writeFileSync(config, toml({ shards: 2, pin: false, connections_max: 200, ...settings }));
  const args = ['serve', '--config', config, '--listen', listen, '--driver', driver, ...switches];
  const server = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  let log = '';
  const [address, ownPort] = await new Promise((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
      // The whole line: what other listeners there are stands behind the address.
      const found = /address=(\S+)(.*)\n/.exec(log);
      if (found) resolve([found[1], /own=\[.*?:(\d+)\)/.exec(found[2])?.[1]]);
    });
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  }).catch((error) => {
    rmSync(folder, { recursive: true });
    throw error;
  });
  let isStopping = false;
  // A second signal would mean: at once.
  const beginToStop = () => {
    if (!isStopping) server.kill('SIGTERM');
    isStopping = true;
  };
  const stop = () => {
    beginToStop();
    return ended;
  };
  const end = async () => {
    if (server.exitCode === null && server.signalCode === null) server.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  };
  /** Has it read its configuration anew. */
  const reload = () => server.kill('SIGHUP');
  return { address, ownPort, beginToStop, stop, end, reload };
}

/** The drivers that this kernel allows. */
export async function drivers() {
  try {
    await (await start('io_uring')).end();
    return ['epoll', 'io_uring'];
  } catch (error) {
    console.log(`io_uring is left out: ${error.message}`);
    return ['epoll'];
  }
}
