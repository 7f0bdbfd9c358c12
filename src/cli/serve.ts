/**
 * `rlcf serve`: routing, traces and feedback over HTTP, for services in any language.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { messageOf, RlcfError } from "../base/errors.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { watchSignals } from "./stop.ts";
import { printResult, say } from "./terminal.ts";
import { VERSION } from "./version.ts";

const MIB = 1024 * 1024;
/** Where the tokens are, unless a file is named. */
const TOKENS = "RLCF_SERVE_TOKENS";

/** The command. */
export function serveCommand(): Command {
  const serve = command("serve", "answer services over HTTP: route, store traces and feedback")
    .option("--host <address>", "address to listen on; 0.0.0.0 is every one of this machine (default 127.0.0.1)")
    .option("--port <n>", "port to listen on, 0 takes a free one (default 8787)")
    .option("--policy-version <version>", "serve this version, whatever is active; by default changes are followed")
    .option("--backend <name>", helpOf("compute.backend"))
    .option(
      "--tokens-file <file>",
      `bearer tokens, one a line; a request must carry one (environment: ${TOKENS}, between commas)`,
    )
    .option("--poll <seconds>", "between two looks at which version is active (0.1 to 3600; default 2)")
    .option("--timeout <seconds>", "for a body to arrive, and for its answer (0.1 to 600; default 10)")
    .option("--max-body <mib>", "largest body (1 to 512 MiB; default 16)")
    .option("--max-queue <n>", "most records that wait to be stored (1 to 1000000; default 10000)");
  serve.action(async (options) => {
    const limits = {
      maxBytes: MIB * numberIn(options.maxBody ?? "16", "--max-body", 1, 512),
      timeoutMs: 1000 * numberIn(options.timeout ?? "10", "--timeout", 0.1, 600),
    };
    const pollMs = 1000 * numberIn(options.poll ?? "2", "--poll", 0.1, 3600);
    const queueLimit = wholeNumberIn(options.maxQueue ?? "10000", "--max-queue", 1, 1_000_000);
    const port = wholeNumberIn(options.port ?? "8787", "--port", 0, 65535);
    const hostname = options.host ?? "127.0.0.1";
    const resolved = await configured(options, { "compute.backend": options.backend });
    const { checkpoint, compute } = resolved.config;
    const tokens = await tokensOf(options.tokensFile);
    using stop = watchSignals(() => say("stopping: what was asked is still answered; once more ends at once"));
    const { PolicyServer } = await import("../serve/server.ts");
    // Listening comes first: with SQLite the network is given away as soon as the database opens.
    await using server = PolicyServer.listen({ hostname, port, tokens, limits, queueLimit, version: VERSION });
    await using store = await openStore(resolved);
    // Named once more to be stopped before its database closes.
    await using _answering = server;
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`warning: nothing that is stored is kept: ${notice}`);
    if (tokens.length === 0 && !isLoopback(server.address.hostname)) {
      say(`warning: everybody who reaches this address may use it; --tokens-file or ${TOKENS} asks for a token`);
    }
    const holder = await server.open(store, {
      root: checkpoint.directory,
      backend: compute.backend,
      pinned: options.policyVersion,
      pollMs,
    });
    const { current, problem } = holder;
    if (current === undefined) {
      say(
        problem === undefined
          ? "note: no policy is active, so /v1/route answers 503; rlcf train makes one, and it is served at once"
          : `warning: ${problem.version} is active and cannot be served, so /v1/route answers 503: ${problem.message}`,
      );
    }
    const { hostname: host, port: chosen } = server.address;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${chosen}`;
    // A comma behind the port would make it look like a password.
    say(`serving on ${url} by policy ${current?.version ?? "none"}, data in ${store.location}`);
    printResult(
      options.json
        ? JSON.stringify({
          status: "serving",
          url,
          host,
          port: chosen,
          policy_version: current?.version ?? null,
          backend: current?.backend ?? null,
          tokens: tokens.length > 0,
          process_id: Deno.pid,
        })
        : url,
    );
    await aborted(stop.signal);
    await server.stop();
    say("stopped; everything that was acknowledged is stored");
  });
  return serve as unknown as Command;
}

async function tokensOf(file: string | undefined): Promise<readonly string[]> {
  const { tokensFrom } = await import("../serve/access.ts");
  if (file === undefined) return tokensFrom(Deno.env.get(TOKENS) ?? "", TOKENS);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (thrown) {
    throw new RlcfError("usage", `cannot read the tokens in ${file}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const tokens = tokensFrom(text, file);
  // An empty file is a mistake that would let everybody in.
  if (tokens.length === 0) {
    throw new RlcfError("usage", `cannot use ${file}: found no token in it, wanted at least one`);
  }
  return tokens;
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function wholeNumberIn(text: string, flag: string, min: number, max: number): number {
  const value = numberIn(text, flag, min, max);
  if (!Number.isInteger(value)) throw new RlcfError("usage", `${flag}: found "${text}", wanted a whole number`);
  return value;
}

function numberIn(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= min && value <= max)) {
    throw new RlcfError("usage", `${flag}: found "${text}", wanted a number from ${min} to ${max}`);
  }
  return value;
}
