//! What the device itself is asked for: nbdkit's log as the witness.
//!
//! Near damage we ask for exactly what the original asks for. Far from it our requests are larger, fewer, and made of
//! whole requests of the original. What nobody needs is asked for at most once for each wound: what was on its way
//! when the wound was found.
//!
//! The disk is read past the page cache, which would ask for other ranges than the reader does. The kernel then passes
//! each read on as it is up to 1 MiB; longer ones it splits, and the parts arrive in any order. No request here is
//! longer, so that a line of the log is a read. Reads that are made at the same time arrive in any order too: only ours,
//! and only far from damage, which is why these are compared as sets.

use std::fs;
use std::ops::Range;
use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rig::{Content, NbdFile};

use crate::side::{Side, difference};
use crate::{Verdict, damage, folder, try_seeds};

/// Bytes to be clean before requests may be joined.
const AHEAD_AFTER: u64 = 64 << 20;
/// What may be on its way when damage is found, in bytes, and the size of one request.
const WINDOW: u64 = 8 << 20;
const PIECE_MAX: u64 = 1 << 20;

/// A request and whether all of it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    bytes: Range<u64>,
    is_good: bool,
}

impl Asked {
    fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }
}

#[test]
fn near_damage_the_device_sees_the_requests_of_the_original_and_farther_off_only_joined_ones() {
    try_seeds("requests", 4, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = 190 << 20;
        let bad = wounds(&mut rng, size);
        let mut words = vec!["-d".to_owned()];
        for flag in ["-R", "-u"] {
            if rng.random_bool(0.3) {
                words.push(flag.to_owned());
            }
        }
        words.push(format!("-c{}", [64, 128, 128, 200].choose(&mut rng).expect("not empty")));
        words.push(format!("-K{}", ["64Ki", "128Ki,1Mi", "0"].choose(&mut rng).expect("not empty")));
        words.push("--log-reads=reads".to_owned());

        let folder = folder();
        let image = folder.path().join("truth");
        Content::new(seed).write_image(&image, size);
        let served = NbdFile::over(&image, &bad);
        words.extend([served.path().display().to_string(), "image".to_owned(), "map".to_owned()]);
        let run = |side: Side| {
            let before = served.requests().len();
            let place = folder.path().join(format!("{side:?}"));
            fs::create_dir(&place).expect("a folder");
            let outcome = side.run(&place, &words);
            let all = served.requests();
            let asked = all[before..].iter().map(|bytes| {
                let is_good = !bad.iter().any(|bad| bad.start < bytes.end && bytes.start < bad.end);
                Asked { bytes: bytes.clone(), is_good }
            });
            (outcome, asked.collect::<Vec<_>>())
        };
        let (Some(original), original_asked) = run(Side::Original) else { return Verdict::Endless };
        let (ours, ours_asked) = run(Side::Ours);
        let ours = ours.expect("ours comes to an end");
        let compared = difference(&original, &ours).map_or(Ok(()), Err);
        // Both logs must tell the same as the one that the original writes itself: nothing was split or left out.
        let compared = compared.and_then(|()| witness(&original.reads, &original_asked));
        let copying = clusters(&folder.path().join(format!("{:?}/reads", Side::Original)));
        match compared.and_then(|()| compare(&original_asked, copying, &ours_asked)) {
            Ok(()) => Verdict::Same,
            Err(text) => Verdict::Different(format!("ddrescue {}\n  bad: {bad:?}\n{text}", words.join(" "))),
        }
    });
}

/// A few wounds, so far apart that reading ahead begins again between some of them.
fn wounds(rng: &mut ChaCha8Rng, size: u64) -> Vec<Range<u64>> {
    let mut bad = Vec::new();
    let mut at = rng.random_range(0..40 << 20);
    while at < size {
        for _ in 0..rng.random_range(1..5) {
            let start = (at + rng.random_range(0..1 << 20)) / 512 * 512;
            bad.push(start..start + 512 * rng.random_range(1..=30));
        }
        at += [10 << 20, 70 << 20, 80 << 20].choose(rng).expect("not empty") + rng.random_range(0..4 << 20);
    }
    damage::normal(bad, size, 512)
}

/// Counts the reads of the copying phase in a log of reads.
fn clusters(log: &Path) -> usize {
    let log = fs::read_to_string(log).expect("a log");
    let copying = log.lines().take_while(|line| !line.contains("Trimming") && !line.contains("Scraping"));
    copying.filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

/// Whether the device saw what the original says that it has read.
fn witness(reads: &[String], asked: &[Asked]) -> Result<(), String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).expect("a number"),
        None => text.parse().expect("a number"),
    };
    let said = reads.iter().map(|line| {
        let fields: Vec<u64> = line.split('\t').map(number).collect();
        Asked { bytes: fields[0]..fields[0] + fields[1], is_good: fields[3] == 0 }
    });
    match said.zip(asked).position(|(said, asked)| said != *asked) {
        None if reads.len() == asked.len() => Ok(()),
        at => Err(format!("the device saw {} of {} reads; difference at {at:?}", asked.len(), reads.len())),
    }
}

/// Follows both lists. The first `copying` reads of the original are those of clusters; the rest is read sector by
/// sector and never joined.
fn compare(original: &[Asked], copying: usize, ours: &[Asked]) -> Result<(), String> {
    let (mut there, mut here) = (0, 0);
    // A rescue begins as if all had been clean before.
    let mut clean = AHEAD_AFTER;
    let mut joined = 0;
    while there < original.len() {
        if clean >= AHEAD_AFTER && there < copying {
            let failed = original[there..copying].iter().position(|asked| !asked.is_good);
            let stretch = &original[there..failed.map_or(copying, |at| there + at + 1)];
            let (taken, made) = far(stretch, &ours[here..])
                .map_err(|text| format!("far from damage, at read {there} and request {here}: {text}"))?;
            joined += taken - made.min(taken);
            there += taken;
            here += made;
            clean = if failed.is_some() { 0 } else { clean };
            continue;
        }
        let (expected, got) = (&original[there], ours.get(here));
        if got != Some(expected) {
            return Err(format!(
                "near damage, at read {there} and request {here}: {expected:?}, but {got:?}"
            ));
        }
        clean = if expected.is_good { clean + expected.length() } else { 0 };
        there += 1;
        here += 1;
    }
    match ours.get(here) {
        Some(more) => Err(format!("{} requests too many, first {more:?}", ours.len() - here)),
        None if joined == 0 => Err("nothing was joined: this shows nothing".to_owned()),
        None => Ok(()),
    }
}

/// Follows both lists over reads of which only the last one may fail. Returns how many of them are done when we go on
/// one by one, and after how many requests that is.
fn far(stretch: &[Asked], ours: &[Asked]) -> Result<(usize, usize), String> {
    let within = |inner: &Asked, outer: &Asked| {
        outer.bytes.start <= inner.bytes.start && inner.bytes.end <= outer.bytes.end
    };
    let failed = stretch.last().filter(|asked| !asked.is_good);
    // Up to the reads that come again, one by one, because damage was found in what they are part of.
    let (taken, made, found) = match failed {
        None => {
            let mut left: u64 = stretch.iter().map(Asked::length).sum();
            let mut made = 0;
            while left > 0 {
                let asked = ours.get(made).ok_or_else(|| format!("{left} bytes are not asked for"))?;
                left = left.checked_sub(asked.length()).ok_or_else(|| format!("{asked:?} is too long"))?;
                made += 1;
            }
            (stretch.len(), made, None)
        }
        Some(failed) => {
            let found = ours.iter().position(|asked| within(failed, asked));
            let found = found.ok_or_else(|| format!("nothing asks for {failed:?}"))?;
            let first = stretch.iter().position(|asked| within(asked, &ours[found])).unwrap_or(0);
            let again = ours[found + 1..].iter().position(|asked| *asked == stretch[first]);
            let again = again.ok_or_else(|| format!("{:?} is not asked for again", stretch[first]))?;
            (first, found + 1 + again, Some(&ours[found]))
        }
    };
    let (mut covered, mut needless) = (0, 0);
    for asked in &ours[..made] {
        if asked.length() > PIECE_MAX {
            return Err(format!("{asked:?} is too long"));
        }
        if Some(asked) == found {
            continue;
        }
        let inside: Vec<&Asked> = stretch[..taken].iter().filter(|read| within(read, asked)).collect();
        let bytes: u64 = inside.iter().map(|read| read.length()).sum();
        if bytes == asked.length() {
            covered += inside.len();
            continue;
        }
        // What was on its way when the damage was found.
        let far_from = |found: &Asked| {
            let (start, end) = (found.bytes.start, found.bytes.end);
            asked.bytes.start < start.saturating_sub(WINDOW) || asked.bytes.end > end + WINDOW
        };
        needless += asked.length();
        if bytes > 0 || found.is_none_or(far_from) || needless > WINDOW {
            return Err(format!("nobody needs {asked:?}"));
        }
    }
    match covered == taken {
        true => Ok((taken, made)),
        false => Err(format!("{covered} reads are asked for instead of {taken}")),
    }
}
