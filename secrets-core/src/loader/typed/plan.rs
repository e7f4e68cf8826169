//! What is known about a type's fields and their secrets, and what to do next.
//!
//! A type does not say what its fields are; it asks for them while it is deserialised. So it is deserialised again and
//! again, each time from all that is known by then and from stand-ins for the rest, until a pass either succeeds without
//! stand-ins or teaches nothing new. Passes cost no input or output; only [`Advance::Ask`] does.

use serde::de::DeserializeOwned;

use super::halt::Halt;
use super::kind::Kind;
use super::node::{Id, Lookup, Misfit, Node, Shape};
use super::report::Report;
use super::value::Value;
use crate::{Error, ErrorKind, Result, Secret, SecretName};

/// The place of the type itself.
pub(super) const ROOT: Id = 0;

/// How many structs may lie within one another, the outermost included.
const MAX_DEPTH: usize = 8;

/// How often a type is tried at the most: far more than one with thousands of fields needs.
const MAX_PASSES: usize = 4096;

/// How many newtypes and options may lie around one field.
const MAX_LAYERS: usize = 16;

/// The fields found so far, the type itself first.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) nodes: Vec<Node>,
    /// Ends everything: later asks in the same pass stop at once, so that no type can hide it.
    fatal: Option<Error>,
    /// Whether this pass has taught anything.
    learnt: bool,
    /// How many stand-ins this pass has given out.
    stand_ins: usize,
}

/// What a single value is given.
pub(super) enum Leaf {
    /// The number of a stand-in.
    StandIn(usize),
    Value(Secret),
}

/// How far the plan has come.
pub(super) enum Advance<T> {
    /// These have to be read; [`Plan::answer`] takes the answers.
    Ask(Vec<Id>),
    Done(T),
}

impl Plan {
    /// A plan for the fields of a type below `name`, which itself does not exist.
    pub(super) fn new(name: SecretName) -> Self {
        let mut root = Node::new(name, 0);
        root.secret = Lookup::Absent;
        Self {
            nodes: vec![root],
            fatal: None,
            learnt: false,
            stand_ins: 0,
        }
    }

    /// Goes on as far as possible without reading anything.
    pub(super) fn advance<T: DeserializeOwned>(&mut self) -> Result<Advance<T>> {
        for _ in 0..MAX_PASSES {
            (self.learnt, self.stand_ins) = (false, 0);
            let outcome = self.visit(ROOT, |plan| T::deserialize(Value::new(plan, ROOT)));
            if let Some(error) = self.fatal.take() {
                return Err(error);
            }
            let unasked = self.unasked();
            match outcome {
                Ok(value) if self.stand_ins == 0 && self.is_complete(ROOT) => {
                    return Ok(Advance::Done(value));
                }
                _ if self.learnt => {}
                _ if !unasked.is_empty() => return Ok(Advance::Ask(unasked)),
                _ => return Err(Report::of(self).into_error()),
            }
        }
        Err(self.endless())
    }

    /// The type never comes to an end.
    pub(super) fn endless(&self) -> Error {
        let message = format!(
            "there is no secret `{root}`, and its type asks for fields of its own without end; store `{root}` as one \
             JSON object",
            root = self.name(ROOT)
        );
        Error::new(ErrorKind::Unsupported, message).with_secret(self.name(ROOT))
    }

    /// The full name of a field.
    pub(super) fn name(&self, id: Id) -> &SecretName {
        &self.nodes[id].name
    }

    /// Takes what the store said, in the order asked.
    pub(super) fn answer(&mut self, asked: &[Id], answers: Vec<Result<Secret>>) {
        for (&id, answer) in asked.iter().zip(answers) {
            let node = &mut self.nodes[id];
            node.secret = match answer {
                Ok(secret) => Lookup::Found(secret),
                Err(error) if error.kind() == ErrorKind::NotFound => Lookup::Absent,
                Err(error) => Lookup::Failed(error.with_secret(&node.name)),
            };
        }
        // With values at hand a struct may do.
        for node in &mut self.nodes {
            if let Shape::Struct { hiding, .. } = &mut node.shape {
                *hiding = None;
                node.stubborn = false;
            }
        }
    }

    fn unasked(&self) -> Vec<Id> {
        let unasked =
            |&id: &Id| matches!(self.nodes[id].secret, Lookup::Unasked) && !self.nodes[id].is_struct();
        (0..self.nodes.len()).filter(unasked).collect()
    }

    /// Whether a field, or any below it, has a value or a failure to be told.
    pub(super) fn exists(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        match &node.shape {
            Shape::Struct { fields, .. } => fields.iter().any(|&(_, field)| self.exists(field)),
            _ => matches!(node.secret, Lookup::Found(_) | Lookup::Failed(_)),
        }
    }

    /// Whether everything that could make a field exist has been asked for, in vain.
    pub(super) fn is_absent(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        match &node.shape {
            Shape::Struct { fields, .. } => fields.iter().all(|&(_, field)| self.is_absent(field)),
            _ => matches!(node.secret, Lookup::Absent),
        }
    }

    /// Whether all has been asked for, and nothing found is unfit.
    fn is_complete(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        let fields_are = match &node.shape {
            Shape::Struct { fields, .. } => fields.iter().all(|&(_, field)| self.is_complete(field)),
            _ => !matches!(node.secret, Lookup::Unasked),
        };
        fields_are && node.misfit.is_none()
    }
}

/// What the deserializer asks.
impl Plan {
    /// Whether a struct is given no such key, so that the type falls back on its default or says what is missing.
    pub(super) fn leaves_out(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        if matches!(node.shape, Shape::Struct { .. }) {
            let dispensable = (node.spare && !self.exists(id)) || self.is_absent(id);
            return node.stubborn || node.misfit.is_some() || (!node.required && dispensable);
        }
        let idle = node.misfit.is_some() || !self.exists(id);
        // An unknown shape is always looked at: it may be a struct.
        let known = matches!(node.shape, Shape::Leaf(_));
        let dispensable = node.spare || (known && self.is_absent(id));
        idle && (node.stubborn || (!node.required && dispensable))
    }

    /// Whether an option around a field is empty. One that is required all the same is given a stand-in.
    pub(super) fn is_none(&mut self, id: Id) -> bool {
        self.nodes[id].optional = true;
        let known = !matches!(self.nodes[id].shape, Shape::Unknown);
        known && !self.nodes[id].required && self.is_absent(id)
    }

    /// Hands out a field's value, or a stand-in.
    pub(super) fn leaf(&mut self, id: Id, kind: Kind) -> Result<Leaf, Halt> {
        self.go_on()?;
        if id == ROOT {
            let message = format!(
                "there is no such secret, and only a struct can be read from several; read a single value with `load`, \
                 or store `{}` as a JSON object",
                self.name(ROOT)
            );
            return Err(self.stop(Error::new(ErrorKind::Unsupported, message), ROOT));
        }
        if self.nodes[id].is_struct() {
            return Err(self.unsupported(id, "a struct or a single value, depending on other values"));
        }
        let node = &mut self.nodes[id];
        if matches!(node.shape, Shape::Unknown) {
            node.shape = Shape::Leaf(kind);
            self.learnt = true;
        }
        match &node.secret {
            Lookup::Failed(error) => {
                let error = error.clone();
                Err(self.stop(error, id))
            }
            Lookup::Found(secret) if node.misfit.is_none() => Ok(Leaf::Value(secret.clone())),
            _ => {
                self.stand_ins += 1;
                Ok(Leaf::StandIn(node.stand_in))
            }
        }
    }

    /// A stand-in was taken. Where all have to be tried, the next one is due.
    pub(super) fn taken(&mut self, id: Id) {
        self.next_stand_in(id);
    }

    /// A field is a struct with these fields; their places, in the same order.
    pub(super) fn open(&mut self, id: Id, names: &'static [&'static str]) -> Result<Vec<Id>, Halt> {
        self.go_on()?;
        let depth = self.nodes[id].depth + 1;
        if depth > MAX_DEPTH {
            return Err(self.too_deep(id));
        }
        if !self.nodes[id].is_struct() {
            self.nodes[id].shape = Shape::Struct {
                fields: Vec::new(),
                hiding: None,
            };
            self.learnt = true;
        }
        names.iter().map(|name| self.field(id, name, depth)).collect()
    }

    fn field(&mut self, id: Id, name: &'static str, depth: usize) -> Result<Id, Halt> {
        if let Some(field) = self.nodes[id].field(name) {
            return Ok(field);
        }
        let full = match self.name(id).join(name) {
            Ok(full) => full,
            Err(error) => return Err(self.stop(error, id)),
        };
        let field = self.nodes.len();
        self.nodes.push(Node::new(full, depth));
        if let Shape::Struct { fields, .. } = &mut self.nodes[id].shape {
            fields.push((name, field));
        }
        self.learnt = true;
        Ok(field)
    }

    /// Reads a field by `read`, and notes what comes of it.
    pub(super) fn visit<T>(
        &mut self,
        id: Id,
        read: impl FnOnce(&mut Self) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let before = self.stand_ins;
        read(self).map_err(|halt| {
            if halt != Halt::Noted && self.fatal.is_none() {
                self.refused(id, self.stand_ins > before);
            }
            Halt::Noted
        })
    }

    /// The type refused what it was given for this field.
    fn refused(&mut self, id: Id, stand_ins: bool) {
        let fed = match self.nodes[id].shape {
            Shape::Struct { .. } => !stand_ins && self.is_complete(id),
            _ => self.nodes[id].misfit.is_none() && matches!(self.nodes[id].secret, Lookup::Found(_)),
        };
        if fed {
            let node = &mut self.nodes[id];
            let misfit = match node.shape {
                Shape::Leaf(kind @ Kind::Variant(_)) => Misfit::Not(kind),
                _ => Misfit::Refused,
            };
            node.misfit = Some(misfit);
            self.learnt = true;
        } else if !self.next_stand_in(id) {
            self.give_up(id);
        }
    }

    /// Whether there is another stand-in to try.
    fn next_stand_in(&mut self, id: Id) -> bool {
        let node = &mut self.nodes[id];
        let more = matches!(node.shape, Shape::Leaf(kind) if node.stand_in + 1 < kind.stand_ins());
        if more {
            node.stand_in += 1;
            self.learnt = true;
        }
        more
    }

    fn give_up(&mut self, id: Id) {
        let node = &mut self.nodes[id];
        self.learnt |= !node.stubborn;
        node.stubborn = true;
    }

    /// The value of a field is not of its kind.
    pub(super) fn misfit(&mut self, id: Id, kind: Kind) -> Halt {
        self.nodes[id].misfit = Some(Misfit::Not(kind));
        self.learnt = true;
        Halt::Noted
    }

    /// A struct cannot do without a field that it was not given.
    pub(super) fn missing(&mut self, id: Id, name: &'static str) -> Halt {
        let Some(field) = self.nodes[id].field(name) else {
            return Halt::Refused;
        };
        if self.nodes[field].required {
            // There is no stand-in for it, so the struct cannot be completed either.
            if let Shape::Struct { hiding, .. } = &mut self.nodes[id].shape {
                *hiding = Some(field);
            }
            self.give_up(id);
        } else {
            self.nodes[field].required = true;
            self.learnt = true;
        }
        Halt::Noted
    }

    /// The field `name` was given twice, the second time by the last key.
    pub(super) fn duplicate(
        &mut self,
        name: &'static str,
        last_two: [Option<(&'static str, Id)>; 2],
    ) -> Halt {
        let [Some((last_name, last)), Some((_, before))] = last_two else {
            return Halt::Refused;
        };
        for id in [before, last] {
            if let Lookup::Failed(error) = &self.nodes[id].secret {
                let error = error.clone();
                return self.stop(error, id);
            }
        }
        let spare = match (self.exists(before), self.exists(last)) {
            (true, true) => {
                // A field's names stand together.
                let alias = if last_name == name { before } else { last };
                self.nodes[alias].misfit = Some(Misfit::Twice);
                alias
            }
            (true, false) => last,
            // The one that has been looked at already, so that the other is looked at too.
            (false, _) => before,
        };
        if self.nodes[spare].spare && self.nodes[spare].misfit.is_none() {
            return Halt::Refused;
        }
        self.nodes[spare].spare = true;
        self.learnt = true;
        Halt::Noted
    }

    /// A field is something that cannot be read from secrets of their own.
    pub(super) fn unsupported(&mut self, id: Id, what: &str) -> Halt {
        let message = format!(
            "there is no secret `{root}`, and it cannot be put together from one secret for each field: `{name}` is \
             {what}; store `{root}` as one JSON object",
            root = self.name(ROOT),
            name = self.name(id),
        );
        self.stop(Error::new(ErrorKind::Unsupported, message), id)
    }

    /// Newtypes and options are not endless.
    pub(super) fn check_layers(&mut self, id: Id, layers: usize) -> Result<(), Halt> {
        self.go_on()?;
        if layers > MAX_LAYERS {
            return Err(self.too_deep(id));
        }
        Ok(())
    }

    fn too_deep(&mut self, id: Id) -> Halt {
        let what = format!("more than {MAX_DEPTH} structs deep, or of a type that contains itself");
        self.unsupported(id, &what)
    }

    fn stop(&mut self, error: Error, id: Id) -> Halt {
        let error = error.with_secret(&self.nodes[id].name);
        self.fatal.get_or_insert(error);
        Halt::Noted
    }

    fn go_on(&self) -> Result<(), Halt> {
        if self.fatal.is_some() {
            return Err(Halt::Noted);
        }
        Ok(())
    }
}
