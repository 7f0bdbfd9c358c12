/**
 * Encrypted connections, to a server whose certificate is its own.
 */
import assert from "node:assert/strict";
import { createPersistence } from "../../src/store/create.ts";
import { rlcf } from "../cli/support.ts";
import { refusal } from "../store/refusals.ts";
import { queryPostgres, run } from "../support/postgres.ts";
import { OwnServer } from "./database_support.ts";

const DAYS = ["-days", "2"];
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

const tls = await startServer().catch((error: Error) => ({ reason: error.message }));

testWithTls(
  "require, verify-full and prefer all verify: an unknown certificate is refused with the remedy",
  async (url) => {
    for (const mode of ["require", "verify-ca", "verify-full", "prefer"]) {
      await assert.rejects(
        createPersistence(`${url}?sslmode=${mode}`),
        refusal("database", /: the server's certificate is not trusted \(/),
        mode,
      );
    }
    const { code, stderr } = await rlcf(["stats", "--database", `${url}?sslmode=require`]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /hint: Name its issuer: sslrootcert=FILE/);
  },
);

testWithTls("with the certificate of its issuer as sslrootcert the connection is encrypted", async (url, directory) => {
  for (const [mode, root] of [["verify-full", "ca.crt"], ["require", "ca.crt"], ["verify-full", "self.crt"]] as const) {
    if (root === "self.crt") await present("self");
    const secure = `${url}?sslmode=${mode}&sslrootcert=${directory}/${root}`;
    await using store = await createPersistence(secure);
    assert.equal((await store.getTrainingStats()).total_traces, 0);
    assert.deepEqual(await encryption(url), [true]);
  }
  await present("server");
  const { code, stderr } = await rlcf([
    "stats",
    "--database",
    `${url}?sslmode=verify-full&sslrootcert=${directory}/ca.crt`,
  ]);
  assert.equal(code, 0, stderr);
});

testWithTls("a certificate for another host is refused, and so is another issuer", async (url, directory) => {
  const elsewhere = url.replace("127.0.0.1", "127.0.0.2");
  await assert.rejects(
    createPersistence(`${elsewhere}?sslmode=verify-full&sslrootcert=${directory}/ca.crt`),
    refusal("database", /the server's certificate is for another host/),
  );
  await present("stranger");
  await assert.rejects(
    createPersistence(`${url}?sslmode=verify-full&sslrootcert=${directory}/ca.crt`),
    refusal("database", /the server's certificate is not trusted/),
  );
  await present("server");
});

testWithTls("no-verify encrypts and trusts anybody; without sslmode nothing is encrypted", async (url) => {
  for (
    const [parameters, encrypted] of [["?sslmode=no-verify", true], ["?sslmode=disable", false], ["", false]] as const
  ) {
    await using store = await createPersistence(`${url}${parameters}`);
    await store.getTrainingStats();
    assert.deepEqual(await encryption(url), [encrypted], parameters);
  }
});

testWithTls("a root certificate that is not there, or is none, is named", async (url, directory) => {
  await assert.rejects(
    createPersistence(`${url}?sslmode=verify-full&sslrootcert=${directory}/missing.crt`),
    refusal("database", /there is no such socket or file \(.*missing\.crt/),
  );
  await Deno.writeTextFile(`${directory}/none.crt`, "no certificate");
  await assert.rejects(
    createPersistence(`${url}?sslmode=verify-full&sslrootcert=${directory}/none.crt`),
    refusal("database", /certificate/),
  );
});

Deno.test.afterAll(async () => {
  if (!("reason" in tls)) await tls[Symbol.asyncDispose]();
});

async function startServer(): Promise<OwnServer> {
  const own = await OwnServer.start(["listen_addresses=127.0.0.1,127.0.0.2"]);
  const { directory } = own;
  const at = (name: string): string => `${directory}/${name}`;
  const openssl = (args: readonly string[]): Promise<void> => run(["openssl", ...args]);
  const hosts = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  try {
    for (const name of ["ca", "stranger-ca"]) {
      await openssl(["req", "-x509", ...KEY, ...DAYS, "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`)]
        .concat("-out", at(`${name}.crt`)));
    }
    for (const [name, issuer] of [["server", "ca"], ["stranger", "stranger-ca"]] as const) {
      await openssl(
        ["req", "-x509", ...KEY, ...DAYS, "-subj", "/CN=localhost", ...hosts, "-CA", at(`${issuer}.crt`)]
          .concat(
            "-CAkey",
            at(`${issuer}.key`),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            at(`${name}.key`),
          )
          .concat("-out", at(`${name}.crt`)),
      );
    }
    // One certificate that is its own issuer; not an authority, or it may not be used by a server.
    await openssl(["req", "-x509", ...KEY, ...DAYS, "-subj", "/CN=localhost", ...hosts, "-addext"]
      .concat("basicConstraints=critical,CA:FALSE", "-keyout", at("self.key"), "-out", at("self.crt")));
    await use(own, "server");
    await queryPostgres(own.url(), "alter system set ssl = on");
    await queryPostgres(own.url(), "select pg_reload_conf()");
    return own;
  } catch (error) {
    await own[Symbol.asyncDispose]();
    throw error;
  }
}

/** Lets the server present another certificate from the next connection on. */
async function present(name: "server" | "stranger" | "self"): Promise<void> {
  if ("reason" in tls) return;
  await use(tls, name);
  await queryPostgres(tls.url(), "select pg_reload_conf(), pg_sleep(0.3)");
}

async function use(own: OwnServer, name: string): Promise<void> {
  const data = `${own.directory}/data`;
  const { uid, gid } = await Deno.stat(data);
  for (const kind of ["crt", "key"]) {
    await Deno.copyFile(`${own.directory}/${name}.${kind}`, `${data}/server.${kind}`);
    await Deno.chmod(`${data}/server.${kind}`, 0o600);
    if (Deno.uid() === 0) await Deno.chown(`${data}/server.${kind}`, uid, gid);
  }
}

/** Whether the connections of rlcf to the database are encrypted. */
async function encryption(url: string): Promise<unknown[]> {
  const rows = await queryPostgres(
    url,
    `select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid)
     where datname = current_database() and application_name = 'rlcf'`,
  );
  return rows.map(({ ssl }) => ssl);
}

function testWithTls(name: string, test: (url: string, directory: string) => Promise<void>): void {
  if ("reason" in tls) return Deno.test.ignore(`${name} (${tls.reason})`, () => {});
  Deno.test(name, async () => {
    const database = `db_${crypto.randomUUID().replaceAll("-", "")}`;
    await queryPostgres(tls.url(), `create database ${database}`);
    await test(tls.url(database), tls.directory);
  });
}
