//! `$GENERATE`: lines that differ by a number, as BIND reads them (its reference manual, section "Zone file").

use std::fmt::Write;

use crate::zonefile::Fault;
use crate::zonefile::lexer::Word;
use crate::zonefile::rdata::fault;

/// Characters that a number is padded to, at most.
const WIDTH_MAX: usize = 255;

/// A range of numbers, and the line that is written for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generate<'a> {
    start: u32,
    stop: u32,
    step: u32,
    line: Vec<Piece<'a>>,
}

/// A part of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// As it is.
    Text(&'a str),
    /// The number, changed.
    Number(Form),
}

/// How a number is written: `${offset,width,base}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    /// Added to the number.
    offset: i64,
    /// Least characters, with zeros before the number.
    width: usize,
    base: Base,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Decimal,
    Octal,
    LowerHex,
    UpperHex,
    /// Hexadecimal digits backwards with dots between, as under ip6.arpa.
    LowerNibbles,
    UpperNibbles,
}

const RANGE_REMEDY: &str = "write first-last or first-last/step, as in 1-254";
const FORM_REMEDY: &str = "write $, or ${offset,width,base} with base d, o, x, X, n or N";

impl<'a> Generate<'a> {
    /// Reads what follows the directive: `range owner [TTL] [class] type data`.
    pub(super) fn parse(directive: &Word<'a>, words: &[Word<'a>]) -> Result<Self, Fault> {
        let [range, owner, rest @ ..] = words else {
            return Err(fault(
                directive,
                "$GENERATE needs a range, an owner, a type and data",
                "write it as in: $GENERATE 1-254 host-$ A 192.0.2.$",
            ));
        };
        let (start, stop, step) =
            read_range(range.text).ok_or_else(|| fault(range, "not a range", RANGE_REMEDY))?;
        let mut line = Vec::new();
        pieces(owner, &mut line)?;
        let last = rest.len().saturating_sub(1);
        for (position, word) in rest.iter().enumerate() {
            line.push(Piece::Text(" "));
            // The data may be one text in quotes, which are then not part of it.
            let is_text = word.is_quoted && position != last;
            if is_text {
                line.push(Piece::Text("\""));
            }
            pieces(word, &mut line)?;
            if is_text {
                line.push(Piece::Text("\""));
            }
        }
        let forms = line.iter().filter_map(|piece| match piece {
            Piece::Number(form) => Some(form),
            Piece::Text(_) => None,
        });
        if forms.map(|form| form.offset).any(|offset| i64::from(start) + offset < 0) {
            return Err(fault(range, "an offset makes this range negative", "raise its start"));
        }
        Ok(Self { start, stop, step, line })
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> u64 {
        u64::from((self.stop - self.start) / self.step) + 1
    }

    /// The numbers of the range.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        (self.start..=self.stop).step_by(self.step as usize)
    }

    /// Writes the line of a number.
    pub(super) fn write(&self, number: u32, out: &mut String) {
        for piece in &self.line {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Number(form) => form.write(number, out),
            }
        }
    }
}

impl Form {
    fn write(self, number: u32, out: &mut String) {
        let value = (i64::from(number) + self.offset) as u64;
        let width = self.width;
        let done = match self.base {
            Base::Decimal => write!(out, "{value:0width$}"),
            Base::Octal => write!(out, "{value:0width$o}"),
            Base::LowerHex => write!(out, "{value:0width$x}"),
            Base::UpperHex => write!(out, "{value:0width$X}"),
            Base::LowerNibbles => return nibbles(value, width, false, out),
            Base::UpperNibbles => return nibbles(value, width, true, out),
        };
        done.expect("a string takes every text");
    }
}

/// Hexadecimal digits, the lowest first, with dots between; `width` counts the dots too.
fn nibbles(mut value: u64, width: usize, is_upper: bool, out: &mut String) {
    let digits = if is_upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut written = 0;
    loop {
        out.push(char::from(digits[(value & 15) as usize]));
        value >>= 4;
        written += 1;
        if value == 0 && written >= width {
            return;
        }
        out.push('.');
        written += 1;
        // A width that ends on a dot ends there.
        if value == 0 && written >= width {
            return;
        }
    }
}

/// `first-last` or `first-last/step`.
fn read_range(text: &str) -> Option<(u32, u32, u32)> {
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| {
        let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_number)
    };
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    (start <= stop && step > 0).then_some((start, stop, step))
}

/// Splits a word at its `$`; `\$` and `$$` are a dollar sign.
fn pieces<'a>(word: &Word<'a>, out: &mut Vec<Piece<'a>>) -> Result<(), Fault> {
    let plain = Form { offset: 0, width: 0, base: Base::Decimal };
    let mut rest = word.text;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push(Piece::Text(&rest[..at]));
        let tail = &rest[at + 1..];
        if rest.as_bytes()[at] == b'\\' {
            let Some(next) = tail.chars().next() else {
                out.push(Piece::Text("\\"));
                return Ok(());
            };
            let start = if next == '$' { at + 1 } else { at };
            out.push(Piece::Text(&rest[start..at + 1 + next.len_utf8()]));
            rest = &tail[next.len_utf8()..];
        } else if let Some(tail) = tail.strip_prefix('$') {
            out.push(Piece::Text("$"));
            rest = tail;
        } else if let Some(tail) = tail.strip_prefix('{') {
            let form = tail.split_once('}').and_then(|(form, tail)| Some((read_form(form)?, tail)));
            let (form, tail) =
                form.ok_or_else(|| fault(word, "not a form of a number", FORM_REMEDY))?;
            out.push(Piece::Number(form));
            rest = tail;
        } else {
            out.push(Piece::Number(plain));
            rest = tail;
        }
    }
    out.push(Piece::Text(rest));
    Ok(())
}

/// `offset[,width[,base]]`
fn read_form(text: &str) -> Option<Form> {
    let mut parts = text.split(',');
    let offset = parts.next()?.parse::<i32>().ok()?;
    let width = parts.next().map_or(Some(0), |width| width.parse::<usize>().ok())?;
    let base = match parts.next().unwrap_or("d") {
        "d" => Base::Decimal,
        "o" => Base::Octal,
        "x" => Base::LowerHex,
        "X" => Base::UpperHex,
        "n" => Base::LowerNibbles,
        "N" => Base::UpperNibbles,
        _ => return None,
    };
    let is_good = width <= WIDTH_MAX && parts.next().is_none();
    is_good.then_some(Form { offset: i64::from(offset), width, base })
}
