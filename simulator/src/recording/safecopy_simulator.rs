//! `simulator.cfg`, with which safecopy's simulator library is set up.
//!
//! Owns this format: `key=value` lines; lists of slow, at first failing and always failing sectors, whose times are the
//! base time doubled so many times. Must not know what is done with the records.

use std::collections::BTreeMap;

use block::Nanos;

use super::{Record, Recording, RecordingError, Softfail, doubled, number};

/// What is said of a sector; the later kinds overrule the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Slow(Nanos),
    Soft { good: Nanos, fail: Nanos },
    Hard(Nanos),
}

pub(super) fn parse(text: &str, softfail: Softfail) -> Result<Recording, RecordingError> {
    let (mut block, mut size, mut failures, mut base, mut seek) = (1024, 10240, 0, Nanos::ZERO, 0);
    let mut listed = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let Some((key, value)) = text.split_once('=') else { continue };
        match key {
            "blocksize" => block = number(value, key, line)?,
            "filesize" => size = number(value, key, line)?,
            "softfailcount" => failures = number(value, key, line)?,
            "delay" => base = micros(number(value, key, line)?, line)?,
            "seekdelay" => seek = number(value, key, line)?,
            "slow" | "softfail" | "hardfail" => listed.push((line, key, value)),
            // Also the key that names what the bytes are taken from.
            _ => {}
        }
    }
    if block == 0 || size == 0 {
        return Err(RecordingError::whole(format!("blocksize {block} and filesize {size} make no medium")));
    }
    if failures > 1000 {
        return Err(RecordingError::whole(format!(
            "softfailcount {failures}; more than 1000 are not replayed"
        )));
    }
    let mut sectors: BTreeMap<u64, Kind> = BTreeMap::new();
    for (line, key, value) in listed {
        let (sector, kind) = entry(line, key, value, base, softfail)?;
        let known = sectors.entry(sector).or_insert(kind);
        // The same list twice: the first one counts.
        if std::mem::discriminant(known) != std::mem::discriminant(&kind) {
            *known = (*known).max(kind);
        }
    }
    let mut records = Vec::new();
    for (sector, kind) in sectors {
        let Some(at) = sector.checked_mul(block).filter(|at| *at < size) else { continue };
        let unit = block.min(size - at);
        match kind {
            Kind::Slow(time) => records.push(Record::good(at, unit, time)),
            Kind::Hard(time) => records.push(Record::failed(at, unit, time)),
            Kind::Soft { good, fail } => {
                let (good, fail) = (Record::good(at, unit, good), Record::failed(at, unit, fail));
                records.extend(std::iter::repeat_n(fail, failures as usize));
                records.push(good);
                if failures == 0 {
                    records.push(fail);
                }
            }
        }
    }
    // So many microseconds for a thousand sectors.
    let seek = Nanos::new(seek);
    Ok(Recording {
        size: Some(size),
        block,
        physical: None,
        records,
        rest: Some(base),
        seek,
        alternates: true,
        cut_line: None,
    })
}

fn micros(count: u64, line: usize) -> Result<Nanos, RecordingError> {
    count
        .checked_mul(1000)
        .map(Nanos::new)
        .ok_or_else(|| RecordingError::at(line, "a delay that no read takes"))
}

fn entry(
    line: usize,
    key: &str,
    value: &str,
    base: Nanos,
    softfail: Softfail,
) -> Result<(u64, Kind), RecordingError> {
    let numbers: Vec<u64> = value
        .split_ascii_whitespace()
        .map(|field| number(field, key, line))
        .collect::<Result<_, RecordingError>>()?;
    let exponents = if key == "softfail" { 2 } else { 1 };
    let sector = numbers.first().filter(|_| numbers.len() <= exponents + 1).ok_or_else(|| {
        RecordingError::at(line, format!("{key}={value}: a sector, and at most {exponents} exponents"))
    })?;
    // Exponents that are left out are 0.
    let time = |index: usize| doubled(base, numbers.get(index).copied().unwrap_or(0), line);
    let kind = match (key, softfail) {
        ("slow", _) => Kind::Slow(time(1)?),
        ("hardfail", _) => Kind::Hard(time(1)?),
        (_, Softfail::GoodFail) => Kind::Soft { good: time(1)?, fail: time(2)? },
        (_, Softfail::FailGood) => Kind::Soft { fail: time(1)?, good: time(2)? },
    };
    Ok((*sector, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "verbose=0\nblocksize=512\nfilesize=5000\nsource=/dev/zero\nsoftfailcount=2\ndelay=100\n\
                        seekdelay=7\nslow=1 3\nsoftfail=2 1 4\nhardfail=3 5\nslow=3 1\nhardfail=99 1\nslow=9\n";

    #[test]
    fn lists_become_reads_and_the_rest_takes_the_base_time() {
        let us = |count: u64| Nanos::new(count * 1000);
        let recording = parse(TEXT, Softfail::GoodFail).unwrap();
        assert_eq!((recording.size, recording.block), (Some(5000), 512));
        assert_eq!((recording.rest, recording.seek), (Some(us(100)), Nanos::new(7)));
        let (good, fail) = (Record::good(1024, 512, us(200)), Record::failed(1024, 512, us(1600)));
        let rest = [
            Record::good(512, 512, us(800)),
            fail,
            fail,
            good,
            Record::failed(1536, 512, us(3200)),
            Record::good(4608, 392, us(100)),
        ];
        assert_eq!(recording.records, rest);
        let swapped = parse(TEXT, Softfail::FailGood).unwrap();
        assert_eq!(swapped.records[1], Record::failed(1024, 512, us(200)));
    }

    #[test]
    fn lines_that_cannot_be_are_told() {
        for (text, line, expected) in [
            ("blocksize=x\n", Some(1), "blocksize \"x\" is not a whole number"),
            ("blocksize=0\n", None, "make no medium"),
            ("delay=1\nslow=1 2 3\n", Some(2), "a sector, and at most 1 exponents"),
            ("delay=1\nslow=\n", Some(2), "a sector, and at most 1 exponents"),
            ("delay=1\nhardfail=1 50\n", Some(2), "exponent 50"),
            ("softfailcount=5000\n", None, "more than 1000"),
        ] {
            let error = parse(text, Softfail::GoodFail).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(expected), "{text}: {}", error.reason);
        }
    }
}
