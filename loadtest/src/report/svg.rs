//! Pictures: bars, lines and dots as SVG text that takes its colours from a style sheet, so that light and dark are one
//! picture, within a page and as a file of its own.
//!
//! Invariant: everything that comes from a session is escaped, and no picture refers to anything outside itself and the page.

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

const DOTS_WIDTH: f64 = 860.0;
const DOTS_LEFT: f64 = 250.0;
const DOTS_ROW: f64 = 30.0;
const DOTS_BOTTOM: f64 = 48.0;

/// Colours, and how a picture uses them: for the page, and for a picture that has none.
pub(super) const STYLE: &str = concat!(include_str!("colours.css"), include_str!("picture.css"));

/// Between the entries of a legend, and so much for each letter.
const LEGEND_GAP: f64 = 26.0;
const LETTER: f64 = 6.3;

/// A picture without its frame.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    class: &'static str,
    width: f64,
    height: f64,
    body: String,
    /// Whose lines or dots need a name beside the picture.
    pub(super) legend: Vec<String>,
}

impl Picture {
    fn new(class: &'static str, width: f64, height: f64) -> Self {
        Self { class, width, height, body: String::new(), legend: Vec::new() }
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        put(&mut self.body, what);
    }

    /// Within a page that has the style.
    pub(super) fn inline(&self) -> String {
        let Self { class, width, height, body, .. } = self;
        format!("<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\">{body}</svg>")
    }

    /// As a file, with a title and its legend.
    pub(super) fn alone(&self, title: &str) -> String {
        const HEAD: f64 = 26.0;
        let Self { class, width, height, body, .. } = self;
        let mut legend = String::new();
        let (mut x, mut y) = (14.0, height + HEAD + 12.0);
        for name in &self.legend {
            let wide = name.len() as f64 * LETTER + LEGEND_GAP;
            if x + wide > *width {
                (x, y) = (14.0, y + 18.0);
            }
            let (name, text) = (escape(name), x + 14.0);
            put(
                &mut legend,
                format_args!(
                    "<rect class=\"key s-{name}\" x=\"{x:.0}\" y=\"{:.0}\" width=\"9\" height=\"9\" rx=\"2\"/>\
                     <text x=\"{text:.0}\" y=\"{y:.0}\">{name}</text>",
                    y - 5.0
                ),
            );
            x += wide;
        }
        let bottom = if self.legend.is_empty() { height + HEAD } else { y + 14.0 };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" viewBox=\"0 0 {width} {bottom:.0}\" width=\"{:.0}\" height=\"{:.0}\" role=\"img\">\
             <style>{STYLE}</style><text class=\"title\" x=\"14\" y=\"14\">{}</text><g transform=\"translate(0 {HEAD})\">{body}</g>{legend}</svg>\n",
            width * 1.4,
            bottom * 1.4,
            escape(title)
        )
    }
}

/// One bar.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    /// What stands behind it.
    pub(super) note: String,
    /// The others are compared with it.
    pub(super) is_yardstick: bool,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// One row of dots: of each subject a value.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) dots: Vec<(String, f64)>,
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
        // Past two decades only the decades themselves have room for a label.
        let labelled = |it: f64| shown.len() < 8 || (it.log10() - it.log10().round()).abs() < 1e-6;
        let ticks = shown.iter().filter(|it| labelled(**it)).map(|it| (*it, short(*it))).collect();
        let (from, to) =
            (shown.first().copied().unwrap_or(least), shown.last().copied().unwrap_or(most));
        Self { title, logarithmic: true, ticks, from, to }
    }

    /// Ratios around 1, on a picture that is wide enough for every label.
    pub(super) fn ratios(title: &'static str, least: f64, most: f64) -> Self {
        let plain = Self::logarithmic(title, least.min(0.5), most.max(2.0));
        let steps = (-6..6).flat_map(|it| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(it)));
        let within = |it: &f64| *it > plain.from * 0.999 && *it < plain.to * 1.001;
        let ticks = steps.filter(within).map(|it| (it, format!("{}×", short(it)))).collect();
        Self { ticks, ..plain }
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

/// Horizontal bars, the spread as a whisker, the value behind, and a line where the yardstick ends.
pub(super) fn bars(bars: &[Bar]) -> Picture {
    let most =
        bars.iter().map(|it| it.most.max(it.value)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = bars.len() as f64 * (BAR + GAP) + GAP;
    let room = WIDTH - NAME - NOTE;
    let mut svg = Picture::new("bars", WIDTH, height);
    if let Some(yardstick) = bars.iter().find(|it| it.is_yardstick) {
        let x = NAME + yardstick.value / most * room;
        svg.put(format_args!("<path class=\"rule\" d=\"M{x:.1} 2V{:.1}\"/>", height - 2.0));
    }
    for (at, bar) in bars.iter().enumerate() {
        let y = GAP + at as f64 * (BAR + GAP);
        let middle = y + BAR / 2.0;
        let long = (bar.value / most * room).max(1.0);
        let (least, end) = (NAME + bar.least / most * room, NAME + bar.most / most * room);
        let (name, left) = (escape(&bar.name), NAME - 10.0);
        svg.put(format_args!(
            "<text class=\"name\" x=\"{left:.1}\" y=\"{middle:.1}\">{}</text>",
            escape(label(&bar.name))
        ));
        let flat = (long - 4.0).max(0.0);
        svg.put(format_args!(
            "<path class=\"s-{name}\" d=\"M{NAME} {y:.1}h{flat:.1}q4 0 4 4v{:.1}q0 4 -4 4h-{flat:.1}z\"><title>{name}: {}</title></path>",
            BAR - 8.0,
            number(bar.value)
        ));
        if end - least > 1.0 {
            svg.put(format_args!(
                "<path class=\"whisker\" d=\"M{least:.1} {middle:.1}H{end:.1}\"/>"
            ));
        }
        let x = (NAME + long).max(end) + 8.0;
        let note = escape(&bar.note);
        svg.put(format_args!("<text class=\"note\" x=\"{x:.1}\" y=\"{middle:.1}\">{note}</text>"));
    }
    svg
}

/// Lines over common axes.
pub(super) fn lines(lines: &[Line], x: &Axis, y: &Axis) -> Picture {
    let (right, bottom) = (WIDTH - RIGHT, LINES_HEIGHT - BOTTOM);
    let mut svg = Picture::new("lines", WIDTH, LINES_HEIGHT);
    for (value, text) in &y.ticks {
        let (at, before, text) = (y.place(*value, bottom, TOP), LEFT - 8.0, escape(text));
        svg.put(format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"));
        svg.put(format_args!(
            "<text class=\"tick end\" x=\"{before}\" y=\"{at:.1}\">{text}</text>"
        ));
    }
    for (value, text) in &x.ticks {
        let (at, under, text) = (x.place(*value, LEFT, right), bottom + 14.0, escape(text));
        svg.put(format_args!("<text class=\"tick mid\" x=\"{at:.1}\" y=\"{under}\">{text}</text>"));
    }
    let (middle, lowest) = (f64::midpoint(LEFT, right), LINES_HEIGHT - 4.0);
    let title = escape(x.title);
    svg.put(format_args!("<text class=\"tick mid\" x=\"{middle}\" y=\"{lowest}\">{title}</text>"));
    let (turn, title) = (f64::midpoint(TOP, bottom), escape(y.title));
    svg.put(format_args!(
        "<text class=\"tick mid\" transform=\"translate(12 {turn:.1}) rotate(-90)\">{title}</text>"
    ));
    for line in lines {
        let mut path = String::new();
        for (at, (across, up)) in line.points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let (across, up) = (x.place(*across, LEFT, right), y.place(*up, bottom, TOP));
            put(&mut path, format_args!("{letter}{across:.1} {up:.1}"));
        }
        let name = escape(&line.name);
        svg.put(format_args!(
            "<path class=\"line s-{name}\" d=\"{path}\"><title>{name}</title></path>"
        ));
    }
    svg.legend = lines.iter().map(|it| it.name.clone()).collect();
    svg
}

/// A row of dots for each of `rows`, one a subject, over a common axis; a line where it is 1.
pub(super) fn dots(rows: &[Row], axis: &Axis) -> Picture {
    let (left, right) = (DOTS_LEFT, DOTS_WIDTH - RIGHT);
    let bottom = TOP + rows.len() as f64 * DOTS_ROW;
    let mut svg = Picture::new("dots", DOTS_WIDTH, bottom + DOTS_BOTTOM);
    for (value, text) in &axis.ticks {
        let (at, under, text) = (axis.place(*value, left, right), bottom + 14.0, escape(text));
        let class = if (*value - 1.0).abs() < 1e-9 { "rule" } else { "grid" };
        svg.put(format_args!("<path class=\"{class}\" d=\"M{at:.1} {TOP}V{bottom:.1}\"/>"));
        svg.put(format_args!(
            "<text class=\"tick mid\" x=\"{at:.1}\" y=\"{under:.1}\">{text}</text>"
        ));
    }
    let (middle, lowest, title) =
        (f64::midpoint(left, right), bottom + DOTS_BOTTOM - 10.0, axis.title);
    svg.put(format_args!(
        "<text class=\"tick mid\" x=\"{middle}\" y=\"{lowest:.1}\">{title}</text>"
    ));
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + (at as f64 + 0.5) * DOTS_ROW;
        let (name, before) = (escape(&row.name), left - 14.0);
        svg.put(format_args!("<text class=\"name\" x=\"{before}\" y=\"{y:.1}\">{name}</text>"));
        svg.put(format_args!("<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>"));
        // The first is drawn last: this server stands above the others where they meet.
        for (subject, value) in row.dots.iter().rev() {
            let (x, value) = (axis.place(*value, left, right), number(*value));
            let subject = escape(subject);
            svg.put(format_args!(
                "<circle class=\"s-{subject}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"><title>{subject}: {value}</title></circle>"
            ));
        }
        for (subject, _) in &row.dots {
            if !svg.legend.contains(subject) {
                svg.legend.push(subject.clone());
            }
        }
    }
    svg
}

/// A name that has room beside a bar.
fn label(name: &str) -> &str {
    name.strip_prefix("fanwire-").unwrap_or(name)
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
        for text in [svg.inline(), svg.alone("<b>")] {
            assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"), "{text}");
        }
    }
}
