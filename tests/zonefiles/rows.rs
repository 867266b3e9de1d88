//! Where a checker says otherwise than the corpus, and where we do so far.

use crate::Checker;
use crate::Checker::Bind;
use crate::Checker::Knot;
use crate::Checker::Nsd;

/// File, the checkers of BIND 9.18, Knot 3.2 and NSD 4.6 that see it otherwise, and why we do not follow them.
pub const ROWS: &[(&str, &[Checker], &str)] = &[
    (
        "good/crlf",
        &[Knot],
        "Knot wants the line feed right after a parenthesis; files come from Windows too",
    ),
    ("good/generate", &[Knot, Nsd], "$GENERATE is BIND's own; operators have such files"),
    ("good/generate-ptr", &[Knot, Nsd], "$GENERATE is BIND's own"),
    ("good/generate-step-and-offset", &[Knot, Nsd], "$GENERATE is BIND's own"),
    (
        "good/include-with-origin",
        &[Knot, Nsd],
        "RFC 1035 section 5.1: any name may be relative, that of $INCLUDE too",
    ),
    (
        "good/include-of-latin1",
        &[Knot],
        "RFC 1035 section 3.3: texts are octets; Knot wants \\DDD for those above 127",
    ),
    ("good/latin1-in-names", &[Knot], "RFC 2181 section 11: any octet may be in a label"),
    (
        "good/latin1-in-texts",
        &[Knot],
        "RFC 1035 section 3.3: texts are octets; Knot wants \\DDD for those above 127",
    ),
    ("good/octets-above-127", &[Knot], "RFC 2181 section 11: any octet may be in a label"),
    (
        "good/origin-relative",
        &[Knot, Nsd],
        "RFC 1035 section 5.1: any name may be relative, that of $ORIGIN too",
    ),
    (
        "good/quotes-without-a-blank",
        &[Knot],
        "RFC 1035 section 5.1: a quote ends a string; two judges read on",
    ),
    ("good/types-of-old", &[Knot], "Knot reads them only as TYPE1234"),
    ("bad/caa-flags-too-large", &[Nsd], "RFC 8659 section 4.1: the flags are one octet"),
    ("bad/dname-with-data-below", &[Bind], "RFC 6672 section 2.4: nothing exists below a DNAME"),
    ("bad/ds-digest-too-short", &[Nsd], "RFC 4509 section 2.2: SHA-256 has 32 octets"),
    ("bad/escape-too-large", &[Nsd], "RFC 1035 section 5.1: \\DDD is an octet; NSD warns"),
    (
        "bad/escape-too-large-in-a-name",
        &[Knot, Nsd],
        "RFC 1035 section 5.1: \\DDD is an octet; NSD warns",
    ),
    (
        "bad/generic-for-a-of-three",
        &[Knot],
        "RFC 3597 section 5: data of a known type must have its form",
    ),
    ("bad/generic-length-wrong", &[Nsd], "RFC 3597 section 5: the length counts the octets"),
    ("bad/latin1-with-a-nul", &[Bind, Nsd], "a NUL in a text file is damage; \\000 writes one"),
    ("bad/loc-beyond-the-pole", &[Nsd], "RFC 1876 section 3: degrees north are 0 to 90"),
    ("bad/mx-preference-too-large", &[Nsd], "RFC 1035 section 3.3.9: a preference has 16 bits"),
    ("bad/no-ns", &[Nsd], "RFC 1035 section 5.2: NS records stand at the apex"),
    ("bad/ns-without-address", &[Nsd], "RFC 1035 section 5.2: glue must be there"),
    ("bad/nul-octet", &[Nsd], "a NUL in a text file is damage; \\000 writes one"),
    (
        "bad/out-of-zone-by-origin",
        &[Bind, Knot],
        "RFC 1035 section 5.2; BIND and Knot drop the record and warn",
    ),
    (
        "bad/out-of-zone-owner",
        &[Bind, Knot],
        "RFC 1035 section 5.2; BIND and Knot drop the record and warn",
    ),
    ("bad/parenthesis-open", &[Nsd], "RFC 1035 section 5.1: the end of the file is missing"),
    ("bad/quoted-across-lines", &[Nsd], "BIND and Knot take a line's end for a forgotten quote"),
    ("bad/soa-below-the-apex", &[Knot], "RFC 1035 section 5.2: one SOA, at the apex"),
    ("bad/soa-serial-too-large", &[Nsd], "RFC 1982: a serial has 32 bits"),
    ("bad/srv-port-too-large", &[Nsd], "RFC 2782: a port has 16 bits"),
    ("bad/string-of-256", &[Knot], "RFC 1035 section 3.3: a string has 255 octets; Knot splits it"),
    ("bad/ttl-too-large", &[Nsd], "RFC 2181 section 8: a TTL has 31 bits"),
    ("bad/two-soa", &[Knot], "RFC 1035 section 5.2: one SOA, at the apex"),
    ("bad/type-0", &[Knot], "RFC 6895 section 3.1: type 0 is reserved"),
];
