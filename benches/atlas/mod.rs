//! A made-up city database of any size, with the habits of real ones: blocks of one country, towns of very
//! different weight in it, several accuracy radii a town, gaps. Reads nothing back.

use std::collections::HashMap;

/// xorshift64: the same sequence on every machine.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Countries: code, continent, centre, half of its extent in degrees.
const COUNTRIES: [(&str, &str, f64, f64, f64); 24] = [
    ("US", "NA", 39.0, -98.0, 14.0),
    ("CA", "NA", 50.0, -100.0, 15.0),
    ("MX", "NA", 23.0, -102.0, 7.0),
    ("BR", "SA", -12.0, -50.0, 12.0),
    ("AR", "SA", -34.0, -64.0, 8.0),
    ("CL", "SA", -33.0, -71.0, 5.0),
    ("GB", "EU", 53.0, -1.5, 3.0),
    ("FR", "EU", 47.0, 2.5, 3.5),
    ("DE", "EU", 51.0, 10.0, 3.0),
    ("ES", "EU", 40.0, -4.0, 4.0),
    ("IT", "EU", 43.0, 12.0, 4.0),
    ("PL", "EU", 52.0, 19.0, 3.0),
    ("SE", "EU", 60.0, 15.0, 4.0),
    ("RU", "EU", 56.0, 50.0, 14.0),
    ("TR", "AS", 39.0, 35.0, 5.0),
    ("ZA", "AF", -29.0, 25.0, 5.0),
    ("NG", "AF", 9.0, 8.0, 4.0),
    ("EG", "AF", 28.0, 31.0, 3.0),
    ("IN", "AS", 21.0, 78.0, 9.0),
    ("CN", "AS", 33.0, 110.0, 11.0),
    ("JP", "AS", 36.0, 138.0, 4.0),
    ("ID", "AS", -3.0, 115.0, 10.0),
    ("AU", "OC", -28.0, 140.0, 11.0),
    ("NZ", "OC", -41.0, 174.0, 4.0),
];

/// Accuracy radii that MaxMind writes, in kilometres, by how often.
const RADII: [u16; 16] = [20, 20, 20, 20, 10, 10, 5, 5, 1, 50, 50, 100, 100, 200, 500, 1000];

/// How large a database is.
#[derive(Clone, Copy)]
pub struct Size {
    /// About so many IPv4 networks.
    pub v4: usize,
    /// About so many IPv6 networks.
    pub v6: usize,
    /// Towns.
    pub towns: usize,
    /// Prefixes down to this length are mostly divided further.
    pub divided_len: u8,
}

/// A database: octets, networks, records.
pub struct Atlas {
    /// The file.
    pub octets: Vec<u8>,
    /// Networks in it.
    pub networks: usize,
    /// Distinct records in it.
    pub records: usize,
}

/// Makes a database.
pub fn atlas(size: Size) -> Atlas {
    let mut maker = Maker {
        random: Random(7),
        size,
        keep: 1.0,
        tree: vec![[EMPTY; 2]],
        records: HashMap::new(),
        data: Vec::new(),
        networks: 0,
    };
    // A dry run of the divisions tells how many of them to leave out.
    let expected = maker.expected() * 220.0 * 256.0;
    maker.keep = (size.v4 as f64 / expected).min(1.0);
    for block in 0x100_u32..0xe000 {
        if block >> 8 != 10 && block >> 8 != 127 {
            let country = maker.random.below(COUNTRIES.len());
            maker.divide(u128::from(block) << 16, 16, country, 0);
        }
    }
    for number in 0..size.v6 as u128 / 12 {
        let country = maker.random.below(COUNTRIES.len());
        maker.divide_v6((0x2400_u128 << 112) + (number << 96), 32, country, number as usize);
    }
    maker.finish()
}

/// No node and no record.
const EMPTY: u32 = u32::MAX;

/// Marks a record's offset in place of a node.
const RECORD: u32 = 1 << 31;

struct Maker {
    random: Random,
    size: Size,
    /// Share of networks that are not gaps.
    keep: f64,
    tree: Vec<[u32; 2]>,
    /// Country, town and variant to offset.
    records: HashMap<(usize, usize, usize), u32>,
    data: Vec<u8>,
    networks: usize,
}

impl Maker {
    fn divides(&self, len: u8) -> f64 {
        if len < self.size.divided_len { 0.9 } else { 0.35 }
    }

    /// Networks that become of a /16.
    fn expected(&self) -> f64 {
        let below = |after: f64, len: u8| {
            let p = self.divides(len);
            1.0 - p + p * 2.0 * after
        };
        (16..28).rev().fold(1.0, below)
    }

    /// Divides an IPv4 prefix, or makes it a network.
    fn divide(&mut self, address: u128, len: u8, country: usize, near: usize) {
        let near = if len <= 20 { self.random.below(1 << 20) } else { near };
        if len < 28 && self.random.unit() < self.divides(len) {
            self.divide(address, len + 1, country, near);
            self.divide(address | 1 << (31 - len), len + 1, country, near);
        } else if self.random.unit() < self.keep {
            self.put(address, len + 96, country, near);
        }
    }

    /// Divides a provider's IPv6 prefix into about 12 networks, or makes it one; a fifth are gaps.
    fn divide_v6(&mut self, address: u128, len: u8, country: usize, near: usize) {
        let divides = if len < 35 { 0.95 } else { 0.35 };
        if len < 48 && self.random.unit() < divides {
            self.divide_v6(address, len + 1, country, near);
            self.divide_v6(address | 1 << (127 - len), len + 1, country, near);
        } else if self.random.below(5) > 0 {
            self.put(address, len, country, near);
        }
    }

    /// Adds a network of a country: half of those that are close to each other are of one town.
    fn put(&mut self, address: u128, len: u8, country: usize, near: usize) {
        let towns = self.size.towns / COUNTRIES.len();
        let lot = if self.random.below(2) == 0 { Random(near as u64 + 1).next() } else { 0 };
        let lot = if lot == 0 { self.random.unit() } else { (lot % 1000) as f64 / 1000.0 };
        // Large towns have most networks.
        let town = (lot * lot * lot * towns as f64) as usize;
        let variant = self.random.below(3);
        let record = match self.records.get(&(country, town, variant)) {
            Some(record) => *record,
            None => {
                let record = self.data.len() as u32;
                write_place(&mut self.data, country, town, variant);
                self.records.insert((country, town, variant), record);
                record
            }
        };
        self.networks += 1;
        let mut node = 0;
        for depth in 0..len {
            let side = (address >> (127 - depth) & 1) as usize;
            if depth + 1 == len {
                self.tree[node][side] = RECORD | record;
                return;
            }
            if self.tree[node][side] == EMPTY {
                self.tree[node][side] = self.tree.len() as u32;
                self.tree.push([EMPTY; 2]);
            } else if self.tree[node][side] & RECORD != 0 {
                return;
            }
            node = self.tree[node][side] as usize;
        }
    }

    fn finish(self) -> Atlas {
        let count = self.tree.len() as u32;
        let mut octets = Vec::with_capacity(self.tree.len() * 8 + self.data.len() + 1024);
        for side in self.tree.iter().flatten() {
            let value = match *side {
                EMPTY => count,
                side if side & RECORD != 0 => count + 16 + (side & !RECORD),
                side => side,
            };
            octets.extend(value.to_be_bytes());
        }
        octets.extend([0; 16]);
        octets.extend(&self.data);
        octets.extend(b"\xab\xcd\xefMaxMind.com");
        map(&mut octets, 9);
        text(&mut octets, "node_count");
        number(&mut octets, count);
        for (key, value) in [
            ("record_size", 32),
            ("ip_version", 6),
            ("binary_format_major_version", 2),
            ("binary_format_minor_version", 0),
        ] {
            text(&mut octets, key);
            octets.push(5 << 5 | 2);
            octets.extend(u16::to_be_bytes(value));
        }
        text(&mut octets, "build_epoch");
        octets.extend([8, 2]); // a number of 64 bits
        octets.extend(1_700_000_000_u64.to_be_bytes());
        text(&mut octets, "database_type");
        text(&mut octets, "Made-City");
        text(&mut octets, "description");
        map(&mut octets, 0);
        text(&mut octets, "languages");
        octets.extend([0, 4]); // an empty array
        Atlas { octets, networks: self.networks, records: self.records.len() }
    }
}

fn write_place(data: &mut Vec<u8>, country: usize, town: usize, variant: usize) {
    let (code, continent, latitude, longitude, extent) = COUNTRIES[country];
    let seed = (country * 1_000_003 + town) as u64;
    let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.next();
    let mut at = |centre: f64| {
        let degrees = centre + (random.unit() * 2.0 - 1.0) * extent;
        (degrees * 10_000.0).round() / 10_000.0
    };
    let (latitude, longitude) = (at(latitude), at(longitude));
    let moved = if variant == 2 { 0.05 } else { 0.0 };
    let radius = RADII[(town * 7 + variant * 5 + country) % RADII.len()];
    map(data, 5);
    text(data, "continent");
    map(data, 1);
    text(data, "code");
    text(data, continent);
    text(data, "country");
    map(data, 1);
    text(data, "iso_code");
    text(data, code);
    text(data, "subdivisions");
    data.extend([1, 4]); // an array of one
    map(data, 1);
    text(data, "iso_code");
    text(data, &format!("{:02}", town % 20));
    text(data, "city");
    map(data, 1);
    text(data, "names");
    map(data, 1);
    text(data, "en");
    text(data, &format!("Town {town}"));
    text(data, "location");
    map(data, 3);
    text(data, "latitude");
    double(data, latitude + moved);
    text(data, "longitude");
    double(data, longitude);
    text(data, "accuracy_radius");
    number(data, u32::from(radius));
}

fn map(out: &mut Vec<u8>, entries: u8) {
    out.push(7 << 5 | entries);
}

fn text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 29, "a short text");
    out.push(2 << 5 | text.len() as u8);
    out.extend(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.push(6 << 5 | 4);
    out.extend(number.to_be_bytes());
}

fn double(out: &mut Vec<u8>, number: f64) {
    out.push(3 << 5 | 8);
    out.extend(number.to_be_bytes());
}
