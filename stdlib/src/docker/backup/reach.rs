//! A volume that is read and written through a container for a moment.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, ListImagesOptions, ListVolumesOptionsBuilder,
    RemoveVolumeOptions, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use dollop_engine::backup::{Sink, Source};
use dollop_engine::error::CallError;
use futures::channel::mpsc;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::engine::{Engine, status};
use super::super::helper::{self, Helper, Marks, Purpose};
use super::tree::Tree;

/// Where the volume is in it. Archives begin with this folder, so that its own owner and
/// permissions come along.
const AT: &str = Helper::PATH;
/// How much is read at once.
const PIECE: usize = 64 * 1024;
/// How many pieces may wait for whoever is slower.
const WAITING: usize = 8;

/// A volume within reach.
pub(super) struct Reach<'a> {
    engine: &'a Engine,
    volume: &'a str,
    helper: Helper<'a>,
}

/// The label of what exists for a moment only.
const MARK: &str = "dollop.backup";

/// Marks what exists for a moment only.
pub(super) fn marks(engine: &Engine) -> Marks {
    HashMap::from([(MARK.to_owned(), engine.scope.stack.clone())])
}

/// Removes what a run of this stack left that died.
pub(super) async fn sweep(engine: &Engine) -> Result<(), CallError> {
    helper::sweep(engine, &marks(engine)).await?;
    let mine = format!("{MARK}={}", engine.scope.stack);
    let filters = HashMap::from([("label", vec![mine.as_str()])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let left = engine.docker.list_volumes(Some(options)).await;
    let left = left.map_err(|error| engine.failed("listing volumes", &error))?;
    for volume in left.volumes.unwrap_or_default() {
        let removed =
            engine.docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        match removed {
            Err(error) if status(&error) != Some(404) => {
                let doing = format!("removing volume `{}`", volume.name);
                return Err(engine.failed(&doing, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl<'a> Reach<'a> {
    pub(super) async fn of(engine: &'a Engine, volume: &'a str) -> Result<Self, CallError> {
        let helper = Helper::reach(engine, volume, marks(engine)).await?;
        Ok(Self { engine, volume, helper })
    }

    /// Lets go of it after something was done to it; the volume stays.
    pub(super) async fn after<T>(self, done: Result<T, CallError>) -> Result<T, CallError> {
        self.helper.after(done).await
    }

    /// Writes what the volume holds as a tar archive, and sums it up on the way.
    pub(super) async fn read(&self, sink: Sink<'_>) -> Result<Tree, CallError> {
        let doing = format!("reading volume `{}`", self.volume);
        let options = DownloadFromContainerOptionsBuilder::new().path(AT).build();
        let docker = self.engine.patient(ENDLESS);
        let mut stream =
            Box::pin(docker.download_from_container(self.helper.container(), Some(options)));
        let (sender, receiver) = sync_channel::<Bytes>(WAITING);
        let summing = tokio::task::spawn_blocking(move || Tree::of(Pieces::new(receiver)));
        let mut sender = Some(sender);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| self.engine.failed(&doing, &error))?;
            sink.write_all(&piece).await.map_err(unwritable)?;
            if let Some(open) = sender.take() {
                // A full channel makes a thread wait, which must not be this one.
                let sent = tokio::task::spawn_blocking(move || open.send(piece).map(|()| open));
                sender = sent.await.ok().and_then(Result::ok);
            }
        }
        drop(sender);
        let summed = summing.await.map_err(|error| CallError::refused(error.to_string()))?;
        summed.map_err(|error| {
            CallError::refused(format!("{doing} failed: the archive is cut off: {error}"))
        })
    }

    /// Whether there is anything in the volume but its own folder.
    pub(super) async fn has_files(&self) -> Result<bool, CallError> {
        let doing = format!("looking into volume `{}`", self.volume);
        let options = DownloadFromContainerOptionsBuilder::new().path(AT).build();
        let mut stream = Box::pin(
            self.engine.docker.download_from_container(self.helper.container(), Some(options)),
        );
        let mut begin = Vec::new();
        // An entry of an archive takes a block, a folder no more than that.
        while let Some(piece) = stream.next().await {
            begin.extend(piece.map_err(|error| self.engine.failed(&doing, &error))?);
            if begin.len() > 4096 {
                return Ok(true);
            }
        }
        let mut archive = tar::Archive::new(begin.as_slice());
        let entries = archive.entries().map(Iterator::count);
        entries.map(|many| many > 1).map_err(|error| {
            CallError::refused(format!("{doing} failed: the archive is no archive: {error}"))
        })
    }

    /// Writes the files of a tar archive into the volume.
    pub(super) async fn write(&self, source: Source<'_>) -> Result<(), CallError> {
        let doing = format!("writing volume `{}`", self.volume);
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let (mut sender, receiver) = mpsc::channel::<Bytes>(WAITING);
        let docker = self.engine.patient(ENDLESS);
        let body = bollard::body_stream(receiver);
        let upload = docker.upload_to_container(self.helper.container(), Some(options), body);
        let feed = async move {
            let mut buffer = vec![0; PIECE];
            loop {
                let read = source.read(&mut buffer).await?;
                if read == 0
                    || sender.send(Bytes::copy_from_slice(&buffer[..read])).await.is_err()
                {
                    return io::Result::Ok(());
                }
            }
        };
        let (uploaded, written) = futures::join!(upload, feed);
        written.map_err(|error| CallError::refused(error.to_string()))?;
        uploaded.map_err(|error| self.engine.failed(&doing, &error))
    }

    /// Removes everything in the volume: by `rm` of an image of those that use it, since the
    /// engine has no call for it.
    pub(super) async fn empty(
        &self,
        images: impl Iterator<Item = &str>,
    ) -> Result<(), CallError> {
        let mut images: Vec<String> = images.map(str::to_owned).collect();
        images.extend(all_images(self.engine).await?);
        let mut tried = std::collections::HashSet::new();
        for image in images.into_iter().filter(|image| tried.insert(image.clone())).take(8) {
            if run_rm(self.engine, self.volume, &image).await? && !self.has_files().await? {
                return Ok(());
            }
        }
        let message = format!(
            "volume `{}` cannot be emptied: no image on the engine has a shell and `rm`",
            self.volume
        );
        Err(CallError::refused(message)
            .hint("get one that has: `docker pull busybox`; or remove the volume and apply"))
    }
}

/// Copying takes as long as it takes.
const ENDLESS: std::time::Duration = std::time::Duration::from_hours(24);

/// Whether `rm` could be run.
async fn run_rm(engine: &Engine, volume: &str, image: &str) -> Result<bool, CallError> {
    let all = format!("rm -rf {AT}/* {AT}/.[!.]* {AT}/..?*");
    let words = ["sh", "-c", &all].map(str::to_owned);
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(words.to_vec()),
        cmd: Some(Vec::new()),
        user: Some("0:0".to_owned()),
        host_config: Some(HostConfig {
            mounts: Some(vec![helper::mount(volume, AT)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let doing = format!("emptying volume `{volume}`");
    let about = (Purpose::Remove, volume);
    let helper = Helper::make(engine, &doing, about, "", marks(engine), body).await?;
    let ran = helper.runs_well(ENDLESS).await;
    helper.after(Ok(ran)).await
}

/// Every image, small ones first.
async fn all_images(engine: &Engine) -> Result<Vec<String>, CallError> {
    let images = engine.docker.list_images(None::<ListImagesOptions>).await;
    let mut images = images.map_err(|error| engine.failed("listing images", &error))?;
    images.retain(|image| !image.repo_tags.is_empty());
    images.sort_by_key(|image| (image.size, image.id.clone()));
    Ok(images.into_iter().map(|image| image.id).collect())
}

pub(super) fn unwritable(error: io::Error) -> CallError {
    CallError::refused(error.to_string())
}

/// Pieces that come through a channel, as one text to read.
struct Pieces {
    channel: Receiver<Bytes>,
    piece: Bytes,
}

impl Pieces {
    fn new(channel: Receiver<Bytes>) -> Self {
        Self { channel, piece: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.channel.recv() {
                Ok(piece) => self.piece = piece,
                Err(_) => return Ok(0),
            }
        }
        let many = self.piece.len().min(buffer.len());
        buffer[..many].copy_from_slice(&self.piece.split_to(many));
        Ok(many)
    }
}
