//! Which strategy a command line names, and what it leaves to its user.
//!
//! Owns the words about that. Must not know what any strategy reads.

use std::ffi::OsStr;

use engine::strategy::{self, Choice, Entry, Ground, STRATEGIES, Settings};
use engine::{Direction, Strategy};
use map::{Mapfile, Position};

use crate::personality::arguments::Given;
use crate::personality::ddrescue::dialect::Id;
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::session;
use crate::personality::ddrescue::start::Start;

/// Names less alike than this are not what somebody meant.
const LIKENESS_MIN: f64 = 0.7;
/// What the comment of a map begins with that tells by which strategy it was made.
const COMMENT: &str = "Strategy: ";

/// A strategy with its settings.
pub(super) struct Method {
    entry: &'static Entry,
    settings: Settings,
}

impl Method {
    /// The one that is used when none is named.
    pub(super) fn usual() -> Method {
        Method { entry: &STRATEGIES[0], settings: Settings::default() }
    }

    /// Reads `NAME`, or `NAME:WORD=NUMBER,...`.
    ///
    /// Errors: what to tell whoever wrote it.
    pub(super) fn parse(text: &OsStr) -> Result<Method, String> {
        let text = text.to_string_lossy();
        let (name, settings) = match text.split_once(':') {
            Some((name, settings)) => (name, Some(settings)),
            None => (&*text, None),
        };
        let entry = strategy::find(name).ok_or_else(|| unknown(name))?;
        let settings = settings.map_or(Ok(Settings::default()), |text| Settings::parse(name, text));
        let method =
            Method { entry, settings: settings.map_err(|unfit| format!("--strategy={text}: {unfit}"))? };
        // What no source could change is told before anything is opened.
        let made = (method.entry.make)(&Ground::new(512, None), &method.settings);
        made.map_err(|unfit| format!("--strategy={text}: {unfit}"))?;
        Ok(method)
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.entry.name
    }

    /// Whether it has the phases and options of GNU ddrescue.
    pub(super) fn is_classic(&self) -> bool {
        self.knows(Choice::Gnu)
    }

    fn knows(&self, choice: Choice) -> bool {
        self.entry.knows.contains(&choice)
    }

    /// Refuses options that mean nothing to it.
    ///
    /// Errors: what to tell whoever gave one.
    pub(super) fn check(&self, options: &[Given<Id>]) -> Result<(), String> {
        let is_refused = |given: &&Given<Id>| choice_of(given.id).is_some_and(|choice| !self.knows(choice));
        match options.iter().find(is_refused) {
            Some(given) => Err(format!(
                "{}: the strategy {} leaves no such choice; leave it out, or take another strategy.",
                given.name,
                self.name()
            )),
            None => Ok(()),
        }
    }

    /// What a map says that was made by it, as a comment; nothing for the usual one.
    pub(super) fn comment(&self) -> Option<String> {
        (self.name() != Method::usual().name()).then(|| format!("{COMMENT}{}", self.name()))
    }

    /// Where an earlier run stopped, if that means something to this strategy.
    pub(super) fn resume(&self, mapfile: Option<&Mapfile>) -> Option<Position> {
        let then = mapfile?.comments.iter().find_map(|comment| comment.strip_prefix(COMMENT));
        (then.unwrap_or(Method::usual().name()) == self.name()).then_some(mapfile?.position)
    }

    /// Makes it.
    ///
    /// Errors: what to tell whoever named it.
    pub(super) fn make<S>(
        &self,
        job: &Job,
        begin: &Start<S>,
        ground: Ground,
    ) -> Result<Box<dyn Strategy>, String> {
        if self.is_classic() {
            let resume = ground.resume;
            let mut options = strategy::ClassicOptions { resume, ..session::classic_options(job, begin) };
            if self.name() == "classic-1.30" {
                let initial = strategy::ClassicOptions::skip_initial_of_1_30(begin.size);
                let given = (job.skip.0.or(Some(initial)), job.skip.1);
                (options.skip_initial, options.skip_max) =
                    strategy::ClassicOptions::skip_sizes(begin.size, given, job.sector.into());
                options.edition = strategy::Edition::Gnu1_30;
            }
            return Ok(Box::new(strategy::Classic::new(options)));
        }
        (self.entry.make)(&ground, &self.settings)
            .map_err(|unfit| format!("--strategy={}: {unfit}", self.name()))
    }
}

/// What a job and its source mean to a strategy.
pub(super) fn ground_of<S>(
    job: &Job,
    begin: &Start<S>,
    is_direct: bool,
    has_block: bool,
    resume: Option<Position>,
) -> Ground {
    Ground {
        sector: job.sector.into(),
        block: has_block.then_some(job.cluster),
        size: begin.size,
        direction: if job.reverse { Direction::Backwards } else { Direction::Forwards },
        retries: job.retries,
        is_direct,
        resume,
    }
}

/// The choice that an option makes, if it is one of the strategy's.
fn choice_of(id: Id) -> Option<Choice> {
    Some(match id {
        Id::ClusterSize => Choice::Block,
        Id::Reverse => Choice::Direction,
        Id::RetryPasses => Choice::Retries,
        Id::Cpass
        | Id::SkipSize
        | Id::NoScrape
        | Id::NoTrim
        | Id::Unidirectional
        | Id::MinReadRate
        | Id::DelaySlow
        | Id::ResetSlow
        | Id::MaxSlowReads => Choice::Gnu,
        _ => return None,
    })
}

fn unknown(name: &str) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase());
    let mut alike: Vec<&str> =
        STRATEGIES.iter().map(|entry| entry.name).filter(|known| likeness(known) >= LIKENESS_MIN).collect();
    alike.sort_by(|one, other| likeness(other).total_cmp(&likeness(one)));
    let advice = match alike.as_slice() {
        [] => {
            format!("known are {}", STRATEGIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", "))
        }
        alike => format!("did you mean {}?", alike.join(" or ")),
    };
    format!("--strategy={name}: there is no such strategy; {advice}")
}
