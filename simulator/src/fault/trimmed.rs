//! What was never written or was trimmed: zeros, at once, without the medium.
//!
//! Owns where it lies. Must not know media.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::flash_retention::shares;
use super::{Fault, Opening, checks};
use crate::law::{Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Stretches that hold nothing.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Trimmed {
    /// Where, as shares of the disk: from and to.
    pub region: [f64; 2],
    /// Share of the region that holds nothing.
    pub share: f64,
    /// Mean length of a stretch.
    pub extent: Bytes,
    /// Time of an answer.
    pub time: Time,
}

impl Default for Trimmed {
    fn default() -> Trimmed {
        Trimmed { region: [0.0, 1.0], share: 0.3, extent: Bytes(64 << 20), time: Time(Nanos::new(30_000)) }
    }
}

impl NamedFault for Trimmed {
    const KIND: &'static str = "trimmed";
}

impl FaultSpec for Trimmed {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::shares("region", "the disk", self.region)?;
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(format!("share {} is not above 0 and at most 1", self.share));
        }
        if self.extent.0 < u64::from(medium.shape().physical) {
            return Err(format!("extent {} is less than a sector", self.extent));
        }
        checks::pieces(self.region, self.share, self.extent, medium)?;
        Ok(Box::new(Empty { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let extent = Bytes(((self.extent.0 as f64 * libm::sqrt(ratio)) as u64).max(64 << 10));
        Box::new(Trimmed { extent, ..self.clone() })
    }
}

struct Empty {
    spec: Trimmed,
}

impl Fault for Empty {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("trimmed");
        let law = opening.law(Law::new(Health::Zeros { time: spec.time.0 }, "trimmed"));
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        for sectors in shares(spec.region, spec.share, spec.extent, shape, &mut dice) {
            opening.lay(law, sectors.start.next_multiple_of(group)..sectors.end / group * group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::refusal;

    #[test]
    fn more_pieces_than_can_be_laid_are_refused() {
        let fault = "kind = \"trimmed\"\nextent = \"4 KiB\"\nshare = 0.5";
        let told = refusal_of_a_large_disk(fault);
        assert!(told.as_deref().is_some_and(|told| told.contains("more than 5 million pieces")), "{told:?}");
        assert_eq!(refusal_of_a_large_disk(&format!("{fault}\nregion = [0.0, 0.03]")), None);
        assert_eq!(refusal_of_a_large_disk("kind = \"trimmed\"\nextent = \"4 KiB\"\nshare = 1.0"), None);
        let retention = "kind = \"flash-retention\"\nextent = \"4 KiB\"\nshare = 0.5";
        let told = refusal_of_a_large_disk(retention);
        assert!(told.as_deref().is_some_and(|told| told.contains("more than 5 million pieces")), "{told:?}");
        assert!(refusal("kind = \"trimmed\"\nextent = \"512 B\"").contains("is less than a sector"));
    }

    /// What is told of a fault that cannot be on a drive of 1 TB.
    fn refusal_of_a_large_disk(fault: &str) -> Option<String> {
        let disk =
            "description = \"t\"\n[disk]\nmedium = \"flash\"\nprofile = \"ssd_128\"\nsize = \"1 TB\"\n";
        let text = format!("{disk}[[fault]]\n{fault}\n");
        crate::Scenario::parse("test", "test.toml", &text).err().map(|error| error.to_string())
    }
}
