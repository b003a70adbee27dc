//! Maps as lists and bitmaps of sectors.
//!
//! Owns both formats, read and written. Must not know files, options, or what the sectors are listed for.

use std::io::{self, Write};

use block::{ByteRange, Offset, RangeSet};
use thiserror::Error;

use crate::algebra::{Side, pieces};
use crate::mapfile::parse_integer;
use crate::rescue_map::Builder;
use crate::{RescueMap, Status};

/// Which bit of a byte is the first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOrder {
    /// Bit 0.
    LittleEndian,
    /// Bit 7.
    BigEndian,
}

/// An item of a list is not a sector number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "item {item} is not a sector number below 2^63 bytes; write one number per line, decimal or 0x hexadecimal"
)]
pub struct ListError {
    /// Which one, counted from 1. With one number per line, the line.
    pub item: u64,
}

/// Reads sector numbers in any order, decimal, hexadecimal or octal, and returns their bytes. n log n.
pub fn parse_list(text: &[u8], sector_bytes: u32) -> Result<RangeSet, ListError> {
    let sector_bytes = u64::from(sector_bytes);
    let mut rest = text;
    let mut ranges: Vec<ByteRange> = Vec::new();
    for item in 1.. {
        rest = &rest[rest.iter().take_while(|b| b.is_ascii_whitespace() || **b == 0x0B).count()..];
        if rest.is_empty() {
            break;
        }
        let (sector, after) = parse_integer(rest).ok_or(ListError { item })?;
        let start = u64::try_from(sector).ok().and_then(|sector| sector.checked_mul(sector_bytes));
        let start = start.filter(|start| *start <= Offset::MAX.bytes());
        let start = start.ok_or(ListError { item })?;
        let range = ByteRange::new(Offset::new(start), sector_bytes);
        // Ordered lists are the rule: join at once what touches.
        match ranges.last_mut().filter(|last| last.end() == range.start()) {
            Some(last) => *last = ByteRange::between(last.start(), range.end()),
            None => ranges.push(range),
        }
        rest = after;
    }
    Ok(ranges.into_iter().collect())
}

/// Reads one bit per sector, from sector 0, and returns the bytes of those that are 1.
pub fn parse_bitmap(bitmap: &[u8], order: BitOrder, sector_bytes: u32) -> RangeSet {
    let sector_bytes = u64::from(sector_bytes);
    let at = |sector: u64| Offset::new(sector.saturating_mul(sector_bytes));
    let mut ranges = Vec::new();
    let mut run_start = None;
    let mut push = |sector: u64, bit: bool| match (run_start, bit) {
        (None, true) => run_start = Some(sector),
        (Some(start), false) => {
            ranges.push(ByteRange::between(at(start), at(sector)));
            run_start = None;
        }
        _ => {}
    };
    for (index, byte) in bitmap.iter().enumerate() {
        let sector = index as u64 * 8;
        if matches!(byte, 0 | 0xFF) {
            push(sector, *byte != 0);
            continue;
        }
        for bit in 0..8 {
            let place = match order {
                BitOrder::LittleEndian => bit,
                BitOrder::BigEndian => 7 - bit,
            };
            push(sector + bit, byte >> place & 1 != 0);
        }
    }
    push(bitmap.len() as u64 * 8, false);
    ranges.into_iter().collect()
}

/// Makes a map from 0 to the end of the domain, in which the sectors that lie wholly in the domain are `found` and
/// everything else is `other`. `sectors` are the bytes of whole sectors.
pub fn map_of_sectors(
    sectors: &RangeSet,
    sector_bytes: u32,
    domain: &RangeSet,
    found: Status,
    other: Status,
) -> RescueMap {
    let mut builder = Builder::new();
    let mut end = Offset::ZERO;
    for range in sectors.intersection(domain).ranges() {
        // The last sector there can be is cut by the end of the scale, and is whole all the same.
        let last = if range.end() == Offset::MAX {
            range.end()
        } else {
            range.end().align_down(sector_bytes.into())
        };
        let whole = ByteRange::between(range.start().align_up(sector_bytes.into()), last);
        if !whole.is_empty() {
            builder.push_merged(ByteRange::between(end, whole.start()), other);
            builder.push_merged(whole, found);
            end = whole.end();
        }
    }
    let domain_end = domain.span().unwrap_or_default().end();
    builder.push_merged(ByteRange::between(end, domain_end), other);
    builder.finish()
}

/// Which sectors of a map are listed, and how they are numbered.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The map.
    pub map: &'a RescueMap,
    /// Only what lies in it is listed.
    pub domain: &'a RangeSet,
    /// Only these statuses are.
    pub statuses: &'a [Status],
    /// Bytes per sector.
    pub sector_bytes: u32,
    /// Added to each position before it is numbered; a multiple of the sector. No position in the domain may fall
    /// below 0.
    pub distance: i64,
}

/// A map that reaches to the end of the scale would make a bitmap that never ends.
#[derive(Debug, Error)]
pub enum BitmapError {
    /// It does.
    #[error(
        "the map has no end, so its bitmap would have none either; list its sectors, or cut the map to the size of \
         the disk first"
    )]
    Endless,
    /// The bitmap could not be written.
    #[error("cannot write the bitmap")]
    Write(#[from] io::Error),
}

impl Listing<'_> {
    /// Writes the number of each sector with a byte that is listed, once, rising, one per line.
    pub fn write_list(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::with_capacity(64 * 1024);
        self.each_run(|sectors| {
            for sector in sectors {
                push_decimal(&mut text, sector);
                if text.len() > 63 * 1024 {
                    out.write_all(&text)?;
                    text.clear();
                }
            }
            Ok(())
        })?;
        out.write_all(&text)
    }

    /// Writes one bit per sector, from sector 0 to the last one of the map; 1 if the sector is listed.
    ///
    /// Errors: a map without end, before anything is written.
    pub fn write_bitmap(&self, out: &mut dyn Write, order: BitOrder) -> Result<(), BitmapError> {
        let Some(extent) = self.map.extent() else { return Ok(()) };
        if extent.end() == Offset::MAX {
            return Err(BitmapError::Endless);
        }
        let end = extent.end().shifted(self.distance).unwrap_or_default();
        let sectors = end.bytes().div_ceil(self.sector_bytes.into());
        let mut writer = BitWriter { out, order, bytes: Vec::new(), partial: 0, bits: 0, position: 0 };
        self.each_run(|run| {
            writer.push(false, run.start - writer.position)?;
            writer.push(true, run.end - run.start)
        })?;
        writer.push(false, sectors.saturating_sub(writer.position))?;
        Ok(writer.finish()?)
    }

    /// Calls `run` with each stretch of listed sectors; rising, disjoint, perhaps touching.
    fn each_run(&self, mut run: impl FnMut(std::ops::Range<u64>) -> io::Result<()>) -> io::Result<()> {
        let sector_bytes = u64::from(self.sector_bytes);
        let moved = |at: Offset| at.shifted(self.distance).unwrap_or(Offset::MAX).bytes();
        let mut next = 0;
        for piece in pieces(self.map, self.domain) {
            if piece.side == Side::Inside && self.statuses.contains(&piece.status) {
                // A sector that two blocks touch is listed with the first.
                let first = (moved(piece.range.start()) / sector_bytes).max(next);
                let end = moved(piece.range.end()).div_ceil(sector_bytes);
                if first < end {
                    run(first..end)?;
                    next = end;
                }
            }
        }
        Ok(())
    }
}

/// Appends a number and a line end. By hand for the same reason as in mapfiles: there may be millions.
fn push_decimal(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'\n'; 21];
    let mut at = 20;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// Packs runs of bits into bytes.
struct BitWriter<'a> {
    out: &'a mut dyn Write,
    order: BitOrder,
    bytes: Vec<u8>,
    /// The byte being filled, and how many bits of it are.
    partial: u8,
    bits: u32,
    /// Bits pushed in all.
    position: u64,
}

impl BitWriter<'_> {
    const FULL: usize = 64 * 1024;

    fn push(&mut self, bit: bool, count: u64) -> io::Result<()> {
        self.position += count;
        let mut left = count;
        while left > 0 {
            if self.bits == 0 && left >= 8 {
                let whole = (left / 8).min((Self::FULL - self.bytes.len()) as u64);
                self.bytes.resize(self.bytes.len() + whole as usize, if bit { 0xFF } else { 0 });
                left -= whole * 8;
            } else {
                let place = match self.order {
                    BitOrder::LittleEndian => self.bits,
                    BitOrder::BigEndian => 7 - self.bits,
                };
                self.partial |= u8::from(bit) << place;
                self.bits += 1;
                left -= 1;
                if self.bits == 8 {
                    self.bytes.push(self.partial);
                    (self.partial, self.bits) = (0, 0);
                }
            }
            if self.bytes.len() == Self::FULL {
                self.out.write_all(&self.bytes)?;
                self.bytes.clear();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if self.bits > 0 {
            self.bytes.push(self.partial);
        }
        self.out.write_all(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{map_of, statuses};

    fn listing<'a>(map: &'a RescueMap, domain: &'a RangeSet, sector_bytes: u32) -> Listing<'a> {
        Listing { map, domain, statuses: &[Status::Finished, Status::BadSector], sector_bytes, distance: 0 }
    }

    fn list(listing: &Listing<'_>) -> Vec<u64> {
        let mut text = Vec::new();
        listing.write_list(&mut text).unwrap();
        String::from_utf8(text).unwrap().lines().map(|line| line.parse().unwrap()).collect()
    }

    fn orders() -> impl Strategy<Value = BitOrder> {
        prop_oneof![Just(BitOrder::LittleEndian), Just(BitOrder::BigEndian)]
    }

    proptest! {
        #[test]
        fn a_list_names_each_sector_with_a_listed_byte_once(model in statuses(), from in 0u64..40,
                                                            size in 0u64..40, sector in 1u32..6) {
            let domain = RangeSet::from(ByteRange::new(Offset::new(from), size));
            let map = map_of(0, &model);
            let mut expected: Vec<u64> = model.iter().enumerate()
                .filter(|(i, s)| matches!(s, Status::Finished | Status::BadSector)
                        && domain.contains(Offset::new(*i as u64)))
                .map(|(i, _)| i as u64 / u64::from(sector)).collect();
            expected.dedup();
            prop_assert_eq!(list(&listing(&map, &domain, sector)), expected);
        }

        #[test]
        fn a_bitmap_says_the_same_as_the_list(model in statuses(), sector in 1u32..4, order in orders()) {
            let domain = RangeSet::from(ByteRange::ALL);
            let map = map_of(0, &model);
            let listing = listing(&map, &domain, sector);
            let mut bitmap = Vec::new();
            listing.write_bitmap(&mut bitmap, order).unwrap();
            prop_assert_eq!(bitmap.len(), model.len().div_ceil(sector as usize).div_ceil(8));
            let mut text = Vec::new();
            listing.write_list(&mut text).unwrap();
            prop_assert_eq!(parse_bitmap(&bitmap, order, sector), parse_list(&text, sector).unwrap());
        }

        #[test]
        fn sectors_partly_outside_the_domain_are_not_found(sectors in prop::collection::vec(0u64..40, 0..30),
                                                           from in 0u64..40, size in 1u64..40, sector in 1u64..4) {
            let range = ByteRange::new(Offset::new(from), size);
            let text = sectors.iter().map(|s| format!("{s}\n")).collect::<String>();
            let found = parse_list(text.as_bytes(), sector as u32).unwrap();
            let map = map_of_sectors(&found, sector as u32, &range.into(), Status::Finished, Status::BadSector);
            map.check();
            prop_assert_eq!(map.extent(), Some(ByteRange::between(Offset::ZERO, range.end())));
            for at in 0..range.end().bytes() {
                let whole = ByteRange::new(Offset::new(at / sector * sector), sector);
                let expected = sectors.contains(&(at / sector)) && range.covers(whole);
                let status = map.block_at(Offset::new(at)).unwrap().status;
                prop_assert_eq!(status == Status::Finished, expected, "at {}", at);
            }
        }

        #[test]
        fn any_text_is_a_list_or_an_error(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_list(&text, 512);
        }
    }

    #[test]
    fn long_runs_of_bits_cross_the_buffer_unharmed() {
        for order in [BitOrder::LittleEndian, BitOrder::BigEndian] {
            let statuses = [Status::NonTried, Status::Finished, Status::NonTried, Status::BadSector];
            let lengths = [3, 1_500_001, 700_003, 9];
            let mut builder = Builder::new();
            let mut at = Offset::ZERO;
            for (status, length) in statuses.iter().zip(lengths) {
                builder.push(ByteRange::new(at, length), *status);
                at += length;
            }
            let map = builder.finish();
            let domain = RangeSet::from(ByteRange::ALL);
            let mut bitmap = Vec::new();
            listing(&map, &domain, 1).write_bitmap(&mut bitmap, order).unwrap();
            let ranges = parse_bitmap(&bitmap, order, 1);
            let expected =
                [ByteRange::new(Offset::new(3), 1_500_001), ByteRange::new(Offset::new(2_200_007), 9)];
            assert_eq!(ranges.ranges(), expected);
        }
    }

    #[test]
    fn a_bitmap_of_a_map_without_end_is_refused() {
        let map = RescueMap::single(ByteRange::ALL, Status::Finished);
        let domain = RangeSet::from(ByteRange::ALL);
        let result = listing(&map, &domain, 512).write_bitmap(&mut Vec::new(), BitOrder::BigEndian);
        assert!(matches!(result, Err(BitmapError::Endless)));
    }

    #[test]
    fn numbers_need_no_blank_between_them_where_they_cannot_be_one() {
        let sectors = |text: &str| parse_list(text.as_bytes(), 1).map(|set| set.bytes());
        assert_eq!(sectors("08 0x10+3"), Ok(4));
        assert_eq!(sectors("1\n\n 2\n x\n"), Err(ListError { item: 3 }));
        assert_eq!(sectors("5-6"), Err(ListError { item: 2 }));
        assert_eq!(sectors("9223372036854775807"), Ok(0));
    }

    #[test]
    fn the_last_sector_there_can_be_is_found_although_it_is_cut() {
        let sectors = parse_list(b"18014398509481983", 512).unwrap();
        let all = RangeSet::from(ByteRange::ALL);
        let map = map_of_sectors(&sectors, 512, &all, Status::Finished, Status::BadSector);
        assert_eq!(map.len(), 2);
        assert!(parse_list(b"18014398509481984", 512).is_err());
    }
}
