//! Erase blocks that are gone as a whole, as sticks and cards lose them.
//!
//! Owns where they lie. Must not know drives.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{FailureTime, Health, Ladder, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Bad erase blocks.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlashBlock {
    /// How many, anywhere on the drive.
    #[serde(default)]
    pub count: u64,
    /// Blocks at these bytes, besides.
    #[serde(default)]
    pub at: Vec<Bytes>,
    /// Size of a block, and what it is aligned to.
    #[serde(default = "block")]
    pub size: Bytes,
    /// Density of the chance that one level of the retry ladder brings a codeword, if some answer: two parameters.
    pub chance: Option<[f64; 2]>,
    /// How long a failure takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

fn block() -> Bytes {
    Bytes(256 << 10)
}

impl NamedFault for FlashBlock {
    const KIND: &'static str = "flash-block";
}

impl FaultSpec for FlashBlock {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::flash("flash-block", medium)?;
        let shape = medium.shape();
        if self.size.0 == 0 || !self.size.0.is_multiple_of(u64::from(shape.physical)) {
            return Err(format!(
                "size {} is not a whole number of codewords of {} bytes",
                self.size, shape.physical
            ));
        }
        checks::size("size", self.size)?;
        if self.count > shape.bytes() / self.size.0 {
            let blocks = shape.bytes() / self.size.0;
            return Err(format!("{} blocks; this drive has {blocks} of {}", self.count, self.size));
        }
        if let Some(at) = self.at.iter().find(|at| at.0 >= shape.bytes()) {
            return Err(format!("there is no block at {at}: the drive has {} bytes", shape.bytes()));
        }
        self.chance.map_or(Ok(()), |chance| checks::odds("chance", chance))?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Blocks { spec: self.clone(), failure: checks::failure(self.failure_time) }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let size = Bytes(self.size.0.clamp(4096, 64 << 10));
        let at = self.at.iter().map(|at| Bytes((at.0 as f64 * ratio) as u64)).collect();
        Box::new(FlashBlock { size, at, ..self.clone() })
    }
}

struct Blocks {
    spec: FlashBlock,
    failure: FailureTime,
}

impl Fault for Blocks {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let shape = opening.shape();
        let mut dice = opening.dice("flash blocks");
        let step = opening.medium.turn();
        let health = self.spec.chance.map_or(Health::Bad, |chance| Health::Ladder(Ladder::new(chance, step)));
        let law = opening.law(Law { failure: self.failure.clone(), ..Law::new(health, "flash-block") });
        let block = self.spec.size.0 / u64::from(shape.logical);
        let blocks = shape.sectors / block;
        let mut bad: Vec<u64> = self.spec.at.iter().map(|at| at.0 / self.spec.size.0).collect();
        while bad.len() < self.spec.at.len() + self.spec.count as usize {
            let drawn = dice.below(blocks);
            if !bad.contains(&drawn) {
                bad.push(drawn);
            } else if bad.len() as u64 >= blocks {
                break;
            }
        }
        for number in bad {
            opening.lay(law, number * block..(number + 1) * block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::flash::{Flash, Profile};

    #[test]
    fn whole_aligned_blocks_are_bad_and_as_many_as_told() {
        let medium = Flash::new(Profile::named("usb_stick_8").unwrap(), 3);
        let spec = FlashBlock {
            count: 5,
            at: vec![Bytes(1_000_000)],
            size: Bytes(256 << 10),
            chance: None,
            failure_time: None,
        };
        let mut fault = spec.build(&medium).unwrap();
        let (mut laws, mut stretches) = (Vec::new(), Vec::new());
        fault.lay(&mut Opening {
            medium: &medium,
            seed: 3,
            number: 0,
            laws: &mut laws,
            stretches: &mut stretches,
            health: &mut crate::disk::HealthLog::default(),
        });
        assert_eq!(stretches.len(), 6);
        assert_eq!(stretches[0].sectors, 1536..2048);
        assert!(
            stretches.iter().all(|s| s.sectors.start % 512 == 0 && s.sectors.end - s.sectors.start == 512)
        );
        let wrong = FlashBlock { size: Bytes(1000), ..spec };
        assert!(wrong.build(&medium).err().unwrap().contains("size 1 kB is not a whole number of codewords"));
    }
}
