//! What is told before and after a rescue, as text or as JSON.
//!
//! Owns these words. Must not know what is shown while it runs.

use std::io::Write;

use block::device::DeviceInfo;
use engine::Ending;
use map::Status;
use serde_json::json;

use super::Summary;
use super::failure::{Failure, chain};
use super::json;
use super::network;
use super::operator::Person;
use super::origin::Origin;
use super::simulated::Verdict;
use super::wanted::{Display, Wanted};
use crate::personality::ddrescue::start::Start;
use crate::personality::number;

/// Prints what was asked for.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A closed pipe is the reader's choice.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::system(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says something to whoever looks on.
fn say(text: &str) {
    // Nobody is left to be told when standard error is gone, and a rescue does not end for that.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Wanted {
    /// Says something that whoever looks on should know.
    pub(super) fn tell(&self, text: &str) {
        if matches!(self.display, Display::Plain | Display::Live) {
            say(text);
        }
    }

    /// Says what is about to happen.
    pub(super) fn announce(&self, info: &DeviceInfo, begin: &Start<Origin>) {
        let is_direct = self.is_direct(info);
        let book = &begin.book;
        let map = self.map.as_ref().map(|path| path.to_string_lossy().into_owned());
        if self.display == Display::Json {
            let mut line = json!({
                "event": "start",
                "version": env!("CARGO_PKG_VERSION"),
                "source": self.source.to_string_lossy(),
                "source_identity": info.identity().map(|identity| identity.to_string()),
                "destination": self.destination_name().to_string_lossy(),
                "map": map,
                "resumed": begin.map_exists,
                "size_bytes": begin.size,
                "domain_bytes": book.domain_bytes(),
                "rescued_bytes": book.bytes(Status::Finished),
                "sector_bytes": self.job.sector,
                "direct": is_direct,
            });
            if let Some(export) = begin.source.network() {
                line["nbd"] = network::facts(export);
            }
            json::write(&line);
            return;
        }
        if self.display == Display::Quiet {
            return;
        }
        let bytes = |count| format!("{}B", number::size(count, self.job.prefixes));
        let size = begin.size.or(info.size).map_or("unknown size".into(), bytes);
        let how = match begin.source.network() {
            Some(export) => network::how(export),
            None if is_direct => "past the page cache",
            None => "through the page cache",
        };
        let mut text = format!(
            "diskwright {}: rescuing {} ({size}, sectors of {} bytes, read {how}) into {}\n",
            env!("CARGO_PKG_VERSION"),
            self.source.display(),
            self.job.sector,
            self.destination_name().display(),
        );
        if let Some(export) = begin.source.network() {
            text.push_str(&format!("{}\n", network::sentence(export)));
        }
        if let Some(map) = &map {
            let why = if self.map_is_named { "" } else { " (none was named)" };
            let state = if begin.map_exists { "goes on from" } else { "is kept in" };
            text.push_str(&format!("The rescue {state} the map {map}{why}.\n"));
        }
        if begin.map_exists {
            let done = bytes(book.bytes(Status::Finished));
            let left = bytes(book.domain_bytes() - book.bytes(Status::Finished));
            text.push_str(&format!("Earlier runs rescued {done}; {left} are left.\n"));
        }
        say(&text);
    }

    /// What a rescue made of a simulated disk, held against the truth.
    fn judgement(&self, verdict: &Verdict) -> String {
        let bytes = |count| format!("{}B", number::size(count, self.job.prefixes));
        let wrong = match verdict.wrong_bytes {
            0 => "every rescued byte is the disk's".into(),
            count => format!("{} of what was rescued are not the disk's bytes", bytes(count)),
        };
        let hours = verdict.virtual_time.whole_secs() as i64;
        format!(
            "The simulated disk took {} of its time. {} could have been rescued; {wrong}.\n\
             Seed {}, fingerprint {}.\n",
            number::duration(hours, number::Precision::High),
            bytes(verdict.recoverable_bytes),
            verdict.seed,
            verdict.fingerprint,
        )
    }

    /// Says how it ended.
    pub(super) fn conclude(
        &self,
        summary: &Summary<'_>,
        person: &Person,
        verdict: Option<&Verdict>,
        code: u8,
    ) {
        let trouble = match summary.ending {
            Ending::Failed(trouble) => Some(chain(trouble)),
            _ => None,
        };
        if self.display == Display::Json {
            let book = summary.book;
            let mut line = json!({
                "event": "end",
                "rescued_bytes": book.bytes(Status::Finished),
                "domain_bytes": book.domain_bytes(),
                "bad_sector_bytes": book.bytes(Status::BadSector),
                "failed_bytes": book.failed_bytes(),
                "non_tried_bytes": book.bytes(Status::NonTried),
                "bad_areas": book.bad_areas(),
                "failed_reads": summary.tracker.failed_reads,
                "reads_left_behind": summary.tracker.reads_left_behind,
                "longest_read_ms": summary.tracker.longest_read.nanoseconds() / 1_000_000,
                "ending": match summary.ending {
                    Ending::Finished => "finished",
                    Ending::Limits(_) => "limit",
                    Ending::Interrupted => "interrupted",
                    Ending::Failed(_) => "failed",
                },
                "error": trouble,
                "emergency_map": person.emergency.as_ref().map(|path| path.to_string_lossy()),
                "exit": code,
            });
            if let Some(verdict) = verdict {
                line["recoverable_bytes"] = verdict.recoverable_bytes.into();
                line["wrong_bytes"] = verdict.wrong_bytes.into();
                line["virtual_seconds"] = (verdict.virtual_time.nanoseconds() as f64 / 1e9).into();
                line["seed"] = verdict.seed.into();
                line["fingerprint"] = verdict.fingerprint.clone().into();
            }
            json::write(&line);
            return;
        }
        if let Some(trouble) = trouble {
            say(&format!("diskwright rescue: {trouble}\n"));
        }
        if let Some(path) = &person.emergency {
            say(&format!(
                "The map was saved in {} instead: copy it to its place before you go on.\n",
                path.display()
            ));
        }
        if self.display != Display::Quiet {
            summary.lines().iter().for_each(|line| say(&format!("{line}\n")));
            verdict.iter().for_each(|verdict| say(&self.judgement(verdict)));
        }
    }
}
