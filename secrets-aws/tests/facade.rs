//! `SECRETS_URI=aws://…` end to end: the facade, credentials, a secret, over TLS, in a process of its own.

use std::process::Command;

use secrets_testkit::fakes::aws::FakeAws;

/// Starts this test binary again, as the program that the environment configures.
fn program(uri: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--ignored", "--nocapture"])
        .env_clear()
        // No file of the user's, and no metadata service of the machine's.
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SECRETS_URI", uri)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), said.concat())
}

#[test]
#[ignore = "the program that the other tests start, with an environment of its own"]
fn the_program() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let password = runtime.block_on(async {
        let secrets = secrets::from_env()?;
        let password = secrets.get("smtp/database#password").await?;
        secrets.shutdown().await?;
        Ok::<_, secrets::Error>(password.expose_str()?.to_owned())
    });
    let password = password.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(password, "correct horse");
}

#[test]
fn a_uri_reads_a_secret_from_either_service() {
    let aws = FakeAws::start().unwrap();
    let json = r#"{"user":"mailer","password":"correct horse"}"#;
    for base in ["", "prod/"] {
        aws.put_secret(&format!("{base}smtp/database"), json.as_bytes());
        aws.put_parameter(&format!("/{base}smtp/database"), json);
    }
    let role = aws.role("app", &[("*", "*")]);
    let (id, key) = aws.user("app", &[("*", "*")]);
    let bundle = std::env::temp_dir().join(format!("secrets-aws-bundle-{}.pem", std::process::id()));
    std::fs::write(&bundle, aws.ca_pem()).unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", key.as_str()),
        ("AWS_CA_BUNDLE", bundle.to_str().unwrap()),
        ("AWS_REGION", "eu-central-1"),
    ];
    let url = aws.url();
    for uri in [
        format!("aws://eu-central-1?endpoint={url}"),
        format!("aws:?endpoint={url}&base=prod/&ttl=60s"),
        format!("aws://eu-central-1?endpoint={url}&role={role}&sts_endpoint={url}&application=billing"),
        format!("aws-ssm://eu-central-1?endpoint={url}"),
        format!("aws-ssm:?endpoint={url}&base=/prod/&idle_connections=false"),
    ] {
        let (read, said) = program(&uri, &environment);
        assert!(read, "{uri}: {said}");
    }
    let (read, said) = program(&format!("aws://eu-central-1?endpoint={url}"), &environment[..2]);
    assert!(
        !read && said.contains("unavailable") && !said.contains(&key),
        "an unknown authority is refused: {said}"
    );
    let (read, said) = program("aws:", &environment[..2]);
    assert!(
        !read && said.contains("AWS_REGION") && !said.contains(&key),
        "{said}"
    );
    let _ = std::fs::remove_file(bundle);
}

#[test]
fn s3_l4_what_a_uri_may_not_say_is_refused_before_any_contact() {
    for (uri, says) in [
        ("aws://eu-central-1?access_key_id=hunter2", "access_key_id"),
        (
            "aws://eu-central-1?secret-access-key=hunter2",
            "secret_access_key",
        ),
        ("aws://user:hunter2@eu-central-1", "user or password"),
        (
            "aws://eu-central-1?endpoint=http://hunter2.example.com",
            "plain http",
        ),
        ("aws://eu-central-1?endpoint=hunter2", "`endpoint`"),
        ("aws://hunter2.example.com", "region"),
        ("aws://eu-central-1/hunter2", "base"),
        ("aws-ssm://eu-central-1?role=hunter2", "`role`"),
        ("aws-ssm://eu-central-1?base=hunter2/", "`base`"),
        ("aws-ssm://eu-central-1?fips=hunter2", "fips"),
        ("aws-ssm://eu-central-1?kv=hunter2", "unknown parameter"),
    ] {
        let (read, said) = program(uri, &[("AWS_SECRET_ACCESS_KEY", "hunter3")]);
        assert!(!read && said.contains(says), "{uri}: {said}");
        assert!(
            !said.contains("hunter2") && !said.contains("hunter3"),
            "{uri}: {said}"
        );
    }
}
