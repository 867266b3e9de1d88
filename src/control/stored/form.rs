//! Words and small parts of what is kept, and the way between them and the model's.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::control::record::Written;
use crate::health::Penalty;
use crate::health::damping::PENALTY_MAX;
use crate::model::Admin;
use crate::model::Family;
use crate::model::TargetKey;
use crate::model::Verdict;

/// Milliseconds of a duration or an instant.
pub(super) fn instant_ms(instant: Duration) -> u64 {
    u64::try_from(instant.as_millis()).unwrap_or(u64::MAX)
}

/// Makes a mirror of an enum without fields.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $of:ident { $($(#[$word_doc:meta])* $word:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl From<$of> for $name {
            fn from(word: $of) -> Self {
                match word { $($of::$word => Self::$word),+ }
            }
        }

        impl From<$name> for $of {
            fn from(word: $name) -> Self {
                match word { $($name::$word => Self::$word),+ }
            }
        }
    };
}

words!(
    /// A verdict.
    VerdictForm of Verdict {
        /// `unknown`
        Unknown,
        /// `up`
        Up,
        /// `held`
        Held,
        /// `down`
        Down,
    }
);
words!(
    /// What an order says.
    AdminForm of Admin {
        /// `enabled`
        Enabled,
        /// `drained`
        Drained,
        /// `disabled`
        Disabled,
        /// `forcedup`
        ForcedUp,
        /// `forceddown`
        ForcedDown,
    }
);

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FamilyForm {
    /// IPv4.
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6.
    #[serde(rename = "ipv6")]
    V6,
}

impl From<Family> for FamilyForm {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

impl From<FamilyForm> for Family {
    fn from(family: FamilyForm) -> Self {
        match family {
            FamilyForm::V4 => Self::V4,
            FamilyForm::V6 => Self::V6,
        }
    }
}

/// Names a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetForm {
    /// `pool/endpoint`
    pub endpoint: Box<str>,
    /// Name of the check.
    pub check: Box<str>,
    /// Which address of the endpoint.
    pub family: FamilyForm,
    /// The address itself, if the endpoint is a name.
    pub address: Option<IpAddr>,
}

impl From<&TargetKey> for TargetForm {
    fn from(TargetKey { endpoint, check, family, address }: &TargetKey) -> Self {
        let (endpoint, check) = ((**endpoint).into(), (**check).into());
        Self { endpoint, check, family: (*family).into(), address: *address }
    }
}

impl From<&TargetForm> for TargetKey {
    fn from(TargetForm { endpoint, check, family, address }: &TargetForm) -> Self {
        let (endpoint, check) = ((**endpoint).into(), (**check).into());
        Self { endpoint, check, family: (*family).into(), address: *address }
    }
}

/// The penalty for flaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlapsForm {
    /// How high it is.
    pub thousandths: u32,
    /// Whether it holds the target back.
    #[serde(default)]
    pub damped: bool,
}

impl FlapsForm {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Penalty> for FlapsForm {
    fn from(Penalty { value, is_suppressed }: Penalty) -> Self {
        Self { thousandths: (value * 1000.0).round() as u32, damped: is_suppressed }
    }
}

impl From<FlapsForm> for Penalty {
    fn from(FlapsForm { thousandths, damped }: FlapsForm) -> Self {
        let value = (f64::from(thousandths) / 1000.0).min(PENALTY_MAX);
        Self { value, is_suppressed: damped }
    }
}

/// Who wrote a record, why and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenForm {
    /// Higher is later.
    pub version: u64,
    /// Who.
    pub author: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// When.
    pub at_ms: u64,
}

impl From<&Written> for WrittenForm {
    fn from(Written { version, author, reason, at }: &Written) -> Self {
        let (author, reason) = (author.clone(), reason.clone());
        Self { version: *version, author, reason, at_ms: instant_ms(*at) }
    }
}

impl From<WrittenForm> for Written {
    fn from(WrittenForm { version, author, reason, at_ms }: WrittenForm) -> Self {
        Self { version, author, reason, at: Duration::from_millis(at_ms) }
    }
}
