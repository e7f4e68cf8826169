//! One field of a type, and what is known about it.

use super::kind::Kind;
use crate::{Error, Secret, SecretName};

/// The place of a field in the plan.
pub(super) type Id = usize;

/// One field: a single value, a struct, or not known yet.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with its own doc"
)]
pub(super) struct Node {
    pub(super) name: SecretName,
    pub(super) shape: Shape,
    pub(super) secret: Lookup,
    /// Why the value cannot be used, once that is known.
    pub(super) misfit: Option<Misfit>,
    /// Some option lies around it.
    pub(super) optional: bool,
    /// The type has said that it cannot be left out.
    pub(super) required: bool,
    /// Another name of a field that is there already.
    pub(super) spare: bool,
    /// It refuses every stand-in, or a struct that cannot do without such a field: left out without a value.
    pub(super) stubborn: bool,
    pub(super) depth: usize,
    /// Which stand-in is next.
    pub(super) stand_in: usize,
}

impl Node {
    pub(super) fn new(name: SecretName, depth: usize) -> Self {
        Self {
            name,
            shape: Shape::Unknown,
            secret: Lookup::Unasked,
            misfit: None,
            optional: false,
            required: false,
            spare: false,
            stubborn: false,
            depth,
            stand_in: 0,
        }
    }

    pub(super) fn is_struct(&self) -> bool {
        matches!(self.shape, Shape::Struct { .. })
    }

    pub(super) fn field(&self, name: &str) -> Option<Id> {
        let Shape::Struct { fields, .. } = &self.shape else {
            return None;
        };
        fields
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, field)| field)
    }
}

#[derive(Debug)]
pub(super) enum Shape {
    Leaf(Kind),
    Struct {
        fields: Vec<(&'static str, Id)>,
        /// The field at which the type stops saying which others it needs: it comes without value or stand-in.
        hiding: Option<Id>,
    },
    Unknown,
}

/// What the store said about a field's own secret.
#[derive(Debug)]
pub(super) enum Lookup {
    Absent,
    Failed(Error),
    Found(Secret),
    Unasked,
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is not of this kind.
    Not(Kind),
    /// The type's own code does not take it.
    Refused,
    /// The field goes by two names, and both exist.
    Twice,
}
