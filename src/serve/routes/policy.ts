/**
 * `GET /v1/policy`: which version answers, and whether another one should.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import type { Endpoint } from "../service.ts";

const nullableText: JsonObject = { type: ["string", "null"] };

/** The endpoint. */
export const policyEndpoint: Endpoint = {
  method: "GET",
  path: "/v1/policy",
  summary: "The version that routes",
  description: "What routes now. A version that was activated and cannot be loaded is named in problem.",
  responses: {
    200: {
      description: "a version is served",
      schema: {
        type: "object",
        required: ["policy_type", "version", "experts", "input_dim", "problem"],
        properties: {
          policy_type: { type: "string" },
          version: { type: "string" },
          parent_version: nullableText,
          pinned: { type: "boolean", description: "served whatever is active" },
          experts: { type: "array", items: { type: "string" } },
          input_dim: { type: "integer", description: "length of an embedding" },
          hidden_dim: { type: "integer" },
          backend: { type: "string" },
          manifest_sha256: nullableText,
          activated_at: nullableText,
          loaded_at: { type: "string", format: "date-time" },
          problem: {
            type: ["object", "null"],
            required: ["version", "message", "since"],
            properties: {
              version: { type: "string" },
              message: { type: "string" },
              since: { type: "string", format: "date-time" },
            },
            description: "why the version that should be served is not",
          },
        },
      },
      example: {
        policy_type: "gating",
        version: "v1.0.1",
        parent_version: "v1.0.0",
        pinned: false,
        experts: ["literal", "systemic", "principles", "precedent"],
        input_dim: 768,
        hidden_dim: 256,
        backend: "simd",
        manifest_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        activated_at: "2026-01-07T09:00:00.000Z",
        loaded_at: "2026-01-07T09:00:02.000Z",
        problem: null,
      },
    },
  },
  handle: ({ holder }) => {
    const policy = holder.required();
    const { policyType, version, parentVersion, manifestSha256, activatedAt } = policy.checkpoint;
    return {
      status: 200,
      body: {
        policy_type: policyType,
        version,
        parent_version: parentVersion,
        pinned: holder.isPinned,
        experts: policy.experts,
        input_dim: policy.inputDim,
        hidden_dim: policy.hiddenDim,
        backend: policy.backend,
        manifest_sha256: manifestSha256,
        activated_at: activatedAt,
        loaded_at: policy.loadedAt,
        problem: holder.problem ?? null,
      },
    };
  },
};
