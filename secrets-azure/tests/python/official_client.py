"""Drives the official Python SDK against the fake Key Vault: two official clients have to agree on the wire.

Reads FAKE_PORT, FAKE_CA, FAKE_TENANT, FAKE_CLIENT_ID and FAKE_CLIENT_SECRET. Ends with a line that says so when all holds.
"""

import os
import socket
from datetime import datetime, timedelta, timezone

PORT = int(os.environ["FAKE_PORT"])
os.environ["REQUESTS_CA_BUNDLE"] = os.environ["FAKE_CA"]

# The real names are found on this machine, and nothing else is found at all.
_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host, port, *args, **kwargs):
    assert host.endswith((".vault.azure.net", "login.microsoftonline.com")), host
    return _getaddrinfo("127.0.0.1", PORT, *args, **kwargs)


socket.getaddrinfo = getaddrinfo

from azure.core.exceptions import (  # noqa: E402
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.keyvault.secrets import SecretClient  # noqa: E402


def credential(secret):
    return ClientSecretCredential(os.environ["FAKE_TENANT"], os.environ["FAKE_CLIENT_ID"], secret)


def refused(kind, status, call):
    try:
        call()
    except kind as error:
        assert status is None or error.status_code == status, error
        return error
    raise AssertionError(f"{kind.__name__} was expected")


VAULT = "https://myvault.vault.azure.net"
client = SecretClient(VAULT, credential(os.environ["FAKE_CLIENT_SECRET"]), retry_total=0)

# Values and versions.
first = client.set_secret("smtp--password", "one", content_type="text/plain", tags={"team": "mail"})
second = client.set_secret("smtp--password", "zwei \u00e9\U0001f600\n\"\\")
latest = client.get_secret("SMTP--password")
assert latest.value == second.value and latest.properties.version == second.properties.version
pinned = client.get_secret("smtp--password", first.properties.version)
assert pinned.value == "one" and pinned.properties.tags == {"team": "mail"}
assert pinned.properties.content_type == "text/plain"
assert len(list(client.list_properties_of_secret_versions("smtp--password"))) == 2

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
assert len(names) == len(set(names)) == 62, len(names)
assert not any(secret.enabled for secret in client.list_properties_of_secrets() if secret.name == "timed")

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

# Refusals.
refused(HttpResponseError, 400, lambda: client.set_secret("under_score", "x"))
wrong = SecretClient(VAULT, credential("wrong"), retry_total=0)
assert "AADSTS7000215" in str(refused(ClientAuthenticationError, None, lambda: wrong.get_secret("timed")))

print("the official Python client agrees")
