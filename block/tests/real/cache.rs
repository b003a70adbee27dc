//! What the page cache does for those who read through it.

use std::ops::Range;

use block::source::{Access, Advice, FileOptions, FileSource};
use rig::{BadRange, FaultyFile, FaultyFileOptions, LoopDevice};

use crate::{Errno, expect_good, read};

const PIECE: u64 = 1 << 20;
const PIECES: u64 = 32;

fn disk(bad: &[Range<u64>]) -> FaultyFile {
    let bad = bad.iter().map(|range| BadRange::new(range.clone(), Errno::EIO.0)).collect();
    FaultyFile::serve(FaultyFileOptions { size: PIECES * PIECE, bad, ..FaultyFileOptions::default() })
}

fn open(device: &LoopDevice, advice: Advice) -> FileSource {
    let options = FileOptions { access: Access::Buffered, advice, ..FileOptions::default() };
    FileSource::open(device.path(), options).unwrap()
}

/// What was asked of a disk, as a span.
fn asked(disk: &FaultyFile) -> Option<Range<u64>> {
    let requests = disk.requests();
    let start = requests.iter().map(|request| request.bytes.start).min()?;
    Some(start..requests.iter().map(|request| request.bytes.end).max()?)
}

#[test]
fn near_damage_and_for_single_sectors_nobody_reads_ahead_unless_left_alone() {
    let bad = 8 * PIECE..8 * PIECE + 512;
    let disk = disk(&[bad]);
    let device = LoopDevice::over(&disk.path());
    let mut careful = open(&device, Advice::Careful);
    // A single sector costs its page.
    expect_good(&mut careful, disk.content(), PIECE, 512);
    assert_eq!(asked(&disk), Some(PIECE..PIECE + 4096));
    // Behind damage a read costs what it asks for.
    let (reply, _) = read(&mut careful, 8 * PIECE, 65536).unwrap();
    assert!(reply.damage.is_some());
    disk.forget_requests();
    for part in 1..4 {
        expect_good(&mut careful, disk.content(), 8 * PIECE + part * 65536, 65536);
    }
    assert_eq!(asked(&disk), Some(8 * PIECE + 65536..8 * PIECE + 4 * 65536));
    // The system left to itself reads on.
    disk.forget_requests();
    let mut left_alone = open(&device, Advice::None);
    for part in 1..4 {
        expect_good(&mut left_alone, disk.content(), 16 * PIECE + part * 65536, 65536);
    }
    assert!(asked(&disk).unwrap().end > 16 * PIECE + 4 * 65536);
}

#[test]
fn what_was_read_is_forgotten_unless_the_cache_is_left_alone() {
    for (advice, is_forgotten) in [(Advice::Careful, true), (Advice::None, false)] {
        let disk = disk(&[]);
        let device = LoopDevice::over(&disk.path());
        let mut source = open(&device, advice);
        for piece in 0..PIECES {
            expect_good(&mut source, disk.content(), piece * PIECE, PIECE as usize);
        }
        disk.forget_requests();
        let mut reader = open(&device, Advice::None);
        expect_good(&mut reader, disk.content(), 0, PIECE as usize);
        assert_eq!(asked(&disk).is_some(), is_forgotten, "{advice:?}");
    }
}
