// The page of figures that Prometheus reads, read: samples by name, what counted up since the last page, and quantiles of what came between two pages.
//
// Pure: texts and times in, numbers out. A count that fell is a server that started anew: nothing is said of that second.

/** Every sample: by name, then by the text of its labels. */
export function parse(page) {
  const samples = new Map();
  for (const line of page.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    const brace = line.indexOf('{');
    const name = line.slice(0, brace === -1 ? end : brace);
    const labels = brace === -1 ? '' : line.slice(brace + 1, line.lastIndexOf('}'));
    if (!samples.has(name)) samples.set(name, new Map());
    samples.get(name).set(labels, Number(line.slice(end + 1)));
  }
  return samples;
}

/** A sample added up over its labels; undefined if it is not there. */
export function total(samples, name) {
  const found = samples?.get(name);
  return found && [...found.values()].reduce((sum, value) => sum + value, 0);
}

/** Samples by the value of one label. */
export function byLabel(samples, name, label) {
  const values = new Map();
  for (const [labels, value] of samples.get(name) ?? []) {
    const word = new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(labels)?.[1];
    if (word !== undefined) values.set(word, (values.get(word) ?? 0) + value);
  }
  return values;
}

/** How much a counter rose between two pages, a second; undefined where it fell, or is new. */
export function rate(before, after, name, elapsed_ms) {
  const [from, to] = [total(before, name), total(after, name)];
  return from === undefined || to === undefined || to < from || elapsed_ms <= 0 ? undefined : ((to - from) * 1000) / elapsed_ms;
}

/** A quantile of what a histogram took between two pages, in its unit; undefined if that was nothing. */
export function quantile(before, after, name, share) {
  const [from, to] = [bounds(before, name), bounds(after, name)];
  const counts = to.map(([bound, count], index) => [bound, count - (from[index]?.[1] ?? 0)]);
  const all = counts.at(-1)?.[1] ?? 0;
  if (all <= 0 || counts.some(([, count]) => count < 0)) return undefined;
  const rank = share * all;
  const place = counts.findIndex(([, count]) => count >= rank);
  const [low, below] = place === 0 ? [0, 0] : counts[place - 1];
  const [high, upTo] = counts[place];
  // Beyond the last bound nothing is known but that.
  if (!Number.isFinite(high)) return low;
  return low + ((high - low) * (rank - below)) / Math.max(1, upTo - below);
}

/** The buckets of a histogram, added up over its other labels: upper bound and count up to it. */
function bounds(samples, name) {
  const sums = byLabel(samples ?? new Map(), `${name}_bucket`, 'le');
  return [...sums].map(([bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), count]).sort(([a], [b]) => a - b);
}
