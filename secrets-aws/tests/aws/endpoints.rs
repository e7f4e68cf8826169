//! Which hosts options, variables and profiles lead to. A proxy is asked for the way there: it sees the host, and no more.

use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::wire::http::{Method, StatusCode};
use secrets_testkit::wire::{Body, HttpServer, Response};

use crate::support::{alone, block_on, kind};

/// A proxy that leads nowhere.
fn proxy() -> HttpServer {
    HttpServer::start(|_| async {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
    .unwrap()
}

/// The hosts that were asked for, in order.
fn hosts(proxy: &HttpServer) -> Vec<String> {
    let requests = proxy.requests();
    assert!(requests.iter().all(|request| request.method() == Method::CONNECT));
    let host = |request: &secrets_testkit::wire::Request| request.uri().host().unwrap_or_default().to_owned();
    requests.iter().map(host).collect()
}

fn variables(proxy: &HttpServer) -> Vec<(&'static str, String)> {
    vec![
        ("HTTPS_PROXY", proxy.url()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", "AKIDFAKE".into()),
        ("AWS_SECRET_ACCESS_KEY", "CANARY".into()),
    ]
}

fn both() -> [Box<dyn SecretBackend>; 2] {
    [
        Box::new(SecretsManagerBackend::builder().build().unwrap()),
        Box::new(ParameterStoreBackend::builder().build().unwrap()),
    ]
}

fn read_each(backends: impl IntoIterator<Item = Box<dyn SecretBackend>>) {
    for backend in backends {
        assert_eq!(block_on(kind(&*backend, "a")), Err(ErrorKind::Unavailable));
    }
}

/// Without either, with FIPS, with dual-stack, with both. Those of Secrets Manager speak IPv6 by the same name. As AWS documents
/// them: <https://docs.aws.amazon.com/general/latest/gr/asm.html>, and `ssm.html` and `sts.html` beside it.
const DOCUMENTED: [&str; 8] = [
    "secretsmanager.us-east-1.amazonaws.com",
    "ssm.us-east-1.amazonaws.com",
    "secretsmanager-fips.us-east-1.amazonaws.com",
    "ssm-fips.us-east-1.amazonaws.com",
    "secretsmanager.us-east-1.amazonaws.com",
    "ssm.us-east-1.api.aws",
    "secretsmanager-fips.us-east-1.amazonaws.com",
    "ssm-fips.us-east-1.api.aws",
];

#[test]
fn fips_and_dual_stack_of_the_builder_lead_to_their_hosts() {
    let proxy = proxy();
    let within = alone(
        "endpoints::fips_and_dual_stack_of_the_builder_lead_to_their_hosts",
        || {
            let mut variables = variables(&proxy);
            // What the builder says stands before the environment.
            variables.extend([
                ("AWS_USE_FIPS_ENDPOINT", "true".into()),
                ("AWS_USE_DUALSTACK_ENDPOINT", "true".into()),
            ]);
            variables
        },
    );
    if !within {
        return assert_eq!(hosts(&proxy), DOCUMENTED);
    }
    for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
        let secrets = SecretsManagerBackend::builder().fips(fips).dual_stack(dual_stack);
        let parameters = ParameterStoreBackend::builder().fips(fips).dual_stack(dual_stack);
        read_each([
            Box::new(secrets.build().unwrap()) as Box<dyn SecretBackend>,
            Box::new(parameters.build().unwrap()),
        ]);
    }
}

#[test]
fn fips_and_dual_stack_of_a_uri_lead_to_their_hosts() {
    let proxy = proxy();
    let within = alone(
        "endpoints::fips_and_dual_stack_of_a_uri_lead_to_their_hosts",
        || variables(&proxy),
    );
    if !within {
        return assert_eq!(hosts(&proxy), DOCUMENTED);
    }
    for query in ["", "?fips=true", "?dual_stack=true", "?fips=true&dual_stack=true"] {
        read_each(
            ["aws", "aws-ssm"]
                .map(|scheme| secrets::backend_for(format!("{scheme}://us-east-1{query}")).unwrap()),
        );
    }
}

#[test]
fn fips_and_dual_stack_of_the_environment_lead_to_their_hosts() {
    let proxy = proxy();
    let within = alone(
        "endpoints::fips_and_dual_stack_of_the_environment_lead_to_their_hosts",
        || {
            let mut variables = variables(&proxy);
            variables.extend([
                ("AWS_USE_FIPS_ENDPOINT", "TRUE".into()),
                ("AWS_USE_DUALSTACK_ENDPOINT", "true".into()),
            ]);
            variables
        },
    );
    if !within {
        return assert_eq!(hosts(&proxy), DOCUMENTED[6..]);
    }
    read_each(both());
}

#[test]
fn fips_and_dual_stack_of_a_profile_lead_to_their_hosts_also_of_sts() {
    let proxy = proxy();
    let file = std::env::temp_dir().join(format!("secrets-aws-fips-{}", std::process::id()));
    let within = alone(
        "endpoints::fips_and_dual_stack_of_a_profile_lead_to_their_hosts_also_of_sts",
        || {
            let text = "[profile fips]\nuse_fips_endpoint = true\n[profile dual]\nuse_dualstack_endpoint = true\n\
                        [profile wrong]\nuse_fips_endpoint = yes\n";
            std::fs::write(&file, text).unwrap();
            let mut variables = variables(&proxy);
            variables.push(("AWS_CONFIG_FILE", file.to_str().unwrap().to_owned()));
            variables
        },
    );
    if !within {
        let _ = std::fs::remove_file(file);
        let hosts = hosts(&proxy);
        assert_eq!(hosts[..2], [DOCUMENTED[2], DOCUMENTED[5]]);
        assert_eq!(hosts[2..], ["sts-fips.us-east-1.amazonaws.com"]);
        return;
    }
    let fips = || SecretsManagerBackend::builder().profile("fips");
    let dual = ParameterStoreBackend::builder().profile("dual");
    let role = fips().role("arn:aws:iam::123456789012:role/app");
    read_each([
        Box::new(fips().build().unwrap()) as Box<dyn SecretBackend>,
        Box::new(dual.build().unwrap()),
        Box::new(role.build().unwrap()),
    ]);
    let wrong = SecretsManagerBackend::builder().profile("wrong").build().unwrap();
    let error = block_on(crate::support::read(&wrong, "a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("use_fips_endpoint"), "{error}");
}

#[test]
fn an_endpoint_of_ones_own_and_fips_are_a_contradiction() {
    let endpoint = "https://secretsmanager.example.com";
    for (build, says) in [
        (
            SecretsManagerBackend::builder().endpoint(endpoint).fips(true),
            "`fips`",
        ),
        (
            SecretsManagerBackend::builder()
                .endpoint(endpoint)
                .dual_stack(true),
            "`dual_stack`",
        ),
    ] {
        let error = build.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains(says), "{error}");
    }
    let within = alone(
        "endpoints::an_endpoint_of_ones_own_and_fips_are_a_contradiction",
        || {
            vec![
                ("AWS_REGION", "us-east-1".into()),
                ("AWS_ENDPOINT_URL_SSM", "https://ssm.example.com".into()),
                ("AWS_USE_FIPS_ENDPOINT", "true".into()),
                ("AWS_ACCESS_KEY_ID", "AKIDFAKE".into()),
                ("AWS_SECRET_ACCESS_KEY", "CANARY".into()),
            ]
        },
    );
    if within {
        let given = SecretsManagerBackend::builder()
            .endpoint(endpoint)
            .build()
            .unwrap();
        let named = ParameterStoreBackend::builder().build().unwrap();
        for backend in [&given as &dyn SecretBackend, &named] {
            let error = block_on(crate::support::read(backend, "a")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.message().contains("AWS_USE_FIPS_ENDPOINT"), "{error}");
        }
    }
}

#[test]
fn endpoints_are_found_in_the_order_that_aws_documents() {
    let file = std::env::temp_dir().join(format!("secrets-aws-endpoints-{}", std::process::id()));
    let servers = [(); 3].map(|()| HttpServer::start(|_| async { Response::new("{}".into()) }).unwrap());
    let [own, section, general] = &servers;
    let within = alone(
        "endpoints::endpoints_are_found_in_the_order_that_aws_documents",
        || {
            let text = format!(
                "[default]\nregion = us-east-1\nservices = local\nendpoint_url = {general}\n\
                 [profile other]\nregion = us-east-1\nendpoint_url = {general}\n\
                 [services local]\nsecrets_manager =\n  endpoint_url = {section}\nssm =\n  endpoint_url = {section}\n",
                general = general.url(),
                section = section.url(),
            );
            std::fs::write(&file, text).unwrap();
            vec![
                ("AWS_CONFIG_FILE", file.to_str().unwrap().to_owned()),
                ("AWS_ENDPOINT_URL_SSM", own.url()),
                ("AWS_ACCESS_KEY_ID", "AKIDFAKE".into()),
                ("AWS_SECRET_ACCESS_KEY", "CANARY".into()),
            ]
        },
    );
    if !within {
        let _ = std::fs::remove_file(file);
        let counts = servers.each_ref().map(HttpServer::request_count);
        assert_eq!(
            counts,
            [1, 1, 1],
            "the variable, the section of the service, the profile"
        );
        return;
    }
    let other = SecretsManagerBackend::builder().profile("other").build().unwrap();
    for backend in both()
        .into_iter()
        .chain([Box::new(other) as Box<dyn SecretBackend>])
    {
        assert_eq!(
            block_on(kind(&*backend, "a")),
            Err(ErrorKind::InvalidData),
            "the answer is empty"
        );
    }
}
