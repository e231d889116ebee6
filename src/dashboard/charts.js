// Figures over time, on uPlot. A chart says its newest values as a text, too: a picture alone is for some.

import { element } from './element.js';

/** Seconds that are kept and shown. */
export const SECONDS_MAX = 600;

export class Chart {
  #node;
  #legend;
  #series;
  #plot;
  #data;
  #marks = [];

  /** @param {{label: string, colour: string, text: (value?: number) => string}[]} series `colour`: the name of a property of the style sheet */
  constructor(node, series) {
    this.#node = node;
    this.#legend = series.map(({ label, colour }) => {
      const mark = element('i', {});
      mark.style.background = `var(${colour})`;
      return element('span', {}, mark, `${label} `, element('b', {}, '–'));
    });
    node.after(element('p', { class: 'legend', 'aria-hidden': 'true' }, ...this.#legend));
    this.#series = series;
    this.#data = [[], ...series.map(() => [])];
    this.restyle();
  }

  /** Adds the values of a second; undefined where there is none. */
  add(now_s, values) {
    for (const [index, value] of [now_s, ...values].entries()) {
      this.#data[index].push(value ?? null);
      if (this.#data[index].length > SECONDS_MAX) this.#data[index].shift();
    }
    this.#plot.setData(this.#data);
    const told = this.#series.map(({ label, text }, index) => `${label} ${text(values[index])}`);
    this.#node.setAttribute('aria-label', told.join(', '));
    for (const [index, { text }] of this.#series.entries()) this.#legend[index].lastChild.textContent = text(values[index]);
  }

  /** Something happened: a line stands there. */
  mark(now_s) {
    this.#marks.push(now_s);
    if (this.#marks.length > 20) this.#marks.shift();
    this.#plot.redraw();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.#node;
    if (width > 0 && height > 0) this.#plot.setSize({ width, height });
  }

  /** Takes colours from the style sheet: at the start, and when the light changes. */
  restyle() {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    this.#plot = new globalThis.uPlot(
      {
        width: Math.max(200, this.#node.clientWidth),
        height: 120,
        cursor: { show: false },
        legend: { show: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1)] } },
        axes: [{ ...axis, size: 22, space: 76, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString(undefined, { hour12: false })) }, { ...axis, size: 46, space: 28, values: (_, ticks) => ticks.map(this.#series[0].text) }],
        series: [{}, ...this.#series.map((of) => ({ label: of.label, stroke: colour(of.colour), width: 1.5, points: { show: false }, spanGaps: false }))],
        hooks: { drawAxes: [(plot) => this.#drawMarks(plot, colour('--warn'))] },
      },
      this.#data,
      this.#node,
    );
    this.resize();
  }

  #drawMarks(plot, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.setLineDash([4, 4]);
    for (const mark of this.#marks) {
      const x = Math.round(plot.valToPos(mark, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}
