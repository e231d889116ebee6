// A form by which a call of the document is made, and what comes of it.
//
// Only this server is asked, and only when somebody says so. A stream is shown as it comes, and ends with the next press of the button.

import { element } from './element.js';

/** Characters of an answer that are shown; what is longer is cut. */
const SHOWN_MAX = 20_000;

export function tryForm({ path, method, parameters, body, token }) {
  const fields = parameters.map((parameter) => ({ parameter, input: inputOf(parameter) }));
  const types = Object.entries(body?.content ?? {});
  const type = element('select', {}, ...types.map(([name]) => element('option', {}, name)));
  const example = types[0]?.[1].example;
  const text = element('textarea', { spellcheck: 'false' });
  text.value = example === undefined ? '' : typeof example === 'string' ? example : JSON.stringify(example);
  const button = element('button', {}, 'try it');
  const output = element('output', {});
  const form = element(
    'form',
    { class: 'try', autocomplete: 'off' },
    ...fields.map(({ parameter, input }) => element('label', {}, parameter.name, input)),
    ...(body ? [element('label', {}, 'body', text), types.length > 1 && element('label', {}, 'type', type)].filter(Boolean) : []),
    button,
    output,
  );
  let running;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = 'stop';
    const request = requestOf({ path, method, fields, token: token(), body: body && { text: text.value, type: types.length > 1 ? type.value : types[0][0] } });
    await attempt(request, running.signal, (shown) => output.replaceChildren(element('pre', { tabindex: '0' }, shown)));
    running = undefined;
    button.textContent = 'try it';
  });
  return form;
}

function inputOf({ name, schema = {}, example, required }) {
  if (schema.enum) return element('select', {}, ...(required ? [] : [element('option', { value: '' }, '')]), ...schema.enum.map((value) => element('option', {}, String(value))));
  const input = element('input', { name, ...(required && { required: '' }), spellcheck: 'false' });
  if (required && example !== undefined) input.value = String(example);
  return input;
}

/** The request that the fields say: empty ones are left out. */
export function requestOf({ path, method, fields, token, body }) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of fields) {
    const { value } = input;
    if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, value.split('/').map(encodeURIComponent).join('/'));
    else if (value === '') continue;
    else if (parameter.in === 'header') headers[parameter.name] = value;
    else if (parameter.schema?.type === 'array') value.split(/\s+/).forEach((one) => query.append(parameter.name, one));
    else query.set(parameter.name, value);
  }
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body && body.type !== '*/*') headers['Content-Type'] = body.type;
  const url = query.size > 0 ? `${target}?${query}` : target;
  return [url, { method: method.toUpperCase(), headers, body: body?.text }];
}

async function attempt([url, options], signal, show) {
  let shown = `${options.method} ${url}\n`;
  try {
    const answer = await fetch(url, { ...options, signal });
    shown += `${answer.status} ${answer.statusText}\n${[...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')}\n\n`;
    show(shown);
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader?.read(); part && !part.done && shown.length < SHOWN_MAX; part = await reader.read()) {
      shown += part.value;
      show(shown.slice(0, SHOWN_MAX));
    }
    await reader?.cancel();
  } catch (error) {
    show(`${shown}${signal.aborted ? 'stopped' : error.message}`);
  }
}
