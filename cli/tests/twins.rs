//! Every small twin of the library, rescued to its end and held against an independent walk over what the drive was
//! asked: no byte is called rescued that was not delivered, and each delivered byte is.
//!
//! The walk knows the laws of damage and their dice, but shares no code with the drive that serves commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::sink::DiscardSink;
use block::{ByteRange, Clock, Nanos, Offset, RangeSet, VirtualClock};
use engine::rescue::Surroundings;
use engine::strategy::{Classic, ClassicOptions};
use engine::{Book, Ending, Fingerprint, LostRemedy, Operator, Rescue, RescueOptions, SaveRemedy};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};
use simulator::law::{Health, LawDice, Trial};
use simulator::scenario::library;
use simulator::{Access, Answer, Pace, Scenario, SimSource};

/// Waits a minute for a lost device, as a person would have it.
struct Patient;

impl Operator for Patient {
    fn map_not_saved(
        &mut self,
        _: &engine::KeeperError,
        _: &mut engine::operator::WriteMap<'_>,
    ) -> SaveRemedy {
        SaveRemedy::Stop
    }

    fn device_lost(&mut self, _: &block::SourceError, gone: Nanos) -> LostRemedy {
        if gone < Nanos::from_secs(60) {
            LostRemedy::LookAgain(Nanos::from_secs(2))
        } else {
            LostRemedy::Stop
        }
    }
}

/// A rescue that has ended.
struct Rescued {
    source: SimSource,
    book: Book,
    ending: Ending,
    fingerprint: String,
}

/// Rescues a disk with the classic strategy in virtual time.
fn rescue(scenario: &Scenario, access: Option<Access>) -> Rescued {
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let seed = scenario.seed();
    let mut source = scenario.source(seed, access, clock.clone(), Pace::Instant).expect("a disk");
    source.keep_log();
    let shape = source.system().disk().shape();
    let all = ByteRange::new(Offset::ZERO, shape.bytes());
    let mut sink = DiscardSink::default();
    let mut fingerprint = Fingerprint::new(&scenario.digest, clock.clone());
    let sector = u64::from(shape.physical);
    let (skip_initial, skip_max) = ClassicOptions::skip_sizes(Some(shape.bytes()), (None, None), sector);
    let mut strategy = Classic::new(ClassicOptions {
        sector,
        cluster: 65536,
        skip_initial,
        skip_max,
        ..ClassicOptions::default()
    });
    let options = RescueOptions { sector, watch: false, ..RescueOptions::default() };
    let surroundings = Surroundings {
        source: &mut source,
        sink: &mut sink,
        clock: &*clock,
        observer: &mut fingerprint,
        operator: &mut Patient,
        interrupt: &|| false,
        keeper: None,
        heading: &|_| Heading::default(),
    };
    let mut map = RescueMap::new();
    map.extend_to(all, Status::NonTried);
    let book = Book::new(map, all.into());
    let mut rescue = Rescue::new(surroundings, options, book, Position::default());
    let ending = rescue.run(&mut strategy);
    let book = rescue.book().clone();
    drop(rescue);
    let fingerprint = fingerprint.finish(&book);
    Rescued { source, book, ending, fingerprint }
}

/// What the drive delivered to its reader, by the log of its commands; each answer is derived anew from the laws.
fn delivered(scenario: &Scenario, rescued: &Rescued) -> RangeSet {
    let system = rescued.source.system();
    let (disk, access) = (system.disk(), system.options().access);
    let shape = disk.shape();
    let (group, logical) = (shape.lbas_per_sector(), u64::from(shape.logical));
    let fresh = scenario.disk(scenario.seed()).expect("a disk");
    let surface = &fresh.drive().surface;
    let conditions = &fresh.drive().conditions;
    let mut dice = LawDice::new(scenario.seed());
    let mut tries: BTreeMap<u64, u32> = BTreeMap::new();
    let mut delivered = Vec::new();
    let bytes = |sectors: std::ops::Range<u64>| {
        ByteRange::between(Offset::new(sectors.start * logical), Offset::new(sectors.end * logical))
    };
    for logged in disk.log() {
        let start = logged.command.at;
        let end = start + logged.command.count * logged.count;
        // Sector by sector, in the order in which the heads meet them.
        let mut derived = None;
        for sector in start / group..end.div_ceil(group) {
            let first = (sector * group).max(start);
            let Some(stretch) = surface.overlapping(first..first + 1).first() else { continue };
            let law = surface.law(stretch.law);
            if matches!(law.health, Health::Zeros { .. }) {
                continue;
            }
            let attempt = tries.entry(sector).or_default();
            let trial = law.attempt(sector, *attempt, &mut dice, conditions);
            *attempt += 1;
            if matches!(trial, Trial::Failed(_)) {
                derived = Some(first);
                break;
            }
        }
        // A recording answers each read as it was, whatever lies below.
        if !disk.has_hazards() && scenario.replay.is_none() {
            let told = match &logged.reply.answer {
                Answer::Done => None,
                Answer::Error { bad, .. } => Some(*bad),
                // Nothing was read: hangs and departures say nothing about sectors.
                Answer::Silent | Answer::Gone => continue,
            };
            assert_eq!(told, derived, "{}: {logged:?}", scenario.name);
        }
        match (&logged.reply.answer, access) {
            (Answer::Done, _) => delivered.push(bytes(start..end)),
            (Answer::Error { bad, .. }, Access::Raw) => delivered.push(bytes(start..*bad)),
            _ => {}
        }
    }
    delivered.into_iter().collect()
}

fn twins() -> Vec<Scenario> {
    let all = library::all().unwrap_or_else(|error| panic!("{error}"));
    // A disk that is small itself needs no twin.
    all.into_iter().filter(|scenario| scenario.medium.bytes() <= simulator::scenario::SMALL_MAX).collect()
}

#[test]
fn what_is_called_rescued_is_exactly_what_was_delivered() {
    for scenario in twins() {
        let rescued = rescue(&scenario, None);
        let finished = map::masked::finished_of(rescued.book.map());
        let delivered = delivered(&scenario, &rescued);
        match rescued.source.system().options().access {
            // The page cache reads ahead: more than was asked for.
            Access::Buffered => assert_eq!(finished.intersection(&delivered), finished, "{}", scenario.name),
            _ => assert_eq!(finished, delivered, "{}: {:?}", scenario.name, rescued.ending),
        }
        let lost = scenario.lost(scenario.seed()).expect("a disk");
        if !rescued.source.system().disk().has_hazards() {
            assert!(finished.intersection(&lost).is_empty(), "{}: it delivered what is lost", scenario.name);
        }
        let wrong = rescued.source.garbled().intersection(&finished);
        assert!(wrong.is_empty() || scenario.delivers_garbage(), "{}: garbage in {wrong:?}", scenario.name);
    }
}

#[test]
fn the_same_twin_is_rescued_the_same_way_twice() {
    for scenario in twins() {
        let prints = [rescue(&scenario, None).fingerprint, rescue(&scenario, None).fingerprint];
        assert_eq!(prints[0], prints[1], "{}", scenario.name);
    }
}

#[test]
fn golden_fingerprints() {
    // Another number here is another disk, or another rescue, for everybody who compares with older results.
    let lines: Vec<String> = twins()
        .iter()
        .map(|scenario| format!("{} {}", scenario.name, &rescue(scenario, None).fingerprint[..16]))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn time_does_not_go_on_behind_the_horizon() {
    for scenario in twins() {
        let rescued = rescue(&scenario, None);
        let end = rescued.source.clock().now();
        // The last command may have begun just before.
        assert!(end < scenario.head.horizon.0 + Nanos::from_secs(1000), "{}: {end:?}", scenario.name);
    }
}

#[test]
fn a_rescue_brings_what_the_scenario_expects() {
    for scenario in twins() {
        let output = assert_cmd::Command::cargo_bin("diskwright")
            .expect("the program")
            .args(["rescue", "--json", &format!("sim:{}", scenario.name), "discard:"])
            .output()
            .expect("it runs");
        let stdout = String::from_utf8(output.stdout).expect("JSON is text");
        let end: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap_or("")).expect("JSON");
        let (rescued, recoverable) = (&end["rescued_bytes"], &end["recoverable_bytes"]);
        let expected = &scenario.expect;
        assert_eq!(
            rescued.as_u64(),
            expected.rescued_bytes,
            "{}: of {recoverable} recoverable",
            scenario.name
        );
        // Who promises less than could be had must say why.
        assert_eq!(expected.because.is_some(), rescued != recoverable, "{}: of {recoverable}", scenario.name);
    }
}
