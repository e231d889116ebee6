// The viewer of the API's documents: reads one of them, and lays it out to be read and tried.
//
// One page in four layouts, which have the names that ResolveSpec gives them; the URL says which. It loads nothing from elsewhere, and what it shows of a
// document is text: nothing in it is ever taken for markup.

import { element, linkText } from './element.js';
import { exampleOf, schemaList } from './schema.js';
import { tryForm } from './attempt.js';

const LAYOUTS = ['swagger-ui', 'rapidoc', 'redoc', 'scalar'];
const DOCUMENTS = { '/openapi': 'HTTP', '/asyncapi': 'WebSocket, SSE, MQTT' };
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

const $ = (id) => document.getElementById(id);
const search = new URLSearchParams(location.search);
const layout = LAYOUTS.find((name) => location.pathname.endsWith(`/${name}`)) ?? LAYOUTS[0];
const spec = Object.hasOwn(DOCUMENTS, search.get('spec')) ? search.get('spec') : '/openapi';

document.documentElement.dataset.layout = layout;
if (['light', 'dark'].includes(search.get('theme'))) document.documentElement.dataset.theme = search.get('theme');

start();

async function start() {
  links();
  $('find').addEventListener('input', find);
  try {
    const answer = await fetch(spec);
    if (!answer.ok) throw new Error(`${spec} is answered ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    $('document').replaceChildren(element('p', { role: 'alert' }, `The document cannot be shown: ${error.message}`));
  }
  document.documentElement.dataset.ready = 'true';
}

/** The ways to the other document and the other layouts, with what the URL says besides. */
function links() {
  const to = (changes) => {
    const query = new URLSearchParams(search);
    const { type = layout, ...rest } = changes;
    for (const [name, value] of Object.entries(rest)) query.set(name, value);
    return `/openapi/ui/${type}${query.size > 0 ? `?${query.toString().replaceAll('%2F', '/')}` : ''}`;
  };
  const link = (text, changes, isHere) => element('a', { href: to(changes), ...(isHere && { 'aria-current': 'page' }) }, text);
  $('documents').append(...Object.entries(DOCUMENTS).map(([path, name]) => link(name, { spec: path }, path === spec)));
  $('layouts').append(...LAYOUTS.map((name) => link(name, { type: name }, name === layout)));
}

function show(api) {
  const parts = api.openapi ? callsOf(api) : channelsOf(api);
  const title = element('h2', {}, `${api.info.title} ${api.info.version}`);
  const about = (api.info.description ?? '').split('\n\n').map((text) => element('p', {}, ...linkText(text)));
  const raw = element('p', {}, 'As it is served: ', element('a', { href: spec }, spec));
  $('document').replaceChildren(title, ...about, raw);
  for (const { name, operations } of parts) {
    if (operations.length === 0) continue;
    const head = element('h3', { id: anchor(name) }, name);
    $('document').append(head, ...operations.map((operation) => operation.node));
    $('contents').append(element('strong', {}, name), ...operations.map(({ id, label }) => element('a', { href: `#${id}` }, label)));
  }
  addEventListener('hashchange', openTarget);
  openTarget();
}

/** The calls of an OpenAPI document by tag, in the order of its tags. */
function callsOf(api) {
  const calls = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, call: item[method] })),
  );
  return api.tags.map(({ name }) => ({
    name,
    operations: calls.filter(({ call }) => call.tags.includes(name)).map((of) => callNode(api, of)),
  }));
}

function callNode(api, { path, method, call }) {
  const parameters = (call.parameters ?? []).map((parameter) => resolve(api, parameter));
  const body = resolve(api, call.requestBody);
  const text = element('section', {}, ...paragraphs(call.description), ...parameterTable(api, parameters), ...bodyOf(api, body));
  const answers = Object.entries(call.responses).map(([status, response]) => answerRow(api, status, resolve(api, response)));
  const samples = element('section', {}, element('h4', {}, 'Answers'), element('table', {}, element('tbody', {}, ...answers)), tryForm({ path, method, parameters, body, token: () => $('token').value }));
  const guard = guardOf(call.security ?? api.security);
  return operationNode(call.operationId, method, path, call.summary, guard, [text, samples]);
}

/** The channels of an AsyncAPI document by tag. */
function channelsOf(api) {
  const channels = Object.entries(api.channels);
  const tagged = (name) => channels.filter(([, channel]) => (channel.tags?.[0]?.name ?? 'Other') === name);
  return [...api.info.tags.map(({ name }) => name), 'Other'].map((name) => ({
    name,
    operations: tagged(name).map(([id, channel]) => channelNode(api, id, channel)),
  }));
}

function channelNode(api, id, channel) {
  const server = resolve(api, channel.servers[0]);
  const operations = Object.values(api.operations).filter(({ channel: of }) => of.$ref === `#/channels/${id}`);
  const direction = (name) => {
    const found = operations.find(({ messages }) => !messages || messages.some(({ $ref }) => $ref.endsWith(`/${name}`)));
    return { receive: 'says', send: 'told' }[found?.action] ?? (name === 'said' ? 'says' : 'told');
  };
  const messages = Object.entries(channel.messages).map(([name, of]) => {
    const message = resolve(api, of);
    const example = message.examples?.[0]?.payload ?? exampleOf(api, message.payload);
    const verb = direction(name);
    return element('details', {}, element('summary', {}, element('span', { class: `verb ${verb}` }, verb), ' ', element('code', {}, name), ' ', ...linkText(message.summary ?? '')), schemaList(api, message.payload), element('pre', { tabindex: '0' }, JSON.stringify(example, null, 2)));
  });
  const text = element('section', {}, ...paragraphs(channel.description), element('h4', {}, 'Messages'), ...messages);
  return operationNode(id, server.protocol, channel.address, channel.title, '', [text]);
}

function operationNode(id, verb, path, summary, guard, parts) {
  const head = element('summary', {}, element('span', { class: `verb ${verb}` }, verb.toUpperCase()), element('code', {}, path), element('span', {}, summary ?? ''), guard && element('span', { class: 'guard' }, guard));
  const node = element('details', { class: 'operation', id }, head, element('div', {}, ...parts));
  node.open = layout === 'redoc' || layout === 'scalar';
  return { id, label: `${verb} ${path}`, node };
}

function parameterTable(api, parameters) {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, in: place, required, description, schema }) =>
    element('tr', {}, element('td', {}, element('code', {}, name), required ? ' *' : ''), element('td', {}, place), element('td', {}, ...linkText(description ?? ''), ' ', schemaList(api, schema))),
  );
  const head = element('tr', {}, ...['parameter', 'in', 'is'].map((text) => element('th', { scope: 'col' }, text)));
  return [element('h4', {}, 'Parameters, * required'), element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows))];
}

function bodyOf(api, body) {
  if (!body) return [];
  const contents = Object.entries(body.content).flatMap(([type, { schema, example }]) => [
    element('p', {}, element('code', {}, type)),
    schemaList(api, schema),
    ...(example === undefined ? [] : [element('pre', { tabindex: '0' }, typeof example === 'string' ? example : JSON.stringify(example, null, 2))]),
  ]);
  return [element('h4', {}, 'Body'), ...paragraphs(body.description), ...contents];
}

function answerRow(api, status, response) {
  const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
  const told = type ? [element('div', {}, element('code', {}, type)), schemaList(api, content.schema)] : [];
  return element('tr', {}, element('th', { scope: 'row' }, status), element('td', {}, ...linkText(response.description), ...told));
}

function guardOf(security) {
  const names = security.flatMap((way) => Object.keys(way));
  if (names.includes('adminSecret')) return security.some((way) => Object.keys(way).length === 0) ? 'anyone, or the admin secret' : 'the admin secret';
  return names.length === 0 ? 'anyone' : 'a token, or anonymous';
}

/** What a reference leads to. Documents of ours have references within themselves only. */
export function resolve(api, value) {
  let at = value;
  while (at?.$ref) at = at.$ref.slice(2).split('/').reduce((node, name) => node[name.replaceAll('~1', '/')], api);
  return at;
}

function paragraphs(text) {
  return text ? [element('p', {}, ...linkText(text))] : [];
}

function anchor(name) {
  return `tag-${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
}

/** Opens what the URL's fragment names. */
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
  target?.scrollIntoView();
}

function find() {
  const words = $('find').value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const node of document.querySelectorAll('details.operation')) {
    const text = node.textContent.toLowerCase();
    node.hidden = !words.every((word) => text.includes(word));
    const link = document.querySelector(`#contents a[href="#${CSS.escape(node.id)}"]`);
    if (link) link.hidden = node.hidden;
  }
}
