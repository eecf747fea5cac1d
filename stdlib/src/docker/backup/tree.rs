//! What a volume holds, in a few numbers: the same for the same files, in whatever order an
//! archive has them.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::Archive;

/// The sum of a tree of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tree {
    /// Files, folders, links and the like.
    entries: u64,
    /// Bytes in files.
    bytes: u64,
    /// The digests of all entries, added up bit by bit.
    sum: String,
}

impl Tree {
    /// Reads an archive to its end.
    pub(super) fn of(archive: impl Read) -> io::Result<Self> {
        let mut archive = Archive::new(archive);
        let mut sum = [0_u8; 32];
        let mut tree = Self::default();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let header = entry.header();
            let mut digest = Sha256::new();
            for number in [
                u64::from(header.entry_type().as_byte()),
                u64::from(header.mode()?),
                header.uid()?,
                header.gid()?,
                entry.size(),
            ] {
                digest.update(number.to_be_bytes());
            }
            for text in [Some(entry.path_bytes()), entry.link_name_bytes()] {
                let text = text.unwrap_or_default();
                digest.update(text.len().to_be_bytes());
                digest.update(&text);
            }
            tree.entries += 1;
            tree.bytes += entry.size();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = entry.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                digest.update(&buffer[..read]);
            }
            for (sum, byte) in sum.iter_mut().zip(digest.finalize()) {
                *sum ^= byte;
            }
        }
        tree.sum = hex::encode(sum);
        Ok(tree)
    }

    /// `12 entries of 3401 bytes with sum 5bd9fc30`.
    pub(super) fn words(&self) -> String {
        let entries = if self.entries == 1 { "entry" } else { "entries" };
        format!("{} {entries} of {} bytes with sum {:.8}", self.entries, self.bytes, self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::of(archive(files).as_slice()).unwrap()
    }

    #[test]
    fn the_order_of_an_archive_does_not_matter() {
        assert_eq!(tree(&[("a", "1"), ("b", "2")]), tree(&[("b", "2"), ("a", "1")]));
    }

    #[test]
    fn names_and_content_matter() {
        let one = tree(&[("a", "1"), ("b", "2")]);
        assert_ne!(one, tree(&[("a", "2"), ("b", "1")]));
        assert_ne!(one, tree(&[("a", "1"), ("c", "2")]));
        assert_ne!(one, tree(&[("a", "1")]));
    }
}
