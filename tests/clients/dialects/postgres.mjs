// A server of PostgreSQL of one's own: a cluster in a temporary folder, on a socket in it, stopped by its process id. Root may not run it, so it runs as `nobody` then.

import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NOBODY = 65_534;

function programs() {
  if (process.env.FANWIRE_POSTGRES_BIN) return process.env.FANWIRE_POSTGRES_BIN;
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  const found = versions.map((version) => `/usr/lib/postgresql/${version}/bin`).filter((folder) => existsSync(join(folder, 'initdb')));
  if (found.length === 0) throw new Error('install PostgreSQL (Debian: postgresql), or name its folder of programs in FANWIRE_POSTGRES_BIN');
  return found.sort().at(-1);
}

/** Starts one that logs anybody in who says to be ada; `restart` ends it as a crash does, and starts it anew. */
export async function cluster(t) {
  const folder = mkdtempSync(join(tmpdir(), 'fw-pg-'));
  const who = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (who.uid) chownSync(folder, NOBODY, NOBODY);
  const options = { cwd: folder, env: { LC_ALL: 'C' }, stdio: 'ignore', ...who };
  const data = join(folder, 'data');
  execFileSync(join(programs(), 'initdb'), ['--no-sync', '--auth=trust', '--username=ada', '--encoding=UTF8', '--locale=C.UTF-8', '--pgdata', data], options);
  let server;
  const isUp = () => {
    try {
      execFileSync(join(programs(), 'pg_isready'), ['-q', '-U', 'ada', '-d', 'postgres', '-h', folder], options);
      return true;
    } catch {
      return false;
    }
  };
  const run = async () => {
    // What a crash has left may be in the way for a moment.
    for (let tries = 0; tries < 600; tries += 1) {
      const begun = spawn(join(programs(), 'postgres'), ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off'], options);
      begun.ended = new Promise((resolve) => begun.once('exit', resolve));
      while (begun.exitCode === null && !isUp()) await new Promise((resolve) => setTimeout(resolve, 20));
      if (begun.exitCode === null) {
        server = begun;
        return;
      }
    }
    throw new Error('PostgreSQL does not start');
  };
  const end = async (signal) => {
    server?.kill(signal);
    await server?.ended;
  };
  await run();
  t.after(async () => {
    await end('SIGINT');
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  const restart = async () => {
    await end('SIGKILL');
    await run();
  };
  return { url: `postgres:///postgres?host=${folder}&user=ada`, restart };
}
