// Drives the official JavaScript SDK against the fake Key Vault, as ../python/official_client.py does with the Python one, and
// reads the same variables. Ends with a line that says so when all holds.
"use strict";

const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const tls = require("node:tls");

const env = process.env;
const PORT = Number(env.FAKE_PORT);
const IDENTITY = env.FAKE_IDENTITY;
const TENANT = env.FAKE_TENANT;
const CLIENT_ID = env.FAKE_CLIENT_ID;

// The real names are found on this machine, and nothing else is found at all. The certificate has to be theirs.
const connect = tls.connect;
tls.connect = (options, ...rest) => {
  const host = options.servername || options.host;
  assert(/(^localhost|\.vault\.azure\.net|login\.microsoftonline\.com)$/.test(host), host);
  const ca = fs.readFileSync(env.FAKE_CA);
  return connect({ ...options, host: "127.0.0.1", port: PORT, servername: host, ca }, ...rest);
};

const {
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} = require("@azure/identity");
const { SecretClient } = require("@azure/keyvault-secrets");

const VAULT = "https://myvault.vault.azure.net";
const ONCE = { retryOptions: { maxRetries: 0 } };

const credential = (secret) => new ClientSecretCredential(TENANT, CLIENT_ID, secret, ONCE);

async function refused(status, call) {
  try {
    await call();
  } catch (error) {
    assert(status === undefined || error.statusCode === status, String(error));
    return error;
  }
  throw new Error(`${status} was expected`);
}

async function names(pages) {
  const found = [];
  for await (const properties of pages) found.push(properties.name);
  return found;
}

async function main() {
  const right = credential(env.FAKE_CLIENT_SECRET);
  const client = new SecretClient(VAULT, right, ONCE);

  // Values, versions, attributes.
  const first = await client.setSecret("smtp--password", "one", { contentType: "text/plain", tags: { team: "mail" } });
  const second = await client.setSecret("smtp--password", 'zwei \u00e9\u{1f600}\n"\\');
  const latest = await client.getSecret("SMTP--password");
  assert.strictEqual(latest.value, second.value);
  const pinned = await client.getSecret("smtp--password", { version: first.properties.version });
  assert.strictEqual(pinned.value, "one");
  assert.deepStrictEqual({ ...pinned.properties.tags }, { team: "mail" });
  assert.strictEqual((await names(client.listPropertiesOfSecretVersions("smtp--password"))).length, 2);
  await refused(404, () => client.getSecret("smtp--password", { version: "0".repeat(32) }));
  const soon = new Date(Math.ceil(Date.now() / 1000 + 3600) * 1000);
  const timed = await client.setSecret("timed", "x", { expiresOn: soon });
  assert.deepStrictEqual((await client.getSecret("timed")).properties.expiresOn, soon);
  await client.updateSecretProperties("timed", timed.properties.version, { enabled: false });
  assert.match((await refused(403, () => client.getSecret("timed"))).message, /disabled/);

  // Lists, page by page.
  for (let number = 0; number < 60; number++) await client.setSecret(`many--${number}`, "x");
  const listed = await names(client.listPropertiesOfSecrets());
  assert.strictEqual(new Set(listed).size, 63);
  assert.strictEqual(listed.length, 63);

  // What the other client has to find byte for byte.
  const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  const pfx = crypto.randomBytes(1500).toString("base64");
  for (const [name, contentType, value] of [
    ["certificate-pem", "application/x-pem-file", pem],
    ["certificate-pfx", "application/x-pkcs12", pfx],
  ]) {
    await client.setSecret(name, value, { contentType });
    const found = await client.getSecret(name);
    assert(found.value === value && found.properties.contentType === contentType);
    fs.writeFileSync(path.join(env.FAKE_OUT, name), value);
  }

  // Soft delete. The client polls every two seconds unless told otherwise.
  const often = { intervalInMs: 1 };
  await (await client.beginDeleteSecret("smtp--password", often)).pollUntilDone();
  await refused(404, () => client.getSecret("smtp--password"));
  assert((await client.getDeletedSecret("smtp--password")).recoveryId);
  await refused(409, () => client.setSecret("smtp--password", "x"));
  await (await client.beginRecoverDeletedSecret("smtp--password", often)).pollUntilDone();
  assert.strictEqual((await client.getSecret("smtp--password")).value, second.value);
  await (await client.beginDeleteSecret("smtp--password", often)).pollUntilDone();
  await client.purgeDeletedSecret("smtp--password");
  await refused(404, () => client.getDeletedSecret("smtp--password"));

  // Throttling: the first is told how long to wait, and the second waits as long.
  const throttled = await refused(429, () => client.getSecret("busy"));
  assert.strictEqual(throttled.response.headers.get("retry-after"), "1");
  assert.strictEqual(throttled.code, "Throttled");
  assert.strictEqual((await new SecretClient(VAULT, right).getSecret("busy")).value, "x");

  // Refusals.
  await refused(400, () => client.setSecret("under_score", "x"));
  const wrong = new SecretClient(VAULT, credential("wrong"), ONCE);
  assert.match(String(await refused(undefined, () => wrong.getSecret("timed"))), /AADSTS7000215/);

  // A challenge for something else than the vault's cloud gets no token, unless that was asked for.
  const other = new SecretClient("https://localhost", right, ONCE);
  assert.match(String(await refused(undefined, () => other.getSecret("many--1"))), /does not match/);
  const lenient = new SecretClient("https://localhost", right, { ...ONCE, disableChallengeResourceVerification: true });
  assert.strictEqual((await lenient.getSecret("many--1")).value, "x");

  // Every other way to log in.
  const reads = async (way) =>
    assert.strictEqual((await new SecretClient(VAULT, way, ONCE).getSecret("many--1")).value, "x");
  await reads(
    new WorkloadIdentityCredential({ ...ONCE, tenantId: TENANT, clientId: CLIENT_ID, tokenFilePath: env.FAKE_JWT }),
  );
  env.AZURE_POD_IDENTITY_AUTHORITY_HOST = IDENTITY;
  await reads(new ManagedIdentityCredential(ONCE));
  await reads(new ManagedIdentityCredential({ ...ONCE, clientId: "user-assigned" }));
  delete env.AZURE_POD_IDENTITY_AUTHORITY_HOST;
  env.IDENTITY_ENDPOINT = `${IDENTITY}/msi/token`;
  env.IDENTITY_HEADER = env.FAKE_IDENTITY_HEADER;
  await reads(new ManagedIdentityCredential(ONCE));
  await reads(new ManagedIdentityCredential({ ...ONCE, clientId: "user-assigned" }));

  console.log("the official JavaScript client agrees");
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
