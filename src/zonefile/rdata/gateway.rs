//! IPSECKEY, AMTRELAY and HIP: fields whose form depends on the fields before them.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::zonefile::Fault;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::number::is_not;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Words;

/// Set where a relay is to be asked without discovery first (RFC 8777 section 4.2.2).
const DISCOVERY: u8 = 0x80;

impl Fields<'_, '_> {
    /// Gateway type, algorithm, gateway (RFC 4025 section 3.1).
    pub fn gateway(&mut self) -> Result<(), Fault> {
        let word = self.words.first();
        let kind: u8 = self.number("a gateway type of 0 to 3", "1")?;
        let algorithm: u8 = self.number("an algorithm of 0 to 255", "2")?;
        self.out.extend_from_slice(&[kind, algorithm]);
        match (kind, word) {
            (4.., Some(word)) => Err(is_not(word, "a gateway type of 0 to 3", "1")),
            _ => self.host(kind, "a gateway"),
        }
    }

    /// Discovery bit, relay type, relay (RFC 8777 section 4.3).
    pub fn relay(&mut self) -> Result<(), Fault> {
        let word = self.token("a discovery bit of 0 or 1", "0")?;
        let bit = match word.text {
            "0" => 0,
            "1" => DISCOVERY,
            _ => return Err(is_not(word, "a discovery bit of 0 or 1", "0")),
        };
        let word = self.words.first();
        let kind: u8 = self.number("a relay type of 0 to 3", "1")?;
        match (kind, word) {
            (4.., Some(word)) => Err(is_not(word, "a relay type of 0 to 3", "1")),
            _ => {
                self.out.push(bit | kind);
                self.host(kind, "a relay")
            }
        }
    }

    /// None as `.`, an IPv4 address, an IPv6 address, or a name.
    fn host(&mut self, kind: u8, role: &str) -> Result<(), Fault> {
        match kind {
            0 => {
                let word = self.token(role, ".")?;
                if word.text != "." {
                    return Err(is_not(word, "a dot, as type 0 means none", "."));
                }
            }
            1 => {
                let word = self.token(role, "192.0.2.38")?;
                let address = word.text.parse::<Ipv4Addr>();
                let address = address.map_err(|_| is_not(word, "an IPv4 address", "192.0.2.38"))?;
                self.out.extend_from_slice(&address.octets());
            }
            2 => {
                let word = self.token(role, "2001:db8::1")?;
                let address = word.text.parse::<Ipv6Addr>();
                let address =
                    address.map_err(|_| is_not(word, "an IPv6 address", "2001:db8::1"))?;
                self.out.extend_from_slice(&address.octets());
            }
            _ => self.name(role, "gateway.example.com.")?,
        }
        Ok(())
    }

    /// Key algorithm, tag in hexadecimal, key in base64, names of servers (RFC 8005 section 6).
    pub fn host_identity(&mut self) -> Result<(), Fault> {
        let algorithm: u8 = self.number("a key algorithm of 0 to 255", "2")?;
        let at = self.out.len();
        self.out.extend_from_slice(&[0, algorithm, 0, 0]);
        let tag =
            self.token("a host identity tag in hexadecimal", "200100107b1a74df365639cc39f1d578")?;
        self.hex_word(tag, tag.text)?;
        let tag_len = u8::try_from(self.out.len() - at - 4).ok().filter(|len| *len > 0);
        let key = self.token("a key in base64", "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cI")?;
        let key_at = self.out.len();
        self.base64_word(key)?;
        let key_len = u16::try_from(self.out.len() - key_at).ok().filter(|len| *len > 0);
        self.out[at] = tag_len.ok_or_else(|| fault(tag, "not 1 to 255 octets", "copy it again"))?;
        let key_len =
            key_len.ok_or_else(|| fault(key, "not 1 to 65535 octets", "copy it again"))?;
        self.out[at + 2..at + 4].copy_from_slice(&key_len.to_be_bytes());
        while !self.words.is_empty() {
            self.name("a rendezvous server", "rvs.example.com.")?;
        }
        Ok(())
    }
}

impl Words<'_> {
    /// Gateway type, algorithm, gateway.
    pub fn gateway(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let (kind, algorithm) = (octets.u8()?, octets.u8()?);
        self.word(format_args!("{kind} {algorithm}"))?;
        self.host(kind, octets)
    }

    /// Discovery bit, relay type, relay.
    pub fn relay(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let octet = octets.u8()?;
        let kind = octet & !DISCOVERY;
        self.word(format_args!("{} {kind}", octet >> 7))?;
        self.host(kind, octets)
    }

    fn host(&mut self, kind: u8, octets: &mut Octets<'_>) -> Option<()> {
        match kind {
            0 => self.word(format_args!(".")),
            1 => self.word(format_args!("{}", Ipv4Addr::from(octets.u32()?))),
            2 => self.word(format_args!("{}", Ipv6Addr::from(octets.array::<16>()?))),
            3 => self.name(octets),
            _ => None,
        }
    }

    /// Key algorithm, tag, key, servers.
    pub fn host_identity(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let (tag_len, algorithm, key_len) = (octets.u8()?, octets.u8()?, octets.u16()?);
        self.word(format_args!("{algorithm}"))?;
        self.hex(octets.take(tag_len.into())?)?;
        self.base64(octets.take(key_len.into())?)?;
        while !octets.rest.is_empty() {
            self.name(octets)?;
        }
        Some(())
    }
}
