//! The live screen: a picture of the whole map, numbers, and in words what is going on and why.
//!
//! Owns layout and colours. Must not know how a rescue works.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Event, Observer, Report};
use map::{Status, picture};
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::{ExecutableCommand, cursor, terminal};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Widget, Wrap};

use super::tracker::{self, Tracker, Trouble};
use crate::personality::number::{Precision, Prefixes, duration, rate, size};

/// Draws per second at most; a map of a million blocks takes some milliseconds to draw.
const DRAW_INTERVAL_NANOS: u64 = 250_000_000;

/// Whether the terminal shows the live screen just now.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal went away: nothing more goes there.
static IS_GONE: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, for a question or at the end. The next draw takes it again.
pub fn leave() {
    if IS_SHOWN.swap(false, Ordering::SeqCst) {
        let mut out = std::io::stderr();
        let _ = out.execute(terminal::LeaveAlternateScreen);
        let _ = out.execute(cursor::Show);
        let _ = out.flush();
    }
}

/// What does not change during a run.
#[derive(Clone, Debug)]
pub struct Titles {
    /// The source's name, and what it is.
    pub source: String,
    /// The destination's name.
    pub destination: String,
    /// The map's name; empty without one.
    pub map: String,
    /// Unit of numbers.
    pub prefixes: Prefixes,
    /// Whether bad sectors are read again.
    pub retries: bool,
}

/// Standard error, to which pictures go whole: whoever stops this process does not stop it amidst a control sequence. It
/// never fails, as a terminal that goes away must not end a rescue.
#[derive(Default)]
struct Screen {
    picture: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.picture.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !IS_GONE.load(Ordering::SeqCst) && io::stderr().write_all(&self.picture).is_err() {
            IS_GONE.store(true, Ordering::SeqCst);
        }
        self.picture.clear();
        Ok(())
    }
}

/// Draws on standard error.
pub struct Live {
    terminal: Terminal<CrosstermBackend<Screen>>,
    tracker: Tracker,
    titles: Titles,
    drawn_at: Option<u64>,
    clock: block::WallClock,
    /// Set when the process goes on after it was stopped.
    continued: Arc<AtomicBool>,
}

impl Live {
    /// Takes the terminal; `None` if there is none to take. `continued` is set when the terminal was somebody else's.
    pub fn start(titles: Titles, continued: Arc<AtomicBool>) -> Option<Live> {
        let mut backend = CrosstermBackend::new(Screen::default());
        backend.size().ok()?;
        backend.hide_cursor().ok()?;
        let terminal = Terminal::new(backend).ok()?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            hook(panic);
        }));
        Some(Live {
            terminal,
            tracker: Tracker::default(),
            titles,
            drawn_at: None,
            clock: block::WallClock::new(),
            continued,
        })
    }

    fn draw(&mut self, report: &Report<'_>) {
        if IS_GONE.load(Ordering::SeqCst) {
            return;
        }
        if self.continued.swap(false, Ordering::SeqCst) {
            IS_SHOWN.store(false, Ordering::SeqCst);
        }
        if !IS_SHOWN.swap(true, Ordering::SeqCst) {
            let _ = std::io::stderr().execute(terminal::EnterAlternateScreen);
            let _ = std::io::stderr().execute(terminal::Clear(terminal::ClearType::All));
            // A new one knows that nothing is drawn yet. Asking the old one to clear itself would write a question to
            // standard output, and wait seconds for a terminal there to answer it.
            if let Ok(terminal) = Terminal::new(CrosstermBackend::new(Screen::default())) {
                self.terminal = terminal;
            }
            let _ = self.terminal.hide_cursor();
        }
        let (tracker, titles) = (&self.tracker, &self.titles);
        // What cannot be drawn is missed by nobody.
        let _ = self.terminal.draw(|frame| render(frame.area(), frame.buffer_mut(), tracker, titles, report));
    }
}

impl Observer for Live {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.tracker.on(event, report);
        let now = block::Clock::now(&self.clock).nanoseconds();
        let is_due = self.drawn_at.is_none_or(|at| now >= at + DRAW_INTERVAL_NANOS);
        let is_news =
            !matches!(event, Event::Tried(_) | Event::Reading { .. } | Event::Marked { .. } | Event::Saved);
        if is_due || (is_news && !matches!(event, Event::PassEnds | Event::Waiting { .. })) {
            self.drawn_at = Some(now);
            self.draw(report);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        leave();
    }
}

fn render(area: Rect, buffer: &mut Buffer, tracker: &Tracker, titles: &Titles, report: &Report<'_>) {
    let numbers = numbers(tracker, titles, report);
    let rows = [
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(numbers.len() as u16),
        Constraint::Length(3),
    ];
    let [title, picture, legend, table, words] = Layout::vertical(rows).areas(area);
    let name = format!(" {} → {}", titles.source, titles.destination);
    Line::from(vec![Span::raw("Diskwright").bold(), Span::raw(name)]).render(title, buffer);
    let frame = Block::bordered().title(format!(" {} ", titles.map));
    let inside = frame.inner(picture);
    frame.render(picture, buffer);
    paint(inside, buffer, report);
    legend_line().render(legend, buffer);
    Paragraph::new(numbers).render(table, buffer);
    Paragraph::new(sentences(tracker, report)).wrap(Wrap { trim: true }).render(words, buffer);
}

/// Paints the map, one cell for an equal share of the domain's span.
fn paint(area: Rect, buffer: &mut Buffer, report: &Report<'_>) {
    let cells = usize::from(area.width) * usize::from(area.height);
    let Some(span) = report.book.domain().span().filter(|_| cells > 0) else { return };
    let extent = report.book.map().extent().map_or(span, |extent| span.overlap(extent));
    let here = picture::cell_of(report.position.at, extent, cells);
    for (index, share) in picture::cells(report.book.map(), extent, cells).iter().enumerate() {
        let (x, y) = (index % usize::from(area.width), index / usize::from(area.width));
        let (symbol, colour) = share.map_or((" ", Color::DarkGray), look);
        let cell = &mut buffer[(area.x + x as u16, area.y + y as u16)];
        cell.set_symbol(if here == Some(index) { "@" } else { symbol });
        let style =
            if here == Some(index) { Style::new().fg(Color::White).bold() } else { Style::new().fg(colour) };
        cell.set_style(style);
    }
}

fn look(status: Status) -> (&'static str, Color) {
    match status {
        Status::NonTried => ("·", Color::DarkGray),
        Status::NonTrimmed => ("*", Color::Yellow),
        Status::NonScraped => ("/", Color::Magenta),
        Status::BadSector => ("-", Color::Red),
        Status::Finished => ("█", Color::Green),
    }
}

fn legend_line() -> Line<'static> {
    let mut spans = Vec::new();
    for status in Status::ALL.iter().rev() {
        let (symbol, colour) = look(*status);
        let name = if *status == Status::Finished { "rescued" } else { status.name() };
        spans.push(Span::styled(format!(" {symbol}"), Style::new().fg(colour)));
        spans.push(Span::raw(format!(" {name} ")));
    }
    spans.push(Span::raw(" @ here"));
    Line::from(spans)
}

fn numbers(tracker: &Tracker, titles: &Titles, report: &Report<'_>) -> Vec<Line<'static>> {
    let (book, rates, units) = (report.book, report.rates, titles.prefixes);
    let bytes = |status| format!("{}B", size(book.bytes(status), units));
    let total = book.domain_bytes();
    let percent = if total == 0 { 100.0 } else { book.bytes(Status::Finished) as f64 * 100.0 / total as f64 };
    let time = |secs: Option<u64>| secs.map_or("n/a".into(), |secs| duration(secs as i64, Precision::Low));
    let remaining = match tracker::remaining_range(report) {
        None => "n/a".into(),
        Some((least, Some(most))) if most > least => format!("{} to {}", time(Some(least)), time(Some(most))),
        Some((least, None)) => format!("{} or more", time(Some(least))),
        Some((least, _)) => time(Some(least)),
    };
    let left = format!("{}B", size(tracker::left_to_try(report, titles.retries), units));
    vec![
        Line::from(format!(
            "  rescued {:>12} ({percent:6.2}%)   rate now {:>10}B/s   run time {}",
            bytes(Status::Finished),
            rate(rates.current(), units),
            duration(rates.run_secs() as i64, Precision::High)
        )),
        Line::from(format!(
            "  untried {:>12}             average {:>10}B/s   remaining {}",
            bytes(Status::NonTried),
            rate(rates.average(), units),
            remaining
        )),
        Line::from(format!(
            "  failed  {:>12}         read errors {:>10}      last good read {}",
            format!("{}B", size(book.failed_bytes(), units)),
            rates.read_errors(),
            rates.since_success().map_or("n/a".into(), |secs| format!("{} ago", time(Some(secs))))
        )),
        Line::from(format!(
            "  bad     {:>12}           bad areas {:>10}      still to try {left}",
            bytes(Status::BadSector),
            book.bad_areas()
        )),
        Line::from(format!(
            "  position {:>18}       last read {:>8} ms    longest read {} ms",
            report.position.at.to_string(),
            tracker.last_read.nanoseconds() / 1_000_000,
            tracker.longest_read.nanoseconds() / 1_000_000
        )),
    ]
}

fn sentences(tracker: &Tracker, report: &Report<'_>) -> Vec<Line<'static>> {
    let state = match tracker.trouble {
        Trouble::None => format!("{}: {}.", tracker::name_of(report.stage), tracker::words_for(report.stage)),
        Trouble::Waiting { at, since } => format!(
            "The read at {at} has not been answered for {} s: the drive is busy with itself. The map is saved.",
            since.whole_secs()
        ),
        Trouble::Lost => {
            "The device is gone. The map is saved. Reconnect it: it is found again by itself.".into()
        }
        Trouble::Pause => "Pausing, as asked for.".into(),
        Trouble::Stopping => "Stopping: the map is being saved. Ctrl-C again leaves at once.".into(),
    };
    let mut lines = vec![Line::from(state).bold()];
    if tracker.slowdown.is_lasting() {
        lines.push(Line::from("The drive has stayed slow since the last error: --reopen-on-error may help."));
    }
    lines.push(Line::from("Ctrl-C stops and saves; the same command goes on from there.").dim());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::{ByteRange, Offset, RangeSet};
    use engine::{Book, Direction, Rates, RatesOptions, Stage};
    use map::{Phase, Position, RescueMap};

    #[test]
    fn the_screen_shows_map_numbers_and_words() {
        let whole = ByteRange::new(Offset::ZERO, 64_000_000);
        let domain = RangeSet::from(whole);
        let mut map = RescueMap::single(whole, Status::NonTried);
        let mut set = |from: u64, length: u64, status| {
            map.change(ByteRange::new(Offset::new(from), length), status, &domain);
        };
        set(0, 32_000_000, Status::Finished);
        set(16_000_000, 65_536, Status::NonTrimmed);
        set(24_000_000, 512, Status::BadSector);
        let book = Book::new(map, domain);
        let mut rates = Rates::new(RatesOptions::default(), 1000, 0);
        rates.tick(1010, 32_000_000);
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction: Direction::Forwards };
        let position = Position { at: Offset::new(32_000_000), phase: Phase::Copying, pass: 1 };
        let report = Report { book: &book, rates: &rates, position, stage: Some(stage) };
        let titles = Titles {
            source: "/dev/sdx (Model 123)".into(),
            destination: "disk.img".into(),
            map: "disk.img.map".into(),
            prefixes: Prefixes::Decimal,
            retries: false,
        };
        let area = Rect::new(0, 0, 90, 20);
        let mut buffer = Buffer::empty(area);
        render(area, &mut buffer, &Tracker::default(), &titles, &report);
        let shown: Vec<String> = (0..area.height)
            .map(|y| {
                (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned()
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
