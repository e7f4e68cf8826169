//! What is fuzzed, and the table of it.

mod aws;
mod azure;
mod configuration;
mod documents;
mod files;
mod k8s;
mod mappings;
mod names;
mod times;
mod vault;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrets::{Clock as _, FakeClock};

/// Longer than anything takes: what waits on a clock that stands still, waits for ever.
const HOUR: Duration = Duration::from_secs(3_600);

/// Two hundred years later, on the same day: neither what was obtained before counts, nor what failed then.
fn long_after(clock: &FakeClock) {
    let today = clock.wall();
    clock.advance(HOUR * 24 * 365 * 200);
    clock.set_wall(today);
}

/// Where a target listens whose vendor's SDK finds it by this variable.
fn address(variable: &str) -> SocketAddr {
    let url =
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: see `Target::variable`"));
    let port = url
        .rsplit(':')
        .next()
        .and_then(|end| end.split('/').next()?.parse().ok());
    (Ipv4Addr::LOCALHOST, port.expect("the variable has a port")).into()
}

/// A function of bytes that panics when a law is broken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// What its corpus and the tools call it.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// The variable by which a vendor's SDK finds the address it asks. The target listens there: it runs in a process of its
    /// own, in whose environment this is set to a free port.
    pub variable: Option<&'static str>,
}

const fn of(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        variable: None,
    }
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    Target {
        variable: Some("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ..of("aws-container", aws::container)
    },
    Target {
        variable: Some("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        ..of("aws-instance", aws::instance)
    },
    of("aws-parameters", aws::parameters),
    of("aws-roles", aws::roles),
    of("aws-secrets", aws::secrets),
    of("azure", azure::answers),
    of("azure-challenges", azure::challenges),
    of("azure-logins", azure::logins),
    of("env", names::variables),
    of("fields", documents::fields),
    of("files", files::files),
    of("k8s", k8s::answers),
    of("k8s-watch", k8s::watch),
    of("kubeconfig", configuration::kubeconfig),
    of("mappings", mappings::mappings),
    of("mounts", files::mounts),
    of("names", names::names),
    of("references", names::references),
    of("times", times::times),
    of("typed", documents::typed),
    of("uris", configuration::uris),
    of("vault", vault::answers),
    of("vault-logins", vault::logins),
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// What has to be in the environment of a process before it runs this target, and may not be changed within one: the
    /// [variable](Target::variable), and what keeps a vendor's SDK from anything else.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(variable) = self.variable else {
            return Vec::new();
        };
        let free =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let free = free.expect("there is a free port");
        vec![
            (variable, format!("http://{free}/credentials")),
            ("AWS_CONFIG_FILE", "/nonexistent".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".to_owned()),
        ]
    }
}
