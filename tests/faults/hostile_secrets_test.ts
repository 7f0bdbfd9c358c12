/**
 * A database's password, given in each of the three places, while the whole loop runs against a real PostgreSQL: it is
 * in nothing that is printed, written or stored.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { embeddingOf, type Finished, logOf, rlcf, Workplace } from "../cli/support.ts";
import { postgresForTests, queryPostgres } from "../support/postgres.ts";

const postgres = await postgresForTests();
const ignore = "reason" in postgres || postgres.passwordUrl === undefined;
const missing = "reason" in postgres ? ` (${postgres.reason})` : ignore ? " (a server with users of its own)" : "";

/** Every way in which the password of the URL may be spelled; what is too short to be told from chance is left out. */
function spellings(url: string): string[] {
  const escaped = /:([^:@/]*)@/.exec(url.slice("postgresql://".length))![1]!;
  const plain = decodeURIComponent(escaped);
  const base64 = (text: string): string => new TextEncoder().encode(text).toBase64();
  return [
    ...new Set([plain, escaped, encodeURI(plain), JSON.stringify(plain).slice(1, -1), base64(plain), base64(url)]),
  ];
}

/** The texts of every column of every table that may hold one. */
async function everythingStored(url: string): Promise<string> {
  const columns = await queryPostgres(
    url,
    `select table_name, column_name from information_schema.columns
     where table_schema = 'public' and data_type <> 'bytea' order by 1, 2`,
  );
  assert.ok(columns.length > 50, `${columns.length} columns`);
  const texts = await Promise.all(columns.map(async ({ table_name, column_name }) => {
    const rows = await queryPostgres(url, `select "${column_name}"::text as text from "${table_name}"`);
    return rows.map(({ text }) => `${table_name}.${column_name}: ${text}`).join("\n");
  }));
  return texts.join("\n");
}

/** Every file below a directory, as text with one character a byte. */
async function everyFile(directory: string): Promise<[path: string, text: string][]> {
  const files: [string, string][] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (isDirectory) files.push(...await everyFile(path));
    else files.push([path, new TextDecoder("latin1").decode(await Deno.readFile(path))]);
  }
  return files;
}

Deno.test({
  name: `the password in flag, file and environment is printed, written and stored nowhere${missing}`,
  ignore,
  fn: async () => {
    if ("reason" in postgres || postgres.passwordUrl === undefined) return;
    await using database = await postgres.createDatabase();
    await queryPostgres(database.url, "grant all on schema public to rlcf_password");
    const name = new URL(database.url).pathname.slice(1);
    const secret = postgres.passwordUrl(name);
    const [hidden, wrong] = [spellings(secret), "wr@ng/S%cret?#:"];
    using place = new Workplace();
    const queries = place.write("queries.jsonl", JSON.stringify({ query_id: "q", query_embedding: embeddingOf(1) }));
    const log = place.write("log.jsonl", logOf(40));
    // The file that holds it lies elsewhere: everything that is made is in the workplace.
    const configured = Deno.makeTempFileSync({ suffix: ".yaml" });
    Deno.writeTextFileSync(
      configured,
      `${Deno.readTextFileSync(place.config)}database:\n  url: ${JSON.stringify(secret.replace(":", "+asyncpg:"))}\n`,
    );
    const ways: readonly ((args: readonly string[]) => Promise<Finished>)[] = [
      (args) => rlcf([...args, "--config", place.config, "--database", secret], { cwd: place.path }),
      (args) => rlcf([...args, "--config", configured], { cwd: place.path }),
      (args) =>
        rlcf([...args, "--config", place.config], { cwd: place.path, env: { RLCF_ASYNC_DATABASE_URL: secret } }),
    ];
    const commands: readonly string[][] = [
      ["ingest", log],
      ["train", "--dry-run"],
      ["train", "--dry-run", "--json"],
      ["train", "--log-level", "debug"],
      ["train", "--json", "--log-level", "debug"],
      ["stats"],
      ["stats", "--json"],
      ["evaluate", "--json"],
      ["policy", "show", "--json"],
      ["policy", "show"],
      ["report", "--output", "report.html"],
      ["route", queries],
      ["train", "--policy-version", "v7.7.7"],
      ["policy", "show", "v9.9.9"],
    ];
    let said = "";
    try {
      for (const [i, args] of commands.entries()) {
        // Every command by one way at least, those that write by all.
        for (const [w, way] of ways.entries()) {
          if (w !== i % 3 && !["ingest", "train"].includes(args[0]!)) continue;
          const { code, stdout, stderr } = await way(args);
          assert.ok([0, 3, 6].includes(code), `${args.join(" ")}: exit ${code}\n${stderr}`);
          assert.ok(code === 0 || /v[79]\./.test(args.join()), stderr);
          said += `${stdout}${stderr}\n`;
        }
      }
      // Failures repeat what they could not use.
      const failures = [
        postgres.passwordUrl(name, wrong),
        secret.replace("postgresql:", "mysql:"),
        secret.replace(/@127/, "@127.0.0.1:1,127"),
        `${secret}?sslmode=sometimes`,
        secret.replaceAll("%", "%%"),
        decodeURIComponent(secret),
      ];
      for (const url of failures) {
        const { code, stdout, stderr } = await rlcf(["stats", "--database", url, "--log-level", "debug"]);
        assert.ok([2, 4].includes(code), `exit ${code}\n${stderr}`);
        said += `${stdout}${stderr}\n`;
      }
      const lost = await Promise.all([
        rlcf(["policy", "show", secret, ...place.here]),
        rlcf(["ingest", secret, ...place.here]),
        rlcf(["stats", "--config", secret]),
        rlcf(["stats", "--log-level", secret]),
        rlcf([secret]),
        rlcf(["stats", `--databse=${secret}`]),
      ]);
      for (const { stdout, stderr } of lost) said += `${stdout}${stderr}\n`;
    } finally {
      Deno.removeSync(configured);
    }
    const stored = await everythingStored(database.url);
    assert.ok(stored.includes("policy_checkpoints.config: ") && stored.includes("rlcf_password:***@"));
    const files = await everyFile(place.path);
    for (const kind of ["manifest.json", "policy.safetensors", "report.html"]) {
      assert.ok(files.some(([path]) => path.endsWith(kind)), `no ${kind} to look into`);
    }
    for (const text of [...hidden, wrong, encodeURIComponent(wrong)]) {
      const found = [["output", said], ["database", stored], ...files].filter(([, held]) => held!.includes(text));
      assert.deepEqual(
        found.map(([where, held]) => [where, held!.split("\n").find((line) => line.includes(text))]),
        [],
      );
    }
  },
});

Deno.test("--help of every command with --database names the environment as the place for a password", async () => {
  for (const args of [["train"], ["stats"], ["ingest"], ["policy", "list"], ["report"]]) {
    const { stdout } = await rlcf([...args, "--help"]);
    assert.match(stdout.replaceAll(/\s+/g, " "), /RLCF_ASYNC_DATABASE_URL, the place for a URL with a password/);
  }
});
