//! A map with readable positions and sizes beside its blocks; still a map.
//!
//! Owns how a number of bytes is shown to a person. Must not know where the text goes.

use block::RangeSet;
use map::Mapfile;
use map::algebra::{Side, pieces};
use map::mapfile::{self, Heading};

/// The text of a map, with a comment at each block of the domain.
pub(super) fn annotated(heading: &Heading, file: &Mapfile, domain: &RangeSet) -> Vec<u8> {
    let mut text = Vec::new();
    let note = format!("\t# {}", readable(file.position.at.bytes()));
    mapfile::write_heading(&mut text, heading, &file.position, &note);
    for piece in pieces(&file.map, domain) {
        mapfile::push_block(&mut text, piece.range, piece.status);
        if piece.side == Side::Inside {
            let [at, length] = [piece.range.start().bytes(), piece.range.length()].map(readable);
            let name = piece.status.name();
            text.extend_from_slice(format!("\t# {length:>10} at {at:>10}  {name}").as_bytes());
        }
        text.push(b'\n');
    }
    text
}

/// A number of bytes with three or four significant digits: `512 B`, `1.50 MiB`, `931 GiB`.
pub(super) fn readable(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut step = 0;
    while step < 5 && bytes >> (10 * (step + 2)) > 0 {
        step += 1;
    }
    let hundredths = (u128::from(bytes) * 100) >> (10 * (step + 1));
    let unit = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][step];
    match hundredths {
        0..1000 => format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{} {unit}", hundredths / 100, hundredths / 10 % 10),
        _ => format!("{} {unit}", hundredths / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn sizes_keep_three_digits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536 << 10, "1.50 MiB"),
            (20 << 30, "20.0 GiB"),
            (931 << 30, "931 GiB"),
            (1023 << 20, "1023 MiB"),
            (i64::MAX as u64, "7.99 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(readable(bytes), text);
        }
    }
}
