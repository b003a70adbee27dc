//! What each format looks like, and that all of them tell of the same damage.

use proptest::prelude::*;

use super::*;
use crate::Scenario;
use crate::fault::testing;

/// 64 MiB with 8 KiB of bad sectors, 4 KiB more behind 1 MiB, and 4 KiB that come a quarter of a second late.
fn scenario() -> Scenario {
    let bad =
        "kind = \"region\"\nhealth = \"bad\"\nranges = [[\"4 KiB\", \"12 KiB\"], [\"1 MiB\", \"1028 KiB\"]]";
    let slow = "kind = \"region\"\nhealth = \"slow\"\nranges = [[\"2 MiB\", \"2052 KiB\"]]\n\
                slow-time = [\"250 ms\", \"250 ms\"]";
    testing::parse(&[bad, slow, "kind = \"region\"\nhealth = \"zeros\"\nranges = [[\"3 MiB\", \"4 MiB\"]]"])
        .unwrap()
}

fn export(scenario: &Scenario, name: &str, job: impl Fn(&mut Job<'_>)) -> (String, Vec<String>) {
    let mut moment = Moment::of(scenario.disk(scenario.seed()).unwrap(), Nanos::ZERO).unwrap();
    let mut text = Vec::new();
    let mut made = Job {
        moment: &mut moment,
        subject: "test, seed 1,",
        file: "FILE",
        device: Some("/dev/loop7"),
        block: None,
    };
    job(&mut made);
    let notes = find(name).unwrap().write(&mut made, &mut text).unwrap();
    (String::from_utf8(text).unwrap(), notes)
}

fn usual(name: &str) -> (String, Vec<String>) {
    export(&scenario(), name, |_| {})
}

/// Without the comments.
fn plain(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

const LATE: &str = "4096 bytes in one area come late; ";

#[test]
fn a_map_has_bad_sectors_and_finished_ones() {
    let (text, notes) = usual("mapfile");
    let expected = "\
# Mapfile. The damage of test, seed 1, after 0 s, by Diskwright
# Use: nbdkit --filter=ddrescue file disk.img ddrescue-mapfile=FILE
# current_pos  current_status  current_pass
0x00000000     +               1
#      pos        size  status
0x00000000  0x00001000  +
0x00001000  0x00002000  -
0x00003000  0x000FD000  +
0x00100000  0x00001000  -
0x00101000  0x03EFF000  +
";
    assert_eq!(text, expected);
    assert_eq!(notes, [format!("{LATE}a map has no word for that, dm-delay has")]);
}

#[test]
fn tables_cover_the_disk() {
    let (text, notes) = usual("dm-error");
    let expected = "\
# The damage of test, seed 1, after 0 s, by Diskwright
# Use: dmsetup create NAME FILE
# It lies over /dev/loop7, which needs 131072 sectors of 512 bytes.
0 8 linear /dev/loop7 0
8 16 error
24 2024 linear /dev/loop7 24
2048 8 error
2056 129016 linear /dev/loop7 2056
";
    assert_eq!(text, expected);
    assert_eq!(notes, [format!("{LATE}dm-error has no word for that, dm-delay has")]);
    let (text, notes) = usual("dm-delay");
    let rows = plain(&text);
    assert_eq!(rows[..4], plain(expected)[..4]);
    assert_eq!(
        rows[4..],
        [
            "2056 2040 linear /dev/loop7 2056",
            "4096 8 delay /dev/loop7 4096 250 /dev/loop7 4096 0",
            "4104 126968 linear /dev/loop7 4104"
        ]
    );
    let said = "12288 bytes in 2 areas fail at once; how long a drive takes to fail, dm-delay cannot say";
    assert_eq!(notes, [said]);
}

#[test]
fn dust_is_told_block_by_block() {
    let (text, notes) = usual("dm-dust");
    assert!(text.starts_with("#!/bin/sh\n# The damage of test"), "{text}");
    assert!(text.contains("device=${2:-/dev/loop7}\n"), "{text}");
    assert!(text.contains("--table \"0 131072 dust $device 0 4096\"\n"), "{text}");
    assert!(text.ends_with("done <<'BLOCKS'\n1 2\n256 1\nBLOCKS\ndmsetup message \"$name\" 0 enable\n"));
    assert_eq!(notes, [format!("{LATE}dm-dust has no word for that, dm-delay has")]);
}

#[test]
fn qemu_gets_a_rule_for_each_512_bytes() {
    let (text, notes) = usual("blkdebug");
    let rule = |sector: u64| {
        format!(
            "\n[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\nsector = \"{sector}\"\n"
        )
    };
    let rules: String = (8..24).chain(2048..2056).map(rule).collect();
    assert!(text.ends_with(&rules), "{text}");
    assert!(text.lines().take(3).all(|line| line.starts_with("# ")), "{text}");
    assert_eq!(text.matches("[inject-error]").count(), 24);
    assert_eq!(notes, [format!("{LATE}blkdebug has no word for that, dm-delay has")]);
}

#[test]
fn scsi_debug_gets_the_longest_range() {
    let (text, notes) = usual("scsi-debug");
    let parameters = "dev_size_mb=64 sector_size=512 physblk_exp=3 opts=2 medium_error_start=8 \
                      medium_error_count=16";
    assert!(text.ends_with(&format!("\nexec modprobe scsi_debug {parameters}\n")), "{text}");
    assert_eq!(notes.len(), 2);
    let one =
        "scsi_debug has one bad range: it is the longest, 8192 bytes at sector 8, of 12288 bytes in 2 areas";
    assert_eq!(notes[1], one);
    let (text, _) = export(&testing::parse(&[]).unwrap(), "scsi-debug", |_| {});
    assert!(text.ends_with("physblk_exp=3 opts=0\n"), "{text}");
}

#[test]
fn null_blk_gets_as_many_ranges_as_its_list_holds() {
    let (text, notes) = usual("null-blk");
    assert!(text.contains("echo 64 >\"$folder/size\"\necho 512 >\"$folder/blocksize\"\n"), "{text}");
    assert!(text.contains("done <<'RANGES'\n8-23\n2048-2055\nRANGES\necho 1 >\"$folder/power\"\n"), "{text}");
    assert_eq!(notes, [format!("{LATE}null_blk has no word for that, dm-delay has")]);
    // 600 areas of 4 KiB, and one that takes three entries.
    let areas: Vec<String> =
        (0..600).map(|n| format!("[\"{} KiB\", \"{} KiB\"]", n * 16, n * 16 + 4)).collect();
    let many = format!("kind = \"region\"\nhealth = \"bad\"\nranges = [{}]", areas.join(", "));
    let (text, notes) = export(&testing::parse(&[&many]).unwrap(), "null-blk", |_| {});
    assert_eq!(
        plain(&text).iter().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count(),
        512
    );
    assert!(notes[0].contains("360448 bytes in 88 areas at the end are left out"), "{notes:?}");
    let long = "kind = \"region\"\nhealth = \"bad\"\nranges = [[\"0 B\", \"636 KiB\"]]";
    let (text, notes) = export(&testing::parse(&[long, &many]).unwrap(), "null-blk", |_| {});
    assert!(text.contains("\n0-1271\n"), "{text}");
    // 40 areas lie in the long one, which takes three entries.
    assert!(notes[0].contains("51 areas"), "{notes:?}");
}

#[test]
fn safecopy_gets_times_as_doublings() {
    let (text, notes) = usual("simulator-cfg");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}: {text}")).to_owned()
    };
    assert_eq!((value("blocksize"), value("filesize")), ("4096".into(), "67108864".into()));
    assert_eq!((value("source"), value("softfailcount")), ("/dev/loop7".into(), "0".into()));
    let base: u64 = value("delay").parse().unwrap();
    let listed: Vec<&str> =
        text.lines().filter(|l| l.starts_with("hardfail") || l.starts_with("slow")).collect();
    let sectors: Vec<&str> = listed.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(sectors, ["hardfail=1", "hardfail=2", "hardfail=256", "slow=512"]);
    let time = |line: &str| {
        let doublings: u32 = line.split(' ').nth(1).unwrap().parse().unwrap();
        (base << doublings) as f64 / 1e6
    };
    assert!(listed[..3].iter().all(|line| (2.0..9.0).contains(&time(line))), "{listed:?} of {base} us");
    assert!((0.17..0.36).contains(&time(listed[3])), "{listed:?} of {base} us");
    assert_eq!(notes, ["times are what safecopy's library can say: a base time doubled so many times"]);
    // What is no setting must have no =.
    assert!(text.lines().take(3).all(|line| !line.contains('=')), "{text}");
}

#[test]
fn a_block_is_bad_if_a_sector_of_it_is() {
    assert_eq!(usual("badblocks").0, "1\n2\n256\n");
    let (text, notes) = export(&scenario(), "badblocks", |job| job.block = Some(1024));
    let expected: String = (4..12).chain(1024..1028).map(|block| format!("{block}\n")).collect();
    assert_eq!(text, expected);
    assert!(notes[0].contains("mke2fs -b 1024 -l FILE"), "{notes:?}");
    let (text, _) = export(&scenario(), "badblocks", |job| job.block = Some(65536));
    assert_eq!(text, "0\n16\n");
}

#[test]
fn a_healthy_disk_is_told_without_notes() {
    let healthy = testing::parse(&[]).unwrap();
    for format in &FORMATS {
        let (text, notes) = export(&healthy, format.name, |_| {});
        let expected = usize::from(format.name == "badblocks");
        assert_eq!(notes.len(), expected, "{}: {notes:?}", format.name);
        assert_eq!(text.is_empty(), format.name == "badblocks", "{}: {text}", format.name);
    }
}

#[test]
fn words_for_a_shell_stay_one_word() {
    for (word, expected) in [("/dev/sdX", "/dev/sdX"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
        assert_eq!(quoted(word), expected);
    }
    assert_eq!(seconds(Nanos::from_millis(90_500)), "90.5");
    assert_eq!(seconds(Nanos::from_secs(5400)), "5400");
}

/// Bad units of 512 bytes as a format tells them.
fn told(scenario: &Scenario, name: &str) -> Vec<u64> {
    let (text, _) = export(scenario, name, |job| job.block = (name == "badblocks").then_some(4096));
    let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{word}"));
    let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    match name {
        "mapfile" => {
            let map = map::Mapfile::parse(text.as_bytes()).unwrap().map;
            let bad = map.blocks().filter(|block| block.status == map::Status::BadSector);
            bad.flat_map(|b| b.range.start().bytes() / 512..b.range.end().bytes() / 512).collect()
        }
        "dm-error" | "dm-delay" => {
            let rows: Vec<_> = plain(&text).into_iter().map(fields).collect();
            let ends = rows.iter().map(|row| number(&row[0]) + number(&row[1]));
            assert!(ends.zip(rows.iter().skip(1)).all(|(end, next)| end == number(&next[0])), "{text}");
            let bad = rows.iter().filter(|row| row[2] == "error");
            bad.flat_map(|row| number(&row[0])..number(&row[0]) + number(&row[1])).collect()
        }
        "blkdebug" => {
            let sector = |line: &str| Some(number(line.strip_prefix("sector = \"")?.strip_suffix('"')?));
            text.lines().filter_map(sector).collect()
        }
        "dm-dust" | "null-blk" => {
            let list = text.split("<<").nth(1).unwrap().lines().skip(1);
            let list = list.take_while(|line| !line.ends_with('S'));
            let units = |line: &str| match line.split_once(' ') {
                Some((first, count)) => number(first) * 8..(number(first) + number(count)) * 8,
                None => {
                    let (first, last) = line.split_once('-').unwrap();
                    number(first)..number(last) + 1
                }
            };
            list.flat_map(units).collect()
        }
        "simulator-cfg" => {
            let sector = |line: &str| Some(number(line.strip_prefix("hardfail=")?.split(' ').next()?));
            text.lines().filter_map(sector).flat_map(|sector| sector * 8..sector * 8 + 8).collect()
        }
        "badblocks" => text.lines().map(number).flat_map(|block| block * 8..block * 8 + 8).collect(),
        _ => panic!("{name} does not tell all"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn all_formats_tell_of_the_same_damage(count in 1u32..40, seed in 0u64..1000) {
        let clusters = format!("kind = \"clusters\"\ncount = {count}\nexact = true\nretry = [0.3, 1.9]");
        let head = "kind = \"weak-head\"\nhead = 1\nfailing = 0.001";
        let mut scenario = testing::parse(&[&clusters, head]).unwrap();
        scenario.head.seed = crate::scenario::Seed(seed);
        let expected = told(&scenario, "mapfile");
        for format in FORMATS.iter().filter(|format| !["scsi-debug", "mapfile"].contains(&format.name)) {
            let mut found = told(&scenario, format.name);
            if format.name == "null-blk" {
                // As far as it can.
                prop_assert!(found.len() <= expected.len());
                found.extend_from_slice(&expected[found.len()..]);
            }
            prop_assert_eq!(&found, &expected, "{}", format.name);
        }
    }
}
