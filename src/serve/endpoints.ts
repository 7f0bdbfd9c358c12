/**
 * All that the server answers to.
 *
 * @module
 */
import { openApi } from "./openapi.ts";
import { feedbackEndpoint } from "./routes/feedback.ts";
import { healthEndpoint, livenessEndpoint } from "./routes/health.ts";
import { metricsEndpoint } from "./routes/metrics.ts";
import { policyEndpoint } from "./routes/policy.ts";
import { routeEndpoint } from "./routes/route.ts";
import { tracesEndpoint } from "./routes/traces.ts";
import type { Endpoint } from "./service.ts";

/** The endpoints of a server of this version of rlcf; the last one describes them all. */
export function endpointsOf(version: string): readonly Endpoint[] {
  const endpoints: Endpoint[] = [
    routeEndpoint,
    tracesEndpoint,
    feedbackEndpoint,
    policyEndpoint,
    healthEndpoint,
    livenessEndpoint,
    metricsEndpoint,
  ];
  endpoints.push({
    method: "GET",
    path: "/openapi.json",
    summary: "This description",
    description: "OpenAPI 3.1, made from the declarations that check the bodies.",
    responses: { 200: { description: "the description", schema: { type: "object" } } },
    handle: () => ({ status: 200, body: openApi(endpoints, version) }),
  });
  return endpoints;
}
