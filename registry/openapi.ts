import { z } from 'zod';
import { ERRORS } from '../protocol/errors.ts';
import { RAW_BYTES, type Route } from '../protocol/route.ts';
import type { JsonObject } from './store/store.ts';

const PROBLEM: JsonObject = {
  type: 'object',
  description: 'RFC 9457 problem document',
  required: ['type', 'title', 'status', 'detail', 'code', 'instance'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(ERRORS) },
    hint: { type: 'string' },
    instance: { type: 'string', description: 'Names the request in the log of the server.' },
  },
};

/** The contract as OpenAPI 3.1, made from the same schemas that the server parses with. */
export function openApiOf(
  api: Readonly<Record<string, Route>>,
  info: { title: string; version: string },
): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const [id, route] of Object.entries(api)) {
    const path = openApiPath(route.path);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(id, route) };
  }
  return {
    openapi: '3.1.0',
    info: { ...info, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      responses: {
        Problem: {
          description: 'Anything but success',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

/** `/v1/keys/:namespace` as OpenAPI writes it: `/v1/keys/{namespace}`. */
export function openApiPath(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}');
}

function operationOf(id: string, route: Route): JsonObject {
  const parameters = [...parametersOf(id, route.params, 'path'), ...parametersOf(id, route.query, 'query')];
  const body = contentOf(route.body, `${id}:body`, 'input');
  const reply = contentOf(route.reply, `${id}:reply`, 'output');
  return {
    operationId: id,
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
    responses: {
      [String(route.status)]: {
        description: route.summary,
        ...(reply === undefined ? {} : { content: reply }),
      },
      default: { $ref: '#/components/responses/Problem' },
    },
    ...(route.access === 'token' ? { security: [{ token: [] }] } : {}),
  };
}

function parametersOf(id: string, schema: z.ZodType, place: 'path' | 'query'): JsonObject[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || !field.safeParse(undefined).success,
    schema: jsonSchemaOf(field, `${id}:${name}`, 'input'),
  }));
}

function contentOf(schema: z.ZodType, id: string, io: 'input' | 'output'): JsonObject | undefined {
  if (schema.def.type === 'undefined') return undefined;
  if (schema === (RAW_BYTES as z.ZodType)) return { 'application/octet-stream': {} };
  return { 'application/json': { schema: jsonSchemaOf(schema, id, io) } };
}

/** With an id of its own where it defines parts, so that its references stay within it. */
function jsonSchemaOf(schema: z.ZodType, id: string, io: 'input' | 'output'): JsonObject {
  const {
    $schema: _,
    '~standard': _standard,
    ...json
  } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>;
  const plain = JSON.parse(JSON.stringify(json)) as JsonObject;
  return '$defs' in plain ? { $id: `urn:berth:${id}`, ...plain } : plain;
}
