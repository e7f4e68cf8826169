//! `examples/config.rs` as a process: one type, from variables, from files, and from one document.
#![cfg(all(feature = "env", feature = "file"))]

mod process;

use process::{run, text};

const DATABASE: [(&str, &str); 2] = [
    ("APP_DATABASE_HOST", "db.example.com"),
    ("APP_DATABASE_PASSWORD", "hunter2"),
];

fn prints_everything_but_the_values(output: &std::process::Output, port: &str, tls: &str) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(
        out.contains(&format!("database: db.example.com:{port}\n")),
        "{out}"
    );
    assert!(out.contains(&format!("smtp: TLS {tls}\n")), "{out}");
    assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
}

#[test]
fn it_loads_variables() {
    let variables = [&DATABASE[..], &[("APP_SMTP_API_KEY", "hunter2")]].concat();
    prints_everything_but_the_values(&run("config", &variables, &[]), "5432", "Required");

    let all = [
        &variables[..],
        &[("APP_DATABASE_PORT", "6543"), ("APP_SMTP_TLS", "off")],
    ]
    .concat();
    prints_everything_but_the_values(&run("config", &all, &[]), "6543", "Off");
}

#[test]
fn it_loads_one_file_for_each_field() {
    let root = tempfile::tempdir().unwrap();
    for (file, content) in [
        ("app/database/host", "db.example.com\n"),
        ("app/database/port", "6543\n"),
        ("app/database/password", "hunter2\n"),
        ("app/smtp/api-key", "hunter2\n"),
    ] {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let uri = process::file_uri(root.path());
    prints_everything_but_the_values(&run("config", &[("SECRETS_URI", &uri)], &[]), "6543", "Required");
}

#[test]
fn it_loads_one_document() {
    let root = tempfile::tempdir().unwrap();
    let document = r#"{
        "database": {"host": "db.example.com", "port": 6543, "password": "hunter2", "ca": "hunter2"},
        "smtp": {"api-key": "hunter2", "tls": "off"}
    }"#;
    std::fs::write(root.path().join("app"), document).unwrap();
    let uri = process::file_uri(root.path());
    let output = run("config", &[("SECRETS_URI", &uri)], &[]);
    prints_everything_but_the_values(&output, "6543", "Off");
    assert!(text(&output.stdout).contains("database's own CA: true\n"));
}

#[test]
fn it_names_everything_that_is_missing_at_once() {
    let output = run("config", &DATABASE[1..], &[]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for missing in ["app/database/host", "app/smtp/api-key"] {
        assert!(err.contains(missing), "{err}");
    }
    for there in [
        "app/database/password",
        "app/database/port",
        "app/database/ca",
        "hunter2",
    ] {
        assert!(!err.contains(there), "{err}");
    }
}

#[test]
fn it_names_a_malformed_value_and_does_not_show_it() {
    let variables = [
        &DATABASE[..],
        &[("APP_SMTP_API_KEY", "x"), ("APP_DATABASE_PORT", "hunter2")],
    ]
    .concat();
    let output = run("config", &variables, &[]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err.contains("app/database/port") && !err.contains("hunter2"),
        "{err}"
    );
}
