//! What `ddrescue --log-reads` writes: position, size, bytes copied, bytes failed, perhaps an error number. No times.
//!
//! Owns this format. Must not know what is done with the records.

use super::{Failure, Record, Recording, RecordingError, number};
use crate::law::ErrorClass;

pub(super) fn parse(text: &str) -> Result<Recording, RecordingError> {
    let mut records = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [at, size, copied, failed] = fields[..4.min(fields.len())] else {
            return Err(RecordingError::at(
                line,
                format!("{text:?} is not POSITION SIZE COPIED FAILED [ERRNO]"),
            ));
        };
        let at = at.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let at = at.ok_or_else(|| RecordingError::at(line, "the position is not a hexadecimal number"))?;
        let size = number(size, "size", line)?;
        let (copied, failed) = (number(copied, "copied size", line)?, number(failed, "error size", line)?);
        if size == 0
            || copied.checked_add(failed).is_none_or(|sum| sum > size)
            || at.checked_add(size).is_none()
        {
            return Err(RecordingError::at(
                line,
                format!("{copied} bytes copied and {failed} failed of a read of {size}"),
            ));
        }
        // What fell short without damage is the end of the source.
        let unit = if failed == 0 { copied } else { size };
        let failure = Failure { class: ErrorClass::Aborted, good: copied };
        if unit > 0 {
            records.push(Record {
                began: None,
                at,
                unit,
                reads: 1,
                backwards: false,
                failed: (failed > 0).then_some(failure),
                took: None,
            });
        }
    }
    let block = records.iter().map(|record| record.unit).min().unwrap_or(512);
    Ok(Recording { block, records, ..Recording::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keep_their_results_and_have_no_times() {
        let text = "# Reads Logfile\n#  Ipos       Size  Copied_size  Error_size  Errno\n# 0s  Copying\n\
                    0x00000000\t65536\t65536\t0\n0x00010000\t65536\t4096\t61440\n0x00012000\t512\t0\t512\t61\n";
        let recording = parse(text).unwrap();
        let found: Vec<_> =
            recording.records.iter().map(|r| (r.at, r.unit, r.failed.map(|f| f.good), r.took)).collect();
        let expected =
            [(0, 65536, None, None), (65536, 65536, Some(4096), None), (73728, 512, Some(0), None)];
        assert_eq!(found, expected);
        assert_eq!(recording.block, 512);
    }

    #[test]
    fn lines_that_cannot_be_are_told() {
        for (text, expected) in [
            ("0x0\t512\t512\n", "POSITION SIZE COPIED FAILED"),
            ("512\t512\t512\t0\n", "hexadecimal"),
            ("0x0\t512\t512\t512\n", "512 bytes copied and 512 failed of a read of 512"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, Some(1), "{text}");
            assert!(error.reason.contains(expected), "{text}: {}", error.reason);
        }
    }
}
