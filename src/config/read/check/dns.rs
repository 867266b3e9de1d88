//! Keys of `kind = "dns"`.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::config::Problems;
use crate::config::keys;
use crate::config::read::check::read_needle;
use crate::config::reader::Refusal;
use crate::config::reader::Section;
use crate::model::DnsCheck;
use crate::wire::Name;
use crate::wire::RecordType;

pub(super) fn read_dns(section: &mut Section<'_>, problems: &mut Problems) -> Option<DnsCheck> {
    let is_named = section.find_key("qname").is_some();
    let qname = section.take("qname").and_then(|value| value.parsed(read_qname, problems));
    if !is_named {
        section.miss("qname", problems);
    }
    let is_typed = section.find_key("qtype").is_some();
    let qtype = section.take("qtype").and_then(|value| value.parsed(read_qtype, problems));
    let recursion = section.take("recursion").and_then(|value| value.boolean(problems));
    let rcode = section.take("rcode").and_then(|value| value.word(problems));
    let rcode = rcode.map_or(keys::RCODE, |at| at.value);
    let answer = section.take("answer");
    let qtype = match (qtype, is_typed) {
        (Some(at), _) => at.value,
        (None, false) => RecordType::A,
        (None, true) => return None,
    };
    let answer_place = answer.as_ref().map(|value| (value.place.clone(), value.path.clone()));
    let answer = answer.and_then(|value| {
        value.parsed(|text| read_needle(text).and_then(|text| fit(text, qtype)), problems)
    });
    if let Some((place, path)) = answer_place.filter(|_| rcode != keys::RCODE) {
        let fault = format!("no record comes with {rcode}");
        problems.error(&place, path, fault, "leave answer out, or rcode");
    }
    Some(DnsCheck {
        qname: qname?.value,
        qtype,
        recursion: recursion.map_or(keys::RECURSION, |at| at.value),
        rcode,
        answer: answer.map(|at| at.value.into()),
    })
}

fn read_qname(text: &str) -> Result<Name, Refusal> {
    let remedy = "write a whole name, as \"www.example.net\"";
    match text {
        "@" => Err(("\"@\" is no name here".into(), remedy.into())),
        _ => Name::absolute(text).map_err(|why| (why.to_string(), remedy.into())),
    }
}

fn read_qtype(text: &str) -> Result<RecordType, Refusal> {
    RecordType::parse(text).ok_or_else(|| {
        let remedy = "write a type such as \"A\", \"SOA\" or \"TYPE65\"";
        (format!("\"{text}\" is not a record type"), remedy.into())
    })
}

/// Whether records of a type can have such data.
fn fit(text: String, qtype: RecordType) -> Result<String, Refusal> {
    let is_fit = match qtype {
        RecordType::A => text.parse::<Ipv4Addr>().is_ok(),
        RecordType::AAAA => text.parse::<Ipv6Addr>().is_ok(),
        _ => true,
    };
    match is_fit {
        true => Ok(text),
        false => {
            let family = if qtype == RecordType::A { "IPv4" } else { "IPv6" };
            let fault = format!("\"{text}\" is not an {family} address");
            Err((fault, format!("a record of type {qtype} has one, and nothing else")))
        }
    }
}
