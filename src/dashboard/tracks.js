// The vehicles: what was last heard of each, where it has been, and where it is by now.
//
// Between two reports a vehicle goes on as it went between the last two, for as long as those were apart; what was wrong about that is
// smoothed away with the next report. Pure: time is an argument, nothing is drawn.

/** Points of a trail, and the degrees that lie between them at least: a trail shows a way, not how often it was reported. */
const TRAIL_POINTS = 24;
const TRAIL_STEP = 0.012;
/** A vehicle that is not heard of begins to fade after so long, and is gone after so long. */
export const FADE_MS = { begin: 30_000, end: 90_000 };
/** One that was deleted, or left the filter, fades at once and is gone after so long. */
const LEAVE_MS = 1_500;
/** Vehicles in memory; beyond it the ones that were not heard of for longest are forgotten. */
const VEHICLES_MAX = 20_000;
/** Degrees that no vehicle covers between two reports: it is another one, or a correction. */
const JUMP_DEGREES = 0.6;
/** How far a prediction may reach, and the time in which an error of it is smoothed away by two thirds. */
const PREDICT_MS_MAX = 8_000;
const SMOOTH_MS = 150;
const LONGITUDES = ['longitude', 'lon', 'lng'];
const LATITUDES = ['latitude', 'lat'];
const ALTITUDES = ['altitude', 'alt'];
const SPEEDS = ['groundspeed', 'speed'];
const HEADINGS = ['track', 'heading', 'course'];
const CLIMBS = ['vertical_rate', 'climb'];
const NOTHING = {};

export class Tracks {
  #vehicles = new Map();
  #names = ['latitude', 'longitude'];
  /** Something with a position was heard of. */
  hasPlaces = false;

  /** What positions are called in payloads: of latitude and of longitude. */
  get names() {
    return this.#names;
  }

  get size() {
    return this.#vehicles.size;
  }

  [Symbol.iterator]() {
    return this.#vehicles.values();
  }

  clear() {
    this.#vehicles.clear();
  }

  /** Takes one event of the protocol. Of a vehicle that is known it makes nothing new: thousands come a second. */
  hear({ topic, key, op, payload }, now) {
    const id = `${topic} ${key ?? payload?.id ?? ''}`;
    const known = this.#vehicles.get(id);
    if (op === 'delete' || op === 'leave') {
      if (known) known.leftAt ??= now;
      return;
    }
    const told = payload ?? NOTHING;
    if (known && !known.leftAt) {
      known.payload = payload;
      return move(known, told, now);
    }
    if (!hasPlace(told)) return;
    this.#names = [nameIn(told, LATITUDES), nameIn(told, LONGITUDES)];
    this.hasPlaces = true;
    // The map keeps the order of insertion: the first is the one that was made first.
    if (this.#vehicles.size >= VEHICLES_MAX) this.#vehicles.delete(this.#vehicles.keys().next().value);
    this.#vehicles.set(id, { ...vehicleOf(id, key, told, now), topic, payload });
  }

  /** Moves everything to this moment, and forgets what is gone. */
  advance(now, elapsed_ms) {
    const share = 1 - Math.exp(-elapsed_ms / SMOOTH_MS);
    for (const [id, vehicle] of this.#vehicles) {
      vehicle.presence = presenceOf(vehicle, now);
      if (vehicle.presence === 0) {
        this.#vehicles.delete(id);
        continue;
      }
      const ahead = Math.min(now - vehicle.heardAt, vehicle.interval, PREDICT_MS_MAX);
      const longitude = vehicle.longitude + vehicle.east * ahead;
      const latitude = vehicle.latitude + vehicle.north * ahead;
      vehicle.x += (longitude - vehicle.x) * share;
      vehicle.y += (latitude - vehicle.y) * share;
    }
  }

  /** The box around all that are there, or undefined. */
  bounds() {
    const box = { west: Infinity, east: -Infinity, south: Infinity, north: -Infinity };
    for (const { longitude, latitude, presence } of this.#vehicles.values()) {
      if (presence < 0.5) continue;
      box.west = Math.min(box.west, longitude);
      box.east = Math.max(box.east, longitude);
      box.south = Math.min(box.south, latitude);
      box.north = Math.max(box.north, latitude);
    }
    return box.west <= box.east ? box : undefined;
  }
}

function vehicleOf(id, key, told, now) {
  const [longitude, latitude] = [numberIn(told, LONGITUDES), numberIn(told, LATITUDES)];
  const vehicle = {
    id,
    key,
    callsign: undefined,
    altitude: undefined,
    speed: undefined,
    climb: undefined,
    heading: 0,
    longitude,
    latitude,
    // Where it is drawn.
    x: longitude,
    y: latitude,
    // Degrees a millisecond, as it went between the last two reports, and how far those were apart.
    east: 0,
    north: 0,
    interval: 0,
    heardAt: now,
    leftAt: undefined,
    presence: 1,
    trail: [longitude, latitude],
  };
  describe(vehicle, told);
  return vehicle;
}

/** Takes what is told of a vehicle besides its place; what is not told stays. True if its heading was told. */
function describe(vehicle, told) {
  vehicle.callsign = textIn(told) ?? vehicle.callsign;
  vehicle.altitude = numberIn(told, ALTITUDES) ?? vehicle.altitude;
  vehicle.speed = numberIn(told, SPEEDS) ?? vehicle.speed;
  vehicle.climb = numberIn(told, CLIMBS) ?? vehicle.climb;
  const heading = numberIn(told, HEADINGS);
  vehicle.heading = heading ?? vehicle.heading;
  return heading !== undefined;
}

function move(vehicle, told, now) {
  const elapsed = now - vehicle.heardAt;
  const isHeaded = describe(vehicle, told);
  vehicle.heardAt = now;
  if (!hasPlace(told)) return;
  const [longitude, latitude] = [numberIn(told, LONGITUDES), numberIn(told, LATITUDES)];
  const east = longitude - vehicle.longitude;
  const north = latitude - vehicle.latitude;
  vehicle.longitude = longitude;
  vehicle.latitude = latitude;
  if (Math.hypot(east, north) > JUMP_DEGREES) {
    Object.assign(vehicle, { x: longitude, y: latitude, east: 0, north: 0, interval: 0 });
    vehicle.trail = [longitude, latitude];
    return;
  }
  if (east === 0 && north === 0) return;
  // Reports that come in one message say nothing about speed.
  if (elapsed >= 50) {
    vehicle.east = east / elapsed;
    vehicle.north = north / elapsed;
    vehicle.interval = elapsed;
  }
  if (!isHeaded) vehicle.heading = (Math.atan2(east * Math.cos((latitude * Math.PI) / 180), north) * 180) / Math.PI;
  const { trail } = vehicle;
  if (Math.hypot(longitude - trail.at(-2), latitude - trail.at(-1)) < TRAIL_STEP) return;
  trail.push(longitude, latitude);
  if (trail.length > 2 * TRAIL_POINTS) trail.splice(0, 2);
}

function presenceOf({ heardAt, leftAt }, now) {
  if (leftAt !== undefined) return Math.max(0, 1 - (now - leftAt) / LEAVE_MS);
  const silent = now - heardAt - FADE_MS.begin;
  return silent <= 0 ? 1 : Math.max(0, 1 - silent / (FADE_MS.end - FADE_MS.begin));
}

/** Under which of these names a payload has a number. */
function nameIn(payload, names) {
  for (const name of names) if (Number.isFinite(payload[name])) return name;
  return undefined;
}

/** The number that a payload has under the first of these names. */
function numberIn(payload, names) {
  const name = nameIn(payload, names);
  return name === undefined ? undefined : payload[name];
}

/** What somebody calls the vehicle. */
function textIn({ callsign, name }) {
  if (typeof callsign === 'string' && callsign.trim()) return callsign.trim();
  return typeof name === 'string' && name.trim() ? name.trim() : undefined;
}

function hasPlace(payload) {
  return nameIn(payload, LONGITUDES) !== undefined && nameIn(payload, LATITUDES) !== undefined;
}
