// Measures the frames of the live page on a phone's width while 5,000 vehicles are heard of every second. Not a test: it says what a machine does.
//
//     node tests/clients/browser/frames.mjs http://127.0.0.1:8080 [seconds]
//
// The server must let anyone publish and subscribe, as it does at home.

import { chromium } from 'playwright-core';

import { fleet } from './browser.mjs';

const [, , url = 'http://127.0.0.1:8080', seconds = '20'] = process.argv;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const page = await browser.newPage({ viewport: { width: 420, height: 760 } });
await page.goto(url);
await page.evaluate(() => {
  window.frames = [];
  window.tasks = [];
  let last = performance.now();
  requestAnimationFrame(function frame(now) {
    window.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  });
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
});
const began = Date.now();
for (let step = 0; step < Number(seconds); step += 1) {
  const body = fleet(5000, step).map((one) => JSON.stringify(one));
  // A tenth of them every tenth of a second.
  for (let part = 0; part < 10; part += 1) {
    const lines = body.slice(part * 500, (part + 1) * 500).join('\n');
    await fetch(`${url}/v1/publish/demo/fleet?key_field=id`, { method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body: lines });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, began + step * 1000 + (part + 1) * 100 - Date.now())));
  }
  if (step === 2) await page.evaluate(() => ((window.frames.length = 0), (window.tasks.length = 0)));
}
const { frames, tasks, vehicles } = await page.evaluate(() => ({ frames: window.frames, tasks: window.tasks, vehicles: document.getElementById('vehicles').textContent }));
frames.sort((a, b) => a - b);
const at = (share) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))].toFixed(1);
console.log(`${vehicles} vehicles, ${frames.length} frames: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; ${tasks.length} tasks over 50 ms${tasks.length > 0 ? `, longest ${Math.max(...tasks)} ms` : ''}`);
await browser.close();
