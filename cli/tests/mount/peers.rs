//! Stock programs find the damage of the scenario, no more and no less.

use std::fs;

use block::{ByteRange, Offset, RangeSet};
use map::{Mapfile, Status};

use super::{Bench, SPOTS, check_image, lost, widened};

/// Disks with certain damage only: where bad sectors are, and in which units they are found past the page cache.
const DISKS: [(&str, u64); 4] =
    [("./disk.toml", 512), ("dead-die-small", 512), ("native-4k-small", 4096), ("one-sector-small", 512)];

/// What is found bad in pages.
const PAGE: u64 = 4096;

fn bench() -> Bench {
    Bench::with(SPOTS)
}

/// The scenario's name here, where the tests run in another folder.
fn here(bench: &Bench, disk: &str) -> String {
    disk.strip_prefix("./").map_or(disk.to_owned(), |name| bench.path(name).display().to_string())
}

/// What a run of ddrescue did not get.
fn missing(bench: &Bench, map: &str) -> RangeSet {
    let mapfile = Mapfile::parse(&fs::read(bench.path(map)).expect("a map")).expect("a map that can be read");
    let blocks = mapfile.map.blocks();
    blocks.filter(|block| block.status != Status::Finished).map(|block| block.range).collect()
}

/// What a list of bad blocks of safecopy says.
fn bad_blocks(bench: &Bench, list: &str, bytes: u64) -> RangeSet {
    let text = fs::read_to_string(bench.path(list)).expect("a list");
    let range = |line: &str| {
        ByteRange::new(Offset::new(line.trim().parse::<u64>().expect("a number") * bytes), bytes)
    };
    text.lines().map(range).collect()
}

#[test]
fn ddrescue_finds_exactly_the_bad_sectors_on_the_file() {
    let bench = bench();
    for (index, (disk, sector)) in DISKS.into_iter().enumerate() {
        let disk = here(&bench, disk);
        let mounted = bench.mount(&disk, &["--pace=instant"]);
        let size = fs::metadata(&mounted.file).unwrap().len();
        let lost = lost(&disk);
        for (options, unit) in [("-d", sector), ("-q", PAGE)] {
            let (image, map) = (format!("image{index}{options}"), format!("map{index}{options}"));
            let block = format!("-b{sector}");
            let run = bench.tool("ddrescue", &["-q", options, &block, "file", &image, &map]);
            let expected = widened(&lost, unit, size);
            assert_eq!(missing(&bench, &map), expected, "{disk} {options}: {run:?}");
            check_image(&disk, &bench.path(&image), &expected);
            fs::remove_file(bench.path(&image)).unwrap();
        }
        assert_eq!(mounted.end(), Some(0));
    }
}

#[test]
fn ddrescue_finds_exactly_the_bad_sectors_on_the_loop_device() {
    let bench = bench();
    for (index, (disk, sector)) in DISKS.into_iter().enumerate() {
        let disk = here(&bench, disk);
        // What a disk says to those who go past the page cache.
        let mounted = bench.mount(&disk, &["--pace=instant", "--loop", "--errno=ENODATA"]);
        let name = mounted.name.display().to_string();
        let told = bench.tool("blockdev", &["--getss", "--getro", &name]);
        assert_eq!(String::from_utf8_lossy(&told.stdout), format!("{sector}\n1\n"));
        let (image, map) = (format!("image{index}"), format!("map{index}"));
        let block = format!("-b{sector}");
        let run = bench.tool("ddrescue", &["-q", "-d", &block, &name, &image, &map]);
        let lost = lost(&disk);
        assert_eq!(missing(&bench, &map), lost, "{disk}: {run:?}");
        check_image(&disk, &bench.path(&image), &lost);
        fs::remove_file(bench.path(&image)).unwrap();
        assert_eq!(mounted.end(), Some(0));
    }
}

#[test]
fn the_page_cache_over_the_loop_device_loses_more_and_gives_nothing_wrong() {
    let bench = bench();
    let disk = here(&bench, "./disk.toml");
    let mounted = bench.mount(&disk, &["--pace=instant", "--loop"]);
    let name = mounted.name.display().to_string();
    bench.tool("ddrescue", &["-q", &name, "image", "map"]);
    let missing = missing(&bench, "map");
    let lost = lost(&disk);
    assert!(lost.minus(&missing).is_empty(), "{missing:?}");
    check_image(&disk, &bench.path("image"), &missing);
}

#[test]
fn errors_pass_through_the_loop_device_as_they_are() {
    let bench = bench();
    for (errno, text) in [("EIO", "Input/output error"), ("ENODATA", "No data available")] {
        let mounted = bench.mount("./disk.toml", &["--pace=instant", "--loop", "--errno", errno]);
        for name in [&mounted.name, &mounted.file] {
            let from = format!("if={}", name.display());
            let words = [&from, "of=/dev/null", "bs=512", "skip=1", "count=1", "iflag=direct"];
            let told = String::from_utf8(bench.tool("dd", &words).stderr).unwrap();
            assert!(told.contains(text), "{name:?}: {told}");
        }
    }
}

#[test]
fn safecopy_finds_exactly_the_bad_pages_on_the_file() {
    let bench = bench();
    let disk = here(&bench, "./disk.toml");
    let mounted = bench.mount(&disk, &["--pace=instant"]);
    let size = fs::metadata(&mounted.file).unwrap().len();
    let expected = widened(&lost(&disk), PAGE, size);
    for stage in ["--stage1", "--stage2", "--stage3"] {
        bench.tool("safecopy", &[stage, "file", "image"]);
    }
    assert_eq!(bad_blocks(&bench, "stage3.badblocks", 512), expected);
    check_image(&disk, &bench.path("image"), &expected);
}

#[test]
fn dd_skips_sectors_past_the_page_cache_and_pages_through_it() {
    let bench = bench();
    let disk = here(&bench, "./disk.toml");
    let mounted = bench.mount(&disk, &["--pace=instant", "--loop"]);
    let size = fs::metadata(&mounted.file).unwrap().len();
    let device = format!("if={}", mounted.name.display());
    for (from, flag, unit) in
        [("if=file", "iflag=direct", 512), ("if=file", "bs=512", PAGE), (&device, "iflag=direct", 512)]
    {
        let run = bench.tool("dd", &[from, "of=image", "bs=512", flag, "conv=noerror,sync"]);
        let expected = widened(&lost(&disk), unit, size);
        check_image(&disk, &bench.path("image"), &expected);
        // What could not be read is zeros, which the disk's own bytes are not.
        let bytes = fs::read(bench.path("image")).unwrap();
        for range in expected.ranges() {
            let part = &bytes[range.start().bytes() as usize..range.end().bytes() as usize];
            assert!(part.iter().all(|byte| *byte == 0), "{from} {flag} {range:?}: {run:?}");
        }
        let errors = String::from_utf8_lossy(&run.stderr).matches("error reading").count() as u64;
        let bytes: u64 = expected.ranges().iter().map(|range| range.length()).sum();
        assert_eq!(errors, bytes / 512, "{from} {flag}");
    }
}
