//! Lists of address prefixes (APL, RFC 3123).

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::zonefile::Fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::number::decimal;
use crate::zonefile::rdata::number::is_not;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Words;

/// Set where a prefix is excepted.
const NEGATED: u8 = 0x80;

impl Fields<'_, '_> {
    /// Prefixes to the end; there may be none.
    pub fn prefixes(&mut self, of: &Field) -> Result<(), Fault> {
        while !self.words.is_empty() {
            let word = self.token(of.what, of.example)?;
            let prefix = parse(word.text).ok_or_else(|| is_not(word, of.what, of.example))?;
            self.out.extend_from_slice(&prefix);
        }
        Ok(())
    }
}

/// `[!]family:address/length` as octets.
fn parse(text: &str) -> Option<Vec<u8>> {
    let (negated, text) = match text.strip_prefix('!') {
        Some(text) => (NEGATED, text),
        None => (0, text),
    };
    let (family, prefix) = text.split_once(':')?;
    let (address, len) = prefix.split_once('/')?;
    let (address, max): (IpAddr, u8) = match family {
        "1" => (address.parse::<Ipv4Addr>().ok()?.into(), 32),
        "2" => (address.parse::<Ipv6Addr>().ok()?.into(), 128),
        _ => return None,
    };
    let len = decimal::<u8>(len).filter(|len| *len <= max)?;
    let (family, octets) = match address {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let used = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let mut out = vec![0, family, len, negated | u8::try_from(used).ok()?];
    out.extend_from_slice(&octets[..used]);
    Some(out)
}

impl Words<'_> {
    /// Prefixes of the two families that can be written, without zeros at their end.
    pub fn prefixes(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        while !octets.rest.is_empty() {
            let (family, len, used) = (octets.u16()?, octets.u8()?, octets.u8()?);
            let mark = if used & NEGATED != 0 { "!" } else { "" };
            let part = octets.take(usize::from(used & !NEGATED))?;
            part.last().is_none_or(|last| *last != 0).then_some(())?;
            let mut address = [0; 16];
            address.get_mut(..part.len())?.copy_from_slice(part);
            let [a, b, c, d, ..] = address;
            match family {
                1 if part.len() <= 4 && len <= 32 => {
                    self.word(format_args!("{mark}1:{}/{len}", Ipv4Addr::new(a, b, c, d)))?;
                }
                2 if len <= 128 => {
                    self.word(format_args!("{mark}2:{}/{len}", Ipv6Addr::from(address)))?;
                }
                _ => return None,
            }
        }
        Some(())
    }
}
