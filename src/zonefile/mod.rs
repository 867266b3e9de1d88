//! zonefile.
