use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::core::{Asked, Reply, parameter};
use super::{IDENTITY_HEADER, TENANT};

/// Microsoft Entra ID and the identity endpoints.
pub(super) struct Issuer {
    prefix: String,
    apps: BTreeMap<String, String>,
    federated: BTreeMap<String, BTreeSet<String>>,
    identities: BTreeSet<Option<String>>,
    tokens: BTreeMap<String, Token>,
    pub(super) lifetime: Duration,
    pub(super) issued: u64,
}

struct Token {
    resource: String,
    ends: Duration,
}

impl Issuer {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            apps: BTreeMap::new(),
            federated: BTreeMap::new(),
            identities: BTreeSet::new(),
            tokens: BTreeMap::new(),
            lifetime: Duration::from_secs(3_600),
            issued: 0,
        }
    }

    pub(super) fn app(&mut self, client: &str, secret: &str) {
        self.apps.insert(client.to_owned(), secret.to_owned());
    }

    pub(super) fn federate(&mut self, client: &str, token: &str) {
        let tokens = self.federated.entry(client.to_owned()).or_default();
        tokens.insert(token.to_owned());
    }

    pub(super) fn assign(&mut self, id: Option<&str>) {
        self.identities.insert(id.map(Into::into));
    }

    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    /// Whether this token is for this resource, and lives.
    pub(super) fn accepts(&self, token: &str, resource: &str, now: Duration) -> bool {
        let token = self.tokens.get(token);
        token.is_some_and(|token| token.resource == resource && now < token.ends)
    }

    fn issue(&mut self, resource: &str, now: Duration) -> String {
        self.issued += 1;
        let id = format!("{}.eyJ0eXAi.{:08}", self.prefix, self.issued);
        let token = Token {
            resource: resource.trim_end_matches('/').to_owned(),
            ends: now + self.lifetime,
        };
        self.tokens.insert(id.clone(), token);
        id
    }

    /// `POST /{tenant}/oauth2/v2.0/token`, and the documents by which clients find it.
    pub(super) fn entra(&mut self, asked: &Asked<'_>) -> Reply {
        if asked.path.ends_with("/.well-known/openid-configuration") {
            return Reply::json(configuration(asked.host).to_string());
        }
        if asked.path == "common/discovery/instance" {
            let endpoint = format!(
                "https://{}/{TENANT}/v2.0/.well-known/openid-configuration",
                asked.host
            );
            let body = json!({ "tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [] });
            return Reply::json(body.to_string());
        }
        let tenant = asked.path.strip_suffix("/oauth2/v2.0/token");
        let Some(tenant) = tenant.filter(|_| asked.method == "POST") else {
            return Reply::new(404, "");
        };
        if tenant != TENANT {
            return refusal(400, "invalid_request", 90_002, "Tenant not found.");
        }
        let form = String::from_utf8_lossy(asked.body).into_owned();
        let field = |name| parameter(&form, name).unwrap_or_default();
        if field("grant_type") != "client_credentials" {
            return refusal(
                400,
                "unsupported_grant_type",
                70_003,
                "The grant type is not supported.",
            );
        }
        let scope = field("scope");
        let resource = scope.split(' ').find_map(|scope| scope.strip_suffix("/.default"));
        let Some(resource) = resource else {
            return refusal(400, "invalid_scope", 70_011, "The scope is not valid.");
        };
        let client = field("client_id");
        let assertion = field("client_assertion");
        let federated = self.federated.get(&client);
        match (self.apps.get(&client), federated) {
            (None, None) => {
                return refusal(400, "unauthorized_client", 700_016, "Application was not found.");
            }
            (_, Some(tokens)) if !assertion.is_empty() => {
                if !tokens.contains(&assertion) {
                    return refusal(
                        401,
                        "invalid_client",
                        700_213,
                        "No matching federated identity record found.",
                    );
                }
            }
            (Some(secret), _) if *secret == field("client_secret") => {}
            _ => {
                return refusal(
                    401,
                    "invalid_client",
                    7_000_215,
                    "Invalid client secret provided.",
                );
            }
        }
        let token = self.issue(resource, asked.now);
        let seconds = self.lifetime.as_secs();
        let body = json!({
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        });
        Reply::json(body.to_string())
    }

    /// The endpoints of virtual machines and of App Service.
    pub(super) fn identity(&mut self, asked: &Asked<'_>) -> Reply {
        let refused = |description: &str| {
            let body = json!({ "error": "invalid_request", "error_description": description });
            Reply::new(400, body.to_string())
        };
        // Clients differ in whether they put a slash at the end.
        match asked.path.trim_end_matches('/') {
            "metadata/identity/oauth2/token" if asked.metadata => {}
            "metadata/identity/oauth2/token" => return refused("Required metadata header not specified"),
            "msi/token" if asked.identity_header == Some(IDENTITY_HEADER) => {}
            "msi/token" => return Reply::new(401, r#"{"statusCode":401,"message":"Unauthorized"}"#),
            _ => return Reply::new(404, ""),
        }
        let names = [
            "client_id",
            "object_id",
            "principal_id",
            "msi_res_id",
            "mi_res_id",
        ];
        let id = names.into_iter().find_map(|name| asked.parameter(name));
        if !self.identities.contains(&id) {
            return refused("Identity not found");
        }
        let Some(resource) = asked.parameter("resource") else {
            return refused("Required query variable 'resource' is missing");
        };
        let token = self.issue(&resource, asked.now);
        let ends = asked
            .wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            + self.lifetime;
        let mut body = json!({
            "access_token": token,
            "expires_on": ends.as_secs().to_string(),
            "resource": resource,
            "token_type": "Bearer",
        });
        if asked.path.starts_with("metadata") {
            body["expires_in"] = json!(self.lifetime.as_secs().to_string());
        }
        Reply::json(body.to_string())
    }
}

fn configuration(host: &str) -> serde_json::Value {
    json!({
        "token_endpoint": format!("https://{host}/{TENANT}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("https://{host}/{TENANT}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("https://{host}/{TENANT}/oauth2/v2.0/devicecode"),
        "issuer": format!("https://{host}/{TENANT}/v2.0"),
        "tenant_region_scope": "EU",
    })
}

fn refusal(status: u16, error: &str, code: u32, text: &str) -> Reply {
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {text}"),
        "error_codes": [code],
        "trace_id": "00000000-0000-4000-8000-000000000000",
    });
    Reply::new(status, body.to_string())
}
