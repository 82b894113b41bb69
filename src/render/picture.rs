//! The picture of a comparison that other sites show beside a link to it (Open Graph): a PNG of 1200 x 630.
//!
//! Drawn as SVG by a template, made into pixels by resvg, with fonts that are in the program: what is installed on a machine
//! changes no picture. Their licences stand beside them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::LazyLock;

use askama::Template;
use resvg::tiny_skia::Pixmap;
use resvg::tiny_skia::Transform;
use resvg::usvg::Options;
use resvg::usvg::Tree;
use resvg::usvg::fontdb;
use sha2::Digest as _;
use sha2::Sha256;
use skrifa::FontRef;
use skrifa::MetadataProvider as _;
use skrifa::instance::LocationRef;
use skrifa::instance::Size;

use super::RenderError;
use super::Site;
use super::text::shorten;
use super::view::ComparisonView;
use super::view::TextLimits;
use super::view::ToolView;
use crate::domain::catalogue::RatedComparison;

/// Pixels.
pub const WIDTH: u32 = 1200;
/// Pixels.
pub const HEIGHT: u32 = 630;

/// Between the picture's two margins, in pixels.
const WHOLE: f32 = 1040.0;
/// Of one tool's half, in pixels.
const HALF: f32 = 480.0;

/// Headings; Latin, Greek, Cyrillic and Hebrew.
const SERIF: &[u8] = include_bytes!("../../templates/picture/fonts/LiberationSerif-Bold.ttf");
/// Everything else, and letters and signs that the first lacks: Arabic, Armenian, Georgian, arrows, some emoji.
const SANS: &[u8] = include_bytes!("../../templates/picture/fonts/DejaVuSans.ttf");

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in [SERIF, SANS] {
        fonts.load_font_source(fontdb::Source::Binary(Arc::new(font)));
    }
    fonts.set_serif_family("Liberation Serif");
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// A picture that is composed and not drawn yet: to compose one is cheap, to draw it takes some ten milliseconds of a core.
#[derive(Debug)]
pub struct Picture {
    svg: String,
    /// A hash of all that it shows: two pictures of one tag are the same.
    pub tag: String,
}

#[derive(Template)]
#[template(
    path = "picture/comparison.svg",
    escape = "xml",
    whitespace = "minimize"
)]
struct Drawing {
    site: String,
    site_width: u32,
    category: String,
    question: FittedText,
    sides: [Half; 2],
}

/// One tool's half.
struct Half {
    left: u32,
    name: FittedText,
    kind: &'static str,
    verdict: FittedText,
    count: String,
    /// Pixels of the bar that stands for the panel's ship share.
    share: u32,
}

/// A text in as many lines as it takes, at the size at which it fits.
struct FittedText {
    size: u16,
    lines: Vec<String>,
}

/// Composes the picture: the question, both names, what the panel says of each in words, the site's name.
///
/// # Errors
/// A template that fails.
pub fn comparison(site: &Site, matchup: &RatedComparison) -> Result<Picture, RenderError> {
    let duel = ComparisonView::new(site, matchup, TextLimits::MAIL);
    let names = duel
        .sides
        .each_ref()
        .map(|side| drawable(&side.name).unwrap_or_else(|| words_of(side.slug.as_str())));
    let mut question = FittedText::new(
        &format!("{} or {}:", names[0], names[1]),
        WHOLE,
        2,
        &[66, 58, 50, 44],
    );
    question.lines.push("which one should you ship?".into());
    let is_filed = matchup
        .contenders()
        .iter()
        .any(|side| !side.tool.category.trim().is_empty());
    let halves = [
        (80, &duel.sides[0], &names[0]),
        (640, &duel.sides[1], &names[1]),
    ];
    let site = drawable(&shorten(&site.name, 40)).unwrap_or_else(|| site.base_url.clone());
    let drawing = Drawing {
        site_width: width(&site, 38.0) as u32,
        site,
        category: drawable(&shorten(&duel.category(), 40))
            .filter(|_| is_filed)
            .unwrap_or_default(),
        question,
        sides: halves.map(|(left, side, name)| Half::new(left, side, name)),
    };
    let svg = drawing.render()?;
    let tag = Sha256::digest(&svg)
        .iter()
        .take(16)
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    Ok(Picture { svg, tag })
}

impl Picture {
    /// The PNG. Takes a core for some ten milliseconds: not for a thread that others wait for.
    ///
    /// # Errors
    /// A drawing that is no SVG, which would be a defect of its template.
    pub fn draw(&self) -> Result<Vec<u8>, RenderError> {
        let options = Options {
            fontdb: FONTS.clone(),
            font_family: "DejaVu Sans".into(),
            ..Options::default()
        };
        let tree = Tree::from_str(&self.svg, &options)
            .map_err(|error| RenderError::Picture(error.to_string()))?;
        let mut pixels =
            Pixmap::new(WIDTH, HEIGHT).ok_or_else(|| RenderError::Picture("no pixels".into()))?;
        resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
        pixels
            .encode_png()
            .map_err(|error| RenderError::Picture(error.to_string()))
    }
}

impl Half {
    fn new(left: u32, side: &ToolView<'_>, name: &str) -> Self {
        let panel = side.panel.0;
        Self {
            left,
            name: FittedText::new(name, HALF, 1, &[34, 30, 26, 22]),
            kind: side.panel.kind(),
            verdict: FittedText::new(&panel.label().to_uppercase(), HALF, 1, &[60, 50, 40]),
            count: format!("Panel: {} ship / {} skip", panel.ships, panel.skips),
            share: HALF as u32 * panel.ship_percent() / 100,
        }
    }
}

impl FittedText {
    /// At the first of `sizes` at which `text` takes at most `most` lines of `room` pixels; at the last one it is cut.
    fn new(text: &str, room: f32, most: usize, sizes: &[u16]) -> Self {
        let mut fitted = Self {
            size: 0,
            lines: Vec::new(),
        };
        for size in sizes {
            fitted = Self {
                size: *size,
                lines: lines(text, room, f32::from(*size)),
            };
            if fitted.lines.len() <= most {
                return fitted;
            }
        }
        fitted.lines.truncate(most);
        if let Some(last) = fitted.lines.last_mut() {
            while width(last, f32::from(fitted.size)) + width("…", f32::from(fitted.size)) > room
            {
                last.pop();
            }
            last.truncate(last.trim_end().len());
            last.push('…');
        }
        fitted
    }

    /// Returns where each line stands below the first, with its text.
    fn rows(&self) -> impl Iterator<Item = (u32, &str)> {
        let step = u32::from(self.size) * 6 / 5;
        self.lines
            .iter()
            .zip(0..)
            .map(move |(line, n)| (n * step, line.as_str()))
    }
}

/// Broken between words, and within one that is wider than a line.
fn lines(text: &str, room: f32, size: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().filter(|line| !line.is_empty());
        match line {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= room => {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            Some(_) => lines.push(String::new()),
            None => {}
        }
        for c in word.chars() {
            let line = lines
                .last_mut()
                .filter(|line| width(line, size) + width(c.encode_utf8(&mut [0; 4]), size) <= room);
            match line {
                Some(line) => line.push(c),
                None => lines.push(c.to_string()),
            }
        }
    }
    lines
}

/// Pixels that a heading of it takes, or a little more: signs next to each other may move closer.
fn width(text: &str, size: f32) -> f32 {
    let advance = |font: &FontRef<'_>, c: char| {
        let glyph = font.charmap().map(c)?;
        font.glyph_metrics(Size::new(size), LocationRef::default())
            .advance_width(glyph)
    };
    let [serif, sans] = &*FACES;
    let plain = text.chars().all(|c| serif.charmap().map(c).is_some());
    let widest = |c| match (advance(serif, c), advance(sans, c)) {
        (Some(width), _) if plain => width,
        (a, b) => a.unwrap_or(0.0).max(b.unwrap_or(0.0)),
    };
    text.chars().map(widest).sum()
}

static FACES: LazyLock<[FontRef<'static>; 2]> =
    LazyLock::new(|| [SERIF, SANS].map(|font| FontRef::new(font).expect("a font of ours")));

/// Returns what the fonts can draw of a text: signs that they lack are left out. `None` where they lack a letter (Chinese, say), for a
/// name without its letters is another name.
fn drawable(text: &str) -> Option<String> {
    let has = |c: &char| FACES.iter().any(|font| font.charmap().map(*c).is_some());
    if text.chars().any(|c| c.is_alphanumeric() && !has(&c)) {
        return None;
    }
    let kept: String = text.chars().filter(has).collect();
    // What joined or shaped a sign that was left out.
    let unseen = |c: char| matches!(c, '\u{200B}'..='\u{200F}' | '\u{FE00}'..='\u{FE0F}');
    let words: Vec<&str> = kept
        .split_whitespace()
        .map(|word| word.trim_matches(unseen))
        .filter(|word| !word.is_empty())
        .collect();
    let kept = words.join(" ");
    (kept.chars().any(char::is_alphanumeric)).then_some(kept)
}

/// A slug as words: it is always there, and always of letters that can be drawn.
fn words_of(slug: &str) -> String {
    slug.replace('-', " ")
}
