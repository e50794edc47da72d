import { parentPort, workerData } from 'node:worker_threads';
import { NoSuchTable, openDatabase, type Database } from './database.ts';
import type { Answers, Job, Reply, Request, Used } from './requests.ts';
import { shelf, type Loaded, type Shelf } from './shelf.ts';
import { dataFile } from './workspace.ts';

/** Files a query may name in its own text. */
const MOST_FOUND = 16;

interface Tools {
  readonly root: string;
  readonly database: Database;
  readonly files: Shelf;
  readonly goOn: () => void;
  readonly tell: (text: string) => void;
}

/** The thread that loads and asks. It answers one job after the other, until the process ends. */
export async function work(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('This is not a worker thread.');
  const root = workerData as string;
  let flag: Int32Array | undefined;
  const givenUp = (): boolean => flag !== undefined && Atomics.load(flag, 0) !== 0;
  const goOn = (): void => {
    if (givenUp()) throw new Error('The work was stopped.');
  };
  const send = (reply: Reply): void => port.postMessage(reply);
  const database = await openDatabase(givenUp);
  const tools: Tools = {
    root,
    database,
    files: shelf(database),
    goOn,
    tell: (text) => send({ kind: 'news', text }),
  };

  port.on('message', (job: Job) => {
    ({ flag } = job);
    perform(tools, job.request).then(
      (answer) => send({ kind: 'answer', answer }),
      (error: unknown) =>
        send({ kind: 'refusal', message: error instanceof Error ? error.message : String(error) }),
    );
  });
}

async function perform(tools: Tools, request: Request): Promise<Answers[Request['kind']]> {
  return request.kind === 'describe'
    ? describe(tools, request.path, request.sampleRows)
    : query(tools, request);
}

async function describe(tools: Tools, path: string, sampleRows: number): Promise<Answers['describe']> {
  const { table, rows, columns, path: found } = await take(tools, path, new Map());
  const sample = tools.database.query('SELECT * FROM sample', new Map([['sample', table]]), sampleRows);
  return { path: found, rows, columns, sample };
}

async function query(
  tools: Tools,
  { sql, tables, mostRows }: Extract<Request, { kind: 'query' }>,
): Promise<Answers['query']> {
  const loaded = new Map<string, Loaded>();
  for (const [alias, path] of Object.entries(tables)) loaded.set(alias, await take(tools, path, loaded));
  for (;;) {
    try {
      const views = new Map([...loaded].map(([name, { table }]) => [name, table]));
      const rows = tools.database.query(sql, views, mostRows);
      const used: Used[] = [...loaded].map(([name, file]) => ({ name, path: file.path, rows: file.rows }));
      return { ...rows, tables: used };
    } catch (error) {
      // A name SQL does not know may be the path of a file, quoted in the statement.
      if (!(error instanceof NoSuchTable) || loaded.size >= MOST_FOUND || loaded.has(error.table))
        throw error;
      loaded.set(error.table, await takeNamed(tools, error, loaded));
    }
  }
}

async function takeNamed(tools: Tools, missing: NoSuchTable, loaded: Map<string, Loaded>): Promise<Loaded> {
  try {
    return await take(tools, missing.table, loaded);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${missing.message} ${why} Give it in "tables", or quote its path in the SQL: FROM "data/x.csv".`,
      {
        cause: error,
      },
    );
  }
}

async function take(tools: Tools, path: string, loaded: ReadonlyMap<string, Loaded>): Promise<Loaded> {
  tools.goOn();
  const file = await dataFile(tools.root, path);
  tools.tell(`Loading ${file.path}`);
  return tools.files.take(file, new Set([...loaded.values()].map((other) => other.path)), tools.goOn);
}
