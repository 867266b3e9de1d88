//! Warns of TOML 1.1 in a file: we read it, editors and other tools mostly do not.

use toml_parser::Source;
use toml_parser::lexer::Token;
use toml_parser::lexer::TokenKind;

use crate::config::Problems;
use crate::config::SourceFile;
use crate::config::problem::FileId;
use crate::config::problem::Place;
use crate::config::rules;

/// Warns of the first such place of a file.
pub fn warn_of_newer_toml(id: FileId, file: &SourceFile, problems: &mut Problems) {
    let Some((token, what, remedy)) = find_newer(&file.text) else { return };
    let place = Place { file: id, span: token.span().start()..token.span().end() };
    let fault = format!("{what} is TOML 1.1, which editors and other tools may refuse");
    problems.warning(&place, "", fault, remedy).rule(&rules::NEWER_TOML);
}

/// The first token that TOML 1.0 does not allow where it stands, what it is, and what to write.
fn find_newer(text: &str) -> Option<(Token, &'static str, &'static str)> {
    let source = Source::new(text);
    let mut open = Vec::new();
    let mut last = TokenKind::Eof;
    for token in source.lex() {
        match token.kind() {
            TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket => open.push(token.kind()),
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => {
                let is_table = open.pop() == Some(TokenKind::LeftCurlyBracket);
                if is_table && last == TokenKind::Comma {
                    return Some((token, "a comma before this brace", "take the comma out"));
                }
            }
            TokenKind::Newline if open.last() == Some(&TokenKind::LeftCurlyBracket) => {
                let remedy = "write it on one line, or as a table with a header in [brackets]";
                return Some((token, "a table in braces over several lines", remedy));
            }
            TokenKind::BasicString | TokenKind::MlBasicString => {
                let raw = text.get(token.span().start()..token.span().end()).unwrap_or_default();
                if has_newer_escape(raw) {
                    let remedy = "write \\u001b for \\e, and \\u00NN for \\xNN";
                    return Some((token, "an escape \\e or \\x", remedy));
                }
            }
            _ => {}
        }
        if !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment)
        {
            last = token.kind();
        }
    }
    None
}

fn has_newer_escape(raw: &str) -> bool {
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && matches!(characters.next(), Some('e' | 'x')) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<&'static str> {
        find_newer(text).map(|(_, what, _)| what)
    }

    #[test]
    fn what_only_the_newer_toml_allows_is_found() {
        for (text, word) in [
            ("a = { b = 1,\n c = 2 }", "several lines"),
            ("a = [{ b = 1 # c\n}]", "several lines"),
            ("a = { b = 1, }", "comma"),
            ("a = \"\\e\"", "escape"),
            ("a = \"\"\"\n\\x41\"\"\"", "escape"),
        ] {
            assert!(find(text).is_some_and(|what| what.contains(word)), "{text}");
            assert!(text.parse::<toml::Table>().is_ok(), "it parses: {text}");
        }
    }

    #[test]
    fn what_both_allow_is_not() {
        for text in [
            "a = [\n1,\n] # {\nb = '\\e{'",
            "a = { b = [\n1,\n], c = \"\\\\e\" }\n[[d]]\n[e]\n",
            "a = '''\n{\n\\e'''\nb = \"\"\"{\n\"\"\"",
            "",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
