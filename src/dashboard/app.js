// The live page: one subscription, drawn.
//
// What is shown is what any client would hear: the page uses the public protocol, and the figures are those of `/metrics`.

import { Fanwire } from '../clients/js/fanwire.js';
import { Lag, Rate, countText, lagText, objectionText, sample } from './figures.js';
import { Painter, shadeOf } from './paint.js';
import { BACK_S, Replay, clockText, sliderText } from './replay.js';
import { Tracks } from './tracks.js';
import { View, boxFor } from './view.js';

const FIGURES_MS = 1000;
const TRAILS_MS = 100;
const FILTER_WAIT_MS = 500;
/** The slider rests so long before the map goes there: a key that is held moves it many times. */
const SLIDE_WAIT_MS = 150;
/** Pixels around the pointer in which a vehicle is found. */
const REACH = 16;

const $ = (id) => document.getElementById(id);
const search = new URLSearchParams(location.search);
const topic = search.get('topic') || 'demo/fleet';
const still = matchMedia('(prefers-reduced-motion: reduce)');

const tracks = new Tracks();
const view = new View();
const painter = new Painter({ ground: $('ground'), trails: $('trails'), sky: $('sky') }, view);
const rate = new Rate();
const lag = new Lag();
const fanwire = new Fanwire(location.origin);
const replay = new Replay();

/** The subscription whose events are drawn, and the filter that was asked for last. */
let subscription;
let wanted;
let paused = false;
let missed = 0;
/** While somebody holds the slider it does not move by itself. */
let isSliding = false;
/** The vehicle that the pointer or the keyboard points at. */
let chosen;

start();

function start() {
  $('topic').value = topic;
  $('filter').value = search.get('filter') ?? '';
  $('ramp').style.background = `linear-gradient(90deg, ${painter.shades.join(', ')})`;
  $('empty-topic').textContent = topic;
  $('empty-command').textContent =
    `fanwire publish --url ${location.origin} --topic ${topic} --key icao24 FILE.ndjson.gz`;
  fanwire.onstate = (state, detail) => showState(state, detail);
  listen();
  resize();
  subscribe($('filter').value.trim());
  setInterval(figures, FIGURES_MS);
  requestAnimationFrame(frame);
}

// --- What we hear ---

/** Asks anew with this filter. The one before goes on until the server has agreed: an objection changes nothing on the map. */
function subscribe(filter) {
  wanted = filter;
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
    gap: ({ from, to }) => (missed += to - from + 1),
    skipped: ({ count }) => (missed += count),
    live: (_, source) => source === subscription && arrived(),
    error: (error) => filter === wanted && object(filter, error),
  });
  const agreed = () => {
    if (filter !== wanted) return next.unsubscribe();
    subscription?.unsubscribe();
    // Its first event is told after this: from here on its events are the ones that count.
    subscription = next;
    tracks.clear();
    object(filter, undefined);
    remember(filter);
  };
  // An objection is told by `error`.
  next.ready.then(agreed, () => {});
}

function hear(event) {
  tracks.hear(event, performance.now());
  if (replay.isLive) lag.take(event.time_us, Date.now());
  else replay.hear(event.time_us);
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
  (subscription ? replay.seek(subscription) : Promise.resolve()).then(() => tracks.clear(), (error) => object(wanted, error));
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

function remember(filter) {
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
    waiting: `lost, again in ${((detail?.wait_ms ?? 0) / 1000).toFixed(1)} s`,
    closed: `closed: ${detail?.reason || detail?.code || 'for good'}`,
  };
  $('state').dataset.state = state !== 'open' ? state : replay.isLive ? 'live' : 'past';
  $('state-text').textContent = paused ? 'paused' : texts[state];
}

// --- The figures ---

async function figures() {
  $('vehicles').textContent = countText(tracks.size);
  $('lag').textContent = replay.isLive ? lagText(lag.drain()) : '–';
  showTime();
  $('empty').hidden = tracks.size > 0 || subscription?.state !== 'live' || Boolean($('filter').value);
  if (document.hidden) return;
  if (fanwire.state === 'open') {
    const asked = Date.now();
    fanwire.ping().then(({ time_us }) => lag.compare(asked, Date.now(), time_us), () => {});
  }
  try {
    const answer = await fetch('/metrics');
    if (!answer.ok) throw new Error('figures are not for everyone here');
    const page = await answer.text();
    rate.take(sample(page, 'fanwire_events_total') ?? 0, performance.now());
    $('rate').textContent = countText(rate.value);
    $('total').textContent = countText(sample(page, 'fanwire_events_total'));
    $('connections').textContent = countText(sample(page, 'fanwire_connections'));
    painter.curve($('spark'), rate.curve);
  } catch {
    $('rate').textContent = $('total').textContent = $('connections').textContent = '–';
  }
}

// --- The map ---

let drawn = performance.now();
let trailsDrawn = 0;
let timeShown = 0;

function frame(now) {
  requestAnimationFrame(frame);
  if (paused) return;
  tracks.advance(now, still.matches ? Infinity : now - drawn);
  drawn = now;
  if (!replay.isLive && now - timeShown >= TRAILS_MS) {
    showTime();
    timeShown = now;
  }
  const moved = view.approach(boxFor(tracks.bounds()), still.matches ? 1 : 0.06);
  if (moved) painter.ground();
  if (moved || now - trailsDrawn >= TRAILS_MS) {
    painter.trails(tracks);
    trailsDrawn = now;
  }
  if (chosen && chosen.presence === 0) choose(undefined);
  painter.vehicles(tracks, chosen);
  if (chosen) placeTip();
}

function resize() {
  view.resize(innerWidth, innerHeight);
  painter.resize(innerWidth, innerHeight);
  painter.ground();
  painter.trails(tracks);
  painter.vehicles(tracks, chosen);
}

function choose(vehicle) {
  chosen = vehicle;
  $('tip').hidden = !vehicle;
  if (paused) painter.vehicles(tracks, chosen);
  if (vehicle) placeTip();
}

function placeTip() {
  const tip = $('tip');
  const { callsign, key, altitude, speed, heading, climb } = chosen;
  const name = document.createElement('b');
  name.textContent = callsign ?? key ?? '';
  const arrow = climb > 100 ? ' ↑' : climb < -100 ? ' ↓' : '';
  const lines = [
    callsign && key ? `\n${key}` : '',
    altitude === undefined ? '' : `\n${countText(altitude)} ft${arrow}`,
    speed === undefined ? '' : `\n${Math.round(speed)} kt, ${String(Math.round(heading) % 360).padStart(3, '0')}°`,
  ];
  tip.replaceChildren(name, lines.join(''));
  tip.style.borderColor = painter.shades[shadeOf(altitude)];
  const left = Math.min(view.x(chosen.x) + 18, innerWidth - tip.offsetWidth - 8);
  const top = Math.min(view.y(chosen.y) + 12, innerHeight - tip.offsetHeight - 8);
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

function nearest(x, y) {
  let best;
  let closest = REACH;
  for (const vehicle of tracks) {
    const distance = Math.hypot(view.x(vehicle.x) - x, view.y(vehicle.y) - y);
    if (distance < closest) [best, closest] = [vehicle, distance];
  }
  return best;
}

// --- What people do ---

function listen() {
  addEventListener('resize', resize);
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => {
    painter.restyle();
    $('ramp').style.background = `linear-gradient(90deg, ${painter.shades.join(', ')})`;
    resize();
  });
  $('sky').addEventListener('pointermove', (event) => choose(nearest(event.clientX, event.clientY)));
  $('sky').addEventListener('pointerleave', () => choose(undefined));
  $('sky').addEventListener('keydown', walk);
  $('pause').addEventListener('click', pause);
  $('live').addEventListener('click', () => goTo(0));
  for (const button of $('speeds').children) button.addEventListener('click', () => setSpeed(Number(button.dataset.speed)));
  let sliding;
  $('slider').addEventListener('input', () => {
    isSliding = true;
    clearTimeout(sliding);
    sliding = setTimeout(() => {
      isSliding = false;
      goTo(-Number($('slider').value));
    }, SLIDE_WAIT_MS);
  });
  addEventListener('keydown', (event) => {
    if (event.code !== 'Space' || event.target.closest?.('input, button')) return;
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

function applyWishes() {
  const filter = $('filter').value.trim();
  const other = $('topic').value.trim();
  if (other && other !== topic) {
    location.search = new URLSearchParams(filter ? { topic: other, filter } : { topic: other }).toString();
  } else if (filter !== wanted) {
    subscribe(filter);
  }
}

/** From one vehicle to the next, west to east or the other way. */
function walk(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === 'Escape') choose(undefined);
  if (!step) return;
  event.preventDefault();
  const eastward = [...tracks].sort((a, b) => a.x - b.x);
  const at = chosen ? eastward.indexOf(chosen) : step > 0 ? -1 : 0;
  choose(eastward[(at + step + eastward.length) % eastward.length]);
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
  paused = isFrozen;
  if (!isFrozen) replay.pause(false);
  $('pause').setAttribute('aria-pressed', String(paused));
  drawn = performance.now();
  showState(fanwire.state);
}
