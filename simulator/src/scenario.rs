//! A disk and what happened to it, as text that a person can read.
//!
//! Owns the border between TOML and simulated disks: what a scenario may say is checked here, once, and trusted after.
//! Must not know how a fault works, nor where scenarios are kept.

use std::path::Path;
use std::sync::Arc;

use block::{ByteRange, Nanos, Offset, RangeSet, VirtualClock};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::content::Content;
use crate::disk::SimDisk;
use crate::media::uniform::Uniform;
use crate::replay::Replay;
use crate::scenario::medium::NamedMedium as _;
use crate::source::{Pace, SimSource};
use crate::system::{Access, System, SystemOptions};
use crate::truth;
use crate::unit::LogicalUnit;

pub mod address;
pub mod error;
pub mod kind;
pub mod library;
pub mod medium;
pub mod quantity;
pub mod schema;

pub use error::ScenarioError;
use error::Wrong;
pub use kind::{FaultEntry, FaultKind, FaultSpec, ReadFile};
pub use medium::{Healthy, MediumKind, MediumSpec};
pub use quantity::{Bytes, Seed, Time};

/// A scenario: everything that a disk needs but a seed of somebody's choice.
#[derive(Debug)]
pub struct Scenario {
    /// What it is called; the file's name without its ending.
    pub name: String,
    /// What it says of itself.
    pub head: Head,
    /// How the system treats the drive.
    pub connection: Connection,
    /// What the disk holds.
    pub content: ContentSpec,
    /// How to rescue it.
    pub rescue: RescueAdvice,
    /// What a rescue brings.
    pub expect: Expectation,
    /// What is different on its small twin.
    pub small: Small,
    /// Whether this is a small twin.
    pub is_small: bool,
    /// The healthy drive.
    pub medium: Box<dyn MediumSpec>,
    /// What scenarios call it.
    pub medium_name: &'static str,
    /// A recorded drive that answers in its place.
    pub replay: Option<Spanned<Replay>>,
    /// What is wrong with it.
    pub faults: Vec<FaultEntry>,
    /// SHA-256 over all that makes a difference: not names, descriptions, expectations.
    pub digest: [u8; 32],
    /// Where it was read from, and its text, for messages.
    origin: (String, String),
}

impl Scenario {
    /// The folder from which relative names in the scenario are looked up.
    pub fn folder(&self) -> &Path {
        folder_of(&self.origin.0)
    }
}

/// What a scenario says of itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Head {
    /// What happened to this disk and why it is hard.
    pub description: String,
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Seed unless another one is chosen; 0 to 2^63 - 1.
    #[serde(default)]
    pub seed: Seed,
    /// When the simulation ends.
    #[serde(default = "default_horizon")]
    pub horizon: Time,
    /// Whether the disk may be written to. What is written stays in memory.
    #[serde(default)]
    pub writable: bool,
}

fn default_horizon() -> Time {
    Time(Nanos::from_secs(72 * 3600))
}

/// `[connection]`: how the operating system treats the drive.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Connection {
    /// Which way reads take: raw, direct (the default) or buffered.
    pub access: Option<Access>,
    /// How long a command may take before the system resets the drive.
    pub timeout: Option<Time>,
    /// How often a command without an answer is tried again.
    pub retries: Option<u32>,
    /// Largest command.
    pub command_max: Option<Bytes>,
}

/// `[content]`: what the disk holds. Computed bytes unless an image is named.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ContentSpec {
    /// An image; a relative name is looked up from the scenario's folder.
    pub image: Option<String>,
    /// What lies where the image has holes and behind its end: zeros (the default) or computed bytes.
    pub elsewhere: Elsewhere,
}

/// What lies where an image holds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Elsewhere {
    /// Zeros.
    #[default]
    Zeros,
    /// Bytes computed from the seed.
    Computed,
}

/// `[rescue]`: options that suit this disk, given to a rescue that has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RescueAdvice {
    /// Words as on the command line of `diskwright rescue`.
    pub options: Vec<String>,
}

/// What a scenario may advise: how a disk is read. Which files are written, and over what, only a person decides.
const ADVICE: [&str; 31] = [
    "--binary-prefixes",
    "--buffered",
    "--check-every",
    "--check-on-error",
    "--cluster-size",
    "--cpass",
    "--delay-slow",
    "--idirect",
    "--input-position",
    "--max-bad-areas",
    "--max-error-rate",
    "--max-read-errors",
    "--max-read-rate",
    "--max-slow-reads",
    "--min-read-rate",
    "--no-scrape",
    "--no-trim",
    "--pause-on-error",
    "--pause-on-pass",
    "--read-timeout",
    "--reopen-on-error",
    "--reset-slow",
    "--retrim",
    "--retry-passes",
    "--reverse",
    "--sector-size",
    "--size",
    "--skip-size",
    "--timeout",
    "--unidirectional",
    "--wait-for-device",
];

/// `[expect]`: what a rescue with these options and the scenario's own seed brings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// Bytes rescued.
    pub rescued_bytes: Option<u64>,
    /// Why that is less than what could be rescued, if it is.
    pub because: Option<String>,
}

/// `[small]`: what is different on the small twin, which has the same faults on a disk of at most 256 MiB.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Small {
    /// Its size, at most 256 MiB; that if not given.
    pub size: Option<Bytes>,
    /// What a rescue of it brings.
    pub expect: Expectation,
    /// How to rescue it, if not as the large one.
    pub rescue: Option<RescueAdvice>,
}

/// Largest size of a small twin, in bytes.
pub const SMALL_MAX: u64 = 256 << 20;

/// Keys at the top.
const HEAD: [&str; 5] = ["description", "aliases", "seed", "horizon", "writable"];

/// Sections below them.
const SECTIONS: [&str; 8] = ["disk", "replay", "connection", "content", "rescue", "expect", "fault", "small"];

impl Scenario {
    /// Reads a scenario and makes sure that its disk can be built. `origin` is its file's name, for messages.
    pub fn parse(name: &str, origin: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse_with(name, origin, text, &library::file)
    }

    /// The same, where `read` reads the files that faults name.
    pub fn parse_with(
        name: &str,
        origin: &str,
        text: &str,
        read: ReadFile<'_>,
    ) -> Result<Scenario, ScenarioError> {
        let scenario = Scenario::read(name, origin, text, read)?;
        // Whatever cannot be built is found now, with its place.
        scenario.disk(scenario.seed())?;
        scenario.content(scenario.seed())?;
        scenario.check_numbers()?;
        Ok(scenario)
    }

    /// Reads a scenario whose disk is known to be possible, or is about to be built anyway: building a large one takes
    /// longer than reading.
    pub fn parse_unbuilt(name: &str, origin: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::read(name, origin, text, &library::file)
    }

    fn read(name: &str, origin: &str, text: &str, read: ReadFile<'_>) -> Result<Scenario, ScenarioError> {
        let wrong = |span, text_of: String| ScenarioError::at(origin, text, span, text_of);
        let by_part = |part: Wrong| wrong(part.span, part.reason);
        let by_toml = |error: toml::de::Error| by_part(error.into());
        let mut table = DeTable::parse(text).map_err(by_toml)?;
        let mut digest = digest_of(table.get_ref());
        let mut sections = Sections::take(table.get_mut());
        let known = HEAD.iter().chain(&SECTIONS);
        if let Some(key) = table.get_ref().keys().find(|key| !HEAD.contains(&key.get_ref().as_ref())) {
            let meant = error::nearest(key.get_ref(), known.clone());
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
            let known = known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            let reason = format!("unknown key `{}`, expected one of {known}{meant}", key.get_ref());
            return Err(wrong(Some(key.span()), reason));
        }
        let head_span = table.span();
        let head = Head::deserialize(ValueDeserializer::from(Spanned::new(
            head_span,
            DeValue::Table(std::mem::take(table.get_mut())),
        )))
        .map_err(by_toml)?;
        let mut replay = None;
        if let Some(value) = sections.one("replay") {
            let span = value.span();
            let mut found = Replay::deserialize(ValueDeserializer::from(value)).map_err(by_toml)?;
            let bytes = found.load(folder_of(origin)).map_err(|reason| wrong(Some(span.clone()), reason))?;
            digest = digest_with(digest, &bytes);
            replay = Some(Spanned::new(span, found));
        }
        let (disk_span, (medium_name, medium)) = match (sections.one("disk"), &replay) {
            (Some(disk), _) => (disk.span(), medium::parse(disk).map_err(by_part)?),
            (None, Some(replay)) => {
                let medium = replay.get_ref().medium();
                let medium = medium.map_err(|reason| wrong(Some(replay.span()), reason))?;
                (replay.span(), (Uniform::MEDIUM, medium))
            }
            (None, None) => {
                let reason =
                    "there is no [disk]; it names the medium and its class, as in medium = \"hard-disk\"";
                return Err(wrong(None, reason.into()));
            }
        };
        let mut faults = Vec::new();
        for fault in sections
            .many("fault")
            .map_err(|span| wrong(Some(span), "faults are written as [[fault]], each with its kind".into()))?
        {
            let mut fault = kind::parse(fault).map_err(by_part)?;
            let loaded = fault.spec.load(folder_of(origin), read);
            let bytes = loaded.map_err(|reason| wrong(Some(fault.span.clone()), reason))?;
            digest = digest_with(digest, &bytes);
            faults.push(fault);
        }
        let scenario = Scenario {
            name: name.to_owned(),
            head,
            connection: sections.section("connection").map_err(by_toml)?,
            content: sections.section("content").map_err(by_toml)?,
            rescue: sections.section("rescue").map_err(by_toml)?,
            expect: sections.section("expect").map_err(by_toml)?,
            small: sections.section("small").map_err(by_toml)?,
            is_small: false,
            medium,
            medium_name,
            replay,
            faults,
            digest,
            origin: (origin.to_owned(), text.to_owned()),
        };
        scenario.medium.check().map_err(|reason| wrong(Some(disk_span), reason))?;
        Ok(scenario)
    }

    /// Seed of this scenario unless another one is chosen.
    pub fn seed(&self) -> u64 {
        self.head.seed.0
    }

    /// The small twin: the same faults on a disk of at most 256 MiB. `None` if this disk is not larger than that.
    pub fn small(self) -> Option<Result<Scenario, ScenarioError>> {
        let small = self.small_unbuilt()?;
        Some(small.disk(small.seed()).map(|_| small))
    }

    /// The same, without making sure that it can be built.
    pub fn small_unbuilt(self) -> Option<Scenario> {
        let bytes = self.medium.bytes();
        // A recording is of one drive, and of no smaller one.
        if bytes <= SMALL_MAX || self.replay.is_some() {
            return None;
        }
        let medium = self.medium.shrunk(self.small.size.map_or(SMALL_MAX, |size| size.0.min(SMALL_MAX)));
        let ratio = medium.bytes() as f64 / bytes as f64;
        let faults = self.faults.iter().map(|fault| fault.scaled(ratio)).collect();
        let mut digest = self.digest;
        digest[0] ^= 1;
        Some(Scenario {
            name: format!("{}-small", self.name),
            head: Head {
                aliases: self.head.aliases.iter().map(|alias| format!("{alias}-small")).collect(),
                ..self.head
            },
            rescue: self.small.rescue.clone().unwrap_or(self.rescue),
            expect: self.small.expect.clone(),
            is_small: true,
            faults,
            medium,
            digest,
            ..self
        })
    }

    /// Refuses what cannot be, or what a scenario may not decide.
    fn check_numbers(&self) -> Result<(), ScenarioError> {
        let (origin, text) = (&self.origin.0, &self.origin.1);
        let wrong = |reason: String| Err(ScenarioError::at(origin, text, None, reason));
        if let Some(bytes) = self.connection.command_max
            && (bytes.0 < 4096 || !bytes.0.is_multiple_of(4096))
        {
            return wrong(format!("[connection] command-max {bytes} is not a multiple of 4096 bytes"));
        }
        if let Some(size) = self.small.size
            && size.0 > SMALL_MAX
        {
            return wrong(format!("[small] size {size} is more than 256 MiB"));
        }
        let bytes = self.medium.bytes();
        if self.expect.rescued_bytes.is_some_and(|rescued| rescued > bytes) {
            return wrong(format!("[expect] rescued_bytes is more than the disk has: {bytes}"));
        }
        let options = self.rescue.options.iter().chain(self.small.rescue.iter().flat_map(|r| &r.options));
        for option in options {
            let name = option.split('=').next().unwrap_or_default();
            if !ADVICE.contains(&name) {
                return wrong(format!(
                    "[rescue] option {option:?} is none that a scenario may give; these are {}",
                    ADVICE.join(" ")
                ));
            }
        }
        Ok(())
    }

    /// Whether some of its faults deliver wrong bytes as good ones.
    pub fn delivers_garbage(&self) -> bool {
        self.faults.iter().any(|fault| fault.spec.delivers_garbage())
    }

    /// Kinds of its faults whose doing depends on what was read before.
    pub fn hazards(&self, seed: u64) -> Result<Vec<&'static str>, ScenarioError> {
        let healthy = self.medium.build(seed).medium;
        let mut kinds = Vec::new();
        for fault in &self.faults {
            let built = fault.spec.build(&*healthy);
            let built = built.map_err(|reason| {
                ScenarioError::at(&self.origin.0, &self.origin.1, Some(fault.span.clone()), reason)
            })?;
            if built.is_hazard() && !kinds.contains(&fault.kind) {
                kinds.push(fault.kind);
            }
        }
        Ok(kinds)
    }

    /// Bytes that no rescue can bring, even with a thousand tries a sector: hazards, hangs and death are left out.
    pub fn lost(&self, seed: u64) -> Result<RangeSet, ScenarioError> {
        let mut disk = self.disk(seed)?;
        let whole = ByteRange::new(Offset::ZERO, disk.shape().bytes());
        Ok(truth::lost(&mut disk, &whole.into()))
    }

    /// The same of a part of the disk. Weak sectors elsewhere are not asked, of which there may be millions.
    pub fn lost_within(&self, seed: u64, domain: &RangeSet) -> Result<RangeSet, ScenarioError> {
        Ok(truth::lost(&mut self.disk(seed)?, domain))
    }

    /// Builds the drive.
    pub fn disk(&self, seed: u64) -> Result<SimDisk, ScenarioError> {
        let healthy = self.medium.build(seed);
        let (origin, text) = (&self.origin.0, &self.origin.1);
        let wrong = |span, reason| ScenarioError::at(origin, text, Some(span), reason);
        let mut faults = Vec::new();
        if let Some(replay) = &self.replay {
            let built = replay.get_ref().build(healthy.medium.shape());
            faults.push(built.map_err(|reason| wrong(replay.span(), reason))?);
        }
        for fault in &self.faults {
            let built = fault.spec.build(&*healthy.medium);
            faults.push(built.map_err(|reason| wrong(fault.span.clone(), reason))?);
        }
        let mut disk = SimDisk::new(healthy.medium, faults, seed, healthy.conditions, self.head.horizon.0);
        if self.head.writable {
            disk.allow_writing();
        }
        Ok(disk)
    }

    /// Options of the operating system.
    pub fn system_options(&self, access: Option<Access>) -> SystemOptions {
        let usual = match self.replay {
            None => SystemOptions { access: Access::Direct, ..self.medium.system() },
            // The recording holds what the system made of the drive: nothing is to be added to that.
            Some(_) => SystemOptions {
                access: Access::Raw,
                timeout: Nanos::NEVER,
                command_max: 1 << 30,
                ..self.medium.system()
            },
        };
        SystemOptions {
            access: access.or(self.connection.access).unwrap_or(usual.access),
            timeout: self.connection.timeout.map_or(usual.timeout, |time| time.0),
            retries: self.connection.retries.unwrap_or(usual.retries),
            command_max: self.connection.command_max.map_or(usual.command_max, |bytes| bytes.0),
        }
    }

    /// Opens what the disk holds.
    pub fn content(&self, seed: u64) -> Result<Content, ScenarioError> {
        let Some(image) = &self.content.image else { return Ok(Content::Computed { seed }) };
        let path = self.folder().join(image);
        let elsewhere = match self.content.elsewhere {
            Elsewhere::Zeros => None,
            Elsewhere::Computed => Some(seed),
        };
        Content::image(&path, elsewhere).map_err(|e| {
            let (origin, text) = (&self.origin.0, &self.origin.1);
            let reason = format!("[content] image {}: {e}", path.display());
            ScenarioError::at(origin, text, None, reason)
        })
    }

    /// Builds the disk as a source.
    pub fn source(
        &self,
        seed: u64,
        access: Option<Access>,
        clock: Arc<VirtualClock>,
        pace: Pace,
    ) -> Result<SimSource, ScenarioError> {
        Ok(SimSource::new(self.unit(seed, access)?, clock, pace))
    }

    /// Builds the disk with its system and its bytes.
    pub fn unit(&self, seed: u64, access: Option<Access>) -> Result<LogicalUnit, ScenarioError> {
        let disk = self.disk(seed)?;
        let system = System::new(disk, self.system_options(access), seed);
        let content = self.content(seed)?;
        Ok(LogicalUnit::new(self.name.clone().into(), system, content))
    }
}

/// The sections of a scenario, cut out of its table.
struct Sections<'t> {
    found: Vec<(String, Spanned<DeValue<'t>>)>,
}

impl<'t> Sections<'t> {
    fn take(table: &mut DeTable<'t>) -> Sections<'t> {
        let names: Vec<_> =
            table.keys().filter(|key| SECTIONS.contains(&key.get_ref().as_ref())).cloned().collect();
        let mut found = Vec::new();
        for name in names {
            if let Some(value) = table.remove(&name) {
                found.push((name.get_ref().to_string(), value));
            }
        }
        Sections { found }
    }

    fn one(&mut self, name: &str) -> Option<Spanned<DeValue<'t>>> {
        let index = self.found.iter().position(|(found, _)| found == name)?;
        Some(self.found.remove(index).1)
    }

    fn section<T: Default + for<'d> Deserialize<'d>>(&mut self, name: &str) -> Result<T, toml::de::Error> {
        self.one(name).map_or(Ok(T::default()), |value| T::deserialize(ValueDeserializer::from(value)))
    }

    /// The tables of an array; the error is the span of what is not one.
    fn many(&mut self, name: &str) -> Result<Vec<Spanned<DeValue<'t>>>, std::ops::Range<usize>> {
        let Some(value) = self.one(name) else { return Ok(Vec::new()) };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(values) => Ok(values.into_iter().collect()),
            _ => Err(span),
        }
    }
}

/// The folder of a scenario's file.
fn folder_of(origin: &str) -> &Path {
    Path::new(origin).parent().unwrap_or(Path::new(""))
}

/// A digest that also covers `bytes`; the same if there are none.
fn digest_with(digest: [u8; 32], bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    if bytes.is_empty() {
        digest
    } else {
        Sha256::new_with_prefix(digest).chain_update(bytes).finalize().into()
    }
}

/// SHA-256 over what makes a difference, keys in order.
fn digest_of(table: &DeTable<'_>) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (key, value) in table.iter() {
        if !matches!(key.get_ref().as_ref(), "description" | "aliases" | "seed" | "expect" | "small") {
            hash.update(format!("{}={};", key.get_ref(), canonical(value.get_ref())));
        }
    }
    hash.finalize().into()
}

fn canonical(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Table(table) => {
            let inside = table.iter().map(|(k, v)| format!("{}={};", k.get_ref(), canonical(v.get_ref())));
            format!("{{{}}}", inside.collect::<String>())
        }
        DeValue::Array(values) => {
            format!("[{}]", values.iter().map(|v| canonical(v.get_ref()) + ",").collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        other => format!("{other:?}"),
    }
}
