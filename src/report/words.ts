/**
 * A report's judgements in words that a lawyer can use and an engineer can check.
 *
 * @module
 */
import type { SkipReason } from "../episodes/episode_set.ts";
import type { TrajectorySkipReason } from "../episodes/trajectory_set.ts";
import type { TraversalSkipReason } from "../episodes/traversal_set.ts";
import { counted, listed, percent, whole } from "./numbers.ts";
import { type Vocabulary, vocabularyOf } from "./vocabulary.ts";
import type { Recorded, RecordedGate } from "./recorded.ts";
import type { ReportData, Role, ValueRow } from "./report_data.ts";

/** A verdict at a glance. */
export interface Headline {
  /** Decides colour and sign. */
  readonly tone: "good" | "open" | "bad";
  /** A few words. */
  readonly title: string;
  /** One or two sentences on what that means. */
  readonly meaning: string;
}

/** The gate's verdict for people; also says when there is none. */
export function headlineOf({ gate }: Pick<Recorded, "gate">): Headline {
  if (gate === null) {
    return {
      tone: "open",
      title: "No verdict on record",
      meaning:
        "This version was imported, or trained by a release that did not record one. Nothing is said here about " +
        "whether it is better than what it replaces; the values below, where there are any, are estimates of today.",
    };
  }
  const against = gate.against ?? "the version before it";
  if (gate.rule === "plain") return plainHeadline(gate);
  switch (gate.verdict) {
    case "promote":
      return {
        tone: "good",
        title: `Better than ${against}`,
        meaning:
          `On feedback that it was not trained on, it scores higher than ${against}, by more than chance explains.`,
      };
    case "hold":
      return {
        tone: "open",
        title: `Not shown to be better than ${against}`,
        meaning: `The feedback held out does not show that it is better. That is no proof that it is worse: the safe ` +
          `choice, which the gate makes, is to keep ${against}.`,
      };
    case "reject":
      return gate.fallingLevels.length > 0 && (gate.total?.lower ?? -1) > 0
        ? {
          tone: "bad",
          title: `Better on the whole, but worse at ${listed(gate.fallingLevels)}`,
          meaning:
            `The total rises, yet a part of the quality falls by more than the margin that is allowed. The gate ` +
            `does not trade one for the other.`,
        }
        : {
          tone: "bad",
          title: `Worse than ${against}`,
          meaning:
            `On feedback that it was not trained on, it scores lower than ${against}, by more than chance explains.`,
        };
  }
}

/** A first version, or one that cannot be compared with the active one. */
function plainHeadline({ verdict, against, total, reason }: RecordedGate): Headline {
  if (total === null) {
    return {
      tone: "open",
      title: "A version that could not be judged",
      meaning: "There was no version to compare it with row by row, and no feedback held out that could judge it.",
    };
  }
  const first = against === null ? "First version" : `Cannot be compared with ${against}`;
  // The words of `judge`: nothing else tells why a first version was held.
  if (verdict === "hold" && reason.includes("they weigh as much as")) {
    return {
      tone: "open",
      title: `${first}: too few effective episodes to judge it`,
      meaning:
        "On feedback that it was not trained on, its estimated score rests on so few effective episodes that it says " +
        "little: it acts too differently from what was logged.",
    };
  }
  return verdict === "promote"
    ? {
      tone: "good",
      title: `${first}: estimated above the logged routing`,
      meaning:
        "On feedback that it was not trained on, its estimated score is no lower than what the routing in the log " +
        "earned. This is an estimate without a bound on chance: there is no version before it to protect.",
    }
    : {
      tone: "bad",
      title: `${first}: estimated below the logged routing`,
      meaning:
        "On feedback that it was not trained on, its estimated score is lower than what the routing in the log earned.",
    };
}

/** Whether the version is in use, in one sentence. */
export function statusOf({ isActive, activatedAt }: { isActive: boolean; activatedAt: string | null }): string {
  if (isActive) return "It is the active version: queries are routed by it.";
  return activatedAt === null
    ? "It has never been active: no query has been routed by it."
    : "It was active before; another version routes the queries now.";
}

/** A routing's name. */
export function nameOf({ role, version }: Pick<ValueRow, "role" | "version">): string {
  const names: Record<Role, string> = {
    logged: "Routing in the log",
    previous: `${version}, before`,
    version: `${version}, this version`,
  };
  return names[role];
}

/** What an estimator does, in one sentence. */
export function methodOf(method: string, words: Pick<Vocabulary, "doublyRobust">): string {
  switch (method) {
    case "doubly_robust":
      return words.doublyRobust;
    case "direct":
      return "Direct: a model of the scores predicts what each routing would have earned. The log cannot correct it, so the " +
        "numbers are the model's alone.";
    case "clipped_ips":
      return "Importance weighting: logged feedback counts more where this routing would have chosen the same expert more " +
        "often than the log did.";
    default:
      return `Estimated by ${method}.`;
  }
}

/** Why feedback was left out. */
export function skipReason(reason: string): string {
  const reasons: Record<SkipReason | TrajectorySkipReason | TraversalSkipReason, string> = {
    no_gating_action: "its answer was not routed by the gating policy",
    no_embedding: "the query was stored without an embedding",
    wrong_dimension: "the embedding has another length than this version takes",
    not_finite: "a number in the record is not finite",
    unknown_expert: "it was answered by an expert that this version does not know",
    zero_weights: "all logged weights are zero",
    zero_propensity: "the logged probability is zero",
    zero_authority: "the user has no authority, so the feedback weighs nothing",
    no_react_steps: "no step of an agent was logged",
    no_state: "a step was logged without its state, or with one of another length",
    no_value: "a step was logged without the critic's value",
    unknown_action: "a step took an action that this version does not know",
    steps_after_done: "a step follows the end of its episode",
    no_traversal: "no traversal of the graph was logged",
  };
  return reasons[reason as SkipReason] ?? reason;
}

/** Of what kind the log is, in one sentence. */
export function logKindOf({ mix, deterministic }: ReportData["log"], { choice }: Pick<Vocabulary, "choice">): string {
  if (mix === "empty") return "There is nothing in it.";
  if (choice !== "expert") {
    return deterministic
      ? `Deterministic: every ${choice} was certain, and no other could have been taken.`
      : `Sampled: every ${choice} was drawn with a known probability.`;
  }
  if (deterministic && mix === "sampled") {
    return "Deterministic: one expert answered each query, and no other could have.";
  }
  if (mix === "sampled") return "Sampled: one expert was drawn for each query, with a known probability.";
  return mix === "soft"
    ? "Soft: the answers of several experts were mixed for each query."
    : "Mixed: for some queries one expert was drawn, for others several were mixed.";
}

/** Users from which on an interval over users is worth something. */
const FEW_USERS = 10;
/** Effective episodes below which a value hangs on a few answers. */
const FEW_EPISODES = 50;
/** Share of one person from which on a log is that person's opinion to a good part. */
const BUSY = 0.3;

/** What the data cannot say: first what is particular to this log, then what no log of this kind can say. */
export function limitsOf(data: ReportData): string[] {
  const { log, value, version, recorded: { gate } } = data;
  const never = version.experts.filter((_, e) => log.loggedShares[e] === 0);
  const effective = value?.rows.find(({ role }) => role === "version")?.effective ?? null;
  const limits: string[] = [];
  if (log.episodes > 0) {
    if (log.deterministic) {
      limits.push("The log never tried a second expert on a query, so it cannot tell what another routing would earn.");
    }
    if (never.length > 0) limits.push(`${listed(never)} never answered in this log: what they would earn is unknown.`);
    for (const reason of value?.notIdentified ?? []) limits.push(`Not identified: ${reason}.`);
    if (effective !== null && value!.notIdentified.length === 0 && effective < FEW_EPISODES) {
      limits.push(
        `The value of ${version.version} rests on few answers: the ${counted(value!.episodes, "held-out episode")} ` +
          `weigh as much as ${whole(effective)}.`,
      );
    }
    if (log.users < FEW_USERS) {
      limits.push(
        log.users === 0
          ? "No feedback names a user, so it cannot be told how much one person's taste decides."
          : `Only ${counted(log.users, "person", "people")} gave named feedback: intervals say little about others.`,
      );
    }
    if (log.busiestShare !== null && log.busiestShare > BUSY && log.users > 1) {
      limits.push(`One person speaks for ${percent(log.busiestShare)} of the answers.`);
    }
    const unjudged = Object.entries(log.judged ?? {}).filter(([, share]) => share === 0).map(([level]) => level);
    if (unjudged.length > 0) {
      limits.push(`Nobody judged ${listed(unjudged)} separately, so a fall there would not show.`);
    }
  }
  if (gate !== null && gate.decisiveUsers.length > 0) {
    limits.push("The verdict hangs on single people: it would be another without any one of those named above.");
  }
  return [
    ...limits,
    ...vocabularyOf(version.policyType).limits,
    "Values are about the kind of queries in this log and the people who judged them; other queries may fare otherwise.",
    "A score is what users thought of an answer. Whether the answer was right in law is not measured here.",
  ];
}
