//! Sectors that a drive refuses to read as data: audio, or protected ones.
//!
//! Owns where they lie. Must not know media.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{ErrorClass, FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// A session or file that is refused at once, each time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Protected {
    /// Where it begins.
    #[serde(default = "beginning")]
    pub from: Bytes,
    /// Where it ends.
    pub to: Bytes,
    /// Time of a refusal, from and to.
    #[serde(default = "at_once")]
    pub failure_time: [Time; 2],
    /// What the drive says.
    #[serde(default = "illegal_mode")]
    pub class: ErrorClass,
}

fn beginning() -> Bytes {
    Bytes(0)
}

fn at_once() -> [Time; 2] {
    [Time(Nanos::from_millis(1)), Time(Nanos::from_millis(20))]
}

fn illegal_mode() -> ErrorClass {
    ErrorClass::IllegalMode
}

impl NamedFault for Protected {
    const KIND: &'static str = "protected";
}

impl FaultSpec for Protected {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let bytes = medium.shape().bytes();
        if self.from >= self.to || self.to.0 > bytes {
            return Err(format!("from {} to {} does not lie on a disk of {bytes} bytes", self.from, self.to));
        }
        checks::times("failure-time", self.failure_time)?;
        let failure = checks::failure(Some(self.failure_time));
        Ok(Box::new(Refused { spec: self.clone(), failure }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let smaller = |bytes: Bytes| Bytes((bytes.0 as f64 * ratio) as u64);
        Box::new(Protected { from: smaller(self.from), to: smaller(self.to), ..self.clone() })
    }
}

struct Refused {
    spec: Protected,
    failure: FailureTime,
}

impl Fault for Refused {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let law = Law {
            failure: self.failure.clone(),
            class: self.spec.class,
            ..Law::new(Health::Bad, "protected")
        };
        let law = opening.law(law);
        let logical = u64::from(opening.shape().logical);
        opening.lay(law, self.spec.from.0 / logical..self.spec.to.0.div_ceil(logical));
    }
}
