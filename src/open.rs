use std::ffi::OsString;

use secrets_core::{
    Error, ErrorKind, FallbackBackend, Result, SecretBackend, SecretManager, SecretManagerBuilder,
};

use crate::backends::{self, SCHEMES};
use crate::options::Options;
use crate::uri::{Uri, invalid};

/// The variable that [`from_env`] reads.
const VARIABLE: &str = "SECRETS_URI";

/// A manager over the store that a URI names. Does no I/O: [`SecretManager::check`] says whether the store is there.
///
/// ```
/// # fn example() -> secrets::Result<()> {
/// let development = secrets::open("env://?prefix=APP_")?;
/// let production = secrets::open("file:///run/secrets?layout=flat&ttl=60s")?;
/// let either = secrets::open("file:///run/secrets?optional_root=true,env:")?;
/// # drop((development, production, either));
/// # Ok(()) }
/// # if cfg!(all(feature = "env", feature = "file")) { example().unwrap(); }
/// ```
///
/// # Stores
///
/// | URI | store | parameters |
/// |---|---|---|
/// | `aws://eu-central-1` | AWS Secrets Manager; without a region, as AWS's own tools find it | `base` comes before every name; `endpoint`; `role` is the ARN of a role to assume, with `external_id`, `session_name` and `sts_endpoint`; `profile`; `fips`, `dual_stack`, `allow_insecure` and `idle_connections` are `true` or `false`; `max_value` in bytes, `KiB` or `MiB`; `login_timeout` is a duration; `application` is part of the user agent |
/// | `aws-ssm://eu-central-1` | AWS Systems Manager Parameter Store | the same; `base` is `/` unless set |
/// | `azure://vault-name` | Azure Key Vault; a whole host such as `azure://myvault.vault.azure.cn` is taken, too | `auth` is `azd`, `cli`, `client_secret`, `default`, `developer_tools`, `managed_identity` or `workload_identity`, by default `default`; `client_id` says which of the managed identities; `cloud` is `china`, `public` or `us_government`; `authority`; `base`; `ca_file`; `imds_endpoint`; `idle_connections`, `serve_expired` and `verify_challenge` are `true` or `false`; `api_version`; `max_value` in bytes, `KiB` or `MiB`; `login_timeout` is a duration; `application` is part of the user agent |
/// | `env:` | environment variables | `prefix` comes before every variable; `allow`, repeated, names the only secrets that may be read |
/// | `file:///run/secrets` | files below a directory; `file:secrets` is relative | `layout` is `nested` or `flat`; `extension`; `base` comes before every name; `trim` is `final_newline` or `never`; `max_size` in bytes, `KiB` or `MiB`; `poll_interval` (feature `file-watch`) is a duration; `optional_root` and `strict_permissions` are `true` or `false` |
/// | `k8s:///var/run/secrets` | Kubernetes Secrets mounted below a directory | `volume` names the Secret whose volume the directory itself is; `base` comes before the name of every Secret; `default_field`; `max_value` in bytes, `KiB` or `MiB`; `optional_root` is `true` or `false`; `poll_interval` is a duration |
/// | `k8s-api://namespace` | Kubernetes Secrets through the API server; `k8s-api:` is the namespace of the pod or the kubeconfig | `config` is `in_cluster` or `kubeconfig`, by default whatever is there; `kubeconfig` is a file, `context` one of its contexts; `label_selector`; `base` comes before the name of every Secret; `allow_insecure`, `idle_connections` and `list_namespace` are `true` or `false`; `default_field`; `max_value` in bytes, `KiB` or `MiB`; `login_timeout`, `poll_interval` and `watch_timeout` are durations; `application` is part of the user agent |
/// | `vault://host:8200/mount` | Vault and `OpenBao`; without a mount it is `secret` | `auth` is `approle`, `cert`, `jwt`, `kubernetes` or `token`, by default the first for which there is a credential; `auth_mount`; `kv` is `1`, `2`, `detect` or `none` for an engine that is read as it is; `namespace`; `base`; `address`, repeated, names further nodes; `allow_insecure` and `idle_connections` are `true` or `false`; `default_field`; `binary_suffix`; `max_value` in bytes, `KiB` or `MiB`; `login_timeout` is a duration; `application` is part of the user agent |
/// | `vault+http://127.0.0.1:8200/mount` | the same without TLS: this machine only, unless `allow_insecure=true` | the same |
///
/// What a parameter does is said at the builder's method of the same name.
///
/// # Chains
///
/// A comma followed by a scheme and its colon separates the members of a [`FallbackBackend`]: `file:///run/secrets,env:`
/// asks the files first. A comma that is part of a URI and would be taken for that is written `%2C`.
///
/// # Options of the manager
///
/// They ride on the first URI, and do what the method of [`SecretManagerBuilder`] of the same name says.
///
/// | parameter | such as |
/// |---|---|
/// | `attempts` | `3` |
/// | `concurrency` | `32` |
/// | `deadline` | `15s` |
/// | `refresh_ahead` | `true` or `false` |
/// | `stale_if_error` | `1h`; `0` serves none |
/// | `timeout` | `5s` |
/// | `ttl` | `5m`; `0` caches nothing |
///
/// A duration is `0`, or a whole number of `ms`, `s`, `m` or `h`. For every other option there is [`builder_for`].
///
/// # Syntax
///
/// RFC 3986: `scheme:[//authority]path[?name=value&…]`. Path and parameters are percent-decoded, `+` is a plus sign, the
/// case of the scheme does not matter. Characters beyond ASCII may stand as they are. There are no fragments.
///
/// # Credentials
///
/// A URI holds none: they come from the environment and the files that the store's own tools use, such as `VAULT_TOKEN` or
/// `VAULT_ROLE_ID` with `VAULT_SECRET_ID`. A user or password before a host, and the parameters in
/// [`CREDENTIAL_PARAMETERS`](crate::CREDENTIAL_PARAMETERS), are refused. And because a credential may be misplaced
/// anywhere, no error of this function repeats text of the URI: it names the byte at which something is wrong.
///
/// # Errors
///
/// - `InvalidConfig`: the URI is malformed, its scheme is unknown (the message lists the known ones), a parameter is
///   unknown, given twice or out of its range, or it holds a credential.
/// - `Unsupported`: the scheme is switched off in this build; the message names its feature.
pub fn open(uri: impl AsRef<str>) -> Result<SecretManager> {
    builder_for(uri)?.build()
}

/// A manager over the store that the variable `SECRETS_URI` names as [`open`] takes it; over environment variables
/// (`env:`) when it is not set.
///
/// # Errors
///
/// As [`open`]; `InvalidConfig` also when the variable is empty or not Unicode.
pub fn from_env() -> Result<SecretManager> {
    from_variable(std::env::var_os(VARIABLE))
}

/// The manager of [`open`] before it is built, for the options that no URI has.
///
/// ```
/// # fn example() -> secrets::Result<()> {
/// let secrets = secrets::builder_for("env:?ttl=60s")?.capacity(100, 1 << 20).build()?;
/// # drop(secrets);
/// # Ok(()) }
/// # if cfg!(feature = "env") { example().unwrap(); }
/// ```
///
/// # Errors
///
/// As [`open`]; that an option is out of its range is said when the manager is built.
pub fn builder_for(uri: impl AsRef<str>) -> Result<SecretManagerBuilder> {
    let (backend, options) = resolve(uri.as_ref())?;
    options.apply(SecretManager::builder(backend))
}

/// The backend of [`open`] alone, to be part of another one.
///
/// ```
/// # fn example() -> secrets::Result<()> {
/// use secrets::{PrefixRouter, SecretManager};
///
/// let router = PrefixRouter::builder()
///     .route("tls", secrets::backend_for("file:///run/tls")?)
///     .default_route(secrets::backend_for("env:")?)
///     .build()?;
/// let secrets = SecretManager::builder(router).build()?;
/// # drop(secrets);
/// # Ok(()) }
/// # if cfg!(all(feature = "env", feature = "file")) { example().unwrap(); }
/// ```
///
/// # Errors
///
/// As [`open`]; `InvalidConfig` also when the URI has options of a manager.
pub fn backend_for(uri: impl AsRef<str>) -> Result<Box<dyn SecretBackend>> {
    let (backend, options) = resolve(uri.as_ref())?;
    options.refuse()?;
    Ok(backend)
}

fn from_variable(value: Option<OsString>) -> Result<SecretManager> {
    let uri = match value.map(OsString::into_string) {
        None => {
            return open("env:").map_err(|error| at_variable("is not set, and its default fails", &error));
        }
        Some(Ok(uri)) => uri,
        Some(Err(_)) => return Err(invalid(format!("the variable `{VARIABLE}` is not Unicode text"))),
    };
    if uri.is_empty() {
        return Err(invalid(format!(
            "the variable `{VARIABLE}` is empty; unset it to read environment variables, or set it to a URI such as \
             file:///run/secrets"
        )));
    }
    open(&uri).map_err(|error| at_variable("is wrong", &error))
}

/// Says that a URI nobody sees in the code is the cause.
fn at_variable(how: &str, error: &Error) -> Error {
    let message = format!("the variable `{VARIABLE}` {how}: {}", error.message());
    let located = Error::new(error.kind(), message);
    match error.backend() {
        Some(backend) => located.with_backend(backend),
        None => located,
    }
}

fn resolve(text: &str) -> Result<(Box<dyn SecretBackend>, Options)> {
    let mut members = Vec::new();
    let mut options = None;
    for (index, mut uri) in Uri::parse_chain(text)?.into_iter().enumerate() {
        let (backend, taken) = backends::open(SCHEMES, &mut uri, index == 0)?;
        options.get_or_insert(taken);
        members.push(backend);
    }
    let backend = match members.len() {
        1 => members.pop(),
        _ => Some(Box::new(FallbackBackend::new(members)?) as Box<dyn SecretBackend>),
    };
    backend
        .zip(options)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a chain without members"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "env")]
    #[test]
    fn without_the_variable_it_is_the_environment() {
        assert_eq!(from_variable(None).unwrap().backend_name(), "env");
    }

    #[test]
    fn l4_an_error_names_the_variable_it_comes_from() {
        for uri in ["", "nowhere:", "env:?ttl", "env://user:hunter2@host"] {
            let error = from_variable(Some(uri.into())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}");
            assert!(error.message().contains("`SECRETS_URI`"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn l5_a_variable_that_is_not_text() {
        use std::os::unix::ffi::OsStringExt;

        let error = from_variable(Some(OsString::from_vec(b"env:\xff".into()))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
