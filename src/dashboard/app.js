// The live page: one subscription, drawn and told; and how the server does.
//
// What is shown is what any client would hear: the page uses the public protocol and its own client, the figures are those of `/metrics`, and what only an operator may
// see is asked with the admin secret, if somebody gives it.

import { Fanwire } from '../clients/js/fanwire.js';
import { areaOf, boxClause, polygonClause, withClause } from './area.js';
import { Details } from './details.js';
import { Lag, countText, lagText, objectionText } from './figures.js';
import { Happenings, closedText, durationText } from './happenings.js';
import { Lasts } from './lasts.js';
import { LiveMap } from './map.js';
import { Operator } from './operator.js';
import { Panels } from './panels.js';
import { BACK_S, Replay, clockText, sliderText } from './replay.js';
import { Tail } from './tail.js';
import { Topics } from './topics.js';
import { Tracks } from './tracks.js';

const FIGURES_MS = 1000;
const TAIL_MS = 250;
const CLOCK_MS = 100;
const FILTER_WAIT_MS = 300;
/** The slider rests so long before the map goes there: a key that is held moves it many times. */
const SLIDE_WAIT_MS = 150;

const $ = (id) => document.getElementById(id);
const search = new URLSearchParams(location.search);

const tracks = new Tracks();
const lag = new Lag();
const replay = new Replay();
const tail = new Tail($('tail-events'), $('tail-count'));
const topics = new Topics();
const happenings = new Happenings();
const lasts = new Lasts((event) => topics.hear(event));
const operator = new Operator();
const details = new Details();
const map = new LiveMap(tracks);
const panels = new Panels({ operator, topics, happenings, choose: show, follow: (names) => lasts.follow(names, wanted.topic, fanwire) });

let fanwire;
/** The subscription whose events are drawn, and what was asked for last: `{topic, filter}`. */
let subscription;
let wanted = { topic: search.get('topic') || 'demo/fleet', filter: search.get('filter') ?? '' };
let paused = false;
let missed = 0;
/** While somebody holds the slider it does not move by itself. */
let isSliding = false;
let tailPainted = 0;
let timeShown = 0;

start();

function start() {
  $('topic').value = wanted.topic;
  $('filter').value = wanted.filter;
  listen();
  connect(undefined);
  figures();
  requestAnimationFrame(frame);
}

/** Connects as whoever has this token, and asks for what is wanted. */
function connect(token) {
  fanwire?.close();
  subscription = undefined;
  lasts.clear();
  details.close();
  fanwire = new Fanwire(location.origin, token ? { token } : {});
  fanwire.onstate = (state, detail) => {
    happenings.state(state, detail, fanwire.welcome, Date.now());
    if (state === 'open') topics.restart();
    showState(state, detail);
  };
  subscribe(wanted);
}

// --- What we hear ---

/** Asks anew. What was asked for before goes on until the server has agreed: an objection changes nothing on the map. */
function subscribe({ topic, filter }) {
  const asked = (wanted = { topic, filter });
  if (!replay.isLive) freeze(false);
  const wish = {
    topics: [topic],
    ...replay.place(),
    slow: 'latest_per_key',
    batch: { max_events: 256, max_delay_ms: 10 },
    // More than that nobody sees.
    max_rate: { per: 'key', hz: 10 },
  };
  if (filter) Object.assign(wish, { filter, leave: true });
  const next = fanwire.subscribe(wish, {
    event: (event, source) => source === subscription && hear(event),
    gap: ({ from, to }) => miss(Math.max(0, to - from + 1)),
    skipped: ({ count }) => miss(count),
    live: (_, source) => source === subscription && arrived(),
    recovered: (recovered, source) => source === subscription && happenings.recovered(recovered, Date.now()),
    error: (error) => asked === wanted && object(filter, error),
  });
  const agreed = () => {
    if (asked !== wanted) return next.unsubscribe();
    subscription?.unsubscribe();
    // Its first event is told after this: from here on its events are the ones that count.
    if (subscription?.options.topics[0] !== topic) tracks.hasPlaces = false;
    subscription = next;
    tracks.clear();
    tail.clear();
    map.area = areaOf(filter);
    $('area-clear').hidden = !areaOf(filter);
    object(filter, undefined);
    remember(asked);
  };
  // An objection is told by `error`.
  next.ready.then(agreed, () => {});
}

function hear(event) {
  tracks.hear(event, performance.now());
  tail.hear(event);
  topics.hear(event);
  if (replay.isLive) lag.take(event.time_us, Date.now());
  else replay.hear(event.time_us);
}

function miss(count) {
  missed += count;
  tail.miss(count);
}

// --- Where in time the map is ---

/** Goes so many seconds back from now, or to the present. */
function goTo(behind_s) {
  const wasLive = replay.isLive;
  replay.goTo(behind_s, Date.now());
  freeze(false);
  showTime();
  if (wasLive && replay.isLive) return;
  // What comes after the answer is of the new place.
  (subscription ? replay.seek(subscription) : Promise.resolve()).then(() => tracks.clear(), (error) => object(wanted.filter, error));
}

function arrived() {
  if (replay.isLive) return;
  replay.arrived();
  freeze(false);
  showTime();
}

function setSpeed(speed) {
  replay.setSpeed(speed);
  if (!replay.isLive && !replay.isPaused) subscription?.update({ speed }).catch(() => {});
  showTime();
}

function showTime() {
  const now = Date.now();
  if (!isSliding) $('slider').value = String(-Math.min(BACK_S, replay.behind_s(now)));
  $('slider').setAttribute('aria-valuetext', sliderText(replay, now));
  $('clock').textContent = clockText(replay, now);
  $('live').setAttribute('aria-pressed', String(replay.isLive));
  for (const button of $('speeds').children) {
    button.disabled = replay.isLive;
    button.setAttribute('aria-pressed', String(Number(button.dataset.speed) === replay.speed));
  }
  if (fanwire.state === 'open') showState('open');
}

// --- What is shown of it ---

function remember({ topic, filter }) {
  $('empty-topic').textContent = topic;
  $('empty-command').textContent = `fanwire publish --url ${location.origin} --topic '${topic}' --key icao24 FILE.ndjson.gz`;
  const query = new URLSearchParams({ topic });
  if (filter) query.set('filter', filter);
  history.replaceState(null, '', `?${query.toString().replaceAll('%2F', '/')}`);
}

function object(filter, error) {
  $('objection').hidden = !error;
  $('objection').textContent = error ? objectionText(filter, error) : '';
  $('filter').setAttribute('aria-invalid', String(Boolean(error)));
}

function showState(state, detail) {
  const texts = {
    connecting: 'connecting',
    open: replay.isLive ? (missed ? `live, ${countText(missed)} passed over` : 'live') : `past, ${replay.speed}×`,
    waiting: `${detail?.cause === 'stopping' ? 'the server stops' : 'lost'}, again in ${durationText(detail?.wait_ms ?? 0)}`,
    closed: `closed: ${closedText(detail ?? {})}`,
  };
  const shown = state !== 'open' ? state : replay.isLive ? 'live' : 'past';
  const text = paused ? 'paused' : texts[state];
  // A screen reader is told of changes, not of the same again.
  if ($('state').dataset.state !== shown) $('state').dataset.state = shown;
  if ($('state-text').textContent !== text) $('state-text').textContent = text;
}

async function figures() {
  const began = performance.now();
  $('vehicles').textContent = countText(tracks.size);
  const lag_ms = replay.isLive ? lag.drain() : undefined;
  $('lag').textContent = lagText(lag_ms);
  showTime();
  const isBlank = tracks.size === 0 && topics.size === 0;
  // Events without positions need no map: the tail has its place.
  document.body.dataset.map = !tracks.hasPlaces && tail.hasHeard ? 'none' : 'shown';
  $('empty').hidden = !isBlank || subscription?.state !== 'live' || Boolean($('filter').value);
  if (fanwire.state === 'open') {
    const asked = Date.now();
    fanwire.ping().then(({ time_us }) => lag.compare(asked, Date.now(), time_us), () => {});
  }
  await panels.turn(lag_ms);
  setTimeout(figures, Math.max(0, FIGURES_MS - (performance.now() - began)));
}

function frame(now) {
  requestAnimationFrame(frame);
  map.frame(now);
  if (!paused && now - tailPainted >= TAIL_MS) {
    tail.paint();
    details.paint();
    tailPainted = now;
  }
  if (!paused && !replay.isLive && now - timeShown >= CLOCK_MS) {
    showTime();
    timeShown = now;
  }
}

// --- What people do ---

function listen() {
  addEventListener('resize', () => panels.resize());
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => {
    map.restyle();
    panels.restyle();
  });
  map.onpick = (vehicle) => details.show(vehicle, fanwire);
  map.ondrawn = (corners) => {
    if (corners) applyClause(polygonClause(corners, tracks.names));
    else map.area = areaOf(wanted.filter);
  };
  $('area-view').addEventListener('click', () => applyClause(boxClause(map.seen, tracks.names)));
  $('area-clear').addEventListener('click', () => applyClause(undefined));
  $('details-close').addEventListener('click', () => {
    details.close();
    $('sky').focus();
  });
  $('details').addEventListener('keydown', (event) => event.key === 'Escape' && $('details-close').click());
  $('hold').addEventListener('click', () => {
    tail.isHeld = !tail.isHeld;
    $('hold').setAttribute('aria-pressed', String(tail.isHeld));
  });
  $('pause').addEventListener('click', pause);
  $('live').addEventListener('click', () => goTo(0));
  for (const button of $('speeds').children) button.addEventListener('click', () => setSpeed(Number(button.dataset.speed)));
  listenToSlider();
  listenToWishes();
  listenToAccess();
}

function listenToSlider() {
  let sliding;
  $('slider').addEventListener('input', () => {
    isSliding = true;
    clearTimeout(sliding);
    sliding = setTimeout(() => {
      isSliding = false;
      goTo(-Number($('slider').value));
    }, SLIDE_WAIT_MS);
  });
}

function listenToWishes() {
  addEventListener('keydown', (event) => {
    if (event.code !== 'Space' || event.target.closest?.('input, button, a, dialog, [tabindex]:not(canvas)')) return;
    event.preventDefault();
    pause();
  });
  $('wishes').addEventListener('submit', (event) => {
    event.preventDefault();
    applyWishes();
  });
  $('topic').addEventListener('change', applyWishes);
  let waiting;
  $('filter').addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(applyWishes, FILTER_WAIT_MS);
  });
}

function listenToAccess() {
  const open = () => {
    // It says what was chosen last, also to whoever leaves it by Escape.
    $('access-dialog').returnValue = '';
    $('access-dialog').showModal();
  };
  $('access').addEventListener('click', open);
  $('access-dialog').addEventListener('close', () => {
    if ($('access-dialog').returnValue !== 'use') return;
    $('access-fault').textContent = '';
    operator.show($('access-secret').value);
    connect($('access-token').value.trim() || undefined);
  });
  operator.onrefused = (message) => {
    $('access-fault').textContent = `The admin secret is not taken: ${message}`;
    open();
  };
}

/** An area that was drawn is part of the filter; undefined: no longer. */
function applyClause(clause) {
  $('filter').value = withClause($('filter').value, clause);
  applyWishes();
}

function applyWishes() {
  const filter = $('filter').value.trim();
  const topic = $('topic').value.trim() || wanted.topic;
  if (topic !== wanted.topic || filter !== wanted.filter) subscribe({ topic, filter });
}

/** Goes to another topic. */
function show(topic) {
  $('topic').value = topic;
  applyWishes();
}

function pause() {
  freeze(!paused);
  // What happens now goes on while the picture stands; the past waits.
  if (replay.isLive) return;
  replay.pause(paused);
  subscription?.update({ speed: paused ? 0 : replay.speed }).catch(() => {});
}

/** Whether the picture stands still. */
function freeze(isFrozen) {
  paused = map.isFrozen = isFrozen;
  if (!isFrozen) {
    replay.pause(false);
    map.thaw(performance.now());
  }
  $('pause').setAttribute('aria-pressed', String(paused));
  showState(fanwire.state);
}
