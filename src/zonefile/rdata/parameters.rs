//! Parameters of SVCB and HTTPS (RFC 9460 section 2.1, RFC 9461, RFC 9540).

use std::fmt;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::digits::base64_of;
use crate::zonefile::rdata::digits::write_base64;
use crate::zonefile::rdata::fault;
use crate::zonefile::rdata::layout::Field;
use crate::zonefile::rdata::number::decimal;
use crate::zonefile::rdata::read::Fields;
use crate::zonefile::rdata::text::unescape_text;
use crate::zonefile::rdata::text::write_quoted;
use crate::zonefile::rdata::write::Octets;
use crate::zonefile::rdata::write::Readers;
use crate::zonefile::rdata::write::Words;

/// Keys that have a name, by number (IANA, "Service Parameter Keys").
const KEYS: [(&str, Value); 10] = [
    ("mandatory", Value::Keys),
    ("alpn", Value::Protocols),
    ("no-default-alpn", Value::None),
    ("port", Value::Port),
    ("ipv4hint", Value::Addresses4),
    ("ech", Value::Base64),
    ("ipv6hint", Value::Addresses6),
    ("dohpath", Value::Template),
    ("ohttp", Value::None),
    ("tls-supported-groups", Value::Groups),
];

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// Keys of hints by family (RFC 9460 section 7.3).
const HINTS: [u16; 2] = [4, 6];

/// Stands for hints that follow the addresses of the name, as PowerDNS has it. Kept as a hint of no octets, which no
/// record on the wire may have.
const AUTO: &str = "auto";

/// Last key that every server knows by name: those of RFC 9460 itself.
const WIDELY_KNOWN_KEY: u16 = 6;

/// No key (RFC 9460 section 14.3.2).
const INVALID_KEY: u16 = u16::MAX;

/// What a key's value looks like.
#[derive(Clone, Copy)]
enum Value {
    Keys,
    Protocols,
    None,
    Port,
    Addresses4,
    Addresses6,
    Base64,
    Template,
    Groups,
    /// Any octets.
    Opaque,
}

/// Whether a key's value may be [`AUTO`].
fn is_hint(key: u16) -> bool {
    HINTS.contains(&key)
}

/// What is wrong with a value, and what to write.
type Refusal = (String, &'static str);

/// A parameter: its key, its value in wire form, and its first word.
type Parameter<'a, 't> = (u16, Vec<u8>, &'a Word<'t>);

impl<'a, 't> Fields<'a, 't> {
    /// Parameters to the end, in any order; there may be none.
    pub fn parameters(&mut self, of: &Field) -> Result<(), Fault> {
        let mut parameters: Vec<Parameter<'a, 't>> = Vec::with_capacity(self.words.len());
        while !self.words.is_empty() {
            let parameter = self.parameter(of)?;
            if parameters.iter().any(|(key, ..)| *key == parameter.0) {
                let message = format!("{} is there twice", Key(parameter.0));
                return Err(fault(parameter.2, message, "keep one"));
            }
            parameters.push(parameter);
        }
        parameters.sort_by_key(|(key, ..)| *key);
        let pairs = parameters.iter().map(|(key, value, _)| (*key, &value[..]));
        if let Some((guilty, message)) = contradiction(pairs) {
            let word = parameters.iter().find(|(key, ..)| *key == guilty).map(|(.., word)| *word);
            let word = word.unwrap_or(parameters[0].2);
            return Err(fault(word, message, "write it as it must be, or take it out here"));
        }
        for (key, value, word) in parameters {
            let len = u16::try_from(value.len());
            let len = len.map_err(|_| fault(word, "more than 65535 octets", "shorten it"))?;
            self.out.extend_from_slice(&key.to_be_bytes());
            self.out.extend_from_slice(&len.to_be_bytes());
            self.out.extend_from_slice(&value);
        }
        Ok(())
    }

    /// `key`, `key=value` or `key="value"`; the quoted value is a word of its own right behind.
    fn parameter(&mut self, of: &Field) -> Result<Parameter<'a, 't>, Fault> {
        let word = self.token(of.what, of.example)?;
        let (name, mut text) = match word.text.split_once('=') {
            Some((name, text)) => (name, Some(text)),
            None => (word.text, None),
        };
        let key = parse_key(name).ok_or_else(|| {
            let message = format!("\"{name}\" is no key of a service parameter");
            fault(word, message, "use a key such as alpn, or key and its number such as key667")
        })?;
        let mut value_word = word;
        if let Some((next, rest)) = self.words.split_first()
            && next.is_quoted
            && next.span.start == word.span.end
        {
            if text != Some("") {
                let message = "a quote inside a value";
                return Err(fault(next, message, "put quotes around the whole value"));
            }
            (text, value_word, self.words) = (Some(next.text), next, rest);
        }
        let value = parse_value(key, name, text.unwrap_or(""), value_word)?;
        Ok((key, value, word))
    }
}

/// A key by its name or as `key` and its number without leading zeros.
fn parse_key(name: &str) -> Option<u16> {
    if let Some(position) = KEYS.iter().position(|(known, _)| *known == name) {
        return u16::try_from(position).ok();
    }
    let digits = name.strip_prefix("key")?;
    let is_plain = digits == "0" || !digits.starts_with('0');
    decimal(digits).filter(|key| is_plain && *key != INVALID_KEY)
}

/// A key as it is written.
struct Key(u16);

impl Key {
    /// What its value looks like.
    fn value(&self) -> Value {
        KEYS.get(usize::from(self.0)).map_or(Value::Opaque, |(_, value)| *value)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KEYS.get(usize::from(self.0)) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "key{}", self.0),
        }
    }
}

/// The octets of a value, which must be right for its key even where it is written as octets.
fn parse_value(key: u16, name: &str, text: &str, word: &Word<'_>) -> Result<Vec<u8>, Fault> {
    let refuse = |(message, remedy): Refusal| fault(word, message, remedy);
    let mut octets = Vec::with_capacity(text.len());
    unescape_text(text, &mut octets).map_err(|(message, remedy)| fault(word, message, remedy))?;
    let is_octets = name.starts_with("key");
    if text == AUTO && is_hint(key) && !is_octets {
        return Ok(Vec::new());
    }
    if text.is_empty() && !is_value(Key(key).value(), &[]) {
        let message = format!("{} has no value", Key(key));
        return Err(fault(word, message, remedy_for(Key(key).value())));
    }
    let value = if is_octets {
        octets
    } else {
        let mut value = Vec::with_capacity(octets.len());
        match Key(key).value() {
            Value::Base64 => base64_of(word, text, &mut value)?,
            kind => append_value(kind, &octets, &mut value).map_err(refuse)?,
        }
        value
    };
    if !is_value(Key(key).value(), &value) {
        let message = format!("\"{text}\" is no value of {}", Key(key));
        return Err(fault(word, message, remedy_for(Key(key).value())));
    }
    Ok(value)
}

/// Appends the wire form of a value whose escapes of a character-string are already resolved.
fn append_value(kind: Value, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let parts = || {
        std::str::from_utf8(octets).unwrap_or("\u{fffd}").split(',').filter(|_| !octets.is_empty())
    };
    let bad = |part: &str, what: &str| (format!("\"{part}\" is not {what}"), remedy_for(kind));
    match kind {
        Value::None | Value::Opaque | Value::Base64 | Value::Template => {
            out.extend_from_slice(octets);
        }
        Value::Port | Value::Groups => {
            for part in parts() {
                let number: Option<u16> = decimal(part);
                let number = number.ok_or_else(|| bad(part, "a number of 0 to 65535"))?;
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        Value::Addresses4 => {
            for part in parts() {
                let address = part.parse::<Ipv4Addr>();
                out.extend(address.map_err(|_| bad(part, "an IPv4 address"))?.octets());
            }
        }
        Value::Addresses6 => {
            for part in parts() {
                let address = part.parse::<Ipv6Addr>();
                out.extend(address.map_err(|_| bad(part, "an IPv6 address"))?.octets());
            }
        }
        Value::Keys => {
            let mut keys = Vec::new();
            for part in parts() {
                keys.push(parse_key(part).ok_or_else(|| bad(part, "a key"))?);
            }
            keys.sort_unstable();
            out.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
        }
        Value::Protocols => append_list(octets, out)
            .ok_or_else(|| bad(&String::from_utf8_lossy(octets), "a list of protocols"))?,
    }
    Ok(())
}

/// A list with commas, in which `\,` and `\\` stand for themselves, as texts with lengths (RFC 9460 appendix A.1).
fn append_list(octets: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = octets.iter();
    let mut at = out.len();
    out.push(0);
    loop {
        let octet = rest.next();
        match octet {
            None | Some(b',') => {
                out[at] = u8::try_from(out.len() - at - 1).ok().filter(|len| *len > 0)?;
                octet?;
                at = out.len();
                out.push(0);
            }
            Some(b'\\') => out.push(*rest.next()?),
            Some(octet) => out.push(*octet),
        }
        if octet.is_some() && rest.len() == 0 {
            out[at] = u8::try_from(out.len() - at - 1).ok().filter(|len| *len > 0)?;
            return Some(());
        }
    }
}

/// How a value is written.
fn remedy_for(kind: Value) -> &'static str {
    match kind {
        Value::Keys => "name other keys once each, as in mandatory=alpn,ipv4hint",
        Value::Protocols => "write protocols with commas, as in alpn=h2,h3",
        Value::None => "write the key alone",
        Value::Port => "write a port, as in port=8443",
        Value::Addresses4 => "write addresses with commas, as in ipv4hint=192.0.2.1,192.0.2.2",
        Value::Addresses6 => "write addresses with commas, as in ipv6hint=2001:db8::1",
        Value::Base64 => "write a list of configurations in base64, as in ech=AEj+DQBE",
        Value::Template => "write a path with the variable dns, as in dohpath=/dns-query{?dns}",
        Value::Groups => "write numbers with commas, each once, as in tls-supported-groups=29,23",
        Value::Opaque => "shorten it",
    }
}

/// Whether octets can be the value of a key.
fn is_value(kind: Value, octets: &[u8]) -> bool {
    let numbers = || octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let is_list = |size: usize| !octets.is_empty() && octets.len().is_multiple_of(size);
    match kind {
        Value::Keys => {
            let is_ascending = numbers().zip(numbers().skip(1)).all(|(a, b)| a < b);
            let is_key = |key| key != MANDATORY && key != INVALID_KEY;
            is_list(2) && is_ascending && numbers().all(is_key)
        }
        Value::Protocols => {
            let mut read = Octets::new(octets);
            while !read.rest.is_empty() {
                if read.text().is_none_or(<[u8]>::is_empty) {
                    return false;
                }
            }
            !octets.is_empty()
        }
        Value::None => octets.is_empty(),
        Value::Port => octets.len() == 2,
        Value::Addresses4 => is_list(4),
        Value::Addresses6 => is_list(16),
        Value::Base64 => !octets.is_empty(),
        Value::Template => std::str::from_utf8(octets).is_ok_and(is_template),
        Value::Groups => {
            let is_new = |(at, group)| numbers().skip(at + 1).all(|other| other != group);
            is_list(2) && numbers().enumerate().all(is_new)
        }
        Value::Opaque => true,
    }
}

/// A relative URI template with the variable `dns` (RFC 9461 section 5).
fn is_template(text: &str) -> bool {
    let mut expressions = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    text.starts_with('/') && expressions.any(|(inside, _)| inside.contains("dns"))
}

/// What the parameters of one record demand of each other (RFC 9460 sections 7.1.1 and 8).
fn contradiction<'v>(
    parameters: impl Iterator<Item = (u16, &'v [u8])> + Clone,
) -> Option<(u16, String)> {
    let has = |wanted: u16| parameters.clone().any(|(key, _)| key == wanted);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Some((NO_DEFAULT_ALPN, "no-default-alpn needs alpn".into()));
    }
    let (_, mandatory) = parameters.clone().find(|(key, _)| *key == MANDATORY)?;
    let mut keys = mandatory.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let missing = keys.clone().find(|key| !has(*key));
    if let Some(missing) = missing {
        return Some((MANDATORY, format!("{} is mandatory, but is not there", Key(missing))));
    }
    let is_auto = |key: &u16| {
        is_hint(*key) && parameters.clone().any(|(other, value)| other == *key && value.is_empty())
    };
    let auto = keys.find(is_auto)?;
    Some((MANDATORY, format!("{} is mandatory, but auto may leave it out", Key(auto))))
}

impl Words<'_> {
    /// Parameters in ascending order, each right, together without contradiction.
    pub fn parameters(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        let mut parameters: Vec<(u16, &[u8])> = Vec::new();
        let ours = self.readers == Readers::Ours;
        while !octets.rest.is_empty() {
            let (key, len) = (octets.u16()?, octets.u16()?);
            let value = octets.take(len.into())?;
            let is_next = parameters.last().is_none_or(|(last, _)| *last < key);
            let is_auto = ours && is_hint(key) && value.is_empty();
            let is_right = is_auto || is_value(Key(key).value(), value);
            (is_next && key != INVALID_KEY && is_right).then_some(())?;
            parameters.push((key, value));
        }
        contradiction(parameters.iter().copied()).is_none().then_some(())?;
        for (key, value) in parameters {
            let is_named = self.readers == Readers::Ours || key <= WIDELY_KNOWN_KEY;
            let out = self.begin()?;
            match is_named {
                true => write!(out, "{}", Key(key)).ok()?,
                false => write!(out, "key{key}").ok()?,
            }
            if value.is_empty() && is_hint(key) {
                write!(out, "={AUTO}").ok()?;
            } else if !value.is_empty() {
                let kind = if is_named { Key(key).value() } else { Value::Opaque };
                out.write_char('=').ok()?;
                write_value(kind, value, out)?;
            }
        }
        Some(())
    }
}

/// Writes a value that is right.
fn write_value(kind: Value, octets: &[u8], out: &mut dyn fmt::Write) -> Option<()> {
    let numbers = || octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    match kind {
        Value::Keys => write_list(numbers().map(Key), out),
        Value::Port | Value::Groups => write_list(numbers(), out),
        Value::Addresses4 => {
            let addresses = octets.chunks_exact(4).filter_map(|part| part.try_into().ok());
            write_list(addresses.map(|part: [u8; 4]| Ipv4Addr::from(part)), out)
        }
        Value::Addresses6 => {
            let addresses = octets.chunks_exact(16).filter_map(|part| part.try_into().ok());
            write_list(addresses.map(|part: [u8; 16]| Ipv6Addr::from(part)), out)
        }
        Value::Base64 => write_base64(octets, out).ok(),
        Value::None | Value::Template | Value::Opaque => write_quoted(octets, out).ok(),
        Value::Protocols => {
            let mut read = Octets::new(octets);
            let mut list = Vec::with_capacity(octets.len());
            while let Some(protocol) = read.text() {
                if !list.is_empty() {
                    list.push(b',');
                }
                for &octet in protocol {
                    if matches!(octet, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(octet);
                }
            }
            write_quoted(&list, out).ok()
        }
    }
}

fn write_list(
    items: impl Iterator<Item = impl fmt::Display>,
    out: &mut dyn fmt::Write,
) -> Option<()> {
    for (position, item) in items.enumerate() {
        let comma = if position > 0 { "," } else { "" };
        write!(out, "{comma}{item}").ok()?;
    }
    Some(())
}
