import { z } from 'zod';

const NOTHING = z.undefined();

/** Marks a body or a reply of raw bytes: streamed by the handler, never held or parsed as JSON. */
export const RAW_BYTES = z.custom<void>((value) => value === undefined);

/**
 * One HTTP route as data: server and client are both made from it, so they cannot drift apart.
 * `path` is written in Express 5 notation (`/v1/skills/:namespace/:name`).
 */
export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Reply extends z.ZodType = z.ZodType,
> {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  /** One sentence, for `/openapi.json`. */
  summary: string;
  params: Params;
  query: Query;
  body: Body;
  reply: Reply;
  /** Status of a successful reply. */
  status: number;
  /** Who may call: `open` needs no token. */
  access: 'open' | 'token';
}

/** Declares a route; what is left out takes no input. */
export function route<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
  Reply extends z.ZodType = z.ZodUndefined,
>(declared: {
  method: Route['method'];
  path: string;
  summary: string;
  params?: Params;
  query?: Query;
  body?: Body;
  reply: Reply;
  status?: number;
  access?: Route['access'];
}): Route<Params, Query, Body, Reply> {
  return {
    method: declared.method,
    path: declared.path,
    summary: declared.summary,
    params: (declared.params ?? NOTHING) as Params,
    query: (declared.query ?? NOTHING) as Query,
    body: (declared.body ?? NOTHING) as Body,
    reply: declared.reply,
    status: declared.status ?? 200,
    access: declared.access ?? 'token',
  };
}
