//! Charts: columns, lines and bars as SVG, each with a table of its numbers behind it.
//!
//! Only presentation attributes and classes (the desk's policy allows no inline style). No text stands in an SVG, which stretches with its
//! page: labels are HTML, so that they keep their size on a phone. What colour says a texture or a dash says too.

use askama::Template;

/// Appearance of a series: its colour is a class of the stylesheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Wanted outcomes: solid.
    Good,
    /// Losses: hatched.
    Bad,
    /// Waiting or uncertain: dotted.
    Doubt,
    /// Anything else: outlined.
    Other,
}

impl Look {
    /// Its class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Doubt => "doubt",
            Self::Other => "other",
        }
    }

    /// Part of the name of its texture.
    pub fn texture(self) -> Option<&'static str> {
        match self {
            Self::Good => None,
            Self::Bad => Some("hatch"),
            Self::Doubt => Some("dots"),
            Self::Other => Some("cross"),
        }
    }

    /// Dashes of its line.
    pub fn dashes(self) -> &'static str {
        match self {
            Self::Good => "none",
            Self::Bad => "7 4",
            Self::Doubt => "2 3",
            Self::Other => "9 3 2 3",
        }
    }
}

/// Values of one kind, one for each label of the chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// Name.
    pub name: String,
    /// Appearance.
    pub look: Look,
    /// Values; none where there is none.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// A series of counts.
    pub fn counts(
        name: impl Into<String>,
        look: Look,
        values: impl IntoIterator<Item = u64>,
    ) -> Self {
        Self {
            name: name.into(),
            look,
            values: values.into_iter().map(|value| Some(value as f64)).collect(),
        }
    }
}

/// Width and height of the drawing, in units that stretch.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;

/// A rectangle.
pub struct Rect {
    class: &'static str,
    texture: Option<&'static str>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// A line.
pub struct Line {
    class: &'static str,
    dashes: &'static str,
    path: String,
}

/// A row of the table behind a chart.
struct TableRow {
    label: String,
    cells: Vec<String>,
}

/// A chart over time: columns that stand on one another, or lines.
#[derive(Template)]
#[template(path = "desk/chart.html", whitespace = "minimize")]
pub struct Chart {
    id: &'static str,
    title: String,
    description: String,
    unit: &'static str,
    highest: String,
    first: String,
    last: String,
    rects: Vec<Rect>,
    lines: Vec<Line>,
    legend: Vec<(String, Look)>,
    heads: Vec<String>,
    rows: Vec<TableRow>,
    /// Head of the table's first column.
    of: &'static str,
}

/// Words around a chart.
pub struct ChartWords {
    /// Name in the page, unique there.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// Sentence for those who do not see it.
    pub description: String,
    /// Unit of the values: "a minute".
    pub unit: &'static str,
    /// Head of the labels: "Minute".
    pub of: &'static str,
}

/// A number as a reader of a table reads it.
fn shown(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value < 0.0 => format!("−{}", super::grouped(value.abs().round() as u64)),
        Some(value) => super::grouped(value.round() as u64),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl Chart {
    /// Columns, in which the series stand on one another.
    pub fn columns(words: ChartWords, labels: Vec<String>, series: &[Series]) -> Self {
        let sums = (0..labels.len()).map(|at| {
            let values = series.iter().filter_map(|series| *series.values.get(at)?);
            values.map(|value| value.max(0.0)).sum::<f64>()
        });
        let highest = sums.fold(0.0, f64::max);
        let scale = HEIGHT / highest.max(1.0);
        let step = WIDTH / labels.len().max(1) as f64;
        let mut rects = Vec::new();
        for at in 0..labels.len() {
            let mut top = HEIGHT;
            for series in series {
                let value = series.values.get(at).copied().flatten().unwrap_or(0.0);
                if value <= 0.0 {
                    continue;
                }
                // Something is seen of what there is.
                let height = (value * scale).max(1.5);
                top -= height;
                rects.push(Rect {
                    class: series.look.class(),
                    texture: series.look.texture(),
                    x: rounded(at as f64 * step + step * 0.06),
                    y: rounded(top.max(0.0)),
                    width: rounded(step * 0.88),
                    height: rounded(height),
                });
            }
        }
        Self {
            rects,
            ..Self::framed(words, labels, series, highest)
        }
    }

    /// Lines. `top`: upper end of the scale; none: the highest value.
    pub fn lines(
        words: ChartWords,
        labels: Vec<String>,
        series: &[Series],
        top: Option<f64>,
    ) -> Self {
        let values = series.iter().flat_map(|series| &series.values).flatten();
        let highest = top.unwrap_or_else(|| values.copied().fold(0.0, f64::max));
        let scale = HEIGHT / highest.max(1.0);
        let step = WIDTH / labels.len().saturating_sub(1).max(1) as f64;
        let lines = series.iter().map(|series| Line {
            class: series.look.class(),
            dashes: series.look.dashes(),
            path: path(&series.values, step, scale),
        });
        Self {
            lines: lines.collect(),
            ..Self::framed(words, labels, series, highest)
        }
    }

    fn framed(words: ChartWords, labels: Vec<String>, series: &[Series], highest: f64) -> Self {
        let rows = labels.iter().enumerate().map(|(at, label)| TableRow {
            label: label.clone(),
            cells: series
                .iter()
                .map(|series| shown(series.values.get(at).copied().flatten()))
                .collect(),
        });
        Self {
            id: words.id,
            title: words.title,
            description: words.description,
            unit: words.unit,
            highest: shown(Some(highest)),
            first: labels.first().cloned().unwrap_or_default(),
            last: labels.last().cloned().unwrap_or_default(),
            rects: Vec::new(),
            lines: Vec::new(),
            legend: series
                .iter()
                .map(|series| (series.name.clone(), series.look))
                .collect(),
            heads: series.iter().map(|series| series.name.clone()).collect(),
            rows: rows.collect(),
            of: words.of,
        }
    }

    /// True if there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Path of a line; it is broken where there is no value.
fn path(values: &[Option<f64>], step: f64, scale: f64) -> String {
    let (mut path, mut is_down) = (String::new(), false);
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let (x, y) = (
            rounded(at as f64 * step),
            rounded(HEIGHT - value.max(0.0) * scale),
        );
        path.push_str(&format!("{}{x} {y}", if is_down { "L" } else { "M" }));
        is_down = true;
    }
    // A point alone is a short stroke.
    if path.matches(['M', 'L']).count() == 1 {
        path.push_str("h6");
    }
    path
}

/// One bar, whose parts stand behind one another.
pub struct Bar {
    /// Name.
    pub label: String,
    /// Address that its name leads to.
    pub href: Option<String>,
    /// Its numbers in words.
    pub words: String,
    /// Values, in the order of the chart's kinds.
    pub values: Vec<u64>,
}

/// Bars, one below another, with what each stands for beside it.
#[derive(Template)]
#[template(path = "desk/bars.html", whitespace = "minimize")]
pub struct BarChart {
    id: &'static str,
    title: String,
    description: String,
    of: &'static str,
    kinds: Vec<(&'static str, Look)>,
    bars: Vec<DrawnBar>,
}

struct DrawnBar {
    bar: Bar,
    rects: Vec<Rect>,
    cells: Vec<String>,
}

impl BarChart {
    /// Bars with parts of these kinds; the longest is as wide as the page.
    pub fn new(words: ChartWords, kinds: Vec<(&'static str, Look)>, bars: Vec<Bar>) -> Self {
        let all = |bar: &Bar| bar.values.iter().sum::<u64>();
        let longest = bars.iter().map(all).max().unwrap_or(0).max(1) as f64;
        let drawn = |bar: Bar| {
            let mut x = 0.0;
            let mut rects = Vec::new();
            for (value, (_, look)) in bar.values.iter().zip(&kinds) {
                if *value == 0 {
                    continue;
                }
                let width = (*value as f64 * WIDTH / longest).max(2.0);
                rects.push(Rect {
                    class: look.class(),
                    texture: look.texture(),
                    x: rounded(x),
                    y: 0.0,
                    width: rounded(width),
                    height: 10.0,
                });
                x += width;
            }
            let cells = bar.values.iter().map(|value| super::grouped(*value));
            DrawnBar {
                cells: cells.collect(),
                rects,
                bar,
            }
        };
        Self {
            id: words.id,
            title: words.title,
            description: words.description,
            of: words.of,
            bars: bars.into_iter().map(drawn).collect(),
            kinds,
        }
    }

    /// True if there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> ChartWords {
        ChartWords {
            id: "c",
            title: "Mails".into(),
            description: "Mails a minute.".into(),
            unit: "a minute",
            of: "Minute",
        }
    }

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|at| at.to_string()).collect()
    }

    #[test]
    fn columns_stand_on_one_another_and_fill_the_height() {
        let series = [
            Series::counts("sent", Look::Good, [3, 0, 6]),
            Series::counts("failed", Look::Bad, [1, 0, 6]),
        ];
        let chart = Chart::columns(words(), labels(3), &series);
        assert_eq!(chart.rects.len(), 4, "nothing is drawn for nothing");
        let last = &chart.rects[2..];
        assert_eq!((last[0].y, last[0].height), (90.0, 90.0));
        assert_eq!((last[1].y, last[1].height), (0.0, 90.0));
        assert_eq!(chart.highest, "12");
        assert_eq!(chart.rows[2].cells, ["6", "6"]);
        assert!(
            chart
                .rects
                .iter()
                .all(|rect| rect.x >= 0.0 && rect.x + rect.width <= WIDTH)
        );
        assert!(Chart::columns(words(), Vec::new(), &series).is_empty());
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        let values = vec![Some(0.0), Some(50.0), None, Some(100.0)];
        let series = [Series {
            name: "all".into(),
            look: Look::Good,
            values,
        }];
        let chart = Chart::lines(words(), labels(4), &series, Some(100.0));
        assert_eq!(chart.lines[0].path, "M0 180L240 90M720 0");
        assert_eq!(chart.rows[2].cells, ["–"]);
        let one = [Series::counts("one", Look::Good, [5])];
        assert_eq!(
            Chart::lines(words(), labels(1), &one, None).lines[0].path,
            "M0 0h6"
        );
    }

    #[test]
    fn the_longest_bar_is_as_wide_as_the_page() {
        let bar = |label: &str, values: Vec<u64>| Bar {
            label: label.into(),
            href: None,
            words: String::new(),
            values,
        };
        let bars = vec![
            bar("a.example", vec![90, 10]),
            bar("b.example", vec![25, 0]),
        ];
        let kinds = vec![("sent", Look::Good), ("failed", Look::Bad)];
        let chart = BarChart::new(words(), kinds, bars);
        let ends: Vec<f64> = chart
            .bars
            .iter()
            .map(|bar| bar.rects.iter().map(|rect| rect.width).sum())
            .collect();
        assert_eq!(ends, [720.0, 180.0]);
    }
}
