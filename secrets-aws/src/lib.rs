//! AWS Secrets Manager and Systems Manager Parameter Store as backends of `secrets`.
//!
//! ```no_run
//! # #[cfg(feature = "secrets-manager")]
//! # async fn example() -> secrets_core::Result<()> {
//! use secrets_aws::SecretsManagerBackend;
//! use secrets_core::SecretManager;
//!
//! let aws = SecretsManagerBackend::builder()
//!     .region("eu-central-1")
//!     .base("prod/")
//!     .application("billing")
//!     .build()?;
//! let secrets = SecretManager::builder(aws).build()?;
//! let password = secrets.get("smtp/database#password").await?;
//! # let _ = password;
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! | service | `smtp/database`, base `prod/` or `/prod/` | characters | length | versions |
//! |---|---|---|---|---|
//! | Secrets Manager | the secret `prod/smtp/database` | `A-Z a-z 0-9 / _ + = . @ -` | 512 | an id, or `stage:` and a staging label: `?version=stage:AWSPREVIOUS` |
//! | Parameter Store | the parameter `/prod/smtp/database` | `A-Z a-z 0-9 / _ . -` | 1,011, and 15 segments | a number, or `label:` and a label: `?version=label:stable` |
//!
//! The base is put before every name as it is: nothing for Secrets Manager, `/` for Parameter Store, unless set. A name that
//! begins with `arn:` is the ARN of a secret, with or without its random end, or of a parameter; no base goes before it.
//!
//! # Values
//!
//! A `SecretString` is its text, a `SecretBinary` its bytes; base64 that a text happens to be stays as it is. A parameter is its
//! text, decrypted; a `StringList` keeps its commas. Fields are those of a JSON object. Metadata has the version, when it was
//! written, and the attributes `arn`, and `stages` or `type`.
//!
//! Many secrets are read with few calls: `BatchGetSecretValue` takes 20, `GetParameters` ten. A caller who may not use these
//! reads one by one, and tries again after five minutes. Each call is charged for: the manager's cache is what saves most.
//!
//! # What the policy has to allow
//!
//! | action | for |
//! |---|---|
//! | `secretsmanager:GetSecretValue`, `ssm:GetParameter` | reading |
//! | `secretsmanager:BatchGetSecretValue` (on `*`), `ssm:GetParameters` | reading many with few calls |
//! | `secretsmanager:ListSecrets` (on `*`), `ssm:GetParametersByPath` | listing |
//! | `kms:Decrypt` on the key | values under a key of one's own |
//! | `sts:AssumeRole` on the role | the option `role` |
//!
//! `check` asks for one name of a list. To be refused that is enough to be known: it then succeeds.
//!
//! # Credentials
//!
//! Those given to the builder, or the first that are found where AWS's tools look: a profile that the builder names, variables
//! (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), the profile that `AWS_PROFILE` names or `default`, with
//! its roles, a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`: service accounts of EKS), the container (ECS, EKS
//! Pod Identity), the instance (`IMDSv2`, and no older version). Files are read again at every login.
//!
//! They are asked by requests of this crate's own, over its own transport: the providers of AWS's SDK trace what they are shown
//! and answered. A profile may have keys, a `role_arn` with a `source_profile` or a `credential_source`, a web identity, or a
//! program that prints credentials (`credential_process`: IAM Roles Anywhere and the like). One that signs in through a browser
//! (`sso_session`, `login_session`) or asks for a code (`mfa_serial`) is refused at once: a server has nobody to sign in, and SSO
//! would add three SDKs for what `aws configure export-credentials --format env` does beforehand.
//!
//! The program of a `credential_process` is run at every login, with this process's environment and without a shell: spaces
//! separate, quotes keep together, and variables, `~` and pipes mean nothing. What it prints on its standard output is read into a
//! buffer that is wiped, up to 256 KiB; what it says on the other goes nowhere. It is killed when the login's time is over.
//!
//! A login is made by the first read that needs one, whatever the number of readers, in a task of its own, which takes at most
//! ten seconds. Sessions are replaced at a jittered two thirds of their life, while readers go on with the old one; nobody
//! asking, nothing is done. Credentials that AWS refuses are replaced and the read repeated, once; others within 30 s are not
//! replaced again. After a failure the next attempt waits: 1 s at first, and never more than two a minute. All ages are counted
//! in time that includes suspension of the machine.
//!
//! The region is the one given, or `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, the instance's. Endpoints follow
//! `AWS_ENDPOINT_URL` and its like, `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, and the profile with its
//! `services`, unless the builder says otherwise. An endpoint of one's own together with FIPS or dual-stack is an error: it would
//! leave them without effect. Secrets Manager has no hosts of its own for dual-stack; the usual ones speak IPv6.
//!
//! # Errors
//!
//! Codes decide, and the status where there is none: AWS sends throttling, denials and dead credentials as 400. AWS's texts
//! are read for what they say, and never passed on.
//!
//! | code or status | kind | when, and what to do |
//! |---|---|---|
//! | no answer | `Unavailable` | refused, reset, cut short; no DNS; TLS that does not verify (code `tls`): check region, endpoint, authority |
//! | no answer in time | `Timeout` | |
//! | 2xx, malformed or too large | `InvalidData` | something between rewrites answers, or `max_value` is too small |
//! | 3xx | `Unavailable` | redirects are not followed: check the endpoint |
//! | `AccessDenied`, `AccessDeniedException`, 403 | `PermissionDenied` | the message names the action, or `kms:Decrypt` |
//! | `DecryptionFailure`, `InvalidKeyId` | `Disabled` | the KMS key is disabled, being deleted or gone |
//! | `ExpiredToken`, `ExpiredTokenException` | `Unauthenticated` | also after a new login |
//! | `InternalServiceError`, `InternalServerError`, `InternalFailure`, `ServiceUnavailable`, 5xx | `Unavailable` | |
//! | `InvalidParameterException`, `ValidationException`, other 4xx | `InvalidData` | an ARN of another region or account; this is not AWS |
//! | `InvalidRequestException` about deletion | `Disabled` | scheduled for deletion: restore it |
//! | `ParameterNotFound` | `NotFound` | |
//! | `ParameterVersionNotFound` | `VersionNotFound` | |
//! | `RequestTimeout`, 408, 504 | `Timeout` | |
//! | `ResourceNotFoundException` | `NotFound` | absent, deleted, or created without a value; the message says which |
//! | `ResourceNotFoundException` about a version | `VersionNotFound` | no such id or stage |
//! | `Throttling`, `ThrottlingException`, `TooManyRequestsException`, `RequestLimitExceeded`, `SlowDown`, 429 | `RateLimited` | `Retry-After` is passed on |
//! | `UnknownOperationException` | `Unsupported` | the endpoint is another service's |
//! | `UnrecognizedClientException`, `InvalidClientTokenId`, `InvalidSignatureException`, `SignatureDoesNotMatch`, `MissingAuthenticationToken`, 401 | `Unauthenticated` | wrong credentials; or the clock, then the message says so |
//! | STS: `AccessDenied`, `InvalidIdentityToken` and other refusals | `Unauthenticated` | the role's trust policy, the token |
//! | nothing gives credentials, or they have ended already | `Unauthenticated` | the message says what to set |
//! | a container's or instance's source: 401, 403, other 4xx | `Unauthenticated` | the role of the task, pod or instance; its token |
//! | the same: 5xx, no credentials in a 200 | `Unavailable` | |
//! | a `credential_process` fails, or prints no credentials | `Unauthenticated` | run it by hand |
//! | it is not there, may not be run, or prints another version than 1 | `InvalidConfig` | |
//! | no region, plain http to elsewhere, a profile that makes no sense or is not supported | `InvalidConfig` | |
//!
//! One code for two things: Secrets Manager answers `AccessDeniedException` for a secret that does not exist where the policy
//! covers single secrets. It stays `PermissionDenied`.
//!
//! # In memory
//!
//! Answers are read into one buffer that is wiped, values moved out of the SDK's types into buffers of their own size; what its
//! JSON parser used in between is its own, and not wiped. What the TLS and HTTP layers read into stays with them while a
//! connection lives: see the builder's `idle_connections`.
//!
//! # In traces
//!
//! The SDK traces what it is given: headers, errors with their texts, all of an answer that its model does not call sensitive.
//! So it is given the body of a request or an answer in a form that it cannot print, and of an answer only what is read here:
//! codes of errors without their texts, known headers, numbers that are numbers. Neither values nor keys nor tokens are heard at
//! any level, through `tracing` or through `log`; `LOG_SENSITIVE_BODIES`, which undoes that, should not be set by anybody. A client
//! of one's own (`with_client`) says what it says.
//!
//! # What is not done
//!
//! No retry: the SDK's are off, and a login asks each source once. No redirect is followed, no certificate
//! left unverified, no proxy (`HTTPS_PROXY`) used for this machine and for metadata addresses. Plain http goes to these, and
//! elsewhere only with `allow_insecure`, wherever an endpoint comes from.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `secrets-manager` | yes | `SecretsManagerBackend` |
//! | `ssm` | | `ParameterStoreBackend` |
//!
//! # How it is tested
//!
//! On a fake of AWS over TLS, and on two servers that others wrote. What one of them gets wrong, another shows right:
//!
//! | server | wrong | shown by |
//! |---|---|---|
//! | moto | a stage that no version has is answered as an absent secret; absent is 404 | ministack, the fake |
//! | moto | denials are XML without a code | ministack, the fake |
//! | ministack | versions without a stage are gone at once | moto, the fake |
//! | ministack | denials are 403; `MaxResults` of a batch is ignored | the fake |
//! | both | nothing is ever throttled, expired, malformed or pending | the fake |

#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "secrets-manager", feature = "ssm")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "each service uses a part of what both share"
    )
)]

mod backoff;
mod call;
mod endpoint;
mod error;
mod fan;
mod files;
mod life;
mod login;
mod name;
mod options;
#[cfg(feature = "ssm")]
mod parameter_store;
mod profiles;
mod refusal;
#[cfg(feature = "secrets-manager")]
mod secrets_manager;
mod session;
mod settings;
mod source;
mod tame;
mod transport;
mod values;
mod within;

#[cfg(feature = "ssm")]
pub use parameter_store::{ParameterStoreBackend, ParameterStoreBuilder};
#[cfg(feature = "secrets-manager")]
pub use secrets_manager::{SecretsManagerBackend, SecretsManagerBuilder};
