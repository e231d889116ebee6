// Filters, built: what comes out is the structured notation, plain JSON, to be handed to `subscribe` and `update`.
//
//     and(field('altitude').lt(10000), field('callsign').glob('SWR*'), within('latitude', 'longitude', circle(47.45, 8.55, 30_000)))
//
// Checks only what no server could tell from a mistake: that a name is a name. Knows no connection.

const WORD = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const TESTS = {
  eq: 'eq', ne: 'ne', lt: 'lt', le: 'le', gt: 'gt', ge: 'ge',
  glob: 'glob', like: 'like', ilike: 'ilike', prefix: 'prefix', suffix: 'suffix', contains: 'contains', icontains: 'icontains',
};

/** A field of the payload, or `$topic`, `$key`, `$op`: what tests are made of. */
class Field {
  /** As the notation writes it. */
  source;

  constructor(source) {
    this.source = source;
  }

  in(values) {
    return { in: [this.source, [...values]] };
  }

  notIn(values) {
    return { not_in: [this.source, [...values]] };
  }

  /** Ends included. */
  between(low, high) {
    return { between: [this.source, low, high] };
  }

  /** `range('>=', 30000, '<', 36000)`. */
  range(above, low, below, high) {
    return { range: [this.source, above, low, below, high] };
  }

  /** A regular expression: its text, or a RegExp without flags. */
  regex(expression) {
    if (expression instanceof RegExp && expression.flags !== '') throw new TypeError('flags of a RegExp are not sent: write (?i) and the like into it');
    return { regex: [this.source, expression instanceof RegExp ? expression.source : expression] };
  }

  exists() {
    return { exists: this.source };
  }

  isNull() {
    return { null: this.source };
  }

  isNotNull() {
    return { known: this.source };
  }
}

for (const [name, operator] of Object.entries(TESTS)) {
  Field.prototype[name] = function test(value) {
    return { [operator]: [this.source, value] };
  };
}

/** A member of the payload by the names that lead to it: `field('position', 'lat')`. One with dots in it is `field('position.lat')` only if it is a word and a word. */
export function field(...names) {
  const parts = names.length === 1 && names[0].split('.').every((name) => WORD.test(name)) ? names[0].split('.') : names;
  if (parts.length === 0 || parts.some((name) => typeof name !== 'string' || name === '')) throw new TypeError('a field has a name');
  return new Field(parts.map((name) => (WORD.test(name) ? name : `\`${name.replaceAll('`', '``')}\``)).join('.'));
}

/** The first of these fields that is in the payload. */
export function first(...fields) {
  return new Field(`first(${fields.map(sourceOf).join(', ')})`);
}

export const topic = new Field('$topic');
export const key = new Field('$key');
export const op = new Field('$op');

export function and(...filters) {
  return { and: filters };
}

export function or(...filters) {
  return { or: filters };
}

export function not(filter) {
  return { not: filter };
}

/** Everything, and nothing. */
export const all = Object.freeze({ and: Object.freeze([]) });
export const none = Object.freeze({ or: Object.freeze([]) });

/** The position that these two fields are lies in the area. */
export function within(latitude, longitude, area) {
  return { within: [sourceOf(latitude), sourceOf(longitude), area] };
}

export function box(south, west, north, east) {
  return { box: [south, west, north, east] };
}

export function circle(latitude, longitude, metres) {
  return { circle: [latitude, longitude, metres] };
}

/** Points as `[latitude, longitude]`; the last is joined to the first. */
export function polygon(points) {
  return { polygon: points.map(([latitude, longitude]) => [latitude, longitude]) };
}

function sourceOf(of) {
  return of instanceof Field ? of.source : field(of).source;
}
