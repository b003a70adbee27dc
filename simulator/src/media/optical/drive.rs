//! Classes of optical discs and drives.
//!
//! Owns their values. Must not know what is computed from them.

use block::Nanos;

/// The values of a kind of disc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    /// Sectors of a full disc of one layer.
    pub sectors: u64,
    /// Sectors that are corrected together.
    pub block: u32,
    /// Radius at which the data begin, in millimetres.
    pub inner: f64,
    /// Distance of neighbouring turns, in millimetres.
    pub pitch: f64,
    /// Length of a sector along the track, in millimetres.
    pub sector: f64,
    /// Length of damage along the track that the code bridges, in millimetres.
    pub margin: f64,
    /// Sectors in a second at the speed 1.
    pub rate: f64,
}

impl Format {
    /// Names of the formats.
    pub const NAMES: [&'static str; 3] = ["cd", "dvd", "bd"];

    /// The values of a format, as its standard gives them; the length of a CD's sector as the periods of damage on a
    /// real disc showed it (1.25 m/s, 75 sectors a second).
    pub fn named(name: &str) -> Option<Format> {
        Some(match name {
            "cd" => Format {
                sectors: 333_000,
                block: 1,
                inner: 25.0,
                pitch: 0.0016,
                sector: 16.7,
                margin: 2.5,
                rate: 75.0,
            },
            "dvd" => Format {
                sectors: 2_295_104,
                block: 16,
                inner: 24.0,
                pitch: 0.000_74,
                sector: 5.16,
                margin: 6.0,
                rate: 676.0,
            },
            "bd" => Format {
                sectors: 12_219_392,
                block: 32,
                inner: 24.0,
                pitch: 0.000_32,
                // 4.917 m/s at 36 Mbit/s.
                sector: 2.24,
                margin: 9.5,
                rate: 2195.0,
            },
            _ => return None,
        })
    }
}

/// The values of a drive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drive {
    /// Speeds at the edge of the disc in times the speed 1, falling: at errors the drive goes on with the next one.
    pub speeds: &'static [f64],
    /// Factor on the length of damage that the code bridges.
    pub margin: f64,
    /// Up to how many margins more the chances of a sector fall, before there are none.
    pub rim: f64,
    /// Sectors of a CD that are lost behind a scratch, until the pickup is on the track again; one of the four.
    pub tail_scratch: [u32; 4],
    /// The same behind a hole in the reflecting layer.
    pub tail_hole: [u32; 4],
    /// Share of the good sectors around damage that are slow.
    pub slow: f64,
    /// How long failures at scratches take: thousandths and times; for the first sector of a run and for the others.
    pub failure_scratch: [FailureSteps; 2],
    /// The same at holes.
    pub failure_hole: [FailureSteps; 2],
    /// Time to spin up, focus and read the contents.
    pub spin_up: Nanos,
    /// Seek from the middle to the edge, beyond the 80 ms of the shortest.
    pub seek_full: Nanos,
}

/// Thousandths and times of failures.
pub type FailureSteps = [(u16, Nanos); 4];

const fn ms(count: u64) -> Nanos {
    Nanos::from_millis(count)
}

/// All failures take one time.
const fn always(time: Nanos) -> FailureSteps {
    [(1000, time), (0, time), (0, time), (0, time)]
}

/// Failures take one of two times.
const fn either(share: u16, one: Nanos, other: Nanos) -> FailureSteps {
    [(share, one), (1000 - share, other), (0, other), (0, other)]
}

impl Drive {
    /// Names of the drives.
    pub const NAMES: [&'static str; 3] = ["usual", "a", "b"];

    /// The values of a drive for a kind of disc. "a" and "b" are two drives that read the same scratched CD-R, as
    /// measured sector by sector: a notebook's DVD drive, which lost many single sectors and some of them not for ever,
    /// and a CD writer, which lost fewer but longer runs. "usual" is a drive of no particular make.
    pub fn named(name: &str, format: &str) -> Option<Drive> {
        let usual = Drive {
            speeds: match format {
                "dvd" => &[16.0, 12.0, 8.0, 4.0, 2.0, 1.0],
                "bd" => &[12.0, 8.0, 4.0, 2.0, 1.0],
                _ => &[48.0, 32.0, 24.0, 16.0, 8.0, 4.0, 1.0],
            },
            margin: 1.0,
            rim: 1.0,
            tail_scratch: [0, 0, 1, 2],
            tail_hole: [2, 4, 6, 8],
            slow: 0.05,
            failure_scratch: [either(700, ms(1500), ms(3000)), either(500, ms(1500), ms(3000))],
            failure_hole: [either(500, ms(1500), ms(3000)), always(ms(3000))],
            spin_up: ms(5000),
            seek_full: ms(120),
        };
        let hole_a = [(250, ms(1177)), (450, ms(2353)), (80, ms(4706)), (220, ms(9413))];
        Some(match name {
            "usual" => usual,
            "a" => Drive {
                // 1.149 ms a sector at the beginning; never slower than half of that.
                speeds: &[27.0, 13.5],
                margin: 0.7,
                rim: 0.25,
                tail_scratch: [0, 1, 2, 2],
                tail_hole: [0, 2, 2, 2],
                slow: 0.12,
                failure_scratch: [either(730, ms(1177), ms(2353)), either(580, ms(1177), ms(2353))],
                failure_hole: [hole_a, hole_a],
                spin_up: ms(3000),
                seek_full: ms(150),
            },
            "b" => Drive {
                // 0.719 ms a sector at the beginning; a quarter of that speed inside of damage.
                speeds: &[43.0, 21.5, 10.75],
                margin: 1.3,
                rim: 0.05,
                tail_scratch: [0, 0, 0, 1],
                tail_hole: [5, 6, 7, 8],
                slow: 0.005,
                failure_scratch: [always(ms(2945)), either(900, ms(2945), ms(5890))],
                failure_hole: [either(900, ms(2945), ms(5890)), either(90, ms(2945), ms(5890))],
                spin_up: ms(8000),
                seek_full: ms(1600),
            },
            _ => return None,
        })
    }
}
