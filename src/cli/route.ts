/**
 * `rlcf route`: embeddings become weights over the experts.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { expectObject, expectText } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { GatingPolicy } from "../policy/gating_policy.ts";
import { embeddingOf } from "../trace/gating_decision.ts";
import { command, configured, helpOf, memoryNotice, openStore } from "./context.ts";
import { PartialFailure } from "./failure.ts";
import { checkReadable, type Line, linesOf, parseLine } from "./lines.ts";
import { Rejects } from "./rejects.ts";
import { count } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** Queries routed in one call of the engine. */
const BATCH = 256;

/** A query to route. */
interface Query {
  readonly queryId: string;
  readonly embedding: Float32Array;
}

/** A routed query; the field names are those of the output. */
interface RoutedQuery {
  readonly query_id: string;
  readonly weights: Readonly<Record<string, number>>;
  readonly log_probs: Readonly<Record<string, number>>;
  readonly policy_version: string;
}

/** The command. */
export function routeCommand(): Command {
  const route = command("route", "weights over the experts for query embeddings, from the active policy")
    .argument("[file]", 'file of lines {"query_id", "query_embedding"}; stdin by default', "-")
    .option("--policy-version <version>", "route by this version instead of the active one")
    .option("--policy-type <type>", "which policy routes (gating, react; default gating)")
    .option("--backend <name>", helpOf("compute.backend"));
  route.action(async (file, options) => {
    await checkReadable([file]);
    const resolved = await configured(options, {
      "compute.backend": options.backend,
      "training.policy_type": options.policyType,
    });
    const { checkpoint, compute, training } = resolved.config;
    await using store = await openStore(resolved, "empty");
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`note: ${notice}`);
    const { findStoredPolicy, openPolicy } = await import("../session/open_policy.ts");
    const stored = await findStoredPolicy(store, checkpoint.directory, training.policyType, options.policyVersion);
    await using policy = await openPolicy(stored.saved, compute.backend);
    const { version } = stored.checkpoint;

    const routes: RoutedQuery[] = [];
    using rejects = new Rejects();
    let batch: Query[] = [];
    const flush = async (): Promise<void> => {
      for (const routed of await routeBatch(policy, batch, version)) {
        if (options.json) routes.push(routed);
        else printResult(JSON.stringify(routed));
      }
      batch = [];
    };
    for await (const line of linesOf(file)) {
      try {
        batch.push(queryFrom(line, policy.shape.inputDim));
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

function queryFrom(line: Line, inputDim: number): Query {
  const json = expectObject(parseLine(line), "query");
  const embedding = embeddingOf(json.query_embedding, "query_embedding");
  if (embedding.length !== inputDim) {
    throw new RlcfError("usage", `query_embedding: found ${embedding.length} numbers, wanted ${inputDim}`);
  }
  return { queryId: expectText(json.query_id, "query_id"), embedding };
}

async function routeBatch(policy: GatingPolicy, batch: readonly Query[], version: string): Promise<RoutedQuery[]> {
  if (batch.length === 0) return [];
  const { weights, logProbs } = await policy.forward(batch.map((query) => query.embedding));
  const named = (values: Float32Array, i: number): Record<string, number> =>
    Object.fromEntries(policy.experts.map((expert, e) => [expert, values[i * policy.numExperts + e]!]));
  return batch.map((query, i) => ({
    query_id: query.queryId,
    weights: named(weights, i),
    log_probs: named(logProbs, i),
    policy_version: version,
  }));
}
