// The panels beside the map: figures over time, dialects, topics, who is slow, what happened.
//
// Once a second the page of figures is read, as anyone may read it; an operator's questions are asked besides once there is a secret. Nothing here is per event.

import { Chart } from './charts.js';
import { element } from './element.js';
import { countText, lagText } from './figures.js';
import { byLabel, parse, quantile, rate, total } from './metrics.js';
import { payloadText } from './tail.js';

/** Rows of a table. */
const ROWS = 12;
/** So often an operator's questions are asked, in pages of figures. */
const ASKED_EVERY = 3;

const $ = (id) => document.getElementById(id);

export class Panels {
  #operator;
  #topics;
  #happenings;
  #follow;
  #before;
  #turns = 0;
  #told = 0;
  #charts;

  constructor({ operator, topics, happenings, choose, follow }) {
    this.#operator = operator;
    this.#topics = topics;
    this.#happenings = happenings;
    this.#follow = follow;
    const milliseconds = (value) => lagText(value);
    this.#charts = {
      rates: new Chart($('rates'), [{ label: 'events', colour: '--accent', text: countText }, { label: 'deliveries', colour: '--second', text: countText }]),
      latency: new Chart($('latency'), [{ label: 'p50', colour: '--accent', text: milliseconds }, { label: 'p99', colour: '--second', text: milliseconds }, { label: 'lag here', colour: '--good', text: milliseconds }]),
    };
    $('topic-rows').addEventListener('click', (event) => {
      const name = event.target.closest('button')?.textContent;
      if (name) choose(name);
    });
  }

  resize() {
    for (const chart of Object.values(this.#charts)) chart.resize();
  }

  restyle() {
    for (const chart of Object.values(this.#charts)) chart.restyle();
  }

  /** Reads the figures, and shows them. `lag_ms`: of what this page hears. */
  async turn(lag_ms) {
    const now_ms = Date.now();
    const samples = await this.#read();
    this.#showFigures(samples, now_ms, lag_ms);
    this.#topics.measure(now_ms);
    if (this.#turns++ % ASKED_EVERY === 0) await this.#ask();
    this.#showTopics();
    this.#showHappenings();
  }

  async #read() {
    try {
      const answer = await fetch('/metrics', { headers: this.#operator.headers, cache: 'no-store' });
      return answer.ok ? parse(await answer.text()) : undefined;
    } catch {
      return undefined;
    }
  }

  #showFigures(samples, now_ms, lag_ms) {
    const before = this.#before;
    this.#before = samples && { samples, now_ms };
    const elapsed = before ? now_ms - before.now_ms : 0;
    const of = (name) => (before && samples ? rate(before.samples, samples, name, elapsed) : undefined);
    const told = (share) => {
      const seconds = before && samples ? quantile(before.samples, samples, 'fanwire_publish_to_socket_seconds', share) : undefined;
      return seconds === undefined ? undefined : seconds * 1000;
    };
    const [events, deliveries] = [of('fanwire_events_total'), of('fanwire_deliveries_total')];
    $('rate').textContent = countText(events);
    $('deliveries').textContent = countText(deliveries);
    $('connections').textContent = countText(total(samples, 'fanwire_connections'));
    this.#charts.rates.add(now_ms / 1000, [events, deliveries]);
    this.#charts.latency.add(now_ms / 1000, [told(0.5), told(0.99), lag_ms]);
    if (!samples) return;
    this.#showDialects(samples);
    const counts = [['closed for it', 'fanwire_slow_disconnects_total'], ['events dropped', 'fanwire_dropped_total'], ['passed over', 'fanwire_skipped_total'], ['gaps', 'fanwire_gaps_total']];
    const behind = total(samples, 'fanwire_connections_behind') ?? 0;
    $('slow-count').textContent = behind === 0 ? 'nobody is behind' : `${countText(behind)} behind, ${bytesText(total(samples, 'fanwire_connections_behind_bytes_max'))} at most`;
    $('slow-total').textContent = `Since the start: ${counts.map(([word, name]) => `${countText(total(samples, name) ?? 0)} ${word}`).join(', ')}.`;
  }

  #showDialects(samples) {
    const connections = byLabel(samples, 'fanwire_dialect_connections', 'dialect');
    const subscriptions = byLabel(samples, 'fanwire_dialect_subscriptions', 'dialect');
    const most = Math.max(1, ...connections.values());
    const rows = [...connections].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
    const bars = rows.map(([name, count]) => {
      const bar = element('li', {}, element('span', {}, name), element('span', { class: 'number' }, `${countText(count)}, ${countText(subscriptions.get(name) ?? 0)} subscriptions`));
      bar.style.setProperty('--share', String(count / most));
      return bar;
    });
    $('dialects').replaceChildren(...(bars.length > 0 ? bars : [element('li', {}, element('span', {}, 'nobody'))]));
  }

  async #ask() {
    $('topics-of').textContent = this.#operator.isKnown ? 'all there are' : 'that this page hears';
    $('slow-scroll').hidden = !this.#operator.isKnown;
    if (!this.#operator.isKnown) return;
    const [topics, slowest] = await Promise.all([this.#operator.ask('topics?limit=200'), this.#operator.ask(`slowest?limit=${ROWS}`)]);
    if (topics) this.#topics.list(topics.topics);
    if (slowest) $('slow-rows').tBodies[0].replaceChildren(...slowest.connections.map(slowRow));
  }

  #showTopics() {
    const top = this.#topics.top(ROWS);
    this.#follow(top.map(({ topic }) => topic));
    const rows = top.map(({ topic, rate: a_second, last, durable }) =>
      element(
        'tr',
        {},
        element('td', {}, element('button', { type: 'button', class: 'link', title: 'show this topic' }, topic), durable && element('small', {}, ' durable')),
        element('td', { class: 'number' }, countText(a_second)),
        element('td', { class: 'last' }, last?.key && element('b', {}, `${last.key} `), last ? payloadText(last.payload).slice(0, 120) : '–'),
      ),
    );
    // Whoever is on a row with the keyboard stays on it.
    if (!$('topic-rows').contains(document.activeElement)) $('topic-rows').tBodies[0].replaceChildren(...rows);
  }

  #showHappenings() {
    const { list } = this.#happenings;
    const newest = list[0];
    if (!newest || newest === this.#told) return;
    for (const of of list.slice(0, this.#told ? list.indexOf(this.#told) : undefined)) {
      if (of.kind !== 'restart' && of.kind !== 'upgrade') continue;
      for (const chart of Object.values(this.#charts)) chart.mark(of.at_ms / 1000);
    }
    this.#told = newest;
    $('happened').replaceChildren(...list.map(({ at_ms, text, kind }) => element('li', { class: kind }, element('time', {}, new Date(at_ms).toLocaleTimeString(undefined, { hour12: false })), ` ${text}`)));
  }
}

function slowRow({ user, peer, dialect, kind, queue_bytes, behind_ms, topics }) {
  return element(
    'tr',
    { title: topics.join(', ') },
    element('td', {}, user ?? peer),
    element('td', {}, dialect ?? kind),
    element('td', { class: 'number' }, bytesText(queue_bytes)),
    element('td', { class: 'number' }, lagText(behind_ms)),
  );
}

export function bytesText(bytes) {
  if (bytes === undefined) return '–';
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
