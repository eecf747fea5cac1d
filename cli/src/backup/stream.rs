//! Parts on their way to and from a file: provider, zstd, age, checksum, disk. Whatever the
//! size, only a few pieces are in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr as _;
use std::task::{Context, Poll};

use age::stream::StreamWriter;
use age::x25519;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::CommandError;
use crate::secrets;

/// Level of compression: quick.
const LEVEL: i32 = 3;

/// Who can read what is written.
#[derive(Clone, Default)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// One is no recipient.
    pub fn new(texts: &[String]) -> Result<Self, CommandError> {
        let recipients = texts.iter().map(|text| {
            x25519::Recipient::from_str(text.trim()).map_err(|why| {
                CommandError::usage(format!("`{text}` is no age recipient: {why}"))
                    .hint("one begins with `age1`; `age-keygen` makes a key and shows it")
            })
        });
        Ok(Self(recipients.collect::<Result<_, _>>()?))
    }

    /// Whether everybody can.
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }
}

/// A file that is summed up while it is written. Errors name it.
struct Sum {
    file: File,
    path: PathBuf,
    digest: Sha256,
    bytes: u64,
}

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written =
            self.file.write(bytes).map_err(|error| cannot("write", &self.path, &error))?;
        self.digest.update(&bytes[..written]);
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| cannot("write", &self.path, &error))
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} `{}`: {error}", path.display()))
}

enum Sealed {
    Open(Sum),
    Age(StreamWriter<Sum>),
}

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(sum) => sum.write(bytes),
            Self::Age(age) => age.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(sum) => sum.flush(),
            Self::Age(age) => age.flush(),
        }
    }
}

enum Packed {
    Plain(Box<Sealed>),
    Zstd(Box<zstd::Encoder<'static, Sealed>>),
}

/// A file of a backup that is being written; private from its first byte.
pub struct Writer(Packed);

/// What a file is when it is whole.
pub struct Written {
    /// Its size.
    pub bytes: u64,
    /// Its digest, in hex.
    pub sha256: String,
}

impl Writer {
    /// Makes a file that does not exist yet.
    pub fn create(path: &Path, zstd: bool, recipients: &Recipients) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| cannot("create", path, &error))?;
        let sum = Sum { file, path: path.to_owned(), digest: Sha256::new(), bytes: 0 };
        let sealed = if recipients.is_everybody() {
            Sealed::Open(sum)
        } else {
            let recipients =
                recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
            let age = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
            Sealed::Age(age.wrap_output(sum)?)
        };
        Ok(Self(if zstd {
            Packed::Zstd(Box::new(zstd::Encoder::new(sealed, LEVEL)?))
        } else {
            Packed::Plain(Box::new(sealed))
        }))
    }

    /// Ends the file and makes it durable.
    pub fn finish(self) -> io::Result<Written> {
        let sealed = match self.0 {
            Packed::Plain(sealed) => *sealed,
            Packed::Zstd(zstd) => zstd.finish()?,
        };
        let sum = match sealed {
            Sealed::Open(sum) => sum,
            Sealed::Age(age) => age.finish()?,
        };
        sum.file.sync_all().map_err(|error| cannot("write", &sum.path, &error))?;
        Ok(Written { bytes: sum.bytes, sha256: hex::encode(sum.digest.finalize()) })
    }
}

/// A disk is written to without waiting elsewhere: nobody else runs on this thread.
impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(match &mut self.0 {
            Packed::Plain(sealed) => sealed.write(bytes),
            Packed::Zstd(zstd) => zstd.write(bytes),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A file of a backup, as its provider wrote it.
pub struct Reader(Box<dyn Read + Send>);

impl Reader {
    /// Opens a file; one that is encrypted with the identity that is set.
    ///
    /// # Errors
    /// There is no such file, or no key that opens it.
    pub fn open(path: &Path, zstd: bool, encrypted: bool) -> Result<Self, CommandError> {
        let shown = path.display();
        let failed =
            |error: String| CommandError::failed(format!("cannot read `{shown}`: {error}"));
        let file = BufReader::new(File::open(path).map_err(|error| failed(error.to_string()))?);
        let open: Box<dyn Read + Send> = if encrypted {
            let (identities, keys) = secrets::identities().map_err(&failed)?;
            let decryptor = age::Decryptor::new_buffered(file);
            let decryptor = decryptor.map_err(|error| failed(error.to_string()))?;
            let identities =
                identities.iter().map(|identity| &**identity as &dyn age::Identity);
            let reader = decryptor.decrypt(identities).map_err(|error| match error {
                age::DecryptError::NoMatchingKeys => {
                    failed(format!("no key in `{keys}` opens it"))
                }
                error => failed(error.to_string()),
            })?;
            Box::new(reader)
        } else {
            Box::new(file)
        };
        Ok(Self(if zstd {
            Box::new(zstd::Decoder::new(open).map_err(|error| failed(error.to_string()))?)
        } else {
            open
        }))
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled());
        Poll::Ready(read.map(|many| buffer.advance(many)))
    }
}

/// Size and digest of a file.
pub fn sum(path: &Path) -> io::Result<Written> {
    let mut file = File::open(path)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Written { bytes, sha256: hex::encode(digest.finalize()) });
        }
        digest.update(&buffer[..read]);
        bytes += u64::try_from(read).unwrap_or(u64::MAX);
    }
}
