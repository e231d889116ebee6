// Drawing: the ground, the trails and the vehicles, each on a canvas of its own.
//
// The ground is drawn when the view moves, trails ten times a second, vehicles every frame from sprites that were drawn once for each
// colour and heading: 2,000 of them are 2,000 copies. What a frame draws has bounds: points of trails, and sprites that are new. Knows no protocol.

import { EMPTY, isSeen, trace } from './land.js';
import { graticuleStep } from './view.js';

/** Steps of the altitude colours, the altitude of the last, and steps of headings. */
const SHADES = 16;
const ALTITUDE_MAX = 40_000;
const HEADINGS = 48;
/** Pixels of a vehicle's square, and where there are so many that they would hide each other. */
const SPRITE = 26;
const CROWD = { count: 600, sprite: 18 };
/** Vehicles beyond which each is a dart: three corners in its colour's one path, where a sprite would be a copy each. */
export const DARTS_FROM = 1_000;
/** Pixels from a dart's middle to its tip and to its tail's corners, and the angle of those. */
const DART = { tip: 6, tail: 4.5, spread: 2.5 };
/** Points of all trails that are drawn at a time: in a crowd each trail is shorter, and where each would be a stub none is drawn. */
export const TRAIL_POINTS_MAX = 8_000;
const TRAIL_POINTS_MIN = 3;
/** Sprites that a frame makes: until its turn has come a vehicle is a dot. */
export const SPRITES_FRAME_MAX = 40;

/** The outline of an aircraft that flies up, in units of a tenth of its size. */
const GLYPH = [
  [0, -9], [1.2, -7], [1.4, -2.6], [8.6, 2.2], [8.6, 3.8], [1.4, 1.8], [1.1, 6], [3.6, 8], [3.6, 9.2], [0, 8.3],
];

export class Painter {
  #canvases;
  #view;
  #ratio = 1;
  #theme;
  #sprites = [];
  #made = 0;
  #land = EMPTY;
  /** Corners `[longitude, latitude]` of the area that is the filter, or is being drawn. */
  area;

  constructor(canvases, view) {
    this.#canvases = canvases;
    this.#view = view;
    this.restyle();
  }

  /** Takes the colours from the style sheet, at the start and whenever the light changes. */
  restyle() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const dark = !matchMedia('(prefers-color-scheme: light)').matches;
    this.#theme = { ground: color('--ground'), land: color('--land'), line: color('--line'), border: color('--border') };
    this.#theme.quiet = color('--quiet');
    this.#theme.text = color('--text');
    this.#theme.accent = color('--accent');
    this.shades = Array.from({ length: SHADES }, (_, index) => shade(index / (SHADES - 1), dark));
    this.#sprites = [];
  }

  resize(width, height) {
    this.#ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of Object.values(this.#canvases)) {
      canvas.width = Math.round(width * this.#ratio);
      canvas.height = Math.round(height * this.#ratio);
    }
    this.#sprites = [];
  }

  /** The ground: land, border, graticule. */
  ground() {
    const context = this.#clear(this.#canvases.ground);
    const { width, height } = this.#canvases.ground;
    context.fillStyle = this.#theme.ground;
    context.fillRect(0, 0, width / this.#ratio, height / this.#ratio);
    const seen = this.#view.seen;
    context.beginPath();
    for (const land of this.#land.areas) if (isSeen(land, seen)) trace(context, land, this.#view);
    context.fillStyle = this.#theme.land;
    context.fill('evenodd');
    context.lineWidth = 1;
    context.strokeStyle = this.#theme.border;
    context.stroke();
    this.#graticule(context, width / this.#ratio, height / this.#ratio);
    context.lineWidth = 1.25;
    context.lineJoin = 'round';
    context.strokeStyle = this.#theme.border;
    context.beginPath();
    for (const border of this.#land.borders) if (isSeen(border, seen)) trace(context, border, this.#view);
    context.stroke();
    this.#drawArea(context);
  }

  /** Takes the world that the ground shows. */
  know(land) {
    this.#land = land;
  }

  #drawArea(context) {
    if (!this.area || this.area.length < 2) return;
    context.beginPath();
    this.area.forEach(([longitude, latitude]) => context.lineTo(this.#view.x(longitude), this.#view.y(latitude)));
    context.closePath();
    context.globalAlpha = 0.14;
    context.fillStyle = this.#theme.accent;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.setLineDash([6, 4]);
    context.strokeStyle = this.#theme.accent;
    context.stroke();
    context.setLineDash([]);
  }

  #graticule(context, width, height) {
    const [west, east] = [this.#view.longitude(0), this.#view.longitude(width)];
    const [south, north] = [this.#view.latitude(height), this.#view.latitude(0)];
    const step = graticuleStep(Math.max(east - west, north - south));
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    context.strokeStyle = this.#theme.line;
    context.fillStyle = this.#theme.quiet;
    context.font = '10px system-ui, sans-serif';
    context.lineWidth = 1;
    context.beginPath();
    for (let index = Math.ceil(west / step); index * step <= east; index += 1) {
      const x = this.#view.x(index * step);
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.fillText(degrees(index * step, digits, 'E', 'W'), x + 4, height - 4);
    }
    for (let index = Math.ceil(south / step); index * step <= north; index += 1) {
      const y = this.#view.y(index * step);
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.fillText(degrees(index * step, digits, 'N', 'S'), 4, y - 4);
    }
    context.stroke();
  }

  /** No trails, until they are drawn again. */
  clearTrails() {
    this.#clear(this.#canvases.trails);
  }

  /** Where each vehicle has been: one path for each colour. */
  trails(tracks) {
    const context = this.#clear(this.#canvases.trails);
    // With the place where it is now.
    const most = Math.floor(TRAIL_POINTS_MAX / Math.max(1, tracks.size)) - 1;
    if (most < TRAIL_POINTS_MIN) return;
    const paths = this.shades.map(() => new Path2D());
    const seen = this.#view.seen;
    for (const vehicle of tracks) {
      if (vehicle.presence < 0.2 || !isNear(vehicle, seen)) continue;
      const path = paths[shadeOf(vehicle.altitude)];
      const { trail } = vehicle;
      const from = Math.max(0, trail.length - 2 * most);
      path.moveTo(this.#view.x(trail[from]), this.#view.y(trail[from + 1]));
      for (let index = from + 2; index < trail.length; index += 2) {
        path.lineTo(this.#view.x(trail[index]), this.#view.y(trail[index + 1]));
      }
      path.lineTo(this.#view.x(vehicle.x), this.#view.y(vehicle.y));
    }
    context.globalAlpha = 0.4;
    context.lineWidth = 1.25;
    context.lineJoin = 'bevel';
    paths.forEach((path, index) => {
      context.strokeStyle = this.shades[index];
      context.stroke(path);
    });
    context.globalAlpha = 1;
  }

  /** The vehicles; `chosen` has a ring around it. */
  vehicles(tracks, chosen) {
    const context = this.#clear(this.#canvases.sky);
    if (tracks.size > DARTS_FROM) this.#darts(context, tracks);
    else this.#copies(context, tracks);
    if (!chosen) return;
    context.strokeStyle = this.#theme.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(this.#view.x(chosen.x), this.#view.y(chosen.y), SPRITE / 2, 0, 2 * Math.PI);
    context.stroke();
  }

  /** A crowd: one path for each colour. */
  #darts(context, tracks) {
    const seen = this.#view.seen;
    const shades = this.shades.map(() => []);
    for (const vehicle of tracks) {
      if (vehicle.presence > 0.3 && isNear(vehicle, seen)) shades[shadeOf(vehicle.altitude)].push(vehicle);
    }
    for (const [shade, vehicles] of shades.entries()) {
      context.beginPath();
      for (const { x: longitude, y: latitude, heading } of vehicles) {
        const dart = DARTS[turnOf(heading)];
        const x = this.#view.x(longitude);
        const y = this.#view.y(latitude);
        context.moveTo(x + dart[0], y + dart[1]);
        context.lineTo(x + dart[2], y + dart[3]);
        context.lineTo(x + dart[4], y + dart[5]);
      }
      context.fillStyle = this.shades[shade];
      context.fill();
    }
  }

  #copies(context, tracks) {
    const size = tracks.size > CROWD.count ? CROWD.sprite : SPRITE;
    const seen = this.#view.seen;
    this.#made = 0;
    for (const vehicle of tracks) {
      if (!isNear(vehicle, seen)) continue;
      const shade = shadeOf(vehicle.altitude);
      const sprite = this.#sprite(shade, vehicle.heading);
      context.globalAlpha = vehicle.presence;
      const [x, y] = [this.#view.x(vehicle.x), this.#view.y(vehicle.y)];
      if (sprite) {
        context.drawImage(sprite, x - size / 2, y - size / 2, size, size);
      } else {
        context.fillStyle = this.shades[shade];
        context.fillRect(x - 2, y - 2, 4, 4);
      }
    }
    context.globalAlpha = 1;
  }

  #clear(canvas) {
    const context = canvas.getContext('2d');
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  #sprite(shadeIndex, heading) {
    const turn = turnOf(heading);
    const index = shadeIndex * HEADINGS + turn;
    const known = this.#sprites[index];
    if (known || this.#made >= SPRITES_FRAME_MAX) return known;
    this.#made += 1;
    this.#sprites[index] = this.#draw(this.shades[shadeIndex], (turn / HEADINGS) * 2 * Math.PI);
    return this.#sprites[index];
  }

  #draw(color, angle) {
    const sprite = document.createElement('canvas');
    sprite.width = sprite.height = SPRITE * this.#ratio;
    const context = sprite.getContext('2d');
    context.setTransform(this.#ratio, 0, 0, this.#ratio, (SPRITE / 2) * this.#ratio, (SPRITE / 2) * this.#ratio);
    context.rotate(angle);
    context.beginPath();
    GLYPH.forEach(([x, y]) => context.lineTo(x, y));
    [...GLYPH].reverse().forEach(([x, y]) => context.lineTo(-x, y));
    context.closePath();
    context.lineJoin = 'round';
    context.lineWidth = 2.5;
    context.strokeStyle = this.#theme.ground;
    context.stroke();
    context.fillStyle = color;
    context.fill();
    return sprite;
  }
}

/** The step of headings that is next to one, in degrees. */
function turnOf(heading) {
  return ((Math.round((heading / 360) * HEADINGS) % HEADINGS) + HEADINGS) % HEADINGS;
}

/** For each step of headings the three corners of a dart, from its middle. */
const DARTS = Array.from({ length: HEADINGS }, (_, turn) => {
  const angle = (turn / HEADINGS) * 2 * Math.PI;
  const corner = (length, at) => [length * Math.sin(at), -length * Math.cos(at)];
  return [corner(DART.tip, angle), corner(DART.tail, angle + DART.spread), corner(DART.tail, angle - DART.spread)].flat();
});

/** Whether something is on the screen, or just beside it. */
function isNear({ x, y }, { west, east, south, north }) {
  const [across, up] = [(east - west) / 20, (north - south) / 20];
  return x >= west - across && x <= east + across && y >= south - up && y <= north + up;
}

export function shadeOf(altitude = 0) {
  const share = Math.max(0, Math.min(1, altitude / ALTITUDE_MAX));
  return Math.round(share * (SHADES - 1));
}

/** From amber near the ground, over green and blue, to violet. */
function shade(share, dark) {
  const hue = 35 + share * 245;
  return dark ? `hsl(${hue} 72% 66%)` : `hsl(${hue} 72% 38%)`;
}

function degrees(value, digits, positive, negative) {
  return `${Math.abs(value).toFixed(digits)}° ${value < 0 ? negative : positive}`;
}
