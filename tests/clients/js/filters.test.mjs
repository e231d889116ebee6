// Built filters are the structured notation of docs/FILTERS.md, every operator of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { where } from '../../../src/clients/js/fanwire.js';

const { all, and, box, circle, field, first, key, none, not, op, or, polygon, topic, within } = where;
const a = field('a');

/** What is built, as `docs/FILTERS.md` has it. */
const BUILT = [
  [a.eq(1), '{"eq":["a",1]}'],
  [a.ne(1), '{"ne":["a",1]}'],
  [a.in([1, 'x']), '{"in":["a",[1,"x"]]}'],
  [a.notIn([1, 'x']), '{"not_in":["a",[1,"x"]]}'],
  [a.lt(1), '{"lt":["a",1]}'],
  [a.le(1), '{"le":["a",1]}'],
  [a.gt(1), '{"gt":["a",1]}'],
  [a.ge(1), '{"ge":["a",1]}'],
  [a.between(1, 2), '{"between":["a",1,2]}'],
  [a.range('>', 1, '<', 2), '{"range":["a",">",1,"<",2]}'],
  [a.glob('SWR*'), '{"glob":["a","SWR*"]}'],
  [a.like('SWR%'), '{"like":["a","SWR%"]}'],
  [a.ilike('swr%'), '{"ilike":["a","swr%"]}'],
  [a.prefix('x'), '{"prefix":["a","x"]}'],
  [a.suffix('x'), '{"suffix":["a","x"]}'],
  [a.contains('x'), '{"contains":["a","x"]}'],
  [a.icontains('x'), '{"icontains":["a","x"]}'],
  [a.regex(/^[A-Z]+\d$/), '{"regex":["a","^[A-Z]+\\\\d$"]}'],
  [a.exists(), '{"exists":"a"}'],
  [a.isNull(), '{"null":"a"}'],
  [a.isNotNull(), '{"known":"a"}'],
  [within('lat', 'lon', box(46, 6, 47, 8)), '{"within":["lat","lon",{"box":[46,6,47,8]}]}'],
  [within('lat', 'lon', circle(47.45, 8.55, 30000)), '{"within":["lat","lon",{"circle":[47.45,8.55,30000]}]}'],
  [within('lat', 'lon', polygon([[46, 6], [47, 6], [46, 8]])), '{"within":["lat","lon",{"polygon":[[46,6],[47,6],[46,8]]}]}'],
  [and(a.eq(1), not(a.eq(2))), '{"and":[{"eq":["a",1]},{"not":{"eq":["a",2]}}]}'],
  [or(all, none), '{"or":[{"and":[]},{"or":[]}]}'],
];

test('what is built is the notation of the page', () => {
  for (const [built, text] of BUILT) assert.equal(JSON.stringify(built), text);
});

test('every operator of the page can be built', () => {
  const page = readFileSync(new URL('../../../docs/FILTERS.md', import.meta.url), 'utf8');
  const table = page.slice(page.indexOf('| text | JSON | passes if |'), page.indexOf('In a backslash'));
  // The second column: the JSON of the operator, or, where it is the same but for it, its bare name.
  const cells = table.split('\n').map((line) => line.replaceAll('\\|', '').split(' | ')[1] ?? '');
  const words = cells.flatMap((cell) => [...cell.matchAll(/\{"([a-z_]+)":|`([a-z]{2,})`/g)].map(([, inJson, bare]) => inJson ?? bare));
  const built = BUILT.map(([, text]) => text).join(' ');
  assert.ok(new Set(words).size > 22, `${words}`);
  for (const word of words) assert.ok(built.includes(`"${word}"`), word);
});

test('fields are named as the notation names them', () => {
  const sources = [field('position.lat'), field('position', 'lat'), field('odd name', 'a.b'), field('tick`', 'x'), field('9'), first('a', field('b', 'c')), topic, key, op];
  assert.deepEqual(sources.map(({ source }) => source), ['position.lat', 'position.lat', '`odd name`.`a.b`', '`tick```.x', '`9`', 'first(a, b.c)', '$topic', '$key', '$op']);
  for (const names of [[], [''], [1]]) assert.throws(() => field(...names), TypeError);
  assert.throws(() => a.regex(/x/i), /flags/);
});
