//! Pictures: bars and lines as SVG text that takes its colours from the page, so that light and dark are one picture.
//!
//! Invariant: everything that comes from a session is escaped, and no picture refers to anything outside the page.

use crate::report::number;

use std::fmt::Write as _;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
const LINES_HEIGHT: f64 = 218.0;

const BAR: f64 = 18.0;
const GAP: f64 = 10.0;
const NAME: f64 = 92.0;
const NOTE: f64 = 124.0;

/// One bar.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    /// What stands behind it.
    pub(super) note: String,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How a value becomes a place.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) title: &'static str,
    pub(super) logarithmic: bool,
    /// Where a label stands, and what it says.
    pub(super) ticks: Vec<(f64, String)>,
    from: f64,
    to: f64,
}

impl Axis {
    /// From 0 to a little more than `most`, with round numbers on the way.
    pub(super) fn linear(title: &'static str, most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let power = 10_f64.powf((most / 4.0).log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|it| it * power).find(|it| it * 4.5 >= most);
        let step = step.unwrap_or(most);
        let many = (most / step).ceil();
        let mut ticks = Vec::new();
        let mut at = 0.0;
        while at <= many {
            ticks.push((at * step, short(at * step)));
            at += 1.0;
        }
        Self { title, logarithmic: false, ticks, from: 0.0, to: many * step }
    }

    /// Around everything between `least` and `most`, both above 0: from one of 1, 2, 5 in its decade to another.
    pub(super) fn logarithmic(title: &'static str, least: f64, most: f64) -> Self {
        let (least, most) = (least.max(1e-6), most.max(2e-6));
        let decade = 10_f64.powf(least.log10().floor());
        let steps: Vec<f64> = (0..16)
            .flat_map(|it| [1.0, 2.0, 5.0].map(|step| step * decade * 10_f64.powi(it)))
            .collect();
        let first = steps.iter().rposition(|it| *it <= least * 1.0001).unwrap_or(0);
        let last = steps
            .iter()
            .position(|it| *it >= most * 0.9999)
            .unwrap_or(steps.len() - 1)
            .max(first + 1);
        let shown = steps.get(first..=last).unwrap_or_default();
        // Past two decades only the ends and the decades themselves have room for a label.
        let labelled = |it: f64| shown.len() < 8 || (it.log10() - it.log10().round()).abs() < 1e-6;
        let ticks = shown.iter().filter(|it| labelled(**it)).map(|it| (*it, short(*it))).collect();
        let (from, to) =
            (shown.first().copied().unwrap_or(least), shown.last().copied().unwrap_or(most));
        Self { title, logarithmic: true, ticks, from, to }
    }

    /// Percentiles, each nine as wide as the one before.
    pub(super) fn nines() -> Self {
        let ticks = [(0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];
        let place = |quantile: f64| 1.0 / (1.0 - quantile);
        let ticks: Vec<(f64, String)> =
            ticks.iter().map(|(at, text)| (place(*at), format!("{text} %"))).collect();
        Self { title: "percentile", logarithmic: true, ticks, from: 1.0, to: place(0.9999) }
    }

    fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        from + share.clamp(0.0, 1.0) * (to - from)
    }
}

/// Horizontal bars, the spread as a whisker, the value behind.
pub(super) fn bars(bars: &[Bar]) -> String {
    let most =
        bars.iter().map(|it| it.most.max(it.value)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = bars.len() as f64 * (BAR + GAP) + GAP;
    let room = WIDTH - NAME - NOTE;
    let mut svg = open(height, "bars");
    for (at, bar) in bars.iter().enumerate() {
        let y = GAP + at as f64 * (BAR + GAP);
        let middle = y + BAR / 2.0;
        let long = (bar.value / most * room).max(1.0);
        let (least, end) = (NAME + bar.least / most * room, NAME + bar.most / most * room);
        let name = escape(&bar.name);
        put(
            &mut svg,
            format_args!(
                "<text class=\"name\" x=\"{:.1}\" y=\"{middle:.1}\">{name}</text>",
                NAME - 10.0
            ),
        );
        put(
            &mut svg,
            format_args!(
                "<path class=\"s-{name}\" d=\"M{NAME} {y:.1}h{:.1}q4 0 4 4v{:.1}q0 4 -4 4h-{:.1}z\"><title>{name}: {}</title></path>",
                (long - 4.0).max(0.0),
                BAR - 8.0,
                (long - 4.0).max(0.0),
                number(bar.value)
            ),
        );
        if end - least > 1.0 {
            put(
                &mut svg,
                format_args!("<path class=\"whisker\" d=\"M{least:.1} {middle:.1}H{end:.1}\"/>"),
            );
        }
        let x = (NAME + long).max(end) + 8.0;
        let note = escape(&bar.note);
        put(
            &mut svg,
            format_args!("<text class=\"note\" x=\"{x:.1}\" y=\"{middle:.1}\">{note}</text>"),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Lines over common axes.
pub(super) fn lines(lines: &[Line], x: &Axis, y: &Axis) -> String {
    let (right, bottom) = (WIDTH - RIGHT, LINES_HEIGHT - BOTTOM);
    let mut svg = open(LINES_HEIGHT, "lines");
    for (value, text) in &y.ticks {
        let at = y.place(*value, bottom, TOP);
        let label = LEFT - 8.0;
        put(&mut svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"));
        put(
            &mut svg,
            format_args!(
                "<text class=\"tick end\" x=\"{label}\" y=\"{at:.1}\">{}</text>",
                escape(text)
            ),
        );
    }
    for (value, text) in &x.ticks {
        let (at, under) = (x.place(*value, LEFT, right), bottom + 14.0);
        put(
            &mut svg,
            format_args!(
                "<text class=\"tick mid\" x=\"{at:.1}\" y=\"{under}\">{}</text>",
                escape(text)
            ),
        );
    }
    let (middle, lowest) = (f64::midpoint(LEFT, right), LINES_HEIGHT - 4.0);
    put(
        &mut svg,
        format_args!(
            "<text class=\"tick mid\" x=\"{middle}\" y=\"{lowest}\">{}</text>",
            escape(x.title)
        ),
    );
    let turn = format!("translate(12 {:.1}) rotate(-90)", f64::midpoint(TOP, bottom));
    put(
        &mut svg,
        format_args!("<text class=\"tick mid\" transform=\"{turn}\">{}</text>", escape(y.title)),
    );
    for line in lines {
        let mut path = String::new();
        for (at, (across, up)) in line.points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            put(
                &mut path,
                format_args!(
                    "{letter}{:.1} {:.1}",
                    x.place(*across, LEFT, right),
                    y.place(*up, bottom, TOP)
                ),
            );
        }
        let name = escape(&line.name);
        put(
            &mut svg,
            format_args!("<path class=\"line s-{name}\" d=\"{path}\"><title>{name}</title></path>"),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A value in as few letters as a tick has room for.
fn short(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        it if it >= 1e6 => (value / 1e6, "M"),
        it if it >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{letter}")
}

/// Text that is text in HTML and SVG, whatever it holds.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn open(height: f64, class: &str) -> String {
    format!("<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">")
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_numbers_around_everything() {
        for most in [0.0, 0.3, 7.0, 45.0, 99.0, 1234.0, 250_000.0] {
            let axis = Axis::linear("t", most);
            assert!(
                axis.to >= most && (2..=7).contains(&axis.ticks.len()),
                "{most}: {:?}",
                axis.ticks
            );
        }
        for (least, most, from, to) in
            [(0.3, 45.0, 0.2, 50.0), (3.0, 3.0, 2.0, 5.0), (0.1, 900.0, 0.1, 1000.0)]
        {
            let axis = Axis::logarithmic("t", least, most);
            assert!(
                (axis.from / from - 1.0).abs() < 1e-6 && (axis.to / to - 1.0).abs() < 1e-6,
                "{axis:?}"
            );
            assert!((2..=7).contains(&axis.ticks.len()), "{axis:?}");
        }
    }

    #[test]
    fn places_stay_inside() {
        let axis = Axis::nines();
        assert_eq!(axis.place(1.0, 0.0, 100.0), 0.0);
        assert_eq!(axis.place(1e9, 0.0, 100.0), 100.0);
        assert!((axis.place(10.0, 0.0, 100.0) - 25.0).abs() < 0.01);
    }

    #[test]
    fn names_are_escaped() {
        let line = Line { name: "<b>".to_owned(), points: vec![(1.0, 1.0)] };
        let svg = lines(&[line], &Axis::nines(), &Axis::linear("t", 1.0));
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"));
    }
}
