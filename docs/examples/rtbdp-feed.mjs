#!/usr/bin/env node
// A made-up GitHub that fills the tables of rtbdp.toml, so that rows move. Needs Node 20 and nothing else.
//
//   fanwire serve --config docs/examples/rtbdp.toml      # in one terminal
//   node docs/examples/rtbdp-feed.mjs                    # in another; or with a number of events a second, and the server's address:
//   node docs/examples/rtbdp-feed.mjs 200 http://127.0.0.1:8080
//
// What it does is what the pipeline behind the real dashboard does: it counts events in windows, keeps rankings, and says of each update of a ranking where the row went. A minute of a window
// takes a second here. It shows what a source of such tables must keep to: `seq_num` ascends; a ranking's updates are published one after the other, in one order; places count by score, highest
// first, then by key; a row whose count is 0 leaves its ranking with `row_number` null.

const KINDS = ['push', 'watch', 'create_repo', 'create_branch', 'delete_branch', 'fork', 'wiki', 'issue_open', 'issue_close', 'pull_open', 'pull_close',
  'commit_comment', 'issue_comment', 'pull_comment', 'other'];
const WINDOWS = { '5m': 5, '1h': 60, '6h': 360, '24h': 1440 };

const REPOS = 40;
const USERS = 25;

/** The same numbers in every run. */
function* numbers(seed) {
  for (let state = seed >>> 0; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** Rows in the order of their scores: an update says where a row was and where it is. */
export class Ranking {
  #rows = [];

  #placesOf(row) {
    const at = this.#rows.indexOf(row);
    const score = row.score;
    return { row_number: at, rank: this.#rows.findIndex((one) => one.score === score), max_rank: this.#rows.findLastIndex((one) => one.score === score) };
  }

  /** The places before and after; null: it is not in the ranking. */
  update(key, score) {
    const found = this.#rows.find((row) => row.key === key);
    const old = found ? this.#placesOf(found) : { row_number: null, rank: null, max_rank: null };
    if (found) this.#rows.splice(this.#rows.indexOf(found), 1);
    let now = { row_number: null, rank: null, max_rank: null };
    if (score > 0) {
      const row = { key, score };
      const at = this.#rows.findIndex((one) => one.score < score || (one.score === score && compare(one.key, key) > 0));
      this.#rows.splice(at < 0 ? this.#rows.length : at, 0, row);
      now = this.#placesOf(row);
    }
    return { ...now, old_row_number: old.row_number, old_rank: old.rank, old_max_rank: old.max_rank };
  }
}

/** Counts in windows that move on, and what has to be published of each change. */
export class Feed {
  #random = numbers(7);
  #seq = 0;
  #lines = new Map();
  #counts = new Map();
  #rankings = new Map();
  /** Per window what was counted, oldest first. */
  #counted = Object.fromEntries(Object.keys(WINDOWS).map((window) => [window, []]));
  #known = new Set();
  #events = 0;

  constructor(now = Date.now()) {
    this.now = now;
  }

  /** What was to be published since the last call: lines by table. */
  take() {
    const lines = this.#lines;
    this.#lines = new Map();
    return lines;
  }

  #publish(table, row) {
    this.#seq = Math.max(this.#seq + 1, this.now * 1000);
    if (!this.#lines.has(table)) this.#lines.set(table, []);
    this.#lines.get(table).push(JSON.stringify({ ...row, seq_num: this.#seq }));
  }

  #below(count) {
    return Math.floor(this.#random.next().value ** 2 * count);
  }

  #count(window, family, field, score, key, change) {
    const place = `${window ?? ''}/${family}/${key}`;
    const count = (this.#counts.get(place) ?? 0) + change;
    if (count > 0) this.#counts.set(place, count);
    else this.#counts.delete(place);
    const row = { ...(window && { window_size: window }), [field]: key, [score]: count };
    this.#publish(`${family}_live`, row);
    const ranking = `${family}/${window}`;
    if (!this.#rankings.has(ranking)) this.#rankings.set(ranking, new Ranking());
    this.#publish(`${family}_ranking`, { ...row, ...this.#rankings.get(ranking).update(key, count) });
  }

  #countEvent(window, { kind, repo, user }, change) {
    this.#count(window, 'counts', 'kind', 'num_events', kind, change);
    this.#count(window, 'repos', 'repo_id', 'num_events', repo, change);
    this.#count(window, 'users', 'user_id', 'num_events', user, change);
    if (kind === 'watch') this.#count(window, 'stars', 'repo_id', 'num_stars', repo, change);
  }

  #meet(table, id, fields) {
    if (this.#known.has(`${table}/${id}`)) return;
    this.#known.add(`${table}/${id}`);
    const seqs = Object.fromEntries(Object.keys(fields).map((field) => [`${field}_seq_num`, this.now * 1000]));
    this.#publish(table, { id, ...fields, ...seqs });
  }

  /** One event. */
  event() {
    const [kind, repo, user] = [KINDS[this.#below(KINDS.length)], 1 + this.#below(REPOS), 1 + this.#below(USERS)];
    const event = { kind, repo, user, at: this.now };
    this.#events += 1;
    const created_at = new Date(this.now).toISOString().replace('.000', '');
    this.#publish('events', { created_at, id: this.now * 1000 + (this.#events % 1000), kind, repo_id: repo, user_id: user, details: `${kind} of user ${user}` });
    this.#meet('users', user, { username: `user${user}`, avatar_url: null, html_url: `https://example.org/user${user}`, user_type: 'User' });
    this.#meet('repos', repo, { reponame: `repo${repo}`, fullname: `owner/repo${repo}`, owner_id: 1, html_url: `https://example.org/repo${repo}`, lang: 'Rust', star_count: 0, is_fork: 0, is_archived: 0 });
    for (const window of Object.keys(WINDOWS)) {
      this.#countEvent(window, event, 1);
      this.#counted[window].push(event);
    }
    this.#count(null, 'trending', 'repo_id', 'trending_score', repo, 1);
    const start = Math.floor(this.now / 5000) * 5000;
    const [ts_start, ts_end] = [start, start + 5000].map((ms) => new Date(ms).toISOString());
    for (const fine of ['', '_fine']) {
      const span = { ts_start, ts_end };
      const of = (family, key) => {
        const place = `${fine}/${family}/${key}/${start}`;
        this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1);
        return this.#counts.get(place);
      };
      this.#publish(`counts_history${fine}`, { kind, ...span, num_events: of('counts', kind) });
      this.#publish(`repos_history${fine}`, { repo_id: repo, ...span, num_events: of('repos', repo) });
      this.#publish(`users_history${fine}`, { user_id: user, ...span, num_events: of('users', user) });
      if (kind === 'watch') this.#publish(`stars_history${fine}`, { repo_id: repo, ...span, num_stars: of('stars', repo) });
    }
  }

  /** Time passes: what is older than its window no longer counts. */
  pass(now) {
    this.now = Math.max(now, this.now);
    for (const [window, seconds] of Object.entries(WINDOWS)) {
      const counted = this.#counted[window];
      while (counted.length > 0 && counted[0].at < this.now - seconds * 1000) this.#countEvent(window, counted.shift(), -1);
    }
  }
}

/** Every key that a count or a place may have, by table: what an earlier run may have left. */
export function everyKey() {
  const lines = new Map();
  const from1 = (count) => Array.from({ length: count }, (_, index) => index + 1);
  const all = (family, field, keys, windows) => {
    const rows = windows.flatMap((window) => keys.map((key) => JSON.stringify({ ...(window && { window_size: window }), [field]: key })));
    lines.set(`${family}_live`, rows).set(`${family}_ranking`, rows);
  };
  all('counts', 'kind', KINDS, Object.keys(WINDOWS));
  all('repos', 'repo_id', from1(REPOS), Object.keys(WINDOWS));
  all('users', 'user_id', from1(USERS), Object.keys(WINDOWS));
  all('stars', 'repo_id', from1(REPOS), Object.keys(WINDOWS));
  all('trending', 'repo_id', from1(REPOS), [null]);
  return lines;
}

/** Publishes lines, table by table; a table's lines keep their order, for each request is answered before the next one is made. */
export async function publish(address, lines, op = 'upsert') {
  for (const [table, rows] of lines) {
    const request = { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: rows.join('\n') };
    const answer = await fetch(`${address}/v1/publish/github/${table}?op=${op}`, request);
    if (!answer.ok) throw new Error(`${table}: ${answer.status} ${await answer.text()}`);
  }
}

async function main([perSecond = '20', address = 'http://127.0.0.1:8080']) {
  const feed = new Feed();
  // It counts from nothing, so nothing may be left of another run; a dashboard that is open meanwhile has to be loaded anew.
  await publish(address, everyKey(), 'delete');
  console.log(`about ${perSecond} events a second to ${address}; Ctrl-C ends it`);
  let events = 0;
  let due = 0;
  for (let begun = Date.now(); ; ) {
    feed.pass(Date.now());
    due = ((Date.now() - begun) / 1000) * Number(perSecond);
    for (; events < due; events += 1) feed.event();
    await publish(address, feed.take());
    if (events % 100 < 4) process.stdout.write(`\r${events} events`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.cause?.message ?? error.message);
    process.exitCode = 1;
  });
}
