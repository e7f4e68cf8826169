//! Which scheme is which backend. A new one is a line in the table and a file beside this one.

#[cfg(feature = "aws")]
mod aws;
#[cfg(any(feature = "aws", feature = "aws-ssm"))]
mod aws_options;
#[cfg(feature = "aws-ssm")]
mod aws_ssm;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "env")]
mod env;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "k8s")]
mod k8s;
#[cfg(feature = "k8s-api")]
mod k8s_api;
#[cfg(feature = "vault")]
mod vault;

use secrets_core::{Error, ErrorKind, Result, SecretBackend};

use crate::options::Options;
use crate::parameter::{Parameter, Value};
use crate::uri::{Uri, invalid};

/// A scheme, whether or not its backend is part of this build.
pub(crate) struct Scheme {
    name: &'static str,
    feature: &'static str,
    driver: Option<Driver>,
}

/// Makes a backend from a URI.
#[derive(Clone, Copy)]
pub(crate) struct Driver {
    /// All that `open` takes out of the URI.
    parameters: &'static [Parameter],
    /// Does no I/O. Gets a URI whose parameters are known, and takes out every one of them. Refuses what the backend's
    /// builder would quote in a message: nothing of a URI is quoted.
    open: fn(&mut Uri<'_>) -> Result<Box<dyn SecretBackend>>,
}

macro_rules! scheme {
    ($name:literal, feature = $feature:literal, $driver:path) => {
        Scheme {
            name: $name,
            feature: $feature,
            driver: {
                #[cfg(feature = $feature)]
                {
                    Some($driver)
                }
                #[cfg(not(feature = $feature))]
                {
                    None
                }
            },
        }
    };
}

pub(crate) const SCHEMES: &[Scheme] = &[
    scheme!("aws", feature = "aws", aws::DRIVER),
    scheme!("aws-ssm", feature = "aws-ssm", aws_ssm::DRIVER),
    scheme!("azure", feature = "azure", azure::DRIVER),
    scheme!("env", feature = "env", env::DRIVER),
    scheme!("file", feature = "file", file::DRIVER),
    scheme!("k8s", feature = "k8s", k8s::DRIVER),
    scheme!("k8s-api", feature = "k8s-api", k8s_api::DRIVER),
    scheme!("vault", feature = "vault", vault::DRIVER),
    scheme!("vault+http", feature = "vault", vault::PLAIN_DRIVER),
];

/// The backend that a URI stands for, and, for the first of a chain, the options of the manager.
pub(crate) fn open(
    schemes: &[Scheme],
    uri: &mut Uri<'_>,
    first: bool,
) -> Result<(Box<dyn SecretBackend>, Options)> {
    let driver = driver(schemes, uri)?;
    let mut known = driver.parameters.to_vec();
    if first {
        known.extend(Options::parameters());
    }
    uri.check_parameters(&known, |value| unknown(uri.scheme(), value, &driver, first))?;
    let options = Options::take(uri);
    let backend = (driver.open)(uri).map_err(|error| error.with_backend(uri.scheme()))?;
    if uri.is_spent() {
        Ok((backend, options))
    } else {
        Err(Error::new(
            ErrorKind::Internal,
            "a parameter of the URI was checked and then not used; please report this",
        )
        .with_backend(uri.scheme()))
    }
}

fn driver(schemes: &[Scheme], uri: &Uri<'_>) -> Result<Driver> {
    match schemes.iter().find(|scheme| scheme.name == uri.scheme()) {
        Some(Scheme {
            driver: Some(driver), ..
        }) => Ok(*driver),
        Some(Scheme { name, feature, .. }) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the scheme `{name}:` is switched off in this build; enable the feature `{feature}` of the crate `secrets`"
            ),
        )),
        None => {
            let names: Vec<_> = schemes
                .iter()
                .map(|scheme| format!("`{}:`", scheme.name))
                .collect();
            Err(invalid(format!(
                "byte {}: this scheme is unknown; the known ones are {}",
                uri.at(),
                names.join(", ")
            )))
        }
    }
}

fn unknown(scheme: &str, value: &Value, driver: &Driver, first: bool) -> Error {
    let list = |parameters: &mut dyn Iterator<Item = Parameter>| {
        let names: Vec<_> = parameters
            .map(|parameter| format!("`{}`", parameter.name()))
            .collect();
        names.join(", ")
    };
    let at = value.at();
    if let Some(option) = Options::parameters().find(|option| option.name() == value.name()) {
        return invalid(format!(
            "the parameter `{}` (byte {at}) is an option of the manager, of which a chain has one; move it to the first URI",
            option.name()
        ));
    }
    let mut message = match driver.parameters {
        [] => format!("byte {at}: unknown parameter; `{scheme}:` takes none"),
        parameters => format!(
            "byte {at}: unknown parameter; `{scheme}:` takes {}",
            list(&mut parameters.iter().copied())
        ),
    };
    if first {
        message.push_str("; options of the manager are ");
        message.push_str(&list(&mut Options::parameters()));
    }
    invalid(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::credential;

    fn failure(schemes: &[Scheme], text: &str) -> Error {
        let mut chain = Uri::parse_chain(text).unwrap();
        open(schemes, &mut chain[0], true).map(|_| ()).unwrap_err()
    }

    #[test]
    fn l4_a_scheme_that_is_switched_off_names_its_feature() {
        let schemes = [Scheme {
            name: "vault+http",
            feature: "vault",
            driver: None,
        }];
        let error = failure(&schemes, "VAULT+HTTP://host/hunter2?what=ever");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`vault+http:`"), "{error}");
        assert!(error.message().contains("feature `vault`"), "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }

    #[test]
    fn l4_a_parameter_that_nobody_reads_is_a_defect() {
        const LAYOUT: &[Parameter] = &[Parameter::once("layout")];
        let schemes = [Scheme {
            name: "lazy",
            feature: "lazy",
            driver: Some(Driver {
                parameters: LAYOUT,
                open: |_| Ok(Box::new(secrets_testkit::MemoryBackend::new())),
            }),
        }];
        assert_eq!(failure(&schemes, "lazy:?layout=flat").kind(), ErrorKind::Internal);
    }

    #[test]
    fn l4_no_parameter_is_a_credential_or_means_two_things() {
        for driver in SCHEMES.iter().filter_map(|scheme| scheme.driver) {
            let all: Vec<_> = driver
                .parameters
                .iter()
                .copied()
                .chain(Options::parameters())
                .collect();
            for (index, parameter) in all.iter().enumerate() {
                assert_eq!(credential(parameter.name()), None);
                assert!(all[..index].iter().all(|other| other.name() != parameter.name()));
            }
        }
    }

    #[test]
    fn every_scheme_and_parameter_is_documented() {
        let docs = include_str!("open.rs");
        for scheme in SCHEMES {
            assert!(docs.contains(&format!("| `{}:", scheme.name)), "{}", scheme.name);
        }
        let parameters = SCHEMES
            .iter()
            .filter_map(|scheme| scheme.driver)
            .flat_map(|driver| driver.parameters);
        for parameter in parameters.copied().chain(Options::parameters()) {
            assert!(
                docs.contains(&format!("`{}`", parameter.name())),
                "{}",
                parameter.name()
            );
        }
    }
}
