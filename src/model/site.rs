//! Where pools and nodes stand.

/// A point on the globe, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location {
    /// -90 (south) to 90 (north).
    pub latitude: f64,
    /// -180 (west) to 180 (east).
    pub longitude: f64,
}

/// A place with a name: a data centre, a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The operator's name, such as `fra`.
    pub name: Box<str>,
    /// Where it is; `nearest` needs it.
    pub location: Location,
    /// ISO 3166-1 alpha-2 code, upper case.
    pub country: Option<[u8; 2]>,
    /// Which part of the world it is in: what its file says, else its continent.
    pub region: Option<Box<str>>,
    /// What serving from it costs against other sites; at least 0.
    pub cost: f64,
}
