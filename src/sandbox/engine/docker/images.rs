//! Images that hold environments: looked up, fetched, built, forgotten. Only an owner's order leads here.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bollard::models::BuildInfo;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptions, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::connect::connect;
use super::{DockerEngine, error};
use crate::sandbox::engine::EngineError;

/// Repository of the images of environments; the tag names which.
pub(in crate::sandbox) const REPOSITORY: &str = "homie-env";
/// Label: the digest of the environment.
const LABEL_ENV: &str = "homie.env";
/// A pull or a step may be silent for long; the build's own limit ends it.
const SILENCE: Duration = Duration::from_secs(3600);

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct ImageFacts {
    /// `sha256:…`, by which it is run.
    pub(in crate::sandbox) id: String,
    /// `name@sha256:…`, by which others can pull the same; none for images made here.
    pub(in crate::sandbox) reference: Option<String>,
    /// Bytes on disk, layers shared with others included.
    pub(in crate::sandbox) bytes: u64,
    /// `sha256:…` of its layers, unpacked, the lowest first.
    pub(in crate::sandbox) layers: Vec<String>,
}

/// How an image is made.
#[derive(Debug)]
pub(in crate::sandbox) struct ImageOrder<'a> {
    /// The text of the Dockerfile; there is nothing else in its context.
    pub(in crate::sandbox) dockerfile: &'a str,
    /// The tag below [`REPOSITORY`].
    pub(in crate::sandbox) tag: &'a str,
    /// The digest of the environment.
    pub(in crate::sandbox) digest: &'a str,
    /// The container whose (empty) network the steps share.
    pub(in crate::sandbox) road: &'a str,
    /// Variables of the steps that the image does not keep.
    pub(in crate::sandbox) vars: HashMap<String, String>,
    /// Memory of a step.
    pub(in crate::sandbox) memory_bytes: u64,
    /// Processor time of a step, in thousandths of a core.
    pub(in crate::sandbox) cpu_millis: u32,
}

impl DockerEngine {
    /// The image of environment `base`, by id.
    pub(in crate::sandbox) async fn base(&self) -> Result<Option<String>, EngineError> {
        Self::base_image(&connect(&self.env).await?).await
    }

    /// What is known of an image that is on this machine.
    pub(in crate::sandbox) async fn image(&self, name: &str) -> Result<Option<ImageFacts>, EngineError> {
        let client = connect(&self.env).await?;
        match client.docker.inspect_image(name).await {
            Ok(found) => Ok(found.id.map(|id| ImageFacts {
                id,
                reference: found.repo_digests.unwrap_or_default().into_iter().next(),
                bytes: found.size.and_then(|s| u64::try_from(s).ok()).unwrap_or(0),
                layers: found.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
            })),
            Err(e) if error::is_status(&e, 404) => Ok(None),
            Err(e) => Err(error::asked("look for the image", &e)),
        }
    }

    /// Fetches an image from its registry.
    pub(in crate::sandbox) async fn pull(
        &self,
        reference: &str,
        mut line: impl FnMut(&str),
    ) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let mut options = CreateImageOptionsBuilder::default().from_image(reference);
        // Without a tag or digest the engine would fetch every tag there is.
        if !reference.rsplit('/').next().unwrap_or(reference).contains([':', '@']) {
            options = options.tag("latest");
        }
        let patient = client.docker.clone().with_timeout(SILENCE);
        let mut steps = patient.create_image(Some(options.build()), None, None);
        while let Some(step) = steps.next().await {
            let step = step.map_err(|e| error::asked("pull the image", &e))?;
            line(format!("{} {}", step.id.unwrap_or_default(), step.status.unwrap_or_default()).trim());
        }
        Ok(())
    }

    /// Writes an image, as the engine packs it (a tar file), into `pieces`. Ends early when nobody takes them.
    pub(in crate::sandbox) async fn pack(&self, id: &str, pieces: mpsc::Sender<Bytes>) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let patient = client.docker.clone().with_timeout(SILENCE);
        let mut packed = std::pin::pin!(patient.export_image(id));
        while let Some(piece) = packed.next().await {
            let piece = piece.map_err(|e| error::asked("pack the image", &e))?;
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Takes in an image that was packed so.
    pub(in crate::sandbox) async fn unpack(
        &self,
        packed: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let patient = client.docker.clone().with_timeout(SILENCE);
        let mut steps = std::pin::pin!(patient.import_image_stream(ImportImageOptions::default(), packed, None));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|e| error::asked("unpack the image", &e))?;
            if let Some(e) = step.error_detail.and_then(|e| e.message) {
                return Err(EngineError::Failed(format!("the engine could not unpack the image: {e}")));
            }
        }
        Ok(())
    }

    /// Gives an image a name of ours, so that it stays and is told from others.
    pub(in crate::sandbox) async fn name_image(&self, image: &str, tag: &str) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let options = TagImageOptionsBuilder::default().repo(REPOSITORY).tag(tag).build();
        client.docker.tag_image(image, Some(options)).await.map_err(|e| error::asked("name the image", &e))
    }

    /// Takes a name of ours away, and the image with it if that was its last one. One that is gone is fine.
    pub(in crate::sandbox) async fn forget_image(&self, tag: &str) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let options = RemoveImageOptionsBuilder::default().build();
        match client.docker.remove_image(&format!("{REPOSITORY}:{tag}"), Some(options), None).await {
            Err(e) if !error::is_status(&e, 404) => Err(error::asked("remove the image", &e)),
            _ => Ok(()),
        }
    }

    /// Whether the builder keeps steps in the network of a container that is named to it. Podman's does not take the name
    /// (its API's build ignores `networkmode`, in 4.3 as in earlier ones): its steps would have this machine's own network.
    pub(in crate::sandbox) async fn keeps_steps_in(&self) -> Result<bool, EngineError> {
        Ok(!connect(&self.env).await?.found.pong.podman)
    }

    /// Makes an image; a future that is dropped ends it, the engine removes the step at hand. An error is the step's own.
    pub(in crate::sandbox) async fn build_image(
        &self,
        order: &ImageOrder<'_>,
        mut line: impl FnMut(&str),
    ) -> Result<(), EngineError> {
        let client = connect(&self.env).await?;
        let labels = HashMap::from([(LABEL_ENV, order.digest)]);
        // The API's numbers are 64 bits wide, bollard's 32.
        let memory = i32::try_from(order.memory_bytes).unwrap_or(i32::MAX);
        const PERIOD: i32 = 100_000;
        let quota = i32::try_from(u64::from(order.cpu_millis) * 100).unwrap_or(i32::MAX);
        let options = BuildImageOptionsBuilder::default()
            .dockerfile("Dockerfile")
            .t(&format!("{REPOSITORY}:{}", order.tag))
            .labels(&labels)
            .buildargs(&order.vars)
            .networkmode(&format!("container:{}", order.road))
            .memory(memory)
            .memswap(memory)
            .cpuperiod(PERIOD)
            .cpuquota(quota)
            .rm(true)
            .forcerm(true)
            .build();
        let context = context(order.dockerfile).map_err(|e| EngineError::Failed(format!("the context: {e}")))?;
        let patient = client.docker.clone().with_timeout(SILENCE);
        let mut steps = patient.build_image(options, None, Some(bollard::body_full(context.into())));
        while let Some(step) = steps.next().await {
            let BuildInfo { stream, status, error_detail, .. } =
                step.map_err(|e| EngineError::Spawn(error::words(&e)))?;
            for text in [stream, status].into_iter().flatten() {
                text.lines().filter(|l| !l.trim().is_empty()).for_each(&mut line);
            }
            if let Some(e) = error_detail.and_then(|e| e.message) {
                return Err(EngineError::Spawn(e));
            }
        }
        Ok(())
    }
}

/// A tar file with nothing but the Dockerfile in it: the API takes no other form.
fn context(dockerfile: &str) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    tar.into_inner()
}
