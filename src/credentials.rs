/// Parameters that are refused in every URI, because their values are credentials.
///
/// URIs end up in process lists, unit files, logs and dashboards. Credentials come from the environment or the files that
/// the store's own tools use. Upper and lower case, `-` and `_` make no difference: `Client-Secret` and `clientSecret` are refused too.
pub const CREDENTIAL_PARAMETERS: &[&str] = &[
    "access_key",
    "access_key_id",
    "access_token",
    "account_key",
    "api_key",
    "auth_token",
    "authorization",
    "bearer",
    "bearer_token",
    "client_key",
    "client_secret",
    "credential",
    "credentials",
    "id_token",
    "jwt",
    "key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "refresh_token",
    "role_id",
    "sas",
    "sas_token",
    "secret",
    "secret_access_key",
    "secret_id",
    "secret_key",
    "security_token",
    "session_token",
    "sig",
    "signature",
    "token",
    "user",
    "username",
    "x_amz_credential",
    "x_amz_security_token",
    "x_amz_signature",
];

/// The entry of the list that this name of a parameter is a spelling of.
pub(crate) fn credential(name: &str) -> Option<&'static str> {
    let letters = |name: &'static str| name.bytes().filter(|byte| *byte != b'_');
    let spelled = || {
        name.bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
    };
    CREDENTIAL_PARAMETERS
        .iter()
        .copied()
        .find(|known| letters(known).eq(spelled()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l4_credentials_are_known_in_every_spelling() {
        for name in [
            "token",
            "TOKEN",
            "Client-Secret",
            "clientSecret",
            "secret_id",
            "apikey",
            "X-Amz-Signature",
        ] {
            assert!(credential(name).is_some(), "{name}");
        }
        for name in ["", "toke", "tokens", "token_file", "prefix", "client_id"] {
            assert_eq!(credential(name), None, "{name}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_lower_case() {
        assert!(CREDENTIAL_PARAMETERS.is_sorted());
        for name in CREDENTIAL_PARAMETERS {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
        }
    }
}
