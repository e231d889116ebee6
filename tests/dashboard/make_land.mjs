// Makes `src/dashboard/land.bin` of Natural Earth's countries at 1:50 million, as npm's `world-atlas` has them (public domain):
//
//     npm install --no-save world-atlas@2 && node tests/dashboard/make_land.mjs node_modules/world-atlas/countries-50m.json src/dashboard/land.bin
//
// What the file holds says `src/dashboard/land.js`, which reads it.

import { readFileSync, writeFileSync } from 'node:fs';

const UNITS = 1000;

const [, , from, to] = process.argv;
const { arcs, objects, transform } = JSON.parse(readFileSync(from, 'utf8'));

/** An arc's points, in thousandths of a degree. */
const lines = arcs.map((arc) => {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [x * transform.scale[0] + transform.translate[0], y * transform.scale[1] + transform.translate[1]].map((value) => Math.round(value * UNITS));
  });
});

const line = (index) => (index >= 0 ? lines[index] : [...lines[~index]].reverse());
const ring = (indexes) => indexes.flatMap((index, at) => (at === 0 ? line(index) : line(index).slice(1)));
const polygons = ({ type, arcs: of, geometries }) => (geometries ? geometries.flatMap(polygons) : type === 'Polygon' ? [of] : (of ?? []));

const areas = polygons(objects.land).flatMap((rings) => rings.map(ring));
const uses = new Map();
for (const country of objects.countries.geometries) {
  for (const index of new Set(polygons(country).flat(2).map((index) => (index < 0 ? ~index : index)))) uses.set(index, (uses.get(index) ?? 0) + 1);
}
// An arc that two countries have is a border; one that one has is a coast.
const borders = [...uses].filter(([, count]) => count > 1).map(([index]) => lines[index]);

const bytes = [];
const put = (value) => {
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
};
const putSigned = (value) => put(value >= 0 ? value * 2 : -value * 2 - 1);
const distinct = (points) => points.filter(([x, y], index) => index === 0 || x !== points[index - 1][0] || y !== points[index - 1][1]);
const putLines = (all) => {
  const kept = all.map(distinct).filter((points) => points.length >= 2);
  put(kept.length);
  for (const points of kept) {
    put(points.length);
    let [lastX, lastY] = [0, 0];
    for (const [x, y] of points) {
      putSigned(x - lastX);
      putSigned(y - lastY);
      [lastX, lastY] = [x, y];
    }
  }
};
putLines(areas);
putLines(borders);
writeFileSync(to, Buffer.from(bytes));
console.log(`${areas.length} areas, ${borders.length} borders, ${bytes.length} bytes`);
