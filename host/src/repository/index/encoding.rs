//! [`Encoding`]: how an object's bytes are stored, and what its file is called.

/// The transform of zstd frames.
pub const ZSTD: &str = "zstd";

/// The transform of zstd frames whose object's name says so itself: `shop@orders@@0.tsv.zst`. Another transform than
/// [`ZSTD`], because a name proves nothing: an engine may compress by itself, have the result compressed once more, and call
/// it whatever it likes.
pub const ZSTD_NAMED: &str = "zstd:named";

/// What a file of zstd frames ends in.
pub const ZSTD_SUFFIX: &str = ".zst";

/// How an object's bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As the engine wrote them.
    Plain,
    /// As zstd frames; the file's name is the object's with [`ZSTD_SUFFIX`], and an export decompresses them.
    Zstd,
    /// As zstd frames; the object's name ends in [`ZSTD_SUFFIX`] already, is the file's, and an export leaves them as they are.
    NamedZstd,
}

impl Encoding {
    /// Of an index entry's transforms; `None` if this version does not know them.
    pub fn of(transforms: &[String]) -> Option<Self> {
        match transforms {
            [] => Some(Self::Plain),
            [transform] if transform == ZSTD => Some(Self::Zstd),
            [transform] if transform == ZSTD_NAMED => Some(Self::NamedZstd),
            _ => None,
        }
    }

    /// As an index entry says it.
    pub fn transforms(self) -> Vec<String> {
        match self {
            Self::Plain => Vec::new(),
            Self::Zstd => vec![ZSTD.to_owned()],
            Self::NamedZstd => vec![ZSTD_NAMED.to_owned()],
        }
    }

    /// Whether the stored bytes are zstd frames.
    pub fn is_compressed(self) -> bool {
        self != Self::Plain
    }

    /// What is added to an object's name to name its file.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => ZSTD_SUFFIX,
            Self::Plain | Self::NamedZstd => "",
        }
    }
}
