//! Why state is not kept, and what the errors of the database mean.

use std::io;

/// Why the file of state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another process has it open.
    #[error("another server uses it; stop that one, or set another [state] folder")]
    InUse,
    /// A later version of this program wrote it.
    #[error(
        "its format is {found}, this version knows formats up to {known}; it is left as it is: run the version that wrote it, or move it away"
    )]
    Newer {
        /// What it says.
        found: u64,
        /// What we know.
        known: u64,
    },
    /// It is no file of ours, or not as we wrote it.
    #[error("damaged or no file of this program: {0}")]
    Damaged(String),
    /// The system says no.
    #[error("{0}")]
    System(String),
}

impl Fault {
    /// The system's word on a file.
    pub(super) fn system(why: &io::Error) -> Self {
        Self::System(why.to_string())
    }

    fn of_io(why: &io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Damaged(why.to_string())
            }
            _ => Self::system(why),
        }
    }
}

impl From<redb::StorageError> for Fault {
    fn from(why: redb::StorageError) -> Self {
        match why {
            redb::StorageError::Io(why) => Self::of_io(&why),
            redb::StorageError::Corrupted(why) => Self::Damaged(why),
            other => Self::System(other.to_string()),
        }
    }
}

impl From<redb::DatabaseError> for Fault {
    fn from(why: redb::DatabaseError) -> Self {
        match why {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            redb::DatabaseError::Storage(why) => why.into(),
            redb::DatabaseError::UpgradeRequired(found) => {
                Self::Damaged(format!("a database of the old format {found}"))
            }
            other => Self::System(other.to_string()),
        }
    }
}

impl From<redb::TableError> for Fault {
    fn from(why: redb::TableError) -> Self {
        match why {
            redb::TableError::Storage(why) => why.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<redb::TransactionError> for Fault {
    fn from(why: redb::TransactionError) -> Self {
        match why {
            redb::TransactionError::Storage(why) => why.into(),
            other => Self::System(other.to_string()),
        }
    }
}

impl From<redb::CommitError> for Fault {
    fn from(why: redb::CommitError) -> Self {
        match why {
            redb::CommitError::Storage(why) => why.into(),
            other => Self::System(other.to_string()),
        }
    }
}
