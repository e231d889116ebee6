// Areas that are drawn on the map, and the clause of a filter that they are.
//
// A filter has at most one such clause, the last one: drawing anew takes the place of what was drawn before, and leaves what somebody wrote as it is. Pure.

/** Corners of an area: what a hand draws needs no more, and a filter may cost only so much. */
const CORNERS_MAX = 24;
/** Decimals of a degree: some ten metres. */
const DECIMALS = 4;

const CLAUSE = /^(?:([^]*) and )?within\(([^()]*), ([^()]*), (polygon|box)\(([^()]*)\)\)$/;

/** A line with fewer corners that goes about the same way; undefined where no area is left of it. Points are `[longitude, latitude]`. */
export function simplify(points) {
  let tolerance = 0;
  let kept = points;
  const [west, east] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
  const span = Math.max(east - west, Math.max(...points.map(([, y]) => y)) - Math.min(...points.map(([, y]) => y)));
  while (kept.length > CORNERS_MAX) {
    tolerance = tolerance === 0 ? span / 200 : tolerance * 1.5;
    kept = thinned(points, tolerance);
  }
  const corners = kept.map((point) => point.map((value) => Number(value.toFixed(DECIMALS))));
  const distinct = corners.filter(([x, y], index) => index === 0 || x !== corners[index - 1][0] || y !== corners[index - 1][1]);
  return distinct.length >= 3 && Math.abs(surface(distinct)) > 10 ** (-2 * DECIMALS) ? distinct : undefined;
}

/** Douglas and Peucker's way: a point stays if the line without it would be off by more than the tolerance. */
function thinned(points, tolerance) {
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const spans = [[0, points.length - 1]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span;
    let [farthest, most] = [0, tolerance];
    for (let index = from + 1; index < to; index += 1) {
      const off = distance(points[index], points[from], points[to]);
      if (off > most) [farthest, most] = [index, off];
    }
    if (farthest === 0) continue;
    keep[farthest] = 1;
    spans.push([from, farthest], [farthest, to]);
  }
  return points.filter((_, index) => keep[index]);
}

function distance([x, y], [ax, ay], [bx, by]) {
  const length = Math.hypot(bx - ax, by - ay);
  return length === 0 ? Math.hypot(x - ax, y - ay) : Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length;
}

function surface(points) {
  return points.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = points[(index + 1) % points.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

/** The clause for corners `[longitude, latitude]`, with the names that payloads have. */
export function polygonClause(corners, [latitude, longitude]) {
  return `within(${latitude}, ${longitude}, polygon(${corners.map(([x, y]) => `${y} ${x}`).join(', ')}))`;
}

/** The clause for a box of the map. */
export function boxClause({ west, east, south, north }, [latitude, longitude]) {
  const sides = [Math.max(-90, south), Math.max(-180, west), Math.min(90, north), Math.min(180, east)];
  return `within(${latitude}, ${longitude}, box(${sides.map((side) => Number(side.toFixed(DECIMALS))).join(', ')}))`;
}

/** A filter with this clause in the place of the one before; undefined takes that away. */
export function withClause(filter, clause) {
  const found = CLAUSE.exec(filter.trim());
  const rest = (found ? (found[1] ?? '') : filter).trim();
  if (!clause) return rest;
  if (!rest) return clause;
  return `${needsBrackets(rest) ? `(${rest})` : rest} and ${clause}`;
}

/** Whether `or` stands outside of brackets and quotes. */
function needsBrackets(filter) {
  let depth = 0;
  for (const [part] of filter.matchAll(/"(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[()]|\bor\b/gi)) {
    if (part === '(') depth += 1;
    else if (part === ')') depth -= 1;
    else if (/^or$/i.test(part) && depth === 0) return true;
  }
  return false;
}

/** The corners `[longitude, latitude]` of the area that a filter ends with, if it does. */
export function areaOf(filter) {
  const found = CLAUSE.exec(filter.trim());
  if (!found) return undefined;
  const numbers = found[5].split(/[\s,]+/).filter(Boolean).map(Number);
  if (numbers.some((number) => !Number.isFinite(number))) return undefined;
  if (found[4] === 'box') {
    const [south, west, north, east] = numbers;
    return numbers.length === 4 ? [[west, south], [east, south], [east, north], [west, north]] : undefined;
  }
  const corners = [];
  for (let index = 0; index + 1 < numbers.length; index += 2) corners.push([numbers[index + 1], numbers[index]]);
  return corners.length >= 3 ? corners : undefined;
}
