"""Drives the official Python SDK against the fake Key Vault: two official clients have to agree on the wire.

Reads FAKE_PORT, FAKE_CA, FAKE_TENANT, FAKE_CLIENT_ID, FAKE_CLIENT_SECRET, FAKE_JWT (a file), FAKE_IDENTITY (the URL of the
identity endpoints) and FAKE_IDENTITY_HEADER. Writes to FAKE_OUT the values that another client is to find. Ends with a line
that says so when all holds.
"""

import base64
import os
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

PORT = int(os.environ["FAKE_PORT"])
IDENTITY = os.environ["FAKE_IDENTITY"]
TENANT = os.environ["FAKE_TENANT"]
CLIENT_ID = os.environ["FAKE_CLIENT_ID"]
os.environ["REQUESTS_CA_BUNDLE"] = os.environ["FAKE_CA"]

# The real names are found on this machine, and nothing else is found at all.
_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host, port, *args, **kwargs):
    if host in ("127.0.0.1", "169.254.169.254"):
        port = urlsplit(IDENTITY).port
    else:
        assert host == "localhost" or host.endswith((".vault.azure.net", "login.microsoftonline.com")), host
        port = PORT
    return _getaddrinfo("127.0.0.1", port, *args, **kwargs)


socket.getaddrinfo = getaddrinfo

from azure.core.exceptions import (  # noqa: E402
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import (  # noqa: E402
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.keyvault.secrets import SecretClient  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: E402


def credential(secret):
    return ClientSecretCredential(TENANT, CLIENT_ID, secret)


def refused(kind, status, call):
    try:
        call()
    except kind as error:
        assert status is None or error.status_code == status, error
        return error
    raise AssertionError(f"{kind.__name__} was expected")


VAULT = "https://myvault.vault.azure.net"
RIGHT = credential(os.environ["FAKE_CLIENT_SECRET"])
client = SecretClient(VAULT, RIGHT, retry_total=0)

# Values and versions.
first = client.set_secret("smtp--password", "one", content_type="text/plain", tags={"team": "mail"})
second = client.set_secret("smtp--password", "zwei \u00e9\U0001f600\n\"\\")
latest = client.get_secret("SMTP--password")
assert latest.value == second.value and latest.properties.version == second.properties.version
pinned = client.get_secret("smtp--password", first.properties.version)
assert pinned.value == "one" and pinned.properties.tags == {"team": "mail"}
assert pinned.properties.content_type == "text/plain"
assert len(list(client.list_properties_of_secret_versions("smtp--password"))) == 2
refused(ResourceNotFoundError, 404, lambda: client.get_secret("smtp--password", "0" * 32))

# Attributes.
soon = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
client.set_secret("timed", "x", expires_on=soon, not_before=soon - timedelta(hours=2))
assert client.get_secret("timed").properties.expires_on == soon
client.update_secret_properties("timed", client.get_secret("timed").properties.version, enabled=False)
assert "disabled" in refused(HttpResponseError, 403, lambda: client.get_secret("timed")).message

# Lists, page by page.
for number in range(60):
    client.set_secret(f"many--{number}", "x")
names = [secret.name for secret in client.list_properties_of_secrets()]
assert len(names) == len(set(names)) == 63, len(names)
assert not any(secret.enabled for secret in client.list_properties_of_secrets() if secret.name == "timed")

# Certificates, as Key Vault keeps them: real ones, which the other client has to find byte for byte.
key = ec.generate_private_key(ec.SECP256R1())
subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, soon, soon + timedelta(days=1))
certificate = builder.sign(key, hashes.SHA256())
pem = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
) + certificate.public_bytes(serialization.Encoding.PEM)
pfx = pkcs12.serialize_key_and_certificates(b"test", key, certificate, None, serialization.NoEncryption())
out = Path(os.environ["FAKE_OUT"])
for name, content_type, value in [
    ("certificate-pem", "application/x-pem-file", pem.decode()),
    ("certificate-pfx", "application/x-pkcs12", base64.b64encode(pfx).decode()),
]:
    client.set_secret(name, value, content_type=content_type)
    found = client.get_secret(name)
    assert found.value == value and found.properties.content_type == content_type
    (out / name).write_text(value, newline="")

# Soft delete.
client.begin_delete_secret("smtp--password").wait()
refused(ResourceNotFoundError, 404, lambda: client.get_secret("smtp--password"))
assert client.get_deleted_secret("smtp--password").recovery_id
refused(ResourceExistsError, 409, lambda: client.set_secret("smtp--password", "x"))
client.begin_recover_deleted_secret("smtp--password").wait()
assert client.get_secret("smtp--password").value == second.value
client.begin_delete_secret("smtp--password").wait()
client.purge_deleted_secret("smtp--password")
refused(ResourceNotFoundError, 404, lambda: client.get_deleted_secret("smtp--password"))

# Throttling: the first is told how long to wait, and the second waits as long.
throttled = refused(HttpResponseError, 429, lambda: client.get_secret("busy"))
assert throttled.response.headers["Retry-After"] == "1" and throttled.error.code == "Throttled", throttled
assert SecretClient(VAULT, RIGHT).get_secret("busy").value == "x"

# Refusals.
refused(HttpResponseError, 400, lambda: client.set_secret("under_score", "x"))
wrong = SecretClient(VAULT, credential("wrong"), retry_total=0)
assert "AADSTS7000215" in str(refused(ClientAuthenticationError, None, lambda: wrong.get_secret("timed")))

# A challenge for something else than the vault's cloud gets no token, unless that was asked for.
other = SecretClient("https://localhost", RIGHT, retry_total=0)
try:
    other.get_secret("many--1")
except ValueError as error:
    assert "does not match" in str(error), error
else:
    raise AssertionError("the challenge was not verified")
lenient = SecretClient("https://localhost", RIGHT, retry_total=0, verify_challenge_resource=False)
assert lenient.get_secret("many--1").value == "x"


# Every other way to log in.
def reads(way):
    assert SecretClient(VAULT, way, retry_total=0).get_secret("many--1").value == "x"


reads(WorkloadIdentityCredential(tenant_id=TENANT, client_id=CLIENT_ID, token_file_path=os.environ["FAKE_JWT"]))
reads(ManagedIdentityCredential(retry_total=0))
reads(ManagedIdentityCredential(client_id="user-assigned", retry_total=0))
absent = SecretClient(VAULT, ManagedIdentityCredential(client_id="nobody", retry_total=0), retry_total=0)
refused(ClientAuthenticationError, None, lambda: absent.get_secret("many--1"))
os.environ["IDENTITY_ENDPOINT"] = f"{IDENTITY}/msi/token"
os.environ["IDENTITY_HEADER"] = os.environ["FAKE_IDENTITY_HEADER"]
reads(ManagedIdentityCredential(retry_total=0))
reads(ManagedIdentityCredential(client_id="user-assigned", retry_total=0))
os.environ["IDENTITY_HEADER"] = "wrong"
absent = SecretClient(VAULT, ManagedIdentityCredential(retry_total=0), retry_total=0)
refused(ClientAuthenticationError, None, lambda: absent.get_secret("many--1"))

print("the official Python client agrees")
