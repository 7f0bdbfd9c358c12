/**
 * The command line of the comparison with PyTorch.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { messageOf } from "../../src/base/errors.ts";

/** What to measure, and how long. */
export interface PeersOptions {
  /** Rounds, each with a fresh process for everything. */
  readonly rounds: number;
  /** Seconds for which each of our engines is timed at a batch size. */
  readonly seconds: number;
  /** File for the raw rounds. */
  readonly json: string;
  /** The part that is left out. */
  readonly skip: "steps" | "end-to-end" | undefined;
}

/**
 * Reads the arguments; throws with a sentence for whoever typed them.
 *
 * @param args without the program's name
 */
export function parsePeersArguments(args: readonly string[]): PeersOptions {
  const { rounds, seconds, json, skip } = given(args);
  const wrong = (flag: string, found: string, wanted: string): Error =>
    new Error(`--${flag}: found ${JSON.stringify(found)}, wanted ${wanted}`);
  if (!/^[1-9]\d{0,2}$/.test(rounds)) throw wrong("rounds", rounds, "a whole number from 1 to 999");
  if (!(/^[\d.]+$/.test(seconds) && Number(seconds) > 0 && Number(seconds) <= 600)) {
    throw wrong("seconds", seconds, "a number above 0, at most 600");
  }
  if (json === "") throw wrong("json", json, "the name of a file");
  if (skip !== undefined && skip !== "steps" && skip !== "end-to-end") {
    throw wrong("skip", skip, "steps or end-to-end");
  }
  return { rounds: Number(rounds), seconds: Number(seconds), json, skip };
}

interface Given {
  readonly rounds: string;
  readonly seconds: string;
  readonly json: string;
  readonly skip?: string | undefined;
}

function given(args: readonly string[]): Given {
  const options = {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    json: { type: "string", default: "peers-bench.json" },
    skip: { type: "string" },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    const [cause] = messageOf(error).split("\n");
    throw new Error(`${cause}; wanted [--rounds N] [--seconds S] [--json FILE] [--skip steps|end-to-end]`);
  }
}
