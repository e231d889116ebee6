// Vehicles for tests of pages and of what they draw.

/** So many vehicles, spread over a country. */
export function fleet(count, step = 0) {
  return Array.from({ length: count }, (_, number) => ({
    id: `v${number}`,
    callsign: `FAN${number}`,
    longitude: 6 + ((number * 37) % 400) / 100 + step / 500,
    latitude: 46 + ((number * 53) % 150) / 100,
    altitude: (number * 997) % 40_000,
    groundspeed: 300 + (number % 200),
  }));
}
