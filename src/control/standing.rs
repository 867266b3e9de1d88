//! Which node this is and what it serves, in one line for people who ask by DNS.

use std::sync::Arc;

use crate::cluster::Digests;
use crate::control::Controller;
use crate::control::cluster::drift::short;

impl Controller {
    /// `ns-fra-1; node fra-1 at fra; generation 7; config 221a5b84; geo af5570f5; rtt -`
    ///
    /// Verdicts are not in it: their digest is made each second, a snapshot at each flip.
    pub(super) fn standing_text(&self, identity: &[u8]) -> Arc<[u8]> {
        let mut parts = Vec::new();
        if !identity.is_empty() {
            parts.push(String::from_utf8_lossy(identity).into_owned());
        }
        parts.extend(self.seat_text());
        parts.push(format!("generation {}", self.generation));
        let Digests { config, geo, rtt, verdicts: _, records: _ } = self.digests_of_parts();
        for (name, digest) in [("config", config), ("geo", geo), ("rtt", rtt)] {
            let digest = if digest == 0 { "-".to_owned() } else { short(digest) };
            parts.push(format!("{name} {digest}"));
        }
        parts.join("; ").into_bytes().into()
    }
}
