//! Why a type cannot be put together from its fields: everything at once.

use std::fmt;

use super::node::{Id, Lookup, Misfit, Shape};
use super::plan::{Plan, ROOT};
use crate::{Error, ErrorKind, SecretName};

/// All that stands in the way, by full name.
#[derive(Debug)]
pub(super) struct Report<'a> {
    root: &'a SecretName,
    missing: Vec<&'a SecretName>,
    misfits: Vec<(&'a SecretName, Misfit)>,
    /// Fields whose type keeps others from being checked.
    hiding: Vec<&'a SecretName>,
    /// Fields that do not exist, and of which it is not known whether they have to.
    hidden: Vec<&'a SecretName>,
}

impl<'a> Report<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut report = Self {
            root: plan.name(ROOT),
            missing: Vec::new(),
            misfits: Vec::new(),
            hiding: Vec::new(),
            hidden: Vec::new(),
        };
        report.gather(plan, ROOT);
        report
    }

    fn gather(&mut self, plan: &'a Plan, id: Id) {
        let node = &plan.nodes[id];
        if let Some(misfit) = node.misfit {
            self.misfits.push((&node.name, misfit));
        }
        let Shape::Struct { fields, hiding } = &node.shape else {
            if node.required && matches!(node.secret, Lookup::Absent) {
                self.missing.push(&node.name);
            }
            return;
        };
        if id != ROOT && !node.required && !plan.exists(id) {
            return;
        }
        // A type that refuses a struct may do so for want of any field.
        let blame = if node.misfit == Some(Misfit::Refused) {
            Some(id)
        } else {
            *hiding
        };
        let mut hidden = blame == Some(id);
        let before = self.hidden.len();
        for &(_, field) in fields {
            let below = &plan.nodes[field];
            if hidden && plan.is_absent(field) && !(below.required || below.optional || below.spare) {
                self.hide(plan, field);
            } else {
                self.gather(plan, field);
            }
            hidden |= blame == Some(field);
        }
        if self.hidden.len() > before {
            self.hiding.extend(blame.map(|id| &plan.nodes[id].name));
        }
    }

    fn hide(&mut self, plan: &'a Plan, id: Id) {
        let node = &plan.nodes[id];
        match &node.shape {
            Shape::Struct { fields, .. } => fields.iter().for_each(|&(_, field)| self.hide(plan, field)),
            _ => self.hidden.push(&node.name),
        }
    }

    pub(super) fn into_error(self) -> Error {
        let kind = if self.missing.is_empty() || !self.misfits.is_empty() {
            ErrorKind::InvalidData
        } else {
            ErrorKind::NotFound
        };
        let secret = match (self.missing.as_slice(), self.misfits.as_slice()) {
            ([only], []) | ([], [(only, _)]) => only,
            _ => self.root,
        };
        Error::new(kind, self.to_string())
            .with_secret(secret)
            .with_missing(self.missing.into_iter().cloned())
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root;
        write!(
            f,
            "there is no secret `{root}`, and it cannot be put together from one secret for each field"
        )?;
        if !self.missing.is_empty() {
            write!(f, "; missing: {}", List(&self.missing))?;
        }
        if !self.hidden.is_empty() {
            write!(
                f,
                "; missing too, and perhaps needed, which is not known as long as {} cannot be read: {}",
                List(&self.hiding),
                List(&self.hidden)
            )?;
        }
        for (name, misfit) in &self.misfits {
            match misfit {
                Misfit::Not(kind) => write!(f, "; `{name}` is not {kind}")?,
                Misfit::Refused => write!(f, "; `{name}` is refused by the type that reads it")?,
                Misfit::Twice => write!(f, "; `{name}` is another name of a field that exists too")?,
            }
        }
        if self.missing.is_empty() && self.misfits.is_empty() {
            f.write_str("; the type refuses what there is")?;
        }
        if self.misfits.is_empty() {
            write!(
                f,
                "; create what is missing, or store `{root}` as one JSON object"
            )?;
        } else {
            f.write_str("; correct the values")?;
        }
        Ok(())
    }
}

/// Names in a row.
struct List<'a>(&'a [&'a SecretName]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
