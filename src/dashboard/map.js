// The map: draws what moves, and is moved, zoomed, walked and drawn on with pointer, fingers and keys.
//
// It follows the data until somebody moves it, and again once somebody wants all of it. A frame draws vehicles; the ground and trails only as often as they change.

import { Painter, shadeOf } from './paint.js';
import { simplify } from './area.js';
import { countText } from './figures.js';
import { readLand } from './land.js';
import { View, boxFor } from './view.js';

const TRAILS_MS = 100;
/** In a crowd of more than so many a picture stands for so long at least: nobody sees one of five thousand jump. */
const CROWD = { count: 1_000, picture_ms: 45 };
/** Pixels around the pointer in which a vehicle is found; and that it may move before a press is a pull. */
const REACH = 16;
const STILL = 4;
const ZOOM = 1.5;
const PAN = 80;

const $ = (id) => document.getElementById(id);

export class LiveMap {
  #tracks;
  #painter;
  #view = new View();
  #still = matchMedia('(prefers-reduced-motion: reduce)');
  #drawn = performance.now();
  #trailsDrawn = 0;
  #pointers = new Map();
  #pressed;
  #isDrawing = false;
  #isFollowing = true;
  /** The vehicle that the pointer or the keyboard points at. */
  #chosen;
  isFrozen = false;
  /** Called with a vehicle that was clicked, with the corners of an area that was drawn. */
  onpick = () => {};
  ondrawn = () => {};

  constructor(tracks) {
    this.#tracks = tracks;
    this.#painter = new Painter({ ground: $('ground'), trails: $('trails'), sky: $('sky') }, this.#view);
    this.#listen();
    this.restyle();
    readLand('/dashboard/land.bin').then((land) => {
      this.#painter.know(land);
      this.#painter.ground();
    });
  }

  /** What the map shows. */
  get seen() {
    return this.#view.seen;
  }

  set area(corners) {
    this.#painter.area = corners;
    this.#painter.ground();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = $('stage');
    // Where nothing has a position there is no map.
    if (width === 0) return;
    this.#view.resize(width, height);
    this.#painter.resize(width, height);
    this.#paintAll();
  }

  restyle() {
    this.#painter.restyle();
    $('ramp').style.background = `linear-gradient(90deg, ${this.#painter.shades.join(', ')})`;
    this.resize();
  }

  #paintAll() {
    this.#painter.ground();
    this.#painter.trails(this.#tracks);
    this.#painter.vehicles(this.#tracks, this.#chosen);
    if (this.#chosen) this.#placeTip();
  }

  /** What stands still goes on from now. */
  thaw(now) {
    this.#drawn = now;
  }

  /** Draws what is due. Of a crowd a frame draws vehicles or trails, and never both. */
  frame(now) {
    if (this.isFrozen) return;
    const isCrowd = this.#tracks.size > CROWD.count;
    const areTrailsDue = now - this.#trailsDrawn >= TRAILS_MS;
    if (isCrowd && now - this.#drawn < CROWD.picture_ms) {
      if (areTrailsDue) this.#paintTrails(now);
      return;
    }
    this.#tracks.advance(now, this.#still.matches ? Infinity : now - this.#drawn);
    this.#drawn = now;
    const moved = this.#isFollowing && this.#view.approach(boxFor(this.#tracks.bounds()), this.#still.matches ? 1 : 0.06);
    if (moved) this.#painter.ground();
    if (moved && isCrowd) this.#painter.clearTrails();
    else if (moved || (areTrailsDue && !isCrowd)) this.#paintTrails(now);
    if (this.#chosen?.presence === 0) this.choose(undefined);
    this.#painter.vehicles(this.#tracks, this.#chosen);
    if (this.#chosen) this.#placeTip();
  }

  #paintTrails(now) {
    this.#painter.trails(this.#tracks);
    this.#trailsDrawn = now;
  }

  choose(vehicle) {
    const isOther = vehicle !== this.#chosen;
    this.#chosen = vehicle;
    $('tip').hidden = !vehicle;
    if (this.isFrozen) this.#painter.vehicles(this.#tracks, vehicle);
    if (vehicle) this.#placeTip();
    // Said once for each, and not with every report of it.
    if (isOther) $('chosen').textContent = vehicle ? $('tip').textContent.replaceAll('\n', ', ') : '';
  }

  #placeTip() {
    const tip = $('tip');
    const { callsign, key, altitude, speed, heading, climb, x, y } = this.#chosen;
    const name = document.createElement('b');
    name.textContent = callsign ?? key ?? '';
    const arrow = climb > 100 ? ' ↑' : climb < -100 ? ' ↓' : '';
    const lines = [
      callsign && key ? `\n${key}` : '',
      altitude === undefined ? '' : `\n${countText(altitude)} ft${arrow}`,
      speed === undefined ? '' : `\n${Math.round(speed)} kt, ${String(Math.round(heading) % 360).padStart(3, '0')}°`,
    ];
    tip.replaceChildren(name, lines.join(''));
    tip.style.borderColor = this.#painter.shades[shadeOf(altitude)];
    const left = Math.min(this.#view.x(x) + 18, $('stage').clientWidth - tip.offsetWidth - 8);
    const top = Math.min(this.#view.y(y) + 12, $('stage').clientHeight - tip.offsetHeight - 8);
    tip.style.transform = `translate(${Math.max(0, Math.round(left))}px, ${Math.max(0, Math.round(top))}px)`;
  }

  #nearest(x, y) {
    let best;
    let closest = REACH;
    for (const vehicle of this.#tracks) {
      const distance = Math.hypot(this.#view.x(vehicle.x) - x, this.#view.y(vehicle.y) - y);
      if (distance < closest) [best, closest] = [vehicle, distance];
    }
    return best;
  }

  // --- Hands ---

  #listen() {
    const sky = $('sky');
    sky.addEventListener('pointerdown', (event) => this.#press(event));
    sky.addEventListener('pointermove', (event) => this.#move(event));
    sky.addEventListener('pointerup', (event) => this.#release(event));
    sky.addEventListener('pointercancel', (event) => this.#release(event));
    sky.addEventListener('pointerleave', () => this.#pointers.size === 0 && this.choose(undefined));
    sky.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    sky.addEventListener('keydown', (event) => this.#key(event));
    $('zoom-in').addEventListener('click', () => this.#zoom(ZOOM));
    $('zoom-out').addEventListener('click', () => this.#zoom(1 / ZOOM));
    $('fit').addEventListener('click', () => this.#follow(true));
    $('draw').addEventListener('click', () => this.#draw(!this.#isDrawing));
    new ResizeObserver(() => this.resize()).observe($('stage'));
  }

  #follow(isFollowing) {
    this.#isFollowing = isFollowing;
    $('fit').setAttribute('aria-pressed', String(isFollowing));
  }

  #zoom(factor, x, y) {
    this.#follow(false);
    this.#view.zoom(factor, x, y);
    this.#paintAll();
  }

  #pan(x, y) {
    this.#follow(false);
    this.#view.pan(x, y);
    this.#paintAll();
  }

  /** Whether the next pull draws an area. */
  #draw(isDrawing) {
    this.#isDrawing = isDrawing;
    $('draw').setAttribute('aria-pressed', String(isDrawing));
    $('sky').classList.toggle('drawing', isDrawing);
  }

  #press(event) {
    event.target.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.#pressed = { x: event.offsetX, y: event.offsetY, isPull: false, line: [] };
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return this.choose(this.#nearest(event.offsetX, event.offsetY));
    const now = [event.offsetX, event.offsetY];
    const pressed = this.#pressed;
    if (!pressed.isPull && Math.hypot(now[0] - pressed.x, now[1] - pressed.y) < STILL) return;
    pressed.isPull = true;
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.#pointers.set(event.pointerId, now);
    if (this.#isDrawing) {
      pressed.line.push([this.#view.longitude(now[0]), this.#view.latitude(now[1])]);
      this.area = pressed.line;
    } else if (others.length > 0) {
      const [other] = others;
      const spread = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      if (spread(before) > 0) this.#zoom(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      this.#pan(now[0] - before[0], now[1] - before[1]);
    }
  }

  #release(event) {
    const pressed = this.#pressed;
    if (!this.#pointers.delete(event.pointerId) || !pressed) return;
    if (this.#isDrawing && pressed.isPull) {
      this.#draw(false);
      this.ondrawn(pressed.line.length > 2 ? simplify(pressed.line) : undefined);
    } else if (!pressed.isPull && event.type === 'pointerup') {
      const vehicle = this.#nearest(event.offsetX, event.offsetY);
      this.choose(vehicle);
      if (vehicle) this.onpick(vehicle);
    }
  }

  #wheel(event) {
    event.preventDefault();
    this.#zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }

  #key(event) {
    const pan = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[event.key];
    if (pan && event.shiftKey) this.#pan(...pan);
    else if (pan) this.#walk(event.key === 'ArrowRight' || event.key === 'ArrowDown' ? 1 : -1);
    else if (event.key === '+' || event.key === '=') this.#zoom(ZOOM);
    else if (event.key === '-') this.#zoom(1 / ZOOM);
    else if (event.key === '0') this.#follow(true);
    else if (event.key === 'Escape') this.choose(undefined);
    else if (event.key === 'Enter' && this.#chosen) this.onpick(this.#chosen);
    else return;
    event.preventDefault();
  }

  /** From one vehicle to the next, west to east or the other way. */
  #walk(step) {
    const eastward = [...this.#tracks].sort((a, b) => a.x - b.x);
    const at = this.#chosen ? eastward.indexOf(this.#chosen) : step > 0 ? -1 : 0;
    this.choose(eastward[(at + step + eastward.length) % eastward.length]);
  }
}
