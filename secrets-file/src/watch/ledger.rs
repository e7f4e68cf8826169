use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};

use secrets_core::{ErrorKind, SecretName};

/// As many secrets as a manager caches by default.
const MAX_NAMES: usize = 10_000;

/// What a secret was, as far as it takes to see that it is another: never the value, and of no use outside the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Absent,
    Holds(u64),
    Refused(ErrorKind),
}

impl State {
    /// What a failed read says about the secret; nothing, where reading again may well succeed.
    pub fn of_error(kind: ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::NotFound => Some(Self(Kind::Absent)),
            ErrorKind::Disabled
            | ErrorKind::InvalidData
            | ErrorKind::InvalidName
            | ErrorKind::PermissionDenied => Some(Self(Kind::Refused(kind))),
            _ => None,
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Absent => f.write_str("Absent"),
            Kind::Holds(_) => f.write_str("Holds([REDACTED])"),
            Kind::Refused(kind) => write!(f, "Refused({kind:?})"),
        }
    }
}

/// What each secret was when the backend last served it; the oldest of more than 10,000 are forgotten.
#[derive(Default)]
pub struct Ledger {
    key: RandomState,
    served: Mutex<Served>,
}

#[derive(Default)]
struct Served {
    states: HashMap<SecretName, State>,
    /// The names, oldest first.
    order: VecDeque<SecretName>,
}

impl Ledger {
    /// Nothing served yet, and a new key.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a secret of these parts is. Only comparable with other answers of this ledger.
    pub fn state_of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> State {
        let mut hasher = self.key.build_hasher();
        for part in parts {
            // The length keeps two parts from being the same as one.
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        State(Kind::Holds(hasher.finish()))
    }

    /// Notes what was served to somebody, who may keep it.
    pub fn record(&self, name: &SecretName, state: State) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.states.insert(name.clone(), state).is_none() {
            served.order.push_back(name.clone());
            if served.order.len() > MAX_NAMES {
                if let Some(oldest) = served.order.pop_front() {
                    served.states.remove(&oldest);
                }
            }
        }
    }

    /// What a secret was when it was last served; `None` when it never was, or that is long ago.
    pub fn served(&self, name: &SecretName) -> Option<State> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.states.get(name).copied()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f2_states_differ_where_values_do() {
        let ledger = Ledger::new();
        let of = |parts: &[&[u8]]| ledger.state_of(parts.iter().copied());
        assert_eq!(of(&[b"a", b"b"]), of(&[b"a", b"b"]));
        let different = [
            of(&[]),
            of(&[b""]),
            of(&[b"a"]),
            of(&[b"ab"]),
            of(&[b"a", b"b"]),
            of(&[b"b", b"a"]),
        ];
        for (at, one) in different.iter().enumerate() {
            assert!(!different[at + 1..].contains(one), "{at}");
        }
        assert_ne!(
            State::of_error(ErrorKind::NotFound),
            State::of_error(ErrorKind::PermissionDenied)
        );
        assert_eq!(State::of_error(ErrorKind::Unavailable), None);
    }

    #[test]
    fn s1_another_ledger_has_another_key_and_debug_prints_no_hash() {
        let states = [Ledger::new(), Ledger::new()].map(|ledger| ledger.state_of([b"a".as_slice()]));
        assert_ne!(states[0], states[1]);
        assert_eq!(format!("{:?}", states[0]), "Holds([REDACTED])");
    }

    #[test]
    fn w6_the_oldest_are_forgotten() {
        let ledger = Ledger::new();
        let name = |number: usize| SecretName::new(format!("a/{number}")).unwrap();
        let state = ledger.state_of([]);
        for number in 0..=MAX_NAMES {
            ledger.record(&name(number), state);
            ledger.record(&name(number), state);
        }
        assert_eq!(ledger.served(&name(0)), None);
        assert_eq!(ledger.served(&name(1)), Some(state));
        assert_eq!(ledger.served(&name(MAX_NAMES)), Some(state));
    }
}
