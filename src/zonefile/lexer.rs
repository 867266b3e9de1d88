//! Words, quotes, comments and parentheses of a master file (RFC 1035 section 5.1).

use std::ops::Range;

use crate::zonefile::Fault;

/// What some editors put before a text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// One word of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// Its characters with escapes still in them, without quotes.
    pub text: &'a str,
    /// Where it stands, quotes included.
    pub span: Range<usize>,
    /// Whether it was quoted: then it may hold blanks and is never a type or class.
    pub is_quoted: bool,
}

/// One entry: the words of a line, or of several joined by parentheses; the words are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// It starts with a blank: the owner is the one before.
    pub continues_owner: bool,
}

/// The words of one record's data, where neither a comment nor a second line can be meant.
pub fn words(text: &str) -> Result<Vec<Word<'_>>, Fault> {
    let mut lexer = Lexer::new(text);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    lexer.next_line(&mut first);
    lexer.next_line(&mut second);
    if !lexer.faults.is_empty() {
        return Err(lexer.faults.swap_remove(0));
    }
    if let Some(at) = lexer.first_comment {
        return Err(Fault {
            span: at..text.len(),
            message: "all after this semicolon would be a comment".into(),
            remedy: "put quotes around the text, as in '\"v=DKIM1; k=rsa\"'".into(),
        });
    }
    if let Some(word) = second.first() {
        return Err(Fault {
            span: word.span.clone(),
            message: "a second line in one record".into(),
            remedy: "write one text for each record".into(),
        });
    }
    Ok(first)
}

/// Splits a text into entries, one at a time.
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    first_comment: Option<usize>,
    faults: Vec<Fault>,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of a text.
    pub fn new(text: &'a str) -> Self {
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        Self { text, at, first_comment: None, faults: Vec::new() }
    }

    /// The next entry, its words in `words`; a line with a fault is left out. `None` at the end of the text.
    pub fn next_line(&mut self, words: &mut Vec<Word<'a>>) -> Option<Line> {
        while self.at < self.text.len() {
            let line = self.line(words);
            if line.is_some() {
                return line;
            }
        }
        words.clear();
        None
    }

    /// Faults found since they were taken last.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// Reads up to the end of a line that is in no parenthesis.
    fn line(&mut self, words: &mut Vec<Word<'a>>) -> Option<Line> {
        words.clear();
        let text = self.text.as_bytes();
        let continues_owner = matches!(text[self.at], b' ' | b'\t');
        let mut open: Option<usize> = None;
        let faults_before = self.faults.len();
        while let Some(&octet) = text.get(self.at) {
            match octet {
                b'\n' if open.is_none() => {
                    self.at += 1;
                    break;
                }
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b';' => self.skip_comment(),
                b'(' if open.is_none() => {
                    open = Some(self.at);
                    self.at += 1;
                }
                b')' if open.is_some() => {
                    open = None;
                    self.at += 1;
                }
                b'(' | b')' => {
                    let message = if octet == b'(' {
                        "a parenthesis inside another"
                    } else {
                        "no parenthesis is open"
                    };
                    self.fault(
                        self.at..self.at + 1,
                        message,
                        "take it out, or escape it with a backslash",
                    );
                    self.at += 1;
                }
                b'"' => words.extend(self.quoted()),
                _ => words.push(self.word()),
            }
        }
        if let Some(start) = open {
            self.fault(start..start + 1, "this parenthesis is never closed", "close it with \")\"");
        }
        let is_whole = !words.is_empty() && self.faults.len() == faults_before;
        is_whole.then_some(Line { continues_owner })
    }

    fn skip_comment(&mut self) {
        self.first_comment.get_or_insert(self.at);
        while self.text.as_bytes().get(self.at).is_some_and(|&octet| octet != b'\n') {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Word<'a> {
        let start = self.at;
        while let Some(&octet) = self.text.as_bytes().get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\'
                    if self.text.as_bytes().get(self.at + 1).is_some_and(|&next| next != b'\n') =>
                {
                    self.at += 2
                }
                0 => self.refuse_nul(),
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        Word { text: self.slice(start..self.at), span: start..self.at, is_quoted: false }
    }

    fn quoted(&mut self) -> Option<Word<'a>> {
        let start = self.at;
        self.at += 1;
        while let Some(&octet) = self.text.as_bytes().get(self.at) {
            match octet {
                b'"' => {
                    self.at += 1;
                    let text = self.slice(start + 1..self.at - 1);
                    return Some(Word { text, span: start..self.at, is_quoted: true });
                }
                b'\n' => break,
                b'\\' => self.at += 2,
                0 => self.refuse_nul(),
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        self.fault(start..start + 1, "this quote is never closed", "close it on the same line");
        None
    }

    /// Text has no NUL; a file cut short by a crash often has.
    fn refuse_nul(&mut self) {
        self.fault(self.at..self.at + 1, "a NUL octet", "take it out, or write it as \\000");
        self.at += 1;
    }

    /// Words begin and end beside ASCII characters, so that no character is cut.
    fn slice(&self, range: Range<usize>) -> &'a str {
        &self.text[range]
    }

    fn fault(&mut self, span: Range<usize>, message: &str, remedy: &str) {
        self.faults.push(Fault { span, message: message.into(), remedy: remedy.into() });
    }
}
