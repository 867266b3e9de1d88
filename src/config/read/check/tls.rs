//! Keys of kinds with a handshake.

use std::time::Duration;

use crate::config::Problems;
use crate::config::keys;
use crate::config::read::check::read_host;
use crate::config::reader::Section;
use crate::config::spec::TlsSpec;

pub(super) fn read_tls(section: &mut Section<'_>, problems: &mut Problems) -> TlsSpec {
    let server_name = section.take("server_name");
    let server_name = server_name.and_then(|value| value.parsed(read_host, problems));
    let ca = section.take("ca").and_then(|value| value.string(problems));
    let verify = section.take("verify").and_then(|value| value.boolean(problems));
    let min_validity = section.take("min_validity").and_then(|value| value.duration(problems));
    TlsSpec {
        server_name: server_name.map(|at| at.value),
        ca,
        verify: verify.map_or(keys::VERIFY, |at| at.value),
        min_validity: min_validity.map_or(Duration::ZERO, |at| at.value),
    }
}
