/**
 * `rlcf route`: what a policy says of queries: weights over experts, an agent's next action, the weight of a relation.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import type { JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { PartialFailure } from "./failure.ts";
import { checkReadable, linesOf, parseLine } from "./lines.ts";
import type { Query } from "./routers.ts";
import { Rejects } from "./rejects.ts";
import { count } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** Queries routed in one call of the engine. */
const BATCH = 256;

/** The command. */
export function routeCommand(): Command {
  const route = command("route", "what the active policy says of queries, such as weights over the experts")
    .argument(
      "[file]",
      'file of lines {"query_id", "query_embedding"}, react: {"query_id", "state"}, traversal: {"query_id", ' +
        '"query_embedding", "relation_type"}; stdin by default',
      "-",
    )
    .option("--policy-version <version>", "route by this version instead of the active one")
    .option("--policy-type <type>", "which policy routes (gating, react, traversal; default gating)")
    .option("--backend <name>", helpOf("compute.backend"));
  route.action(async (file, options) => {
    await checkReadable([file]);
    const resolved = await configured(options, {
      "compute.backend": options.backend,
      "training.policy_type": options.policyType,
    });
    await using store = await openStore(resolved, "empty");
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`note: ${notice}`);
    const { openRouter } = await import("./routers.ts");
    await using router = await openRouter(store, resolved.config, options.policyVersion);
    const { version } = router;

    const routes: JsonObject[] = [];
    using rejects = new Rejects();
    let batch: Query[] = [];
    const flush = async (): Promise<void> => {
      for (const routed of batch.length === 0 ? [] : await router.route(batch)) {
        if (options.json) routes.push(routed);
        else printResult(JSON.stringify(routed));
      }
      batch = [];
    };
    for await (const line of linesOf(file)) {
      try {
        batch.push(router.read(parseLine(line)));
      } catch (thrown) {
        if (!(thrown instanceof RlcfError)) throw thrown;
        rejects.add(line, thrown.message);
      }
      if (batch.length === BATCH) await flush();
    }
    await flush();
    rejects.sayRest();
    const result = { policy_version: version, routes };
    if (rejects.count > 0) {
      const failure = new RlcfError("usage", `${count(rejects.count)} lines could not be routed; the others were`);
      throw new PartialFailure(failure, { ...result, rejected: rejects.count });
    }
    if (options.json) printResult(JSON.stringify(result));
  });
  return route as unknown as Command;
}
