//! Sectors that nobody should touch.
//!
//! Owns where they are. Must not know what else makes a drive hang.

use schemars::JsonSchema;
use serde::Deserialize;

use super::hang::hang_up;
use super::{Fault, Opening, checks};
use crate::disk::{Command, Drive, Served};
use crate::law::{Health, Law};
use crate::media::MediaModel;
use crate::scenario::Bytes;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Killer sectors: whoever reads one hangs the drive, each time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Killer {
    /// Positions in bytes.
    #[serde(default)]
    pub at: Vec<Bytes>,
    /// How many more at places drawn by chance.
    #[serde(default)]
    pub count: u32,
    /// Where those are, as shares of the disk: from and to.
    #[serde(default = "everywhere")]
    pub region: [f64; 2],
}

fn everywhere() -> [f64; 2] {
    [0.0, 1.0]
}

impl NamedFault for Killer {
    const KIND: &'static str = "killer";
}

impl FaultSpec for Killer {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let size = medium.shape().bytes();
        if let Some(beyond) = self.at.iter().find(|at| at.0 >= size) {
            return Err(format!("at has {beyond}; the disk ends at {}", Bytes(size)));
        }
        checks::count("count", f64::from(self.count))?;
        checks::shares("region", "the disk", self.region)?;
        if self.at.is_empty() && self.count == 0 {
            return Err("there is neither at, as in [\"1 GB\"], nor count".into());
        }
        Ok(Box::new(Killing { spec: self.clone(), law: 0 }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let at = self.at.iter().map(|at| Bytes((at.0 as f64 * ratio) as u64)).collect();
        let count = (f64::from(self.count) * libm::sqrt(ratio)) as u32;
        Box::new(Killer { at, count: count.max(self.count.min(2)), ..self.clone() })
    }
}

struct Killing {
    spec: Killer,
    law: usize,
}

impl Fault for Killing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.law = opening.law(Law::new(Health::Bad, "killer"));
        let shape = opening.shape();
        for at in &self.spec.at {
            let sector = at.0 / u64::from(shape.logical);
            opening.lay(self.law, sector..sector + 1);
        }
        let mut dice = opening.dice("killer");
        let [from, to] = self.spec.region;
        for _ in 0..self.spec.count {
            let sector = (dice.between(from, to) * shape.sectors as f64) as u64;
            opening.lay(self.law, sector..sector + 1);
        }
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        if served.failure.is_some_and(|failure| failure.law == self.law) {
            hang_up(served, drive);
        }
    }
}

#[cfg(test)]
mod tests {
    use block::Nanos;

    use super::super::testing::{disk, refusal};
    use crate::disk::{Answer, Command};

    #[test]
    fn it_hangs_the_drive_each_time_and_its_neighbours_do_not() {
        let mut disk = disk(&["kind = \"killer\"\nat = [\"1 MiB\"]"], 1);
        let mut now = Nanos::ZERO;
        for _ in 0..5 {
            let before = disk.serve(&Command { at: 2040, count: 8 }, now);
            assert_eq!(before.answer, Answer::Done);
            assert_eq!(disk.serve(&Command { at: 2040, count: 16 }, before.done).answer, Answer::Silent);
            assert_eq!(disk.serve(&Command { at: 0, count: 8 }, before.done).answer, Answer::Silent);
            now = disk.power_cycle(before.done);
        }
        assert_eq!(disk.serve(&Command { at: 2056, count: 8 }, now).answer, Answer::Done);
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"killer\"").contains("neither at"));
        assert!(refusal("kind = \"killer\"\nat = [\"64 MiB\"]").contains("the disk ends at 64 MiB"));
    }
}
