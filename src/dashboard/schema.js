// A JSON schema, told as a list, and an example of it.

import { element, linkText } from './element.js';

/** Schemas within schemas are told so deep; what lies deeper is only named. */
const DEPTH_MAX = 5;

function resolved(api, schema) {
  let at = schema;
  while (at?.$ref) at = at.$ref.slice(2).split('/').reduce((node, name) => node[name.replaceAll('~1', '/')], api);
  return at;
}

/** The type of a schema in a few words. */
export function typeText(schema) {
  if (schema === true || schema === undefined) return 'anything';
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) return `one of ${alternatives.length}`;
  const types = [schema.type ?? 'anything'].flat().join(' or ');
  const [least, most] = [schema.minimum ?? schema.minLength ?? schema.minItems, schema.maximum ?? schema.maxLength ?? schema.maxItems];
  const range = least === undefined && most === undefined ? '' : ` ${least ?? ''}…${most ?? ''}`;
  const otherwise = schema.default === undefined ? '' : `, ${JSON.stringify(schema.default)} if absent`;
  return types + range + otherwise;
}

/** A schema and its members. */
export function schemaList(api, of, depth = 0) {
  const schema = resolved(api, of);
  const node = element('span', {}, element('em', {}, typeText(schema)), schema?.description ? ': ' : '', ...linkText(schema?.description ?? ''));
  const members = schema === true || depth >= DEPTH_MAX ? [] : membersOf(api, schema);
  if (members.length === 0) return node;
  const items = members.map(([name, member, isRequired]) =>
    element('li', {}, name && element('code', {}, name), isRequired ? ' * ' : ' ', schemaList(api, member, depth + 1)),
  );
  return element('div', {}, node, element('ul', { class: 'schema' }, ...items));
}

function membersOf(api, schema = {}) {
  const required = schema.required ?? [];
  const own = Object.entries(schema.properties ?? {}).map(([name, member]) => [name, member, required.includes(name)]);
  const all = (schema.allOf ?? []).flatMap((part) => membersOf(api, resolved(api, part)));
  const either = (schema.oneOf ?? schema.anyOf ?? []).map((part) => ['', part, false]);
  const items = schema.items ? [['[ ]', schema.items, false]] : [];
  return [...own, ...all, ...either, ...items];
}

/** Something that the schema allows. */
export function exampleOf(api, of, depth = 0) {
  const schema = resolved(api, of);
  if (schema === true || schema === undefined || depth > DEPTH_MAX) return {};
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) return exampleOf(api, alternatives[0], depth + 1);
  const type = [schema.type].flat()[0];
  if (type === 'array') return schema.items ? [exampleOf(api, schema.items, depth + 1)] : [];
  if (type === 'object') {
    return Object.fromEntries(membersOf(api, schema).filter(([name, , isRequired]) => name && isRequired).map(([name, member]) => [name, exampleOf(api, member, depth + 1)]));
  }
  return { string: '…', integer: schema.minimum ?? 0, number: schema.minimum ?? 0, boolean: false }[type] ?? null;
}
