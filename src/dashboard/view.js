// What part of the world is on the screen, and where on the screen a place is.
//
// Longitude and latitude are the map, narrowed by the cosine of the middle's latitude: over a country nobody sees the difference.
// The view follows the data slowly. Pure.

/** The country that most of what is shown here flies over. */
export const HOME = { west: 5.85, east: 10.6, south: 45.75, north: 47.9 };
/** Degrees below which the view does not shrink. */
const SPAN_MIN = 0.05;
/** Degrees beyond which it does not grow. */
const WORLD = 360;
/** Share of the span that is left free around the data. */
const MARGIN = 0.06;

export class View {
  #box = { ...HOME };
  #width = 1;
  #height = 1;
  scale = 1;
  #narrowing = 1;
  #left = 0;
  #top = 0;

  constructor() {
    this.#lay();
  }

  get box() {
    return this.#box;
  }

  resize(width, height) {
    this.#width = width;
    this.#height = height;
    this.#lay();
  }

  /** What is to be seen, margins included. */
  get seen() {
    return { west: this.longitude(0), east: this.longitude(this.#width), south: this.latitude(this.#height), north: this.latitude(0) };
  }

  /** Zooms by a factor; the place at this pixel stays where it is. */
  zoom(factor, x = this.#width / 2, y = this.#height / 2) {
    const { west, east, south, north } = this.seen;
    const share = Math.min(Math.max(1 / factor, SPAN_MIN / (north - south)), WORLD / Math.max(east - west, north - south));
    const [longitude, latitude] = [this.longitude(x), this.latitude(y)];
    this.#box = { west: longitude - (longitude - west) * share, east: longitude + (east - longitude) * share, south: latitude - (latitude - south) * share, north: latitude + (north - latitude) * share };
    this.#settle();
  }

  /** Moves what is seen by so many pixels. */
  pan(x, y) {
    const [across, up] = [x / (this.#narrowing * this.scale), y / this.scale];
    const { west, east, south, north } = this.seen;
    this.#box = { west: west - across, east: east - across, south: south + up, north: north + up };
    this.#settle();
  }

  /** The middle stays on the globe. */
  #settle() {
    const { west, east, south, north } = this.#box;
    const [longitude, latitude] = [(west + east) / 2, (south + north) / 2];
    const across = Math.max(-180, Math.min(180, longitude)) - longitude;
    const up = Math.max(-80, Math.min(80, latitude)) - latitude;
    this.#box = { west: west + across, east: east + across, south: south + up, north: north + up };
    this.#lay();
  }

  /** Goes some of the way to a box; true if that changed what is seen. */
  approach(box, share) {
    let moved = false;
    for (const side of ['west', 'east', 'south', 'north']) {
      const distance = box[side] - this.#box[side];
      if (Math.abs(distance) < 0.002) continue;
      this.#box[side] += distance * share;
      moved = true;
    }
    if (moved) this.#lay();
    return moved;
  }

  x(longitude) {
    return this.#left + (longitude - this.#box.west) * this.#narrowing * this.scale;
  }

  y(latitude) {
    return this.#top + (this.#box.north - latitude) * this.scale;
  }

  longitude(x) {
    return this.#box.west + (x - this.#left) / (this.#narrowing * this.scale);
  }

  latitude(y) {
    return this.#box.north - (y - this.#top) / this.scale;
  }

  #lay() {
    const { west, east, south, north } = this.#box;
    this.#narrowing = Math.cos((((south + north) / 2) * Math.PI) / 180);
    const width = (east - west) * this.#narrowing;
    const height = north - south;
    this.scale = Math.min(this.#width / width, this.#height / height);
    this.#left = (this.#width - width * this.scale) / 2;
    this.#top = (this.#height - height * this.scale) / 2;
  }
}

/** The box to show for data in `bounds`: with home, if they are anywhere near it. */
export function boxFor(bounds) {
  if (!bounds) return HOME;
  const near =
    bounds.west < HOME.east && bounds.east > HOME.west && bounds.south < HOME.north && bounds.north > HOME.south;
  const box = near ? union(bounds, HOME) : { ...bounds };
  const marginX = Math.max((box.east - box.west) * MARGIN, SPAN_MIN);
  const marginY = Math.max((box.north - box.south) * MARGIN, SPAN_MIN);
  return {
    west: Math.max(-180, box.west - marginX),
    east: Math.min(180, box.east + marginX),
    south: Math.max(-85, box.south - marginY),
    north: Math.min(85, box.north + marginY),
  };
}

function union(a, b) {
  return {
    west: Math.min(a.west, b.west),
    east: Math.max(a.east, b.east),
    south: Math.min(a.south, b.south),
    north: Math.max(a.north, b.north),
  };
}

/** Degrees between the lines of the graticule: few enough to be quiet. */
export function graticuleStep(span) {
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30].find((step) => span / step <= 8) ?? 45;
}
