// A client as rtbdp's dashboard has it: it subscribes and replays in one message, keeps the newest row of each key, and a ranking by applying each update once and in order. While rows arrive, and
// through connections that break off and a server that starts anew, what it shows becomes what the feed counted.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import WebSocket from 'ws';

import { cluster } from './postgres.mjs';
import { Feed, Ranking, everyKey, publish } from '../../../docs/examples/rtbdp-feed.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const binary = process.env.FANWIRE_BIN ?? join(root, 'target/debug/fanwire');

/** The line of the example that has its rows in PostgreSQL. */
const SWITCH = /^# (tables = \{ backend = "postgres", url = ")[^"]*(" \})$/m;

/** The example, on ports of the system's choice, in a folder of its own; with a database's address its rows are there. */
async function serve(t, url) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-rtbdp-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return start(t, folder, '127.0.0.1:0', url);
}

async function start(t, folder, listen, url) {
  const config = join(folder, 'rtbdp.toml');
  const written = readFileSync(join(root, 'docs/examples/rtbdp.toml'), 'utf8');
  assert.match(written, SWITCH);
  const example = url ? written.replace(SWITCH, `$1${url}$2`) : written;
  writeFileSync(config, example.replace('127.0.0.1:8080', listen).replace('listen = "127.0.0.1:8887"', ''));
  const server = spawn(binary, ['serve', '--config', config], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  t.after(async () => {
    server.kill('SIGKILL');
    await ended;
  });
  let log = '';
  const address = await new Promise((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text) => {
      log += text;
      const found = /address=(\S+)/.exec(log);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
  /** It stops, and starts anew with what it has kept. */
  const restart = async () => {
    server.kill('SIGTERM');
    await ended;
    return start(t, folder, address, url);
  };
  return { address, server, restart };
}

/** One dashboard. */
class Dashboard {
  live = new Map();
  ranking = [];
  repairs = 0;
  connections = 0;
  closes = [];
  #socket;
  #isReplayed = false;
  #cutOff = 0;
  #last = 0;
  #snapshot = [];
  #waiting = [];

  constructor(url) {
    this.url = url;
    this.open();
  }

  open() {
    this.connections += 1;
    this.#socket = new WebSocket(this.url);
    this.#socket.on('open', () => {
      const asked = [
        { id: 0, table: 'counts_live', filters: [{ window_size: { opt: ['5m'] } }] },
        { id: 1, table: 'repos_ranking', filters: [{ window_size: { opt: ['5m'] } }], limit: 1000 },
      ];
      this.#socket.send(JSON.stringify({ subscribe: asked, replay: asked }));
    });
    this.#socket.on('message', (data) => this.#hear(JSON.parse(data)));
    this.#socket.on('close', (code) => {
      this.closes.push(code);
      [this.#isReplayed, this.#snapshot, this.#waiting] = [false, [], []];
      // After a close frame the real client never comes back.
      if (code === 1006 && !this.isDone) setTimeout(() => this.open(), 20);
    });
    this.#socket.on('error', () => {});
  }

  /** The connection breaks off. */
  break() {
    this.#socket.terminate();
  }

  end() {
    this.isDone = true;
    this.#socket.terminate();
  }

  #hear({ table, row, rows, replayed }) {
    if (replayed === 1) return this.#begin();
    if (table === undefined) return;
    const all = row ? [row] : rows.seq_num.map((_, index) => Object.fromEntries(Object.entries(rows).map(([name, column]) => [name, column[index]])));
    for (const one of all) {
      if (table === 'counts_live') this.#merge(one);
      else if (!('old_row_number' in one)) this.#snapshot.push(one);
      else if (this.#isReplayed) this.#apply(one);
      else this.#waiting.push(one);
    }
  }

  #merge(row) {
    const known = this.live.get(row.kind);
    if (!known || row.seq_num > known.seq_num) this.live.set(row.kind, row);
  }

  #begin() {
    this.#cutOff = this.#last = Math.max(0, ...this.#snapshot.map((row) => row.seq_num));
    this.ranking = this.#snapshot.sort((one, other) => one.row_number - other.row_number).map((row) => row.repo_id);
    this.#snapshot.forEach((row, index) => this.#check(row.row_number === index, `snapshot ${index}`));
    this.#isReplayed = true;
    this.#snapshot = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    waiting.forEach((row) => this.#apply(row));
  }

  #apply({ repo_id, row_number, old_row_number, seq_num }) {
    // What the snapshot holds already; it may be told later than that.
    if (seq_num <= this.#cutOff) return;
    this.#check(seq_num > this.#last, `${seq_num} behind ${this.#last}`);
    this.#last = seq_num;
    if (old_row_number !== null) {
      this.#check(this.ranking[old_row_number] === repo_id, `${repo_id} was at ${old_row_number}`);
      this.ranking.splice(old_row_number, 1);
    } else {
      this.#check(!this.ranking.includes(repo_id), `${repo_id} was there`);
    }
    if (row_number !== null) this.ranking.splice(row_number, 0, repo_id);
  }

  /** Where the real client says `found inconsistent row numbers`. */
  #check(isRight, what) {
    if (!isRight) {
      this.repairs += 1;
      this.wrong ??= what;
    }
  }
}

/** What the feed has counted: of the lines that were published the last word on each row. */
class Truth {
  live = new Map();
  #scores = new Map();

  take(lines) {
    for (const line of lines.get('counts_live') ?? []) {
      const row = JSON.parse(line);
      if (row.window_size === '5m') this.live.set(row.kind, row.num_events);
    }
    for (const line of lines.get('repos_ranking') ?? []) {
      const row = JSON.parse(line);
      if (row.window_size === '5m') this.#scores.set(row.repo_id, row.row_number === null ? 0 : row.num_events);
    }
  }

  get ranking() {
    const all = [...this.#scores].filter(([, score]) => score > 0);
    return all.sort(([one, a], [other, b]) => b - a || one - other).map(([repo]) => repo);
  }
}

async function until(what, isSo) {
  for (const begun = Date.now(); !isSo(); ) {
    assert.ok(Date.now() - begun < 20_000, `${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until so many rows have changed. */
async function written(address, count) {
  for (const begun = Date.now(); ; ) {
    const figures = await (await fetch(`http://${address}/metrics`)).text();
    const found = /^fanwire_tables_rows_written_total\{.*\} (\d+)$/m.exec(figures);
    if (Number(found?.[1]) >= count) return;
    assert.ok(Date.now() - begun < 20_000, figures);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const shown = (dashboard) => ({ live: Object.fromEntries([...dashboard.live].map(([kind, row]) => [kind, row.num_events]).sort()), ranking: dashboard.ranking });
const counted = (truth) => ({ live: Object.fromEntries([...truth.live].sort()), ranking: truth.ranking });
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

for (const backend of ['SQLite', 'PostgreSQL']) {
  test(`dashboards converge while rows arrive, through connections that break off, on ${backend}`, { timeout: 120_000 }, (t) => converge(t, backend));
}

async function converge(t, backend) {
  const database = backend === 'PostgreSQL' ? await cluster(t) : undefined;
  const { address, restart } = await serve(t, database?.url);
  const dashboards = [];
  t.after(() => dashboards.forEach((dashboard) => dashboard.end()));
  let now = 1_767_000_000_000;
  const [feed, truth] = [new Feed(now), new Truth()];
  // What another run has left is deleted, by whoever starts anew.
  await publish(`http://${address}`, new Map([['repos_ranking', ['{"window_size":"5m","repo_id":7,"num_events":99,"row_number":0,"seq_num":1}']]]));
  await publish(`http://${address}`, everyKey(), 'delete');
  // A row that goes is not told: whoever replays before it has gone would keep it.
  await written(address, 2);
  for (let round = 0; round < 60; round += 1) {
    // The feed's time is its own: each round is a tenth of its second, and rows leave the window of five.
    now += 300;
    feed.pass(now);
    for (let event = 0; event < 10; event += 1) feed.event();
    const lines = feed.take();
    truth.take(lines);
    if (round % 6 === 0 && dashboards.length < 6) dashboards.push(new Dashboard(`ws://${address}/api`));
    if (round % 4 === 3) dashboards[round % dashboards.length].break();
    await publish(`http://${address}`, lines);
    if (round === 25) await database?.restart();
    if (round === 40) await restart();
  }
  for (const [index, dashboard] of dashboards.entries()) {
    const difference = () => `dashboard ${index}: ${JSON.stringify(shown(dashboard))}, counted ${JSON.stringify(counted(truth))}, ${dashboard.wrong}`;
    await until(difference, () => isSame(shown(dashboard), counted(truth)));
    assert.equal(dashboard.repairs, 0, difference());
  }
  assert.ok(dashboards.some((dashboard) => dashboard.connections > 1), 'some have come back');
  assert.ok(dashboards.every((dashboard) => dashboard.closes.every((code) => code === 1006)), 'nobody was sent a close frame');
  assert.ok(truth.ranking.length > 5 && truth.live.size > 5, 'there was something to show');
}

test('a ranking knows where its rows went', () => {
  const ranking = new Ranking();
  const none = { old_row_number: null, old_rank: null, old_max_rank: null };
  assert.deepEqual(ranking.update(2, 5), { row_number: 0, rank: 0, max_rank: 0, ...none });
  assert.deepEqual(ranking.update(1, 5), { row_number: 0, rank: 0, max_rank: 1, ...none });
  assert.deepEqual(ranking.update(2, 6), { row_number: 0, rank: 0, max_rank: 0, old_row_number: 1, old_rank: 0, old_max_rank: 1 });
  assert.deepEqual(ranking.update(2, 0), { row_number: null, rank: null, max_rank: null, old_row_number: 0, old_rank: 0, old_max_rank: 0 });
});

test('the server lets go of a dashboard without a close frame when it stops', { timeout: 60_000 }, async (t) => {
  const { address, server } = await serve(t);
  const socket = new WebSocket(`ws://${address}/rt`);
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send('{"replay":[{"id":3,"table":"counts_live"}]}');
  const said = await new Promise((resolve) => socket.once('message', (data) => resolve(`${data}`)));
  assert.equal(said, '{"replayed":3}');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  server.kill('SIGTERM');
  assert.equal(await closed, 1006);
});
