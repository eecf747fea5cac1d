//! Handing the files of a build to BuildKit.
//!
//! The engine asks for a folder by name and is told of everything in it; then it asks for the
//! contents it lacks. An archive, as the classic builder takes one, would leave nobody to
//! apply `.dockerignore` to the Dockerfile itself: BuildKit does not do so with archives.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::context::Context;

/// How the engine calls the folder that is built from, and that of the Dockerfile.
const CONTEXT: &str = "context";
const DOCKERFILE: &str = "dockerfile";
/// What the engine would apply once more, by its own reading of patterns.
const IGNORE_FILE: &str = ".dockerignore";
/// How much of a file one message holds.
const CHUNK: usize = 64 << 10;
/// How many messages wait for the engine at most.
const WAITING: usize = 16;

// Modes as Go writes them.
const FOLDER: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const SET_USER: u32 = 1 << 23;
const SET_GROUP: u32 = 1 << 22;
const STICKY: u32 = 1 << 20;

/// The files of one build.
pub(super) struct Source {
    /// The folder, and what of it counts.
    pub(super) context: Context,
    /// The Dockerfile: its name and its text.
    pub(super) dockerfile: (String, Vec<u8>),
}

/// Where the content of something told of is.
enum Content {
    None,
    File(PathBuf),
    Text(Vec<u8>),
}

/// What is sent.
pub(super) type Packets = BoxStream<'static, Result<Packet, Status>>;

/// Answers one request for a folder; `only` are the names the engine is after, if it says so.
pub(super) fn send(
    source: Arc<Source>,
    folder: &str,
    only: &[String],
    mut asked: Streaming<Packet>,
) -> Result<Packets, Status> {
    let told: fn(&Source, &mut Teller) -> io::Result<()> = match folder {
        DOCKERFILE => tell_dockerfile,
        // What it names is left out already.
        CONTEXT if only == [IGNORE_FILE] => |_, _| Ok(()),
        CONTEXT => tell_context,
        other => return Err(Status::not_found(format!("no folder `{other}` to build from"))),
    };
    let (sender, packets) = mpsc::channel(WAITING);
    let (wants, mut wanted) = mpsc::unbounded_channel::<u32>();
    let out = sender.clone();
    // It ends with the engine's last question, or when nobody listens any more.
    tokio::task::spawn_blocking(move || {
        let mut teller = Teller { out, contents: Vec::new() };
        let sent = told(&source, &mut teller).and_then(|()| {
            teller.out(packet(PacketType::PacketStat))?;
            while let Some(id) = wanted.blocking_recv() {
                teller.content(id)?;
            }
            Ok(())
        });
        if let Err(error) = sent {
            let data = error.to_string().into_bytes();
            let failed = Packet { data, ..packet(PacketType::PacketErr) };
            drop(teller.out(failed));
        }
    });
    tokio::spawn(async move {
        while let Some(Ok(question)) = asked.next().await {
            match question.r#type() {
                PacketType::PacketReq => {
                    if wants.send(question.id).is_err() {
                        return;
                    }
                }
                PacketType::PacketFin => {
                    drop(sender.send(packet(PacketType::PacketFin)).await);
                    return;
                }
                PacketType::PacketErr => return,
                PacketType::PacketStat | PacketType::PacketData => {}
            }
        }
    });
    let packets = stream::unfold(packets, async |mut packets| {
        let next = packets.recv().await?;
        Some((Ok(next), packets))
    });
    Ok(packets.boxed())
}

fn packet(kind: PacketType) -> Packet {
    Packet { r#type: kind.into(), ..Packet::default() }
}

/// Tells the engine of files, and of their contents when it asks.
struct Teller {
    out: mpsc::Sender<Packet>,
    /// Of everything told of, in that order, which is how the engine asks for it.
    contents: Vec<Content>,
}

impl Teller {
    fn out(&self, packet: Packet) -> io::Result<()> {
        self.out.blocking_send(packet).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn tell(&mut self, stat: Stat, content: Content) -> io::Result<()> {
        self.contents.push(content);
        self.out(Packet { stat: Some(stat), ..packet(PacketType::PacketStat) })
    }

    /// All of one file, and an empty part at its end.
    fn content(&self, id: u32) -> io::Result<()> {
        let part =
            |data: Vec<u8>| self.out(Packet { id, data, ..packet(PacketType::PacketData) });
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        match self.contents.get(index) {
            Some(Content::File(path)) => {
                let mut file = File::open(path).map_err(|error| at(path, &error))?;
                loop {
                    let mut data = vec![0; CHUNK];
                    let read = file.read(&mut data).map_err(|error| at(path, &error))?;
                    data.truncate(read);
                    part(data)?;
                    if read == 0 {
                        return Ok(());
                    }
                }
            }
            Some(Content::Text(text)) => {
                for chunk in text.chunks(CHUNK) {
                    part(chunk.to_vec())?;
                }
                part(Vec::new())
            }
            Some(Content::None) | None => part(Vec::new()),
        }
    }
}

fn tell_dockerfile(source: &Source, teller: &mut Teller) -> io::Result<()> {
    let (name, text) = &source.dockerfile;
    let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let stat = Stat { path: name.clone(), mode: 0o644, size, ..Stat::default() };
    teller.tell(stat, Content::Text(text.clone()))
}

/// Everything that counts, folders before what is in them, in the order of names.
fn tell_context(source: &Source, teller: &mut Teller) -> io::Result<()> {
    let mut told = HashSet::new();
    for entry in source.context.counted() {
        let (path, name) = entry.map_err(|error| io::Error::other(error.to_string()))?;
        // A pattern may leave out a folder and take in again a part of it.
        let above: Vec<_> = Path::new(&name).ancestors().skip(1).collect();
        for parent in above.into_iter().rev().filter(|parent| !parent.as_os_str().is_empty()) {
            if told.insert(parent.to_owned()) {
                let path = source.context.folder().join(parent);
                let meta = fs::symlink_metadata(&path).map_err(|error| at(&path, &error))?;
                let (stat, content) = about(&path, &parent.to_string_lossy(), &meta)?;
                teller.tell(stat, content)?;
            }
        }
        let meta = fs::symlink_metadata(&path).map_err(|error| at(&path, &error))?;
        let kind = meta.file_type();
        // Sockets and devices cannot be part of an image.
        let can = kind.is_dir() || kind.is_file() || kind.is_symlink();
        if !can || (kind.is_dir() && !told.insert(PathBuf::from(&name))) {
            continue;
        }
        let (stat, content) = about(&path, &name, &meta)?;
        teller.tell(stat, content)?;
    }
    Ok(())
}

/// What the engine is told of a file. As for the classic builder, it belongs to nobody:
/// numbers of users mean nothing in an image.
fn about(path: &Path, name: &str, meta: &Metadata) -> io::Result<(Stat, Content)> {
    let mut stat = Stat {
        path: name.to_owned(),
        mode: mode(meta),
        mod_time: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        ..Stat::default()
    };
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|error| at(path, &error))?;
        stat.linkname = target.to_string_lossy().into_owned();
        return Ok((stat, Content::None));
    }
    if kind.is_dir() {
        return Ok((stat, Content::None));
    }
    stat.size = i64::try_from(meta.len()).unwrap_or(i64::MAX);
    Ok((stat, Content::File(path.to_owned())))
}

fn mode(meta: &Metadata) -> u32 {
    let mode = meta.mode();
    let kind = meta.file_type();
    let flags = [
        (kind.is_dir(), FOLDER),
        (kind.is_symlink(), LINK),
        (mode & 0o4000 != 0, SET_USER),
        (mode & 0o2000 != 0, SET_GROUP),
        (mode & 0o1000 != 0, STICKY),
    ];
    let set = flags.iter().filter(|(is, _)| *is);
    set.fold(mode & 0o777, |mode, (_, flag)| mode | flag)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::context::Dockerfile;
    use super::*;

    /// What the engine is told of a folder, in order.
    fn told(source: &Source) -> Vec<Stat> {
        let (out, mut packets) = mpsc::channel(1000);
        let mut teller = Teller { out, contents: Vec::new() };
        tell_context(source, &mut teller).unwrap();
        drop(teller);
        let mut told = Vec::new();
        while let Ok(packet) = packets.try_recv() {
            told.extend(packet.stat);
        }
        told
    }

    fn source(folder: &Path) -> Source {
        let dockerfile = Dockerfile::Inside("Dockerfile".to_owned());
        let context = Context::open(folder.to_owned(), dockerfile).unwrap();
        Source { context, dockerfile: ("Dockerfile".to_owned(), b"FROM x".to_vec()) }
    }

    #[test]
    fn folders_come_before_what_is_in_them_even_when_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Dockerfile", "FROM x");
        write("a/b/c", "12");
        write("a.txt", "1");
        write("z/skip", "1");
        std::os::unix::fs::symlink("a.txt", folder.path().join("link")).unwrap();
        let names =
            |stats: &[Stat]| stats.iter().map(|stat| stat.path.clone()).collect::<Vec<_>>();
        let all = told(&source(folder.path()));
        let every = ["Dockerfile", "a", "a/b", "a/b/c", "a.txt", "link", "z", "z/skip"];
        assert_eq!(names(&all), every);
        let of = |name: &str| all.iter().find(|stat| stat.path == name).unwrap();
        assert_eq!(of("a").mode & FOLDER, FOLDER);
        assert_eq!((of("a/b/c").size, of("a/b/c").uid), (2, 0));
        assert_eq!(of("link").linkname, "a.txt");
        assert_eq!(of("link").mode & LINK, LINK);

        // The Dockerfile too, when it is told so.
        write(".dockerignore", "*\n!a/b/c\n");
        assert_eq!(names(&told(&source(folder.path()))), ["a", "a/b", "a/b/c"]);
    }
}
