/**
 * `GET /metrics`: for Prometheus.
 *
 * @module
 */
import type { Endpoint } from "../service.ts";

const MEDIA_TYPE = "text/plain; version=0.0.4";

/** The endpoint. */
export const metricsEndpoint: Endpoint = {
  method: "GET",
  path: "/metrics",
  summary: "Numbers about the server",
  description: "Requests by route and status, their times, the queue, the version, stored records; Prometheus' text.",
  responses: {
    200: { description: "the numbers", mediaType: MEDIA_TYPE, example: "rlcf_write_queue_records 0\n" },
  },
  handle: ({ metrics }) => ({ status: 200, body: metrics.text(), contentType: `${MEDIA_TYPE}; charset=utf-8` }),
};
