//! Environment `base`, made once on the owner's machine and at the owner's word.
//!
//! Nothing is fetched because a peer asked: only [`build`] fetches, and only the owner's command calls it.

pub(in crate::sandbox) mod command;
mod recipe;
mod rootfs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::{Stream, StreamExt, stream};
use tokio::io::AsyncReadExt;

pub use self::recipe::Recipe;
use super::connect::{Client, connect};
use super::{BASE_REPOSITORY, DockerEngine, error};
use crate::sandbox::engine::EngineError;

/// A pull of a gigabyte over a slow line; the owner sees its progress and can interrupt it.
const IMAGE_LIMIT: Duration = Duration::from_secs(2 * 3600);
/// Bytes handed to the engine at once.
const PIECE: usize = 1 << 20;

/// How the owner wants `base` made.
#[derive(Debug, Clone)]
pub struct BaseOrder {
    /// From what.
    pub recipe: Recipe,
    /// Where packages come from; the distribution's own servers if not given.
    pub mirror: Option<String>,
    /// Where tarballs of root file systems are kept, so that a second engine need not build again.
    pub cache: PathBuf,
    /// Build although the image is there.
    pub again: bool,
}

/// Makes the image of environment `base` and gives its id. `progress` gets one line per step, for people.
///
/// # Errors
/// The engine does not answer, or the image cannot be had that way; the text says which other ways there are.
pub async fn build(
    engine: &DockerEngine,
    order: &BaseOrder,
    mut progress: impl FnMut(&str),
) -> Result<String, EngineError> {
    let client = connect(&engine.env).await?;
    let image = format!("{BASE_REPOSITORY}:{}", order.recipe.tag());
    if !order.again
        && let Some(id) = id_of(&client.docker, &image).await?
    {
        progress(&format!("{image} is there already"));
        return Ok(id);
    }
    match &order.recipe {
        Recipe::Image { reference } => pull(&client, reference, &order.recipe.tag(), &mut progress).await?,
        recipe @ Recipe::Packages { .. } => {
            let tarball = rootfs::tarball(recipe, order, &mut progress).await?;
            progress(&format!("importing {}", tarball.display()));
            import(&client, &tarball, &recipe.tag()).await?;
        }
    }
    let id = id_of(&client.docker, &image).await?;
    id.ok_or_else(|| EngineError::Failed(format!("the engine took the image, but has no {image}")))
}

async fn id_of(docker: &Docker, image: &str) -> Result<Option<String>, EngineError> {
    match docker.inspect_image(image).await {
        Ok(found) => Ok(found.id),
        Err(e) if error::is_status(&e, 404) => Ok(None),
        Err(e) => Err(error::asked("look for the image", &e)),
    }
}

/// Hands the engine a root file system.
async fn import(client: &Client, tarball: &Path, tag: &str) -> Result<(), EngineError> {
    let unreadable = |e: std::io::Error| EngineError::Failed(format!("{} cannot be read: {e}", tarball.display()));
    let file = tokio::fs::File::open(tarball).await.map_err(unreadable)?;
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (piece.freeze(), file)))
    });
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(BASE_REPOSITORY).tag(tag).build();
    let patient = client.docker.clone().with_timeout(IMAGE_LIMIT);
    let steps = patient.create_image(Some(options), Some(bollard::body_try_stream(pieces)), None);
    let id = follow(steps, &mut |_| ()).await?;
    // Podman ignores the tag of an import.
    match (id_of(&client.docker, &format!("{BASE_REPOSITORY}:{tag}")).await?, id) {
        (None, Some(id)) => name_it(&client.docker, &id, tag).await,
        _ => Ok(()),
    }
}

/// Fetches an image that the owner named and gives it our name too.
async fn pull(client: &Client, reference: &str, tag: &str, progress: &mut impl FnMut(&str)) -> Result<(), EngineError> {
    progress(&format!("pulling {reference}"));
    let mut options = CreateImageOptionsBuilder::default().from_image(reference);
    // Without a tag or digest the engine would fetch every tag there is.
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if !last.contains([':', '@']) {
        options = options.tag("latest");
    }
    let patient = client.docker.clone().with_timeout(IMAGE_LIMIT);
    follow(patient.create_image(Some(options.build()), None, None), progress).await?;
    name_it(&client.docker, reference, tag).await
}

async fn name_it(docker: &Docker, image: &str, tag: &str) -> Result<(), EngineError> {
    let options = TagImageOptionsBuilder::default().repo(BASE_REPOSITORY).tag(tag).build();
    docker.tag_image(image, Some(options)).await.map_err(|e| error::asked("name the image", &e))
}

/// Follows the making of an image to its end and gives the last status line; an import's is the image's id.
async fn follow(
    mut steps: impl Stream<Item = Result<CreateImageInfo, Error>> + Unpin,
    progress: &mut impl FnMut(&str),
) -> Result<Option<String>, EngineError> {
    let (mut last, mut shown) = (None, String::new());
    while let Some(step) = steps.next().await {
        let step = step.map_err(|e| error::asked("make the image", &e))?;
        let Some(status) = step.status else { continue };
        // Layers repeat their line with each percent; a line is shown once.
        let line = format!("{} {}", step.id.unwrap_or_default(), status);
        if line != shown {
            progress(line.trim());
            shown = line;
        }
        last = Some(status);
    }
    Ok(last)
}
