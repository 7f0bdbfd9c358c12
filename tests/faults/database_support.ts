/**
 * Databases that fail on request: a PostgreSQL server that can be stopped and started, a network between it and the
 * program, and processes that write.
 *
 * @module
 */
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import {
  findBinaries,
  freePort,
  inBackground,
  NOBODY,
  quoted,
  run,
  untilAnswering,
  watch,
} from "../support/postgres.ts";

/** Whether the long forms of the tests are asked for. */
export const SOAK = Deno.env.get("RLCF_SOAK") === "1";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A server of this test file alone. */
export class OwnServer implements AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  readonly #command: string;

  private constructor(directory: string, port: number, command: string) {
    this.directory = directory;
    this.port = port;
    this.#command = command;
  }

  /** Makes a server and starts it. Throws where there are no binaries. */
  static async start(settings: readonly string[] = []): Promise<OwnServer> {
    const directory = await Deno.makeTempDir({ prefix: "rlcf-own-server-" });
    await Deno.chmod(directory, 0o755);
    await watch(directory);
    const binaries = await findBinaries(directory);
    const isRoot = Deno.uid() === 0;
    const asUser = isRoot ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
    const environment = ["env", `LD_LIBRARY_PATH=${binaries}/../lib`, "LC_ALL=C"];
    if (isRoot) await Deno.chown(directory, NOBODY, NOBODY);
    const data = `${directory}/data`;
    await run([...asUser, ...environment, `${binaries}/initdb`, "-D", data, "-U", "postgres", "-A", "trust"]
      .concat("-E", "UTF8", "--no-sync"));
    const port = freePort();
    const server = [...asUser, ...environment, `${binaries}/postgres`, "-D", data, "-k", directory]
      .concat("-h", "127.0.0.1", "-p", String(port), "-c", "fsync=off", ...settings.flatMap((one) => ["-c", one]));
    const command = `exec ${server.map(quoted).join(" ")} >>${quoted(`${directory}/log`)} 2>&1`;
    const own = new OwnServer(directory, port, command);
    await own.start();
    return own;
  }

  /** URL of a database on it. */
  url(database = "postgres", user = "postgres"): string {
    return `postgresql://${user}@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts it again. */
  async start(): Promise<void> {
    await inBackground(this.#command);
    await untilAnswering(this.port, this.directory);
  }

  /** Stops it: `fast` ends all connections in order, `immediate` is a crash. */
  async stop(how: "fast" | "immediate"): Promise<void> {
    const file = `${this.directory}/data/postmaster.pid`;
    const pid = Number((await Deno.readTextFile(file)).split("\n", 1)[0]);
    Deno.kill(pid, how === "fast" ? "SIGINT" : "SIGQUIT");
    while (await isThere(`/proc/${pid}`)) await pause(20);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate").catch(() => {});
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** A network between a program and a server on this host, which loses, delays and stalls what it carries. */
export class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #targetPort: number;
  readonly #connections = new Set<Deno.Conn>();
  #stalled: PromiseWithResolvers<void> | undefined;
  /** Milliseconds by which each piece is late. */
  delayMs = 0;
  /** Connections that were accepted. */
  accepted = 0;
  readonly #serving: Promise<void>;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#serving = this.#serve();
  }

  /** Port to connect to instead of the server's. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** The URL, by way of this network. */
  url(url: string): string {
    return Object.assign(new URL(url), { port: String(this.port) }).href;
  }

  /** Carries nothing more, and says nothing. */
  stall(): void {
    this.#stalled ??= Promise.withResolvers();
  }

  /** Carries again. */
  flow(): void {
    this.#stalled?.resolve();
    this.#stalled = undefined;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const connection of this.#connections) closeQuietly(connection);
    this.#connections.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.flow();
    this.cut();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const carrying: Promise<void>[] = [];
    try {
      for await (const client of this.#listener) {
        this.accepted++;
        try {
          const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort });
          for (const connection of [client, server]) this.#connections.add(connection);
          carrying.push(this.#carry(client, server), this.#carry(server, client));
        } catch {
          closeQuietly(client);
        }
      }
    } catch {
      // The listener was closed.
    }
    await Promise.all(carrying);
  }

  async #carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        if (this.delayMs > 0) await pause(this.delayMs);
        await this.#stalled?.promise;
        for (let sent = 0; sent < n;) sent += await to.write(buffer.subarray(sent, n));
      }
    } catch {
      // Cut.
    }
    for (const connection of [from, to]) {
      closeQuietly(connection);
      this.#connections.delete(connection);
    }
  }
}

/** A process of `database_worker.ts`. */
export function startWorker(args: readonly string[]): Deno.ChildProcess {
  const script = new URL("database_worker.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-prompt", `--config=${CONFIG}`, "--allow-all", script, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

/** What a process said before it ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of a process. */
export async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Opens a store for the length of some work. */
export async function withStore<T>(url: string, work: (store: RLCFPersistence) => Promise<T>): Promise<T> {
  await using store = await createPersistence(url);
  return await work(store);
}

/** Waits until something is true; throws after a minute. */
export async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await isTrue()) {
    if (performance.now() > deadline) throw new Error(`waited a minute until ${what}`);
    await pause(20);
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
