//! Takes out of an answer what is not read here. The SDK traces errors, and all of an answer but values, as they are.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::{Hints, is_code};

/// The body of an answer as the SDK may see it: of an error its code and the phrases that are looked for.
///
/// `operation` is that of a JSON service; none is STS. `header` is the code, where a header has one.
pub(crate) fn tame(
    operation: Option<&str>,
    success: bool,
    header: Option<&str>,
    body: Zeroizing<Vec<u8>>,
) -> Zeroizing<Vec<u8>> {
    match (operation, success) {
        (Some("ListSecrets"), true) => names(&body).unwrap_or_else(broken),
        // The SDK quotes what stands in the place of a number.
        (Some(_), true) if serde_json::from_slice::<Shape>(&body).is_err() => broken(),
        (Some("BatchGetSecretValue"), true) => batch(&body).unwrap_or(body),
        (Some(_), true) => body,
        (Some(_), false) => refusal(header, &body),
        (None, true) => assumed(&body).unwrap_or_default(),
        (None, false) => Zeroizing::new(xml_refusal(&body).unwrap_or_default()),
    }
}

/// The numbers of every answer that holds values.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "they are looked at by being read")]
struct Shape {
    created_date: Option<f64>,
    secret_values: Option<Vec<Dated>>,
    parameter: Option<Numbered>,
    parameters: Option<Vec<Numbered>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "they are looked at by being read")]
struct Dated {
    created_date: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "they are looked at by being read")]
struct Numbered {
    version: Option<i64>,
    last_modified_date: Option<f64>,
}

/// The code within `com.amazonaws.ssm#ParameterNotFound:http://…`.
fn code(text: &str) -> Option<&str> {
    let text = text.split_once(':').map_or(text, |(code, _)| code);
    let text = text.rsplit_once('#').map_or(text, |(_, code)| code);
    is_code(text).then_some(text)
}

fn refusal(header: Option<&str>, body: &[u8]) -> Zeroizing<Vec<u8>> {
    // The message stands under either name, or both.
    let text = String::from_utf8_lossy(body);
    let parsed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).ok();
    let said = |name: &str| parsed.as_ref()?.get(name)?.as_str();
    let found = header.or_else(|| said("__type")).or_else(|| said("code"));
    let message = said("message").or_else(|| said("Message")).unwrap_or_default();
    let written = match found.and_then(code) {
        Some(code) => format!(
            r#"{{"__type":"{code}","message":"{}"}}"#,
            Hints::of(message).phrases()
        ),
        None => "{}".to_owned(),
    };
    Zeroizing::new(written.into_bytes())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    #[serde(borrow)]
    secret_values: Option<&'a RawValue>,
    errors: Vec<Failed>,
    #[serde(borrow)]
    next_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    secret_id: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// The same answer, with the errors of single secrets tamed; `None` where there are none.
fn batch(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let batch: Batch<'_> = serde_json::from_slice(body).ok()?;
    let mut written = Zeroizing::new(Vec::with_capacity(body.len() + 4096 * (batch.errors.len() + 1)));
    written.extend_from_slice(b"{\"Errors\":[");
    for (at, failed) in batch.errors.iter().enumerate() {
        if at > 0 {
            written.push(b',');
        }
        let entry = serde_json::json!({
            "SecretId": failed.secret_id,
            "ErrorCode": failed.error_code.as_deref().and_then(code),
            "Message": Hints::of(failed.message.as_deref().unwrap_or_default()).phrases(),
        });
        written.extend_from_slice(entry.to_string().as_bytes());
    }
    written.push(b']');
    for (name, value) in [
        ("SecretValues", batch.secret_values),
        ("NextToken", batch.next_token),
    ] {
        if let Some(value) = value {
            written.extend_from_slice(format!(",\"{name}\":").as_bytes());
            written.extend_from_slice(value.get().as_bytes());
        }
    }
    written.push(b'}');
    Some(written)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    secret_list: Vec<Named>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: Option<String>,
}

/// A list of secrets without what is noted down of them: descriptions, tags.
fn names(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let Names {
        secret_list,
        next_token,
    } = serde_json::from_slice(body).ok()?;
    let list = secret_list.into_iter().filter_map(|secret| secret.name);
    let list: Vec<_> = list.map(|name| serde_json::json!({ "Name": name })).collect();
    let written = serde_json::json!({ "SecretList": list, "NextToken": next_token });
    Some(Zeroizing::new(written.to_string().into_bytes()))
}

/// In the place of what is not whole: the SDK takes nothing at all for an empty list.
fn broken() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(b"!".to_vec())
}

/// What stands in an element that holds text alone.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    (!inner.is_empty() && !inner.contains('<')).then_some(inner)
}

fn xml_refusal(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let code = element(text, "Code").and_then(code)?;
    let phrases = Hints::of(element(text, "Message").unwrap_or_default()).phrases();
    Some(
        format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>{phrases}</Message></Error></ErrorResponse>"
        )
        .into_bytes(),
    )
}

/// The credentials of either call of STS, and nothing else; `None` when it is not whole.
fn assumed(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(body).ok()?;
    let call = if text.contains("<AssumeRoleWithWebIdentityResult>") {
        "AssumeRoleWithWebIdentity"
    } else {
        "AssumeRole"
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.:".contains(&byte);
    // Where the end is none, the SDK quotes it.
    let end = element(text, "Expiration")?;
    DateTime::from_str(end, Format::DateTimeWithOffset).ok()?;
    let open = format!("<{call}Response><{call}Result><Credentials>");
    let close = format!("</Credentials></{call}Result></{call}Response>");
    // Its elements are some of the body's: it never grows, which would leave credentials behind.
    let mut out = Zeroizing::new(Vec::with_capacity(open.len() + body.len() + close.len()));
    out.extend_from_slice(open.as_bytes());
    for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
        let value = element(text, name).filter(|value| value.bytes().all(plain))?;
        for part in ["<", name, ">", value, "</", name, ">"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(close.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tamed(operation: Option<&str>, success: bool, body: &str) -> String {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        String::from_utf8(tame(operation, success, None, body).to_vec()).unwrap()
    }

    #[test]
    fn s7_an_error_is_its_code_and_the_phrases_that_are_looked_for() {
        for (body, expected) in [
            (
                r#"{"__type":"com.amazonaws#ThrottlingException:http://hunter2","message":"hunter2"}"#,
                r#"{"__type":"ThrottlingException","message":""}"#,
            ),
            (
                r#"{"__type":"InvalidRequestException","Message":"hunter2 was marked for deletion"}"#,
                r#"{"__type":"InvalidRequestException","message":"deleted "}"#,
            ),
            (r#"{"__type":"hunter2"}"#, "{}"),
            ("hunter2", "{}"),
            ("", "{}"),
        ] {
            assert_eq!(tamed(Some("GetSecretValue"), false, body), expected);
        }
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>hunter2</Message></Error></ErrorResponse>";
        let expected = body.replace("hunter2", "");
        assert_eq!(tamed(None, false, body), expected);
        assert_eq!(tamed(None, false, "<Code>hunter2</Code>"), "");
    }

    #[test]
    fn s7_e6_errors_within_a_batch_are_tamed_and_values_stay_as_they_are() {
        let values = r#"[{"Name":"a","SecretString":"\"x\\ 1.0"}]"#;
        let body = format!(
            r#"{{"SecretValues":{values},"Errors":[{{"SecretId":"b\"","ErrorCode":"DecryptionFailure","Message":"hunter2 KMS"}}],"NextToken":"t"}}"#
        );
        let tamed_body = tamed(Some("BatchGetSecretValue"), true, &body);
        let expected = format!(
            r#"{{"Errors":[{{"ErrorCode":"DecryptionFailure","Message":"kms ","SecretId":"b\""}}],"SecretValues":{values},"NextToken":"t"}}"#
        );
        assert_eq!(tamed_body, expected);
        let none = r#"{"SecretValues":[]}"#;
        assert_eq!(tamed(Some("BatchGetSecretValue"), true, none), none);
    }

    #[test]
    fn s7_of_a_list_only_the_names_are_left() {
        let body = r#"{"SecretList":[{"Name":"a\"é","Description":"hunter2","Tags":[{"Key":"hunter2"}]}],"NextToken":"t"}"#;
        let expected = r#"{"NextToken":"t","SecretList":[{"Name":"a\"é"}]}"#;
        assert_eq!(tamed(Some("ListSecrets"), true, body), expected);
        for broken in ["", "{}", r#"{"SecretList":[{"Name":["hunter2"#] {
            assert_eq!(tamed(Some("ListSecrets"), true, broken), "!");
        }
    }

    #[test]
    fn v8_s7_an_answer_with_words_for_numbers_is_none() {
        for (operation, good, bad) in [
            (
                "GetSecretValue",
                r#"{"SecretString":"x","CreatedDate":1.7e9}"#,
                r#"{"CreatedDate":"hunter2"}"#,
            ),
            (
                "BatchGetSecretValue",
                r#"{"SecretValues":[{"CreatedDate":null}]}"#,
                r#"{"SecretValues":[{"CreatedDate":"hunter2"}]}"#,
            ),
            (
                "GetParameter",
                r#"{"Parameter":{"Version":1}}"#,
                r#"{"Parameter":{"Version":"hunter2"}}"#,
            ),
            (
                "GetParameters",
                r#"{"Parameters":[{"LastModifiedDate":1}]}"#,
                r#"{"Parameters":[{"LastModifiedDate":"hunter2"}]}"#,
            ),
        ] {
            assert_eq!(tamed(Some(operation), true, good), good);
            assert_eq!(tamed(Some(operation), true, bad), "!");
            assert_eq!(tamed(Some(operation), true, "half"), "!");
        }
    }

    #[test]
    fn v8_an_answer_of_sts_is_whole_or_nothing() {
        let whole = |key: &str, end: &str| {
            format!(
                "<R><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>{key}</SecretAccessKey>\
                 <SessionToken>t+/=</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult></R>"
            )
        };
        let good = tamed(None, true, &whole("k/+", "2031-01-02T03:04:05Z"));
        assert!(
            good.starts_with("<AssumeRoleResponse>") && good.contains("<SecretAccessKey>k/+<"),
            "{good}"
        );
        for bad in [
            whole("", "2031-01-02T03:04:05Z"),
            whole("a<b>c</b>", "2031-01-02T03:04:05Z"),
            whole("k", "hunter2"),
            "<AssumeRoleResponse><hunter2".to_owned(),
        ] {
            assert_eq!(tamed(None, true, &bad), "", "{bad}");
        }
    }
}
