//! Other name servers' checkers of master files, where they are installed.

use std::process::Command;

use rhumb::wire::Name;

/// A zone's first lines; the apex is `example.`.
pub const HEAD: &str =
    "$TTL 300\n$ORIGIN example.\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

/// A program that loads a master file, or refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    Bind,
    Knot,
    Nsd,
}

impl Judge {
    pub const ALL: [Self; 3] = [Self::Bind, Self::Knot, Self::Nsd];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Knot => "knot",
            Self::Nsd => "nsd",
        }
    }

    /// The version that the tables were made with.
    pub fn version(self) -> &'static str {
        match self {
            Self::Bind => "9.18.49",
            Self::Knot => "3.2.6",
            Self::Nsd => "4.6.1",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Bind => "named-compilezone",
            Self::Knot => "kzonecheck",
            Self::Nsd => "nsd-checkzone",
        }
    }

    /// Its version, or why it cannot judge.
    pub fn find(self) -> Result<String, String> {
        let argument = match self {
            Self::Bind => "-v",
            Self::Knot => "-V",
            Self::Nsd => "-h",
        };
        let output = Command::new(self.program()).arg(argument).output();
        let output = output.map_err(|why| format!("{} cannot be run: {why}", self.program()))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
        let version = text.lines().find(|line| line.starts_with("Version")).or(line);
        Ok(format!("{} {}", self.program(), version.unwrap_or("of no version")))
    }

    /// Whether it takes one record.
    pub fn accepts(self, mnemonic: &str, text: &str) -> bool {
        match mnemonic {
            "SOA" => self.loads(&HEAD.replace("SOA ns1 h 1 2 3 4 5", &format!("SOA {text}"))),
            _ => self.loads(&format!("{HEAD}r {mnemonic} {text}\n")),
        }
    }

    /// Whether it loads a zone `example.`
    pub fn loads(self, zone: &str) -> bool {
        self.loads_as("example", zone)
    }

    /// Whether it loads a zone of this name.
    pub fn loads_as(self, apex: &str, zone: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone");
        std::fs::write(&file, zone).unwrap();
        let mut command = Command::new(self.program());
        match self {
            Self::Bind => command.args(LENIENT).args(["-F", "raw", "-o", "/dev/null", apex]),
            Self::Knot => command.args(["-d", "off", "-o", apex]),
            Self::Nsd => command.arg(apex),
        };
        command.arg(&file).output().unwrap().status.success()
    }
}

/// No checks of what records mean together.
const LENIENT: [&str; 9] = ["-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore"];

/// A zone in which each record has an owner of its own; SOA records are left out.
pub fn zone(records: &[(&str, &str)]) -> String {
    let mut zone = HEAD.to_owned();
    for (position, (mnemonic, text)) in records.iter().enumerate() {
        if *mnemonic != "SOA" {
            zone += &format!("r{position} {mnemonic} {text}\n");
        }
    }
    zone
}

/// A zone as BIND writes it.
pub fn compile(zone: &str, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (file, made) = (folder.path().join("zone"), folder.path().join("made"));
    std::fs::write(&file, zone).unwrap();
    let mut command = Command::new("named-compilezone");
    command.args(LENIENT).args(["-s", "full", "-F", format, "-o"]).arg(&made).arg("example");
    let output = command.arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read(made).unwrap()
}

/// Owner and data of each record of BIND's raw format, version 1.
pub fn records_of_raw(octets: &[u8]) -> Vec<(Name, Vec<u8>)> {
    let u16_at = |at: usize| usize::from(u16::from_be_bytes([octets[at], octets[at + 1]]));
    let u32_at = |at: usize| (u16_at(at) << 16) | u16_at(at + 2);
    let mut records = Vec::new();
    let mut start = 24;
    while start < octets.len() {
        let (end, count, name_len) =
            (start + u32_at(start), u32_at(start + 14), u16_at(start + 18));
        let name = Name::from_wire(&octets[start + 20..start + 20 + name_len]).unwrap();
        let mut at = start + 20 + name_len;
        for _ in 0..count {
            let len = u16_at(at);
            records.push((name.clone(), octets[at + 2..at + 2 + len].to_vec()));
            at += 2 + len;
        }
        start = end;
    }
    records
}
