//! What `safecopy -T` writes: `BLOCK MICROSECONDS RESULT`, a line for each read.
//!
//! Owns this format. Must not know what is done with the records.

use block::Nanos;

use super::{Record, Recording, RecordingError, number};

/// `block`: bytes of a block; as much as the largest read brought if not given.
pub(super) fn parse(text: &str, block: Option<u64>) -> Result<Recording, RecordingError> {
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        if text.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.split(' ').collect();
        let [at, took, result] = fields[..] else {
            return Err(RecordingError::at(line, format!("{text:?} is not BLOCK MICROSECONDS RESULT")));
        };
        let took = number(took, "time", line)?.checked_mul(1000);
        let took = took.ok_or_else(|| RecordingError::at(line, "a time that no read takes"))?;
        let result: i64 = match result.parse() {
            Ok(result) if result >= -1 => result,
            _ => {
                return Err(RecordingError::at(
                    line,
                    format!("result {result:?} is neither a number of bytes nor -1"),
                ));
            }
        };
        lines.push((line, number(at, "block", line)?, Nanos::new(took), result));
    }
    let largest = lines.iter().map(|(.., result)| *result).max().filter(|result| *result > 0);
    let block = block.or(largest.map(|bytes| bytes as u64)).ok_or_else(|| {
        RecordingError::whole(
            "no read brought anything, so that the size of a block must be given, as in block = 2048",
        )
    })?;
    let last = lines.iter().filter(|(.., result)| *result != 0).map(|(_, at, ..)| *at).max().unwrap_or(0);
    let mut records = Vec::new();
    let mut size = None;
    for (line, at, took, result) in lines {
        let start = at.checked_mul(block).filter(|start| start.checked_add(block).is_some());
        let start =
            start.ok_or_else(|| RecordingError::at(line, format!("block {at} lies behind every drive")))?;
        match result {
            -1 => records.push(Record::failed(start, block, took)),
            0 => {}
            bytes if bytes as u64 == block => records.push(Record::good(start, block, took)),
            bytes if bytes as u64 > block => {
                return Err(RecordingError::at(
                    line,
                    format!("{bytes} bytes of a block of {block}; the log was written with larger blocks"),
                ));
            }
            bytes if at == last => {
                size = Some(start + bytes as u64);
                records.push(Record::good(start, bytes as u64, took));
            }
            bytes => {
                return Err(RecordingError::at(
                    line,
                    format!(
                        "{bytes} bytes of a block of {block}: the log was written with a search resolution below \
                         its block size; write one with -f 1* and without -r"
                    ),
                ));
            }
        }
    }
    Ok(Recording { size, block, records, ..Recording::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_read_in_its_order() {
        let text = "0000000000 1200 2048\n0000000001 900000 -1\n0000000001 910000 -1\n0000000001 4000 2048\n\
                    0000000002 800 1024\n0000000003 10 0\n";
        let recording = parse(text, None).unwrap();
        let ms = |micros: u64| Nanos::new(micros * 1000);
        assert_eq!(recording.size, Some(2 * 2048 + 1024));
        assert_eq!(recording.block, 2048);
        assert_eq!(
            recording.records,
            [
                Record::good(0, 2048, ms(1200)),
                Record::failed(2048, 2048, ms(900_000)),
                Record::failed(2048, 2048, ms(910_000)),
                Record::good(2048, 2048, ms(4000)),
                Record::good(4096, 1024, ms(800)),
            ]
        );
    }

    #[test]
    fn lines_that_cannot_be_are_told() {
        for (text, block, line, expected) in [
            ("0000000000 1200 2048\n0000000001 1200\n", None, Some(2), "BLOCK MICROSECONDS RESULT"),
            ("0000000000 -5 2048\n", None, Some(1), "time \"-5\""),
            ("0000000000 5 -2\n", None, Some(1), "neither a number of bytes nor -1"),
            ("0000000000 5 4096\n", Some(2048), Some(1), "written with larger blocks"),
            ("0000000000 5 512\n0000000001 5 2048\n", None, Some(1), "search resolution"),
            ("0000000000 5 -1\n", None, None, "size of a block must be given"),
            ("18446744073709551615 5 2048\n", None, Some(1), "behind every drive"),
        ] {
            let error = parse(text, block).expect_err(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(expected), "{text}: {}", error.reason);
        }
    }
}
