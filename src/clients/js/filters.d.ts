/** Filters, built: each function answers the structured notation, plain JSON. */

export type Value = string | number | boolean | null;
export type Area = { box: [number, number, number, number] } | { circle: [number, number, number] } | { polygon: [number, number][] };

type Test<Operator extends string, Argument> = { [Name in Operator]: [string, Argument] };
export type Filter =
  | Test<'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', Value>
  | Test<'glob' | 'like' | 'ilike' | 'prefix' | 'suffix' | 'contains' | 'icontains' | 'regex', string>
  | Test<'in' | 'not_in', Value[]>
  | { between: [string, Value, Value] }
  | { range: [string, '>' | '>=', Value, '<' | '<=', Value] }
  | { exists: string }
  | { null: string }
  | { known: string }
  | { within: [string, string, Area] }
  | { and: readonly Filter[] }
  | { or: readonly Filter[] }
  | { not: Filter };

export interface Field {
  /** As the notation writes it. */
  readonly source: string;
  eq(value: Value): Filter;
  ne(value: Value): Filter;
  lt(value: Value): Filter;
  le(value: Value): Filter;
  gt(value: Value): Filter;
  ge(value: Value): Filter;
  in(values: Iterable<Value>): Filter;
  notIn(values: Iterable<Value>): Filter;
  /** Ends included. */
  between(low: Value, high: Value): Filter;
  range(above: '>' | '>=', low: Value, below: '<' | '<=', high: Value): Filter;
  /** `*` is any run of characters, `?` any one. */
  glob(pattern: string): Filter;
  /** The same in SQL's signs. */
  like(pattern: string): Filter;
  ilike(pattern: string): Filter;
  prefix(text: string): Filter;
  suffix(text: string): Filter;
  contains(text: string): Filter;
  icontains(text: string): Filter;
  /** In the syntax of the Rust crate `regex`; a RegExp without flags. */
  regex(expression: string | RegExp): Filter;
  exists(): Filter;
  isNull(): Filter;
  isNotNull(): Filter;
}

/** A member of the payload: `field('position.lat')`, `field('odd name', 'a.b')`. */
export function field(...names: [string, ...string[]]): Field;
export function first(...fields: (string | Field)[]): Field;
export const topic: Field;
export const key: Field;
export const op: Field;
export function and(...filters: Filter[]): Filter;
export function or(...filters: Filter[]): Filter;
export function not(filter: Filter): Filter;
export const all: Filter;
export const none: Filter;
export function within(latitude: string | Field, longitude: string | Field, area: Area): Filter;
export function box(south: number, west: number, north: number, east: number): Area;
export function circle(latitude: number, longitude: number, metres: number): Area;
export function polygon(points: [number, number][]): Area;
