use secrets_core::{Result, SecretBackend};
use secrets_file::{FileBackend, FileBackendBuilder, Layout, Trim};

use crate::backends::Driver;
use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

pub(super) const DRIVER: Driver = Driver {
    parameters: &[
        Parameter::once("base"),
        Parameter::once("extension"),
        Parameter::once("layout"),
        Parameter::once("max_size"),
        Parameter::once("optional_root"),
        Parameter::once("poll_interval"),
        Parameter::once("strict_permissions"),
        Parameter::once("trim"),
    ],
    open,
};

fn open(uri: &mut Uri<'_>) -> Result<Box<dyn SecretBackend>> {
    if !matches!(uri.authority(), "" | "localhost") {
        return Err(invalid(format!(
            "byte {}: a file has no host; write three slashes before a directory, as in file:///run/secrets",
            uri.at()
        )));
    }
    if uri.path().is_empty() {
        return Err(invalid(format!(
            "byte {}: the directory is missing; write file:///run/secrets",
            uri.at()
        )));
    }
    let mut builder = FileBackend::builder(root(uri.path()));
    if let Some(base) = uri.take("base") {
        builder = builder.base(base.name_start()?);
    }
    if let Some(extension) = uri.take("extension") {
        builder = builder.extension(extension.text());
    }
    if let Some(layout) = uri.take("layout") {
        builder = builder.layout(layout.choice(&[("nested", Layout::Nested), ("flat", Layout::Flat)])?);
    }
    if let Some(max_size) = uri.take("max_size") {
        builder = builder.max_size(max_size.size()?);
    }
    if let Some(optional) = uri.take("optional_root") {
        builder = builder.optional_root(optional.flag()?);
    }
    if let Some(interval) = uri.take("poll_interval") {
        builder = poll_interval(builder, &interval)?;
    }
    if let Some(strict) = uri.take("strict_permissions") {
        builder = builder.strict_permissions(strict.flag()?);
    }
    if let Some(trim) = uri.take("trim") {
        builder =
            builder.trim(trim.choice(&[("final_newline", Trim::FinalNewline), ("never", Trim::Never)])?);
    }
    Ok(Box::new(builder.build()?))
}

#[cfg(feature = "file-watch")]
fn poll_interval(builder: FileBackendBuilder, interval: &Value) -> Result<FileBackendBuilder> {
    Ok(builder.poll_interval(interval.duration()?))
}

#[cfg(not(feature = "file-watch"))]
fn poll_interval(_: FileBackendBuilder, interval: &Value) -> Result<FileBackendBuilder> {
    Err(interval.needs_feature("file-watch"))
}

/// `file:///C:/secrets` is the path `/C:/secrets`, which Windows writes without its first slash.
fn root(path: &str) -> &str {
    let drive = |rest: &str| rest.as_bytes().get(1) == Some(&b':');
    match path.strip_prefix('/') {
        Some(rest) if cfg!(windows) && drive(rest) => rest,
        _ => path,
    }
}
