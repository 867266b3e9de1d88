//! Measurements as browsers and collectors post them: one JSON object a line. Answers no request.
//!
//! ```text
//! {"site":"fra","rtt_ms":12.4}
//! {"site":"iad","rtt_ms":98,"client":"192.0.2.7"}
//! ```

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;

use crate::rtt::Ground;
use crate::rtt::key::network_of;

/// Longest line, in octets.
pub const LINE_MAX: usize = 512;

/// A measurement that can be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// From where: a /24 or /48.
    pub network: IpNet,
    /// To where.
    pub site: Box<str>,
    /// In microseconds.
    pub rtt_us: u32,
}

/// Whose measurements they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Somebody on the Internet: of itself only.
    Client(IpAddr),
    /// Somebody with the token: of whomever a line names, else of this address, if there is one.
    Trusted(Option<IpAddr>),
}

/// A line that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineFault {
    /// Line, from 1.
    pub line: usize,
    /// Why, and what to do.
    pub reason: String,
}

/// A line as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    site: String,
    rtt_ms: f64,
    client: Option<IpAddr>,
}

/// Reads all lines; those that cannot be true or are not understood are told one by one.
pub fn read_beacons(
    text: &str,
    sender: Sender,
    ground: &Ground<'_>,
) -> (Vec<Beacon>, Vec<LineFault>) {
    let (mut beacons, mut faults) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        match read_line(text, sender, ground) {
            Ok(beacon) => beacons.push(beacon),
            Err(reason) => faults.push(LineFault { line, reason }),
        }
    }
    (beacons, faults)
}

fn read_line(text: &str, sender: Sender, ground: &Ground<'_>) -> Result<Beacon, String> {
    if text.len() > LINE_MAX {
        return Err(format!("{} octets; a line has at most {LINE_MAX}", text.len()));
    }
    let Line { site, rtt_ms, client } = serde_json::from_str(text)
        .map_err(|why| format!("{why}; write {{\"site\":\"NAME\",\"rtt_ms\":NUMBER}}"))?;
    let client = match (sender, client) {
        (Sender::Client(address), None) => address,
        (Sender::Client(_), Some(_)) => {
            return Err("`client` needs the token; leave it out, or send the token".into());
        }
        (Sender::Trusted(_), Some(client)) => client,
        (Sender::Trusted(Some(address)), None) => address,
        (Sender::Trusted(None), None) => return Err("`client` is missing; name it".into()),
    };
    let network = network_of(client);
    // Infinite and huge values end at the type's limits, which are out of range.
    let rtt_us = (rtt_ms * 1000.0).round() as i32;
    match ground.judge(network, &site, rtt_us) {
        Ok(site) => Ok(Beacon { network, site: site.name.clone(), rtt_us: rtt_us.unsigned_abs() }),
        Err(why) => Err(format!("{why}; {}", why.remedy())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtt::ground::tests::places;
    use crate::rtt::ground::tests::sites;

    fn read(text: &str, sender: Sender) -> (Vec<String>, Vec<String>) {
        let (places, sites) = (places(), sites());
        let (beacons, faults) =
            read_beacons(text, sender, &Ground { places: &places, sites: &sites });
        let beacons = beacons.iter().map(|b| format!("{} {} {}", b.network, b.site, b.rtt_us));
        let faults = faults.iter().map(|fault| format!("{}: {}", fault.line, fault.reason));
        (beacons.collect(), faults.collect())
    }

    fn client() -> Sender {
        Sender::Client("192.0.2.7".parse().unwrap())
    }

    #[test]
    fn each_line_stands_for_itself() {
        let text = "{\"site\":\"fra\",\"rtt_ms\":12.4}\r\n\nnonsense\n{\"site\":\"iad\",\"rtt_ms\":20}\n\
            {\"site\":\"iad\",\"rtt_ms\":98}\n{\"site\":\"fra\",\"rtt_ms\":1e300}\n\
            {\"site\":\"fra\",\"rtt_ms\":5,\"more\":1}\n";
        let (beacons, faults) = read(text, client());
        assert_eq!(beacons, ["192.0.2.0/24 fra 12400", "192.0.2.0/24 iad 98000"]);
        let starts = [
            "3: expected",
            "4: impossible: 6553 km",
            "6: the round-trip",
            "7: unknown field `more`",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn nobody_speaks_for_others_without_the_token() {
        let text = "{\"site\":\"fra\",\"rtt_ms\":12,\"client\":\"198.51.100.9\"}\n";
        assert!(read(text, client()).1[0].contains("needs the token"));
        let (beacons, faults) = read(text, Sender::Trusted(None));
        assert_eq!(
            (beacons.as_slice(), faults.len()),
            (["198.51.100.0/24 fra 12000".into()].as_slice(), 0)
        );
        let own = "{\"site\":\"fra\",\"rtt_ms\":12}";
        assert!(read(own, Sender::Trusted(None)).1[0].starts_with("1: `client` is missing"));
        let near = Sender::Trusted(Some("2001:db8::1".parse().unwrap()));
        assert_eq!(read(own, near).0, ["2001:db8::/48 fra 12000"]);
    }

    #[test]
    fn a_long_line_is_not_read() {
        let text = format!("{{\"site\":\"{}\",\"rtt_ms\":1}}", "x".repeat(LINE_MAX));
        assert!(read(&text, client()).1[0].contains("at most 512"));
    }
}
