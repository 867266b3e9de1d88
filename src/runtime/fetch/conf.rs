//! geoipupdate's settings: `GeoIP.conf`, `GEOIPUPDATE_*`, and what the command line says. Downloads nothing.
//!
//! A flag wins over the environment, and that over the file. Every problem is collected.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::fetch::download::Account;
use crate::runtime::fetch::download::Retry;

/// Where geoipupdate looks for its file.
pub const DEFAULT_FILE: &str = "/etc/GeoIP.conf";

/// Where it puts databases.
const DEFAULT_FOLDER: &str = "/usr/local/share/GeoIP";

/// Whom it asks.
const DEFAULT_HOST: &str = "updates.maxmind.com";

/// Most downloads at once.
const PARALLELISM_MAX: usize = 16;

/// Largest file of settings or of a secret that is read, in octets.
const TEXT_MAX: usize = 64 * 1024;

/// Keys of the file, with the variable that wins over each; `None` for keys that geoipupdate has retired.
const KEYS: [(&str, Option<&str>); 14] = [
    ("AccountID", Some("GEOIPUPDATE_ACCOUNT_ID")),
    ("LicenseKey", Some("GEOIPUPDATE_LICENSE_KEY")),
    ("EditionIDs", Some("GEOIPUPDATE_EDITION_IDS")),
    ("DatabaseDirectory", Some("GEOIPUPDATE_DB_DIR")),
    ("Host", Some("GEOIPUPDATE_HOST")),
    ("Proxy", Some("GEOIPUPDATE_PROXY")),
    ("ProxyUserPassword", Some("GEOIPUPDATE_PROXY_USER_PASSWORD")),
    ("PreserveFileTimes", Some("GEOIPUPDATE_PRESERVE_FILE_TIMES")),
    ("LockFile", Some("GEOIPUPDATE_LOCK_FILE")),
    ("RetryFor", Some("GEOIPUPDATE_RETRY_FOR")),
    ("Parallelism", Some("GEOIPUPDATE_PARALLELISM")),
    ("Protocol", None),
    ("SkipHostnameVerification", None),
    ("SkipPeerVerification", None),
];

/// Older names of keys.
const OLD_KEYS: [(&str, &str); 2] = [("UserId", "AccountID"), ("ProductIds", "EditionIDs")];

/// Secrets that may also stand in a file of their own, named by a variable.
const SECRET_FILES: [(&str, &str); 2] =
    [("AccountID", "GEOIPUPDATE_ACCOUNT_ID_FILE"), ("LicenseKey", "GEOIPUPDATE_LICENSE_KEY_FILE")];

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// File of settings.
    pub file: Option<PathBuf>,
    /// Where databases go.
    pub folder: Option<PathBuf>,
    /// Which databases; empty if the command line names none.
    pub editions: Vec<String>,
    /// Downloads at once.
    pub parallelism: Option<usize>,
}

/// All settings of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// Who asks.
    pub account: Account,
    /// Which databases.
    pub editions: Vec<String>,
    /// Where they go, as `EDITION.mmdb`.
    pub folder: PathBuf,
    /// `https://` and the host.
    pub server: String,
    /// As the file says.
    pub proxy: Option<String>,
    /// As the file says.
    pub proxy_user_password: Option<String>,
    /// Whether a database gets the time at which the server says that it changed.
    pub preserve_file_times: bool,
    /// Held while an update runs.
    pub lock_file: PathBuf,
    /// How long failures are tried again.
    pub retry: Retry,
    /// Downloads at once.
    pub parallelism: usize,
}

/// A value and where it is from, for messages.
struct Setting {
    from: String,
    value: String,
}

/// Reads settings. `variable` gives a variable of the environment, `read` a file.
///
/// # Errors
/// Every problem, a line each.
pub fn load(
    flags: &Flags,
    variable: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> io::Result<String>,
) -> Result<Conf, Vec<String>> {
    let mut problems = Vec::new();
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let named = flags.file.clone().or_else(|| set("GEOIPUPDATE_CONF_FILE").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let mut settings = BTreeMap::new();
    match read(&path) {
        Ok(text) if text.len() <= TEXT_MAX => parse(&path, &text, &mut settings, &mut problems),
        Ok(_) => problems.push(format!("{}: too large for settings", path.display())),
        // Without a file, everything may stand in the environment.
        Err(why) if named.is_none() && why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => problems.push(format!("{}: {why}", path.display())),
    }
    for (key, name) in KEYS {
        if let Some((name, value)) = name.and_then(|name| Some((name, set(name)?))) {
            settings.insert(key, Setting { from: name.into(), value });
        }
    }
    for (key, name) in SECRET_FILES {
        let Some(path) = set(name) else { continue };
        match read(Path::new(&path)) {
            Ok(text) => {
                settings.insert(key, Setting { from: path, value: text.trim().into() });
            }
            Err(why) => problems.push(format!("{name}: {path}: {why}")),
        }
    }
    let conf = assemble(flags, settings, &mut problems);
    conf.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Reads lines of a key, blanks and its value.
fn parse(
    path: &Path,
    text: &str,
    settings: &mut BTreeMap<&'static str, Setting>,
    problems: &mut Vec<String>,
) {
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let from = format!("{}:{number}", path.display());
        let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let current = OLD_KEYS.iter().find(|(old, _)| *old == word).map_or(word, |(_, new)| new);
        let Some((key, _)) = KEYS.iter().find(|(key, _)| *key == current) else {
            let names: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            problems.push(format!("{from}: {word} is no setting; use {}", names.join(", ")));
            continue;
        };
        if value.trim().is_empty() {
            problems.push(format!("{from}: {word} has no value; write one behind it"));
            continue;
        }
        match settings.entry(key) {
            Entry::Occupied(first) => {
                let first = &first.get().from;
                problems.push(format!("{from}: {word} stands already in {first}; remove one"));
            }
            Entry::Vacant(free) => {
                free.insert(Setting { from, value: value.trim().into() });
            }
        }
    }
}

fn assemble(
    flags: &Flags,
    mut settings: BTreeMap<&'static str, Setting>,
    problems: &mut Vec<String>,
) -> Option<Conf> {
    let mut take = |key: &'static str| settings.remove(key);
    let account = account(take("AccountID"), take("LicenseKey"), problems);
    let named = take("EditionIDs").map_or_else(String::new, |setting| setting.value);
    let editions = match flags.editions.as_slice() {
        [] => named.split_whitespace().map(String::from).collect(),
        editions => editions.to_vec(),
    };
    check_editions(&editions, problems);
    let folder = take("DatabaseDirectory").map(|setting| PathBuf::from(setting.value));
    let folder = flags.folder.clone().or(folder).unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
    let host = take("Host").map_or_else(|| DEFAULT_HOST.into(), |setting| setting.value);
    let server = if host.contains("://") { host } else { format!("https://{host}") };
    let preserve = parsed(take("PreserveFileTimes"), "0 or 1", problems, |text| match text {
        "0" | "false" => Some(false),
        "1" | "true" => Some(true),
        _ => None,
    });
    let total = parsed(take("RetryFor"), "a duration, such as 5m", problems, |text| {
        if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() }
    });
    let wanted = format!("1 to {PARALLELISM_MAX}");
    let is_allowed = |count: &usize| (1..=PARALLELISM_MAX).contains(count);
    let parallelism =
        parsed(take("Parallelism"), &wanted, problems, |text| text.parse().ok().filter(is_allowed));
    if flags.parallelism.is_some_and(|count| !is_allowed(&count)) {
        problems.push(format!("--parallelism: use {wanted}"));
    }
    let proxy_user_password = take("ProxyUserPassword");
    if let Some(Setting { from, .. }) =
        proxy_user_password.as_ref().filter(|setting| !setting.value.contains(':'))
    {
        // Without the value: it is a secret.
        problems.push(format!("{from}: ProxyUserPassword has no colon; use user:password"));
    }
    let lock_file = take("LockFile").map(|setting| PathBuf::from(setting.value));
    Some(Conf {
        account: account?,
        editions,
        lock_file: lock_file.unwrap_or_else(|| folder.join(".geoipupdate.lock")),
        folder,
        server: server.trim_end_matches('/').into(),
        proxy: take("Proxy").map(|setting| setting.value),
        proxy_user_password: proxy_user_password.map(|setting| setting.value),
        preserve_file_times: preserve.unwrap_or(false),
        retry: Retry { total: total.unwrap_or(Retry::default().total), ..Retry::default() },
        parallelism: flags.parallelism.or(parallelism).unwrap_or(1),
    })
}

fn account(
    id: Option<Setting>,
    key: Option<Setting>,
    problems: &mut Vec<String>,
) -> Option<Account> {
    for (name, setting) in [("AccountID", &id), ("LicenseKey", &key)] {
        if setting.is_none() {
            let variable = KEYS.iter().find(|(key, _)| *key == name).and_then(|(_, name)| *name);
            let variable = variable.unwrap_or_default();
            problems.push(format!("{name} is missing; set it in GeoIP.conf, or {variable}"));
        }
    }
    let (id, key) = (id?, key?);
    // What the file has as it is installed.
    let is_sample = ["0", "999999", "YOUR_ACCOUNT_ID_HERE"].contains(&id.value.as_str())
        || ["000000000000", "YOUR_LICENSE_KEY_HERE"].contains(&key.value.as_str());
    if is_sample {
        problems.push(format!("{}: these are sample values; put in your own", id.from));
    } else if id.value.parse::<u64>().is_err() {
        problems.push(format!("{}: AccountID is no number; copy it from your account", id.from));
    }
    Some(Account { id: id.value, license_key: key.value })
}

/// An edition becomes a file name: nothing in it may leave the folder.
fn check_editions(editions: &[String], problems: &mut Vec<String>) {
    if editions.is_empty() {
        problems.push("EditionIDs is missing; name at least one, such as GeoLite2-City".into());
    }
    let is_plain = |edition: &str| {
        edition.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    for edition in editions.iter().filter(|edition| edition.is_empty() || !is_plain(edition)) {
        problems.push(format!("{edition:?} is no edition; write one such as GeoLite2-City"));
    }
}

fn parsed<T>(
    setting: Option<Setting>,
    wanted: &str,
    problems: &mut Vec<String>,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let Setting { from, value } = setting?;
    let result = parse(&value);
    if result.is_none() {
        problems.push(format!("{from}: {value} is not allowed here; use {wanted}"));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# comment\nAccountID 42\nLicenseKey secret\n\
        EditionIDs GeoLite2-City GeoLite2-ASN\nDatabaseDirectory /var/lib/GeoIP\nRetryFor 10m\n\
        PreserveFileTimes 1\nProtocol https\n";

    fn load_with(
        flags: &Flags,
        text: &str,
        variables: &[(&str, &str)],
    ) -> Result<Conf, Vec<String>> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let read = |path: &Path| match path.to_str() {
            Some("/etc/GeoIP.conf") => Ok(text.to_owned()),
            Some("/run/key") => Ok(" from-file \n".into()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        load(flags, variable, read)
    }

    #[test]
    fn the_file_is_read_as_geoipupdate_reads_it() {
        let conf = load_with(&Flags::default(), FILE, &[]).unwrap();
        assert_eq!((conf.account.id.as_str(), conf.account.license_key.as_str()), ("42", "secret"));
        assert_eq!(conf.editions, ["GeoLite2-City", "GeoLite2-ASN"]);
        assert_eq!(conf.lock_file, Path::new("/var/lib/GeoIP/.geoipupdate.lock"));
        assert_eq!((conf.server.as_str(), conf.parallelism), ("https://updates.maxmind.com", 1));
        assert_eq!((conf.retry.total, conf.preserve_file_times), (Duration::from_secs(600), true));
        let old = "UserId 42\nLicenseKey secret\nProductIds 106\n";
        assert_eq!(load_with(&Flags::default(), old, &[]).unwrap().editions, ["106"]);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let variables = [
            ("GEOIPUPDATE_DB_DIR", "/srv/geo"),
            ("GEOIPUPDATE_EDITION_IDS", "GeoIP2-City"),
            ("GEOIPUPDATE_LICENSE_KEY_FILE", "/run/key"),
            ("GEOIPUPDATE_PARALLELISM", "4"),
            ("GEOIPUPDATE_HOST", ""),
        ];
        let conf = load_with(&Flags::default(), FILE, &variables).unwrap();
        assert_eq!((conf.folder.as_path(), conf.parallelism), (Path::new("/srv/geo"), 4));
        assert_eq!(conf.editions, ["GeoIP2-City"]);
        assert_eq!(conf.account.license_key, "from-file");
        let flags =
            Flags { folder: Some("/tmp/geo".into()), parallelism: Some(2), ..Flags::default() };
        let conf = load_with(&flags, FILE, &variables).unwrap();
        assert_eq!((conf.folder.as_path(), conf.parallelism), (Path::new("/tmp/geo"), 2));
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let text = "AccountID 42\nAccountID 43\nLicenceKey x\nRetryFor soon\nParallelism 0\nHost\n\
            EditionIDs ../etc\n";
        let problems = load_with(&Flags::default(), text, &[]).unwrap_err();
        let expected = [
            "/etc/GeoIP.conf:2: AccountID stands already in /etc/GeoIP.conf:1",
            "/etc/GeoIP.conf:3: LicenceKey is no setting",
            "/etc/GeoIP.conf:6: Host has no value",
            "LicenseKey is missing",
            "\"../etc\" is no edition",
            "/etc/GeoIP.conf:4: soon is not allowed here",
            "/etc/GeoIP.conf:5: 0 is not allowed here",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(expected) {
            assert!(problem.starts_with(start), "{problem}");
        }
    }

    #[test]
    fn samples_are_told_and_a_missing_default_file_is_no_fault() {
        let sample = "AccountID 999999\nLicenseKey 000000000000\nEditionIDs GeoLite2-City\n";
        assert!(load_with(&Flags::default(), sample, &[]).unwrap_err()[0].contains("sample"));
        let named = Flags { file: Some("/nowhere".into()), ..Flags::default() };
        assert!(load_with(&named, FILE, &[]).unwrap_err()[0].starts_with("/nowhere: "));
        let variables = [
            ("GEOIPUPDATE_ACCOUNT_ID", "42"),
            ("GEOIPUPDATE_LICENSE_KEY", "k"),
            ("GEOIPUPDATE_EDITION_IDS", "A B"),
        ];
        assert_eq!(load_with(&Flags::default(), "", &variables).unwrap().editions, ["A", "B"]);
    }

    #[test]
    fn a_proxy_password_without_its_user_is_told_but_not_shown() {
        let text = format!("{FILE}ProxyUserPassword hidden\n");
        let problems = load_with(&Flags::default(), &text, &[]).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("/etc/GeoIP.conf:9: ") && !problems[0].contains("hidden"));
    }

    #[test]
    fn the_licence_key_is_not_shown() {
        let conf = load_with(&Flags::default(), FILE, &[]).unwrap();
        assert!(!format!("{conf:?}").contains("secret"));
    }
}
