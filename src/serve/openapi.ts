/**
 * The OpenAPI 3.1 description of the endpoints, made from the declarations that the server itself goes by.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { errorSchema } from "./record_schemas.ts";
import type { Endpoint, ResponseDescription } from "./service.ts";

/** Errors that any endpoint may answer with. */
const ALWAYS: Readonly<Record<number, string>> = {
  405: "this path has other methods (header Allow)",
  500: "a defect of the server; its log says more",
  503: "starting, too busy, without a policy or without a database; header Retry-After says when to try again",
};

/** Errors of endpoints with a body. */
const WITH_BODY: Readonly<Record<number, string>> = {
  400: "the body is missing, not UTF-8 or not JSON",
  408: "the body did not arrive in time",
  413: "the body is too long",
  415: "the body is not application/json, or is compressed",
  422: "the JSON is not what is wanted; field says where",
};

/** The statuses that an endpoint may answer with, and what each means. */
export function responsesOf(endpoint: Endpoint): Readonly<Record<number, ResponseDescription>> {
  const errors = {
    ...ALWAYS,
    ...(endpoint.isOpen ? {} : { 401: "no token, or a wrong one, where the server wants one" }),
    ...(endpoint.body === undefined ? {} : WITH_BODY),
  };
  const described = Object.entries(errors).map(([status, description]) => [status, { description }] as const);
  return { ...Object.fromEntries(described), ...endpoint.responses };
}

/** The whole description. */
export function openApi(endpoints: readonly Endpoint[], version: string): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operation(endpoint);
  return {
    openapi: "3.1.0",
    info: {
      title: "rlcf",
      version,
      description: "Routing weights over the experts of a legal assistant, and the log that teaches the next policy: " +
        "route, answer, store the trace, store the feedback.",
    },
    paths,
    components: {
      schemas: { Error: errorBodySchema },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

const errorBodySchema: JsonObject = {
  type: "object",
  required: ["error"],
  properties: { error: errorSchema },
};

function operation(endpoint: Endpoint): JsonObject {
  const { summary, description, method, path, body } = endpoint;
  const responses = Object.entries(responsesOf(endpoint)).map(([status, response]) => [status, content(response)]);
  return {
    operationId: `${method.toLowerCase()}${
      path.replace(/[^a-z0-9]+(.)/g, (_, letter: string) => letter.toUpperCase())
    }`,
    summary,
    description,
    // Without tokens the server lets everybody in.
    security: endpoint.isOpen ? [] : [{ token: [] }, {}],
    ...(body === undefined ? {} : {
      requestBody: {
        required: true,
        content: { "application/json": { schema: body.schema.json, examples: valuesOf(body.examples) } },
      },
    }),
    responses: Object.fromEntries(responses),
  };
}

function content({ description, schema, mediaType, example }: ResponseDescription): JsonObject {
  const body = schema ?? (mediaType === undefined ? { $ref: "#/components/schemas/Error" } : { type: "string" });
  return {
    description,
    content: { [mediaType ?? "application/json"]: { schema: body, ...(example === undefined ? {} : { example }) } },
  };
}

function valuesOf(examples: Readonly<Record<string, JsonObject>>): JsonObject {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
}
