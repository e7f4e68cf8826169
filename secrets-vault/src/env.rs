use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use secrets_core::{Error, Result};

use crate::auth::Auth;
use crate::builder::VaultBuilder;
use crate::credential::Credential;
use crate::error::config;

/// A way to log in, by the name that configuration gives it (`auth=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `approle`: `VAULT_ROLE_ID`, and `VAULT_SECRET_ID` or `VAULT_SECRET_ID_FILE`; or, wrapped,
    /// `VAULT_WRAPPED_SECRET_ID` or `VAULT_WRAPPED_SECRET_ID_FILE`; or none of these.
    AppRole,
    /// `cert`: `VAULT_CLIENT_CERT` and `VAULT_CLIENT_KEY`, which are files; `VAULT_ROLE` where given.
    Cert,
    /// `jwt`: `VAULT_JWT` or `VAULT_JWT_FILE`; `VAULT_ROLE` where given.
    Jwt,
    /// `kubernetes`: `VAULT_ROLE`; the token from `VAULT_JWT_FILE`, or from where the kubelet mounts it.
    Kubernetes,
    /// `token`: `VAULT_TOKEN` or `VAULT_TOKEN_FILE`.
    Token,
}

impl AuthMethod {
    const ALL: [(Self, &'static str); 5] = [
        (Self::AppRole, "approle"),
        (Self::Cert, "cert"),
        (Self::Jwt, "jwt"),
        (Self::Kubernetes, "kubernetes"),
        (Self::Token, "token"),
    ];
}

impl FromStr for AuthMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(method, _)| *method).ok_or_else(|| {
            config("an unknown way to log in to Vault; known are approle, cert, jwt, kubernetes and token")
        })
    }
}

impl VaultBuilder {
    /// Everything from the environment of this process: `VAULT_ADDR`, what
    /// [`connection_from_env`](VaultBuilder::connection_from_env) reads, and a way to log in.
    ///
    /// That way is the one `VAULT_AUTH` names, as [`AuthMethod`] does; otherwise the first for which there is a
    /// credential: a token, `AppRole`, a JWT.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the variable that is missing, malformed or not supported.
    pub fn from_env() -> Result<Self> {
        Self::from_env_with(|name| std::env::var_os(name))
    }

    /// As [`from_env`](VaultBuilder::from_env), from variables that come from elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_env_with(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let env = Env(&lookup);
        let address = env
            .text("VAULT_ADDR")?
            .ok_or_else(|| config("VAULT_ADDR is not set: it says where Vault is"))?;
        let method = match env.text("VAULT_AUTH")? {
            Some(name) => name.parse()?,
            None if env.any(&["VAULT_TOKEN", "VAULT_TOKEN_FILE"]) => AuthMethod::Token,
            None if env.any(&["VAULT_ROLE_ID"]) => AuthMethod::AppRole,
            None if env.any(&["VAULT_JWT", "VAULT_JWT_FILE"]) => AuthMethod::Jwt,
            None => {
                return Err(config(
                    "the environment has no Vault credential: set VAULT_TOKEN, VAULT_ROLE_ID with VAULT_SECRET_ID, or \
                     VAULT_JWT; or name the way with VAULT_AUTH",
                ));
            }
        };
        Self::new(address)
            .connection_from_env(&lookup)?
            .auth_from_env(method, &lookup)
    }

    /// The namespace and the certificates from the environment: `VAULT_NAMESPACE`, `VAULT_CACERT` or
    /// `VAULT_CACERT_BYTES`, `VAULT_CLIENT_CERT` with `VAULT_CLIENT_KEY`. What is not there stays as it is.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for a malformed variable, and for those of Vault's that would be ignored here: a
    /// `VAULT_SKIP_VERIFY` that is on, `VAULT_CAPATH`, `VAULT_TLS_SERVER_NAME`.
    pub fn connection_from_env(mut self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let env = Env(&lookup);
        let skip = env.text("VAULT_SKIP_VERIFY")?;
        if skip.is_some_and(|skip| !matches!(&*skip, "0" | "f" | "F" | "false" | "FALSE" | "False")) {
            return Err(config(
                "VAULT_SKIP_VERIFY is on; certificates are always verified: set VAULT_CACERT instead",
            ));
        }
        for (name, instead) in [
            (
                "VAULT_CAPATH",
                "put the certificates into one file and set VAULT_CACERT",
            ),
            (
                "VAULT_TLS_SERVER_NAME",
                "use the name that the certificate is for in VAULT_ADDR",
            ),
        ] {
            if env.any(&[name]) {
                return Err(config(format!("{name} is not supported: {instead}")));
            }
        }
        if let Some(namespace) = env.text("VAULT_NAMESPACE")? {
            self = self.namespace(namespace);
        }
        match (env.path("VAULT_CACERT"), env.text("VAULT_CACERT_BYTES")?) {
            (None, None) => {}
            (Some(path), None) => self = self.ca_file(path),
            (None, Some(pem)) => self = self.ca_pem(pem),
            (Some(_), Some(_)) => return Err(config("set either VAULT_CACERT or VAULT_CACERT_BYTES")),
        }
        match (env.path("VAULT_CLIENT_CERT"), env.path("VAULT_CLIENT_KEY")) {
            (None, None) => {}
            (Some(certificate), Some(key)) => self = self.client_certificate_files(certificate, key),
            _ => return Err(config("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY need each other")),
        }
        Ok(self)
    }

    /// The credentials of one way to log in from the environment: the variables that [`AuthMethod`] names.
    /// `VAULT_AUTH_MOUNT` says where it is mounted.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` naming the variable that is missing or malformed.
    pub fn auth_from_env(
        self,
        method: AuthMethod,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let env = Env(&lookup);
        let role = env.text("VAULT_ROLE")?;
        let auth = match method {
            AuthMethod::AppRole => {
                let role_id = env
                    .text("VAULT_ROLE_ID")?
                    .ok_or_else(|| config("VAULT_ROLE_ID is not set"))?;
                let secret_id = env.credential("VAULT_SECRET_ID", "VAULT_SECRET_ID_FILE")?;
                let wrapped = env.credential("VAULT_WRAPPED_SECRET_ID", "VAULT_WRAPPED_SECRET_ID_FILE")?;
                match (secret_id, wrapped) {
                    (None, None) => Auth::app_role_without_secret_id(role_id),
                    (Some(secret_id), None) => Auth::app_role(role_id, secret_id),
                    (None, Some(wrapped)) => Auth::app_role_wrapped(role_id, wrapped),
                    (Some(_), Some(_)) => {
                        return Err(config("set either VAULT_SECRET_ID or VAULT_WRAPPED_SECRET_ID"));
                    }
                }
            }
            AuthMethod::Cert => Auth::cert(role),
            AuthMethod::Jwt => {
                let jwt = env.credential("VAULT_JWT", "VAULT_JWT_FILE")?;
                Auth::jwt(
                    role,
                    jwt.ok_or_else(|| config("neither VAULT_JWT nor VAULT_JWT_FILE is set"))?,
                )
            }
            AuthMethod::Kubernetes => {
                let role =
                    role.ok_or_else(|| config("VAULT_ROLE is not set: Kubernetes logins need a role"))?;
                match env.path("VAULT_JWT_FILE") {
                    None => Auth::kubernetes(role),
                    Some(path) => Auth::kubernetes_with(role, Credential::file(path)),
                }
            }
            AuthMethod::Token => {
                let token = env.credential("VAULT_TOKEN", "VAULT_TOKEN_FILE")?;
                Auth::token(token.ok_or_else(|| config("neither VAULT_TOKEN nor VAULT_TOKEN_FILE is set"))?)
            }
        };
        let builder = self.auth(auth);
        Ok(match env.text("VAULT_AUTH_MOUNT")? {
            Some(mount) => builder.auth_mount(mount),
            None => builder,
        })
    }
}

/// Variables; an empty one is not set.
struct Env<'a, F: Fn(&str) -> Option<OsString>>(&'a F);

impl<F: Fn(&str) -> Option<OsString>> Env<'_, F> {
    fn get(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name).is_some())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let text = self.get(name).map(OsString::into_string).transpose();
        text.map_err(|_| config(format!("{name} is not text")))
    }

    fn credential(&self, value: &str, file: &str) -> Result<Option<Credential>> {
        match (self.text(value)?, self.path(file)) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(Credential::value(SecretString::from(text)))),
            (None, Some(path)) => Ok(Some(Credential::file(path))),
            (Some(_), Some(_)) => Err(config(format!("set either {value} or {file}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrets_core::ErrorKind;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<VaultBuilder> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        VaultBuilder::from_env_with(lookup)
    }

    const ADDR: (&str, &str) = ("VAULT_ADDR", "https://vault:8200");

    #[test]
    fn the_environment_is_enough() {
        for (variables, method) in [
            (&[ADDR, ("VAULT_TOKEN", "CANARY")][..], "Token"),
            (&[ADDR, ("VAULT_TOKEN_FILE", "/t")], "Token"),
            (
                &[ADDR, ("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID", "CANARY")],
                "AppRole",
            ),
            (
                &[
                    ADDR,
                    ("VAULT_ROLE_ID", "r"),
                    ("VAULT_WRAPPED_SECRET_ID", "CANARY"),
                ],
                "WrappedAppRole",
            ),
            (&[ADDR, ("VAULT_ROLE_ID", "r")], "AppRole"),
            (&[ADDR, ("VAULT_JWT", "CANARY")], "Jwt"),
            (
                &[ADDR, ("VAULT_AUTH", "kubernetes"), ("VAULT_ROLE", "r")],
                "Kubernetes",
            ),
        ] {
            let backend = from(variables).unwrap().build().unwrap();
            let text = format!("{backend:?}");
            assert!(text.contains(&format!("method: {method} ")), "{text}");
            assert!(!text.contains("CANARY"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_would_be_ignored_is_named() {
        const TOKEN: (&str, &str) = ("VAULT_TOKEN", "CANARY");
        for (variables, named) in [
            (&[][..], "VAULT_ADDR"),
            (&[("VAULT_ADDR", "")], "VAULT_ADDR"),
            (&[ADDR], "VAULT_TOKEN"),
            (&[ADDR, ("VAULT_AUTH", "kubernetes")], "VAULT_ROLE"),
            (&[ADDR, ("VAULT_AUTH", "CANARY")], "approle"),
            (&[ADDR, TOKEN, ("VAULT_TOKEN_FILE", "/t")], "VAULT_TOKEN_FILE"),
            (&[ADDR, TOKEN, ("VAULT_SKIP_VERIFY", "true")], "VAULT_SKIP_VERIFY"),
            (&[ADDR, TOKEN, ("VAULT_CAPATH", "/ca")], "VAULT_CAPATH"),
            (
                &[ADDR, TOKEN, ("VAULT_TLS_SERVER_NAME", "x")],
                "VAULT_TLS_SERVER_NAME",
            ),
            (&[ADDR, TOKEN, ("VAULT_CLIENT_CERT", "/c")], "VAULT_CLIENT_KEY"),
            (
                &[ADDR, TOKEN, ("VAULT_CACERT", "/c"), ("VAULT_CACERT_BYTES", "x")],
                "VAULT_CACERT_BYTES",
            ),
        ] {
            let error = from(variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            let text = format!("{error} {error:?}");
            assert!(text.contains(named) && !text.contains("CANARY"), "{text}");
        }
        let off = from(&[ADDR, TOKEN, ("VAULT_SKIP_VERIFY", "")]);
        assert!(off.is_ok(), "an empty variable is not set");
    }
}
