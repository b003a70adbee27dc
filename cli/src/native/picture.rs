//! Rows of cells, drawn in a terminal or as an SVG image.
//!
//! Owns the layout of both. Must not know what the cells stand for, nor files.

use std::fmt::Write;
use std::io::IsTerminal;

use ratatui::crossterm::terminal;

/// How a cell is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    /// In a terminal.
    pub character: char,
    /// The escape sequence of its colour there.
    pub colour: &'static str,
    /// Its colour in an image.
    pub fill: &'static str,
}

/// Ends a colour in a terminal.
pub(super) const PLAIN: &str = "\x1b[0m";

/// Room for a picture in characters, when so many are needed beside and below it: what is asked for, or the terminal, or
/// 80 by 24.
pub(super) fn room(width: Option<u16>, height: Option<u16>, beside: usize, below: usize) -> (usize, usize) {
    let window = std::io::stdout().is_terminal().then(terminal::size).and_then(Result::ok);
    let (window_width, window_height) = window.unwrap_or((80, 24));
    let width = usize::from(width.unwrap_or(window_width)).saturating_sub(beside).max(1);
    // And a line for the prompt.
    let height = usize::from(height.unwrap_or(window_height)).saturating_sub(below + 1).max(1);
    (width, height)
}

/// Draws rows of `width` cells, each between two labels: those of its number. Cells without ink are blank.
pub(super) fn rows(
    cells: &[Option<Ink>],
    width: usize,
    before: impl Fn(usize) -> String,
    behind: impl Fn(usize) -> String,
) -> String {
    let mut text = String::new();
    for (line, row) in cells.chunks(width).enumerate() {
        text.push_str(&before(line));
        let mut last = None;
        for cell in row {
            if *cell != last {
                text.push_str(cell.map_or(PLAIN, |ink| ink.colour));
                last = *cell;
            }
            text.push(cell.map_or(' ', |ink| ink.character));
        }
        text.push_str(PLAIN);
        text.push_str(&behind(line));
        text.push('\n');
    }
    text
}

/// An ink's character in its colour.
pub(super) fn swatch(ink: Ink) -> String {
    format!("{}{}{PLAIN}", ink.colour, ink.character)
}

/// Pixels of a line of an image.
const LINE_WIDTH: usize = 1000;
/// Pixels from one line to the next, and of the bar in it.
const LINE_STEP: usize = 14;
const BAR_HEIGHT: usize = 12;
/// Pixels to the left of the lines, for positions.
const AXIS_WIDTH: usize = 90;
/// Nothing is drawn finer than this part of a pixel.
const CELLS_PER_PIXEL: usize = 4;

/// An image: lines of cells below each other.
pub(super) struct Image {
    text: String,
    /// Where the next part goes.
    y: usize,
}

impl Image {
    /// Lines that an image is broken into.
    pub const LINES: usize = 40;
    /// Cells of a line.
    pub const CELLS: usize = LINE_WIDTH * CELLS_PER_PIXEL;

    /// An empty image.
    pub fn new(title: &str) -> Image {
        let title = escaped(title);
        let text = format!(
            "<title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{AXIS_WIDTH}\" y=\"18\" font-size=\"13\">{title}</text>\n"
        );
        Image { text, y: 28 }
    }

    /// Draws lines of [`Image::CELLS`] cells, each behind the label of its number.
    pub fn lines(&mut self, cells: &[Option<Ink>], label: impl Fn(usize) -> String) {
        for (line, cells) in cells.chunks(Image::CELLS).enumerate() {
            let (x, base) = (AXIS_WIDTH - 6, self.y + BAR_HEIGHT - 2);
            let label = escaped(&label(line));
            let _ = writeln!(self.text, "<text x=\"{x}\" y=\"{base}\" text-anchor=\"end\">{label}</text>");
            self.bars(cells);
            self.y += LINE_STEP;
        }
    }

    /// One rectangle per run of equal cells.
    fn bars(&mut self, cells: &[Option<Ink>]) {
        let mut first = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            if let Some(ink) = run[0] {
                let _ = writeln!(
                    self.text,
                    "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"/>",
                    pixels(AXIS_WIDTH * CELLS_PER_PIXEL + first),
                    self.y,
                    pixels(run.len()),
                    ink.fill,
                );
            }
            first += run.len();
        }
    }

    /// Explains inks in a row.
    pub fn legend(&mut self, entries: &[(Ink, String)]) {
        let y = self.y + 6;
        for (place, (ink, name)) in entries.iter().enumerate() {
            let x = AXIS_WIDTH + place * 200;
            let _ = writeln!(
                self.text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                ink.fill,
                x + 18,
                y + 10,
                escaped(name),
            );
        }
        self.y += 32;
    }

    /// Writes a line of text.
    pub fn line(&mut self, line: &str) {
        self.y += 16;
        let line = escaped(line);
        let _ = writeln!(self.text, "<text x=\"{AXIS_WIDTH}\" y=\"{}\">{line}</text>", self.y);
    }

    /// Draws values as steps of equal width below the largest one, which is written beside them.
    pub fn steps(&mut self, values: &[f64], largest: &str) {
        const HEIGHT: f64 = 60.0;
        let top = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let (base, step) = (self.y as f64 + 10.0 + HEIGHT, LINE_WIDTH as f64 / values.len().max(1) as f64);
        let mut path = format!("M{AXIS_WIDTH} {base:.1}");
        for (index, value) in values.iter().enumerate() {
            let (x, y) = (AXIS_WIDTH as f64 + index as f64 * step, base - HEIGHT * value / top);
            let _ = write!(path, "L{x:.1} {y:.1}H{:.1}", x + step);
        }
        let _ = write!(path, "V{base:.1}Z");
        let (x, y) = (AXIS_WIDTH - 6, self.y + 18);
        let largest = escaped(largest);
        let _ = writeln!(
            self.text,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{largest}</text>\n<path d=\"{path}\" fill=\"#9db7d5\"/>"
        );
        self.y += 10 + HEIGHT as usize + 10;
    }

    /// The image's text.
    pub fn finish(self) -> String {
        let (width, height) = (AXIS_WIDTH + LINE_WIDTH + 10, self.y);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n{}</svg>\n",
            self.text
        )
    }
}

fn pixels(cells: usize) -> String {
    let fraction = ["", ".25", ".5", ".75"][cells % CELLS_PER_PIXEL];
    format!("{}{fraction}", cells / CELLS_PER_PIXEL)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
