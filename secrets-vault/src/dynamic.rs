//! Reading engines by full path, and keeping the leases of what they make.

use secrets_core::{ErrorKind, Fetched, Metadata, ReadRequest, Result, Secret};
use vaultrs::api::kv1::requests::GetSecretRequest;

use crate::answer::Frame;
use crate::api::{RenewLease, RevokeLease};
use crate::error::Asked;
use crate::json;
use crate::lease::{Leases, Next};
use crate::session::Session;
use crate::values::Values;

/// Any engine that is read with a plain `GET`: its answers may be leased.
pub(crate) struct Dynamic {
    leases: Leases,
}

impl Dynamic {
    pub(crate) fn new() -> Self {
        Self {
            leases: Leases::default(),
        }
    }

    /// The credential that the caller holds, its lease extended; or a new one.
    pub(crate) async fn read(
        &self,
        session: &Session,
        mount: &str,
        path: &str,
        request: &ReadRequest<'_>,
        values: &Values,
    ) -> Result<Fetched> {
        if let Some(lease) = request.known.and_then(Metadata::lease) {
            if let Some(unchanged) = self.extend(session, lease.id()).await? {
                return Ok(unchanged);
            }
        }
        self.mint(session, mount, path, values).await
    }

    /// `None` when a new credential is needed.
    async fn extend(&self, session: &Session, id: &str) -> Result<Option<Fetched>> {
        let Some(entry) = self.leases.get(id) else {
            return Ok(None);
        };
        let now = session.clock().boot();
        match entry.next(session.fate(entry.generation), now) {
            Next::Keep(_) => Ok(self.unchanged(session, id)),
            Next::Replace => Ok(None),
            Next::Renew => self.renew(session, id, entry.generation).await,
        }
    }

    async fn renew(&self, session: &Session, id: &str, generation: u64) -> Result<Option<Fetched>> {
        let asked = Asked::Lease {
            path: "sys/leases/renew",
        };
        let began = session.clock().boot();
        let (answer, token) = session.send(&RenewLease { id }).await?;
        match answer.status {
            // Revoked or ended: the store no longer knows it.
            400 | 404 if !answer.hints().not_renewable => {
                self.leases.forget(id);
                return Ok(None);
            }
            400 | 403 => self.leases.not_extendable(id),
            _ => {
                let renewed = answer
                    .frame(asked)
                    .map_err(|_| Session::explain(asked, &answer, &token));
                let renewed = match renewed {
                    Ok(frame) => frame.lease()?,
                    Err(error) => return Err(error),
                };
                if let Some(lease) = renewed.filter(|lease| *lease.id == *id) {
                    let now = session.clock().boot();
                    self.leases.note(&lease, generation, began, session.jitter(), now);
                }
            }
        }
        // A new login may have been needed for this: then the lease went with the old one.
        let entry = self.leases.get(id);
        let now = session.clock().boot();
        let next = entry.map(|entry| entry.next(session.fate(generation), now));
        match next {
            None | Some(Next::Replace) => Ok(None),
            Some(Next::Keep(_) | Next::Renew) => Ok(self.unchanged(session, id)),
        }
    }

    fn unchanged(&self, session: &Session, id: &str) -> Option<Fetched> {
        let entry = self.leases.get(id)?;
        let lease = entry.lease(id, session.fate(entry.generation), session.clock().boot());
        Some(Fetched::unchanged(Some(lease), None))
    }

    async fn mint(&self, session: &Session, mount: &str, path: &str, values: &Values) -> Result<Fetched> {
        let full = format!("{mount}/{path}");
        let asked = Asked::Read { path: &full };
        let endpoint = GetSecretRequest {
            mount: mount.to_owned(),
            path: path.to_owned(),
        };
        let began = session.clock().boot();
        let (answer, token) = session.send(&endpoint).await?;
        let frame = match answer.status {
            200..=299 => answer.parse()?,
            _ => return Err(Session::explain(asked, &answer, &token)),
        };
        let mut metadata = Metadata::new();
        if let Some(lease) = frame.lease()? {
            let now = session.clock().boot();
            self.leases
                .note(&lease, token.generation, began, session.jitter(), now);
            if let Some(entry) = self.leases.get(&lease.id) {
                metadata = metadata.with_lease(entry.lease(&lease.id, session.fate(token.generation), now));
            }
        }
        Ok(secret(&frame, values)?.with_metadata(metadata).into())
    }

    /// Revokes every lease that has not ended.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong; the others are tried all the same.
    pub(crate) async fn revoke(&self, session: &Session) -> Result<()> {
        let asked = Asked::Lease {
            path: "sys/leases/revoke",
        };
        let mut outcome = Ok(());
        for id in self.leases.take(session.clock().boot()) {
            let revoked = match session.send(&RevokeLease { id: &id }).await {
                Ok((answer, _)) => match answer.success(asked) {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    done => done,
                },
                Err(error) => Err(error),
            };
            outcome = outcome.and(revoked);
        }
        outcome
    }
}

fn secret(frame: &Frame<'_>, values: &Values) -> Result<Secret> {
    let data = frame
        .data
        .ok_or_else(|| crate::answer::malformed("the answer, which has no `data`,"))?;
    values.secret(json::fields(data, values.binary_suffix())?)
}
