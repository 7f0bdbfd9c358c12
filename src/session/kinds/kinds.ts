/**
 * Every type of policy, for those who ask about one and do not train it.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import type { SessionLog } from "../training_log.ts";
import type { PolicyKind, PolicyType } from "./apprenticeship.ts";
import { GATING_KIND } from "./gating.ts";
import { REACT_KIND } from "./react.ts";
import { TRAVERSAL_KIND } from "./traversal.ts";

/**
 * Does something with a type of policy, whatever its log, its checkpoints and its cursors are.
 *
 * @param use is given the type
 */
export function withKind<T>(
  policyType: PolicyType,
  use: <Log extends SessionLog, Saved extends { readonly run: JsonObject }, Cursor extends { readonly epoch: number }>(
    kind: PolicyKind<Log, Saved, Cursor>,
  ) => T,
): T {
  switch (policyType) {
    case "gating":
      return use(GATING_KIND);
    case "react":
      return use(REACT_KIND);
    case "traversal":
      return use(TRAVERSAL_KIND);
  }
}
