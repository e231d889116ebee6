// The outlines of land and the borders of countries, as Natural Earth (1:50 million, public domain) has them, from a file that is read once.
//
// The file: how many areas of land there are, the areas, how many borders, the borders; each a count of points and then their differences, in thousandths of a degree,
// as zigzag varints. Its maker is `tests/dashboard/make_land.mjs`. Pure but for reading.

const UNITS = 1000;

/** Reads the file; nothing is drawn of a world that cannot be had. */
export async function readLand(url) {
  try {
    const answer = await fetch(url);
    return answer.ok ? decode(new Uint8Array(await answer.arrayBuffer())) : EMPTY;
  } catch {
    return EMPTY;
  }
}

export const EMPTY = { areas: [], borders: [] };

/** Lines of `{points: Float32Array, west, east, south, north}`; points are longitude and latitude in turn. */
export function decode(bytes) {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const signed = () => {
    const value = number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const line = () => {
    const count = number();
    const points = new Float32Array(2 * count);
    const box = { west: Infinity, east: -Infinity, south: Infinity, north: -Infinity };
    let [x, y] = [0, 0];
    for (let index = 0; index < count; index += 1) {
      x += signed();
      y += signed();
      const [longitude, latitude] = [x / UNITS, y / UNITS];
      points[2 * index] = longitude;
      points[2 * index + 1] = latitude;
      if (longitude < box.west) box.west = longitude;
      if (longitude > box.east) box.east = longitude;
      if (latitude < box.south) box.south = latitude;
      if (latitude > box.north) box.north = latitude;
    }
    return { points, ...box };
  };
  const lines = () => Array.from({ length: number() }, line);
  return { areas: lines(), borders: lines() };
}

/** Draws a line into a path: points that would lie within a pixel of the last one are left out. */
export function trace(context, { points }, view) {
  let [lastX, lastY] = [Infinity, Infinity];
  const end = points.length - 2;
  for (let index = 0; index <= end; index += 2) {
    const [x, y] = [view.x(points[index]), view.y(points[index + 1])];
    if (index > 0 && index < end && Math.abs(x - lastX) < 1 && Math.abs(y - lastY) < 1) continue;
    if (index === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
    [lastX, lastY] = [x, y];
  }
}

export function isSeen({ west, east, south, north }, seen) {
  return west <= seen.east && east >= seen.west && south <= seen.north && north >= seen.south;
}
