//! Forms of texts: what the reference calls them, and the pattern that a schema has for them.
//!
//! A pattern is never narrower than the reader, and as narrow as a pattern can be.

/// A form of texts.
#[derive(Debug)]
pub struct Form {
    /// What it is, for the reference.
    pub what: &'static str,
    /// ECMA 262 pattern of the whole text; empty for none.
    pub pattern: &'static str,
    /// Fewest and most characters.
    pub length: (usize, usize),
}

impl Form {
    /// Any text.
    pub const ANY: Self = Self { what: "any text", pattern: "", length: (0, usize::MAX) };
}

/// A label of a domain name, escapes counted as one octet (RFC 1035 section 5.1).
macro_rules! label {
    () => {
        r"(?:[^.\\]|\\(?:[01][0-9]{2}|2[0-4][0-9]|25[0-5])|\\[^0-9]){1,63}"
    };
}

/// An octet of an IPv4 address.
macro_rules! octet {
    () => {
        "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

/// 1 to 63 characters: names of sites, checks, pools, endpoints and policies.
pub(super) const ID: Form =
    Form { what: "name", pattern: "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", length: (1, 63) };

/// Characters of a domain name of 255 octets if each is written as an escape.
const DOMAIN_MAX: usize = 1020;

/// A domain name.
pub(super) const DOMAIN: Form = Form {
    what: "domain name",
    pattern: concat!(r"^(?:@|\.|", label!(), r"(?:\.", label!(), r")*\.?)$"),
    length: (1, DOMAIN_MAX),
};

/// A domain name of two labels or more.
pub(super) const HOST: Form = Form {
    what: "domain name",
    pattern: concat!("^", label!(), r"(?:\.", label!(), r")+\.?$"),
    length: (3, DOMAIN_MAX),
};

/// A mailbox with `@`, or as a name of two labels or more.
pub(super) const MAILBOX: Form = Form {
    what: "mailbox",
    pattern: concat!(
        "^(?:[^@]+@",
        label!(),
        r"(?:\.",
        label!(),
        r")*\.?|",
        label!(),
        r"(?:\.",
        label!(),
        r")+\.?)$"
    ),
    length: (3, DOMAIN_MAX),
};

/// What a `Host` header may say.
pub(super) const HOST_HEADER: Form =
    Form { what: "host name", pattern: r"^[A-Za-z0-9._:\[\]-]+$", length: (1, 253) };

/// Path and query of a request.
pub(super) const URL_PATH: Form = Form {
    what: "begins with `/`, ASCII without blanks, up to 2048",
    pattern: "^/[!-~]*$",
    length: (1, 2048),
};

/// A JSON pointer (RFC 6901).
pub(super) const JSON_POINTER: Form = Form {
    what: "JSON pointer, begins with `/`, up to 256 octets; `~0` is `~`, `~1` is `/`",
    pattern: "^(?:/(?:[^~]|~[01])*)?$",
    length: (0, 256),
};

/// A path as it stands in a URL, without query.
pub(super) const DOH_PATH: Form = Form {
    what: "path of a URL, begins with `/`, up to 256",
    pattern: "^/[!$&-;=@-z|~]*$",
    length: (1, DOH_PATH_MAX),
};

/// Longest path of DNS over HTTPS, in octets.
pub const DOH_PATH_MAX: usize = 256;

/// Status codes and ranges of them.
pub(super) const STATUS_CODES: Form = Form {
    what: "codes and ranges of 100 to 599, with commas",
    pattern: "^ *[1-5][0-9]{2} *(?:- *[1-5][0-9]{2} *)?(?:, *[1-5][0-9]{2} *(?:- *[1-5][0-9]{2} *)?)*$",
    length: (3, usize::MAX),
};

/// Something to look for in a reply.
pub(super) const NEEDLE: Form = Form { what: "1 to 1024 octets", pattern: "", length: (1, 1024) };

/// Octets in hexadecimal.
pub(super) const HEX: Form = Form {
    what: "1 to 1024 octets as hexadecimal digits, blanks between them if you like",
    pattern: "^ *(?:[0-9A-Fa-f]{2} *){1,1024}$",
    length: (2, usize::MAX),
};

/// Name of a header that is not made by the probe itself.
pub(super) const HEADER_NAME: Form = Form {
    what: "name of a header",
    pattern: "^(?!(?:[Hh]ost|[Cc]onnection|[Cc]ontent-[Ll]ength|[Tt]ransfer-[Ee]ncoding|[Tt][Ee]|[Uu]pgrade)$)[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
    length: (1, 64),
};

/// Value of a header.
pub(super) const HEADER_VALUE: Form = Form {
    what: "printable ASCII, up to 1024",
    pattern: "^(?:[!-~](?:[ -~]*[!-~])?)?$",
    length: (0, 1024),
};

/// A regular expression.
pub(super) const REGEX: Form =
    Form { what: "regular expression, up to 1024 octets", pattern: "", length: (1, 1024) };

/// What a field of a JSON document may have to be.
pub(super) const JSON_TEXT: Form = Form { what: "a text", pattern: "", length: (0, 1024) };

/// A service of gRPC.
pub(super) const GRPC_SERVICE: Form =
    Form { what: "up to 256 octets", pattern: "", length: (0, 256) };

/// A whole name, be it of one label.
pub(super) const QNAME: Form = Form {
    what: "domain name",
    pattern: concat!(r"^(?:\.|", label!(), r"(?:\.", label!(), r")*\.?)$"),
    length: (1, DOMAIN_MAX),
};

/// A type of records that can be asked for.
pub(super) const RECORD_TYPE: Form = Form {
    what: "record type, as `AAAA` or `TYPE65`",
    pattern: "^[A-Za-z][A-Za-z0-9-]{0,15}$",
    length: (1, 16),
};

/// A word of a command.
pub(super) const WORD: Form = Form { what: "word", pattern: "", length: (0, 1024) };

/// A digest.
pub(super) const SHA256: Form =
    Form { what: "64 hexadecimal digits", pattern: "^[0-9A-Fa-f]{64}$", length: (64, 64) };

/// Path of a file from the root on.
pub(super) const WHOLE_PATH: Form =
    Form { what: "path that begins with `/`", pattern: "^/", length: (2, 4096) };

/// A country.
pub(super) const COUNTRY: Form =
    Form { what: "two letters", pattern: "^[A-Za-z]{2}$", length: (2, 2) };

/// Code of a continent.
macro_rules! continent {
    () => {
        "continent:(?:AF|AN|AS|EU|NA|OC|SA)"
    };
}

/// Some clients.
pub(super) const CLIENTS: Form = Form {
    what: "`\"country:DE\"` and others, see below",
    pattern: concat!(
        "^(?:any|",
        continent!(),
        "|country:[A-Z]{2}|subdivision:[A-Z]{2}-[A-Z0-9]{1,3}|asn:[0-9]{1,10}|",
        "[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?)$"
    ),
    length: (3, usize::MAX),
};

/// Where endpoints stand.
pub(super) const AREA: Form = Form {
    what: "`\"continent:EU\"`, `\"country:DE\"`, `\"site:fra\"`",
    pattern: concat!(
        "^(?:",
        continent!(),
        "|country:[A-Z]{2}|site:[A-Za-z0-9][A-Za-z0-9_-]{0,62})$"
    ),
    length: (6, usize::MAX),
};

/// A distance.
pub(super) const KILOMETRES: Form = Form {
    what: "`\"1500km\"`, up to 20040",
    pattern: "^ *0*(?:[1-9][0-9]{0,3}|1[0-9]{4}|200[0-3][0-9]|20040) *km *$",
    length: (3, usize::MAX),
};

/// Half the way around the earth and less, in kilometres.
macro_rules! kilometres {
    () => {
        "(?:[0-9]{1,4}|1[0-9]{4}|20000) ?km"
    };
}

/// How much nearer or, with a minus, farther.
pub(super) const SIGNED_KILOMETRES: Form = Form {
    what: "`\"-20000km\"` to `\"20000km\"`",
    pattern: concat!("^-?", kilometres!(), "$"),
    length: (3, 9),
};

/// How much worse than the best.
pub(super) const BUDGET: Form = Form {
    what: "`\"0km\"` to `\"20000km\"`, or `\"0ms\"` to `\"999ms\"`",
    pattern: concat!("^(?:", kilometres!(), "|[0-9]{1,3} ?ms)$"),
    length: (3, 8),
};

/// Whom a rule fits.
pub(super) const CONDITION: Form = Form {
    what: "condition",
    pattern: concat!(
        "^(?:continent:(?:AF|AN|AS|EU|NA|OC|SA)|country:[A-Z]{2}|subdivision:[A-Z]{2}-[A-Z0-9]{1,3}",
        "|asn:[0-9]{1,10}|list:[A-Za-z0-9][A-Za-z0-9_-]{0,62}|[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?)$"
    ),
    length: (1, 68),
};

/// One entry of a list of networks.
pub(super) const LIST_ENTRY: Form = Form {
    what: "network, address or `AS64500`",
    pattern: "^(?:AS[0-9]{1,10}|[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?)$",
    length: (2, 43),
};

/// How many members of a pool.
pub(super) const MEMBERS: Form = Form {
    what: "`\"2 members\"`",
    pattern: "^ *0*[1-9][0-9]{0,4} *members?$",
    length: (7, usize::MAX),
};

/// Where a web page comes from, as browsers say it.
pub(super) const ORIGIN: Form = Form {
    what: "origin, or `*`",
    pattern: r"^(?:\*|https?://[a-z0-9._:\[\]-]+)$",
    length: (1, usize::MAX),
};

/// A name of a node or of a cluster.
pub(super) const NODE_NAME: Form = Form {
    what: "1 to 63 of `a-z`, `0-9` and `-`",
    pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
    length: (1, 63),
};

/// The public key of a node; the last character stands for four bits.
pub(super) const PIN: Form = Form {
    what: "`ed25519:` and 43 characters",
    pattern: "^ed25519:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    length: (51, 51),
};

/// An address with a port.
pub(super) const SOCKET_ADDRESS: Form = Form {
    what: "address with port",
    pattern: concat!(
        "^(?:(?:",
        octet!(),
        r"\.){3}",
        octet!(),
        r"|\[[0-9A-Fa-f:.]+(?:%[0-9]+)?\])",
        ":(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
    ),
    length: (4, usize::MAX),
};

/// A host with a port, by name or address.
pub(super) const SERVER: Form = Form {
    what: "host name or address, with port",
    pattern: concat!(
        r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)",
        ":(?:0{0,4}[1-9]|0{0,3}[1-9][0-9]|0{0,2}[1-9][0-9]{2}|0?[1-9][0-9]{3}|[1-5][0-9]{4}",
        "|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
    ),
    length: (3, usize::MAX),
};

/// A network, or an address for itself alone.
pub(super) const NETWORK: Form = Form {
    what: "address or network",
    pattern: concat!(
        "^(?:(?:",
        octet!(),
        r"\.){3}",
        octet!(),
        "(?:/(?:3[0-2]|[12]?[0-9]))?",
        r"|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*",
        "(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$"
    ),
    length: (2, usize::MAX),
};

/// Any text.
pub(super) const TEXT: Form = Form { what: "text", pattern: "", length: (0, usize::MAX) };

/// A path of a file or folder.
pub(super) const FILE: Form = Form { what: "path", pattern: "", length: (0, usize::MAX) };

/// Where a web server is asked.
pub(super) const URL: Form = Form {
    what: "URL of http or https, without a password",
    pattern: r#"^https?://[!"$-.0->A-~]+(?:[/?#][!-~]*)?$"#,
    length: (8, 2048),
};

/// A label as Prometheus has it.
pub(super) const LABEL: Form =
    Form { what: "label", pattern: "^[A-Za-z_][A-Za-z0-9_]*$", length: (1, 128) };

/// The name of a file beside the one that names it.
pub(super) const FILE_NAME: Form = Form { what: "file name", pattern: "", length: (1, usize::MAX) };

/// No network, but all of them.
pub(super) const ANYBODY: Form = Form { what: "`\"any\"`", pattern: "^any$", length: (3, 3) };

/// What NSID may say.
pub(super) const IDENTITY: Form =
    Form { what: "up to 128 octets", pattern: "", length: (0, IDENTITY_MAX) };

/// Most octets of an identity: NSID must fit beside the rest of a 512-octet reply.
pub const IDENTITY_MAX: usize = 128;

/// An IPv4 address that one can connect to.
pub(super) const IPV4: &str = concat!(
    r"^(?!0\.0\.0\.0$|255\.255\.255\.255$|22[4-9]\.|23[0-9]\.)(?:",
    octet!(),
    r"\.){3}",
    octet!(),
    "$"
);

/// An IPv6 address that one can connect to; the rest is the format's to say.
pub(super) const IPV6: &str = r"^(?![Ff]{2})(?![0:]+$)[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$";
