use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Version;

/// What is known about a [`Secret`](crate::Secret) beside its value. None of it is confidential.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    version: Option<Version>,
    created: Option<SystemTime>,
    expires: Option<SystemTime>,
    lease: Option<Lease>,
    stale_since: Option<SystemTime>,
    attributes: BTreeMap<Box<str>, Box<str>>,
    /// Through which members of composites the value came, the outermost last.
    route: Vec<u16>,
}

impl Metadata {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version served, where the store has versions; otherwise whatever it changes with every write.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// When this version was written.
    pub fn created(&self) -> Option<SystemTime> {
        self.created
    }

    /// When the store says the value ends. It is never served after that, by the wall clock of the moment it was read.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The lease the value lives on, if it is a leased one.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Set when the value is served although it could not be fetched anew: when its time to live ended.
    pub fn stale_since(&self) -> Option<SystemTime> {
        self.stale_since
    }

    /// One of the store's own notes about the secret: a tag, a content type, custom metadata.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(|value| &**value)
    }

    /// All of the store's own notes, by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Sets the version served.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets when this version was written.
    #[must_use]
    pub fn with_created(mut self, created: SystemTime) -> Self {
        self.created = Some(created);
        self
    }

    /// Sets when the value ends.
    #[must_use]
    pub fn with_expires(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Sets the lease.
    #[must_use]
    pub fn with_lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Adds one of the store's own notes, replacing one of the same name.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The same, noting that it came through this member of a composite.
    pub(crate) fn through(mut self, member: u16) -> Self {
        self.route.push(member);
        self
    }

    /// What that member knew it as; `None` when it came through another.
    pub(crate) fn known_to_member(&self, member: u16) -> Option<Self> {
        let mut inner = self.clone();
        (inner.route.pop()? == member).then_some(inner)
    }

    /// The same, flagged as served past its time to live.
    pub(crate) fn stale(mut self, since: SystemTime) -> Self {
        self.stale_since = Some(since);
        self
    }

    /// The same, with the lease and the end that an `Unchanged` answer brings.
    pub(crate) fn renewed(mut self, lease: Option<Lease>, expires: Option<SystemTime>) -> Self {
        self.lease = lease.or(self.lease);
        self.expires = expires.or(self.expires);
        self.stale_since = None;
        self
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("version", &self.version)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .field("lease", &self.lease)
            .field("stale_since", &self.stale_since)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// How long a dynamic secret lives, counted from the answer that brought it.
#[derive(Clone, PartialEq, Eq)]
pub struct Lease {
    id: Arc<str>,
    duration: Duration,
    renewable: bool,
}

impl Lease {
    /// A lease of the store's `id`, which ends `duration` after the answer that brought it.
    pub fn new(id: impl Into<Arc<str>>, duration: Duration, renewable: bool) -> Self {
        Self {
            id: id.into(),
            duration,
            renewable,
        }
    }

    /// The store's id of the lease. Whoever may revoke leases can end this one by it, so `Debug` leaves it out.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// From the answer that brought it to its end.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether the store will extend it.
    pub fn renewable(&self) -> bool {
        self.renewable
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("duration", &self.duration)
            .field("renewable", &self.renewable)
            .finish_non_exhaustive()
    }
}
