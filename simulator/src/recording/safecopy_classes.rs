//! Classes of sectors as comma-separated values: `sector,count,class,fail_exp,ok_exp`.
//!
//! Owns this format. The heading tells the size of a sector, their number, the base time and the time of seeks; class
//! U is never read, R fails once and is read then, S is read but slow. Times are the base time doubled so many times.
//! Must not know what is done with the records.

use block::Nanos;

use super::{Record, Recording, RecordingError, doubled, number};

pub(super) fn parse(text: &str) -> Result<Recording, RecordingError> {
    let heading: String = text.lines().take_while(|line| line.starts_with('#')).collect();
    let value = |key: &str| {
        let from = heading.find(&format!("{key}="))? + key.len() + 1;
        let digits: String = heading[from..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok().filter(|value| *value > 0)
    };
    let needed = |key: &str| {
        value(key).ok_or_else(|| {
            RecordingError::whole(format!("the heading does not tell {key}, as in {key}=2048"))
        })
    };
    let (block, sectors, base) = (needed("sector")?, needed("sectors")?, needed("base_read_us")?);
    let size =
        sectors.checked_mul(block).ok_or_else(|| RecordingError::whole("more sectors than a drive has"))?;
    let base = Nanos::new(base.saturating_mul(1000));
    let mut records = Vec::new();
    let mut end = 0;
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.starts_with('#')) {
        let line = index + 1;
        if text.starts_with("sector,") || text.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.split(',').collect();
        let [sector, count, class, fail, ok] = fields[..] else {
            return Err(RecordingError::at(line, format!("{text:?} has not five fields")));
        };
        let (sector, count) = (number(sector, "sector", line)?, number(count, "count", line)?);
        if sector < end || count == 0 {
            return Err(RecordingError::at(line, format!("sector {sector} is told twice, or not at all")));
        }
        if sector >= sectors {
            // Published sets list the read behind the end of the medium, too.
            continue;
        }
        end = sector.checked_add(count).filter(|end| *end <= sectors).ok_or_else(|| {
            RecordingError::at(line, format!("sectors from {sector} on reach behind the last of {sectors}"))
        })?;
        let row = |record: Record| Record { reads: count, ..record };
        let failed = |text| {
            Ok(row(Record::failed(
                sector * block,
                block,
                doubled(base, number(text, "fail_exp", line)?, line)?,
            )))
        };
        let good = |text| {
            Ok(row(Record::good(sector * block, block, doubled(base, number(text, "ok_exp", line)?, line)?)))
        };
        match class {
            "U" => records.push(failed(fail)?),
            "R" => records.extend([failed(fail)?, good(ok)?]),
            "S" => records.push(good(ok)?),
            _ => return Err(RecordingError::at(line, format!("class {class:?}; it is U, R or S"))),
        }
    }
    let seek = Nanos::new(value("seek_ns_per_sector").unwrap_or(0));
    Ok(Recording { size: Some(size), block, records, rest: Some(base), seek, ..Recording::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# sector=2048 B, sectors=100, base_read_us=1000, seek_ns_per_sector=649\n\
                        sector,count,class,fail_exp,ok_exp\n";

    #[test]
    fn classes_become_reads() {
        let ms = Nanos::from_millis;
        let recording = parse(&format!("{HEAD}3,2,U,4,\n7,1,R,1,2\n99,1,S,,3\n")).unwrap();
        assert_eq!((recording.size, recording.block, recording.seek), (Some(204_800), 2048, Nanos::new(649)));
        let expected = [
            Record { reads: 2, ..Record::failed(6144, 2048, ms(16)) },
            Record::failed(14336, 2048, ms(2)),
            Record::good(14336, 2048, ms(4)),
            Record::good(202_752, 2048, ms(8)),
        ];
        assert_eq!(recording.records, expected);
    }

    #[test]
    fn lines_that_cannot_be_are_told() {
        for (lines, line, expected) in [
            ("3,2,U,4", 3, "has not five fields"),
            ("3,2,U,4,\n4,1,S,,1", 4, "told twice"),
            ("99,2,U,4,", 3, "reach behind the last of 100"),
            ("3,2,X,4,", 3, "it is U, R or S"),
            ("3,2,U,,", 3, "fail_exp \"\" is not a whole number"),
        ] {
            let error = parse(&format!("{HEAD}{lines}\n")).expect_err(lines);
            assert_eq!(error.line, Some(line), "{lines}");
            assert!(error.reason.contains(expected), "{lines}: {}", error.reason);
        }
        let error = parse("# sector=512\nsector,count,class,fail_exp,ok_exp\n").unwrap_err();
        assert!(error.reason.contains("does not tell sectors"), "{error}");
    }
}
