import * as z from 'zod';
import { fullText, snippet } from './full-text.ts';
import {
  MOST_TAGS,
  MOST_TEXT_CHARS,
  MOST_TITLE_CHARS,
  noteId,
  tagSchema,
  titleFromText,
  type Note,
} from './note.ts';
import { KEPT_DAYS, Outrun, type Notebook } from './notebook.ts';

/** Attempts of a change that does not care what it replaces. */
const MOST_ATTEMPTS = 30;
const MOST_LISTED = 200;

const tags = z
  .array(tagSchema)
  .max(MOST_TAGS)
  .transform((all) => [...new Set(all)].toSorted());
const text = z.string().min(1).max(MOST_TEXT_CHARS);
const title = z.string().trim().min(1).max(MOST_TITLE_CHARS);
const onlyTags = tags.default([]).describe('Only notes that have all these tags.');

export const addInput = z.strictObject({
  text: text.describe('What to remember, as Markdown. One matter per note; say when and where it is from.'),
  title: title.optional().describe('A few words. Default: the first line of the text.'),
  tags: tags.default([]).describe('Words to find it by, such as a project or a person.'),
  requestId: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Any unique text; a retry with the same one adds nothing.'),
});
export const updateInput = z.strictObject({
  id: noteId,
  text: text.optional().describe('Replaces the text.'),
  title: title.optional().describe('Replaces the title.'),
  tags: tags.optional().describe('Replaces all tags.'),
  ifRevision: z.int().min(1).optional().describe('Change only if the note is still at this revision.'),
});
export const idInput = z.strictObject({ id: noteId });
export const searchInput = z.strictObject({
  query: z.string().min(1).max(500).describe('Words; beginnings of words and small misspellings match too.'),
  tags: onlyTags,
  limit: z.int().min(1).max(MOST_LISTED).default(10),
});
export const listInput = z.strictObject({
  tags: onlyTags,
  forgotten: z.boolean().default(false).describe('List what "restore" can bring back instead.'),
  limit: z.int().min(1).max(MOST_LISTED).default(20),
  offset: z.int().min(0).default(0).describe('How many to skip; answers go from the latest change back.'),
});

export const noteOutput = z.object({
  id: z.string(),
  revision: z.int(),
  title: z.string(),
  tags: z.array(z.string()),
  createdAt: z.string(),
  updatedAt: z.string(),
  text: z.string(),
});
const briefOutput = noteOutput.omit({ text: true }).extend({ snippet: z.string() });
export const addOutput = briefOutput.omit({ snippet: true }).extend({ created: z.boolean() });
export const changedOutput = briefOutput.omit({ snippet: true });
export const searchOutput = z.object({
  notes: z.array(briefOutput.extend({ score: z.number() })),
  total: z.int(),
  unreadable: z.int().describe('Files among the notes that could not be read.'),
});
export const listOutput = z.object({ notes: z.array(briefOutput), total: z.int(), unreadable: z.int() });
export const tagsOutput = z.object({ tags: z.array(z.object({ tag: z.string(), notes: z.int() })) });
export const forgetOutput = z.object({ id: z.string(), title: z.string(), restorableUntil: z.string() });

export type Brief = z.output<typeof briefOutput>;

/** What can be done with the notes. Every answer reflects what is on disk when it is asked. */
export interface Memory {
  add(args: z.output<typeof addInput>): Promise<z.output<typeof addOutput>>;
  get(id: string): Promise<z.output<typeof noteOutput>>;
  update(args: z.output<typeof updateInput>): Promise<z.output<typeof changedOutput>>;
  search(args: z.output<typeof searchInput>): Promise<z.output<typeof searchOutput>>;
  list(args: z.output<typeof listInput>): Promise<z.output<typeof listOutput>>;
  tags(): Promise<z.output<typeof tagsOutput>>;
  forget(id: string): Promise<z.output<typeof forgetOutput>>;
  restore(id: string): Promise<z.output<typeof changedOutput>>;
}

/** A memory over a notebook, with the index of its words. */
export function memoryOver({
  notebook,
  now,
}: {
  readonly notebook: Notebook;
  readonly now: () => Date;
}): Memory {
  const index = fullText();
  notebook.onSeen(({ changed, gone }) => {
    for (const id of gone) index.drop(id);
    for (const note of changed) {
      if (note.forgottenAt === undefined) index.put(note);
      else index.drop(note.id);
    }
  });

  const alive = async (wantedTags: readonly string[] = []): Promise<Note[]> =>
    [...(await notebook.notes()).values()].filter(
      (note) => note.forgottenAt === undefined && wantedTags.every((tag) => note.tags.includes(tag)),
    );

  const find = async (id: string): Promise<Note> => {
    const note = (await notebook.notes()).get(id);
    if (note === undefined)
      throw new Error(`There is no note ${id}. "search" and "list" answer the ids there are.`);
    return note;
  };

  const findAlive = async (id: string): Promise<Note> => {
    const note = await find(id);
    if (note.forgottenAt !== undefined)
      throw new Error(`The note ${id} is forgotten. "restore" brings it back.`);
    return note;
  };

  /** Reads, changes, and does so again when another change came between: for changes that hold whatever was there. */
  const settle = async (
    read: () => Promise<Note>,
    changeOf: (note: Note) => Parameters<Notebook['change']>[1],
  ): Promise<Note> => {
    for (let attempt = 1; ; attempt += 1) {
      const note = await read();
      try {
        return await notebook.change(note, changeOf(note));
      } catch (error) {
        if (!(error instanceof Outrun) || attempt === MOST_ATTEMPTS) throw error;
      }
    }
  };

  return {
    add: async (args) => {
      const draft = { title: args.title ?? titleFromText(args.text), text: args.text, tags: args.tags };
      const { note, created } = await notebook.add(draft, args.requestId);
      if (note.forgottenAt !== undefined) {
        throw new Error(
          `This request made the note ${note.id}, which was forgotten since. "restore" brings it back.`,
        );
      }
      return { ...headOf(note), created };
    },

    get: async (id) => {
      const note = await findAlive(id);
      return { ...headOf(note), text: note.text };
    },

    update: async ({ id, ifRevision, ...changes }) => {
      const wanted = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
      if (Object.keys(wanted).length === 0) throw new Error('Say what to change: text, title or tags.');
      const read = async (): Promise<Note> => {
        const note = await findAlive(id);
        if (ifRevision !== undefined && note.revision !== ifRevision) {
          throw new Error(
            `The note ${id} is at revision ${note.revision}, not ${ifRevision}. Get it again and redo the change.`,
          );
        }
        return note;
      };
      return headOf(await settle(read, () => wanted));
    },

    search: async ({ query, tags: wantedTags, limit }) => {
      const notes = new Map((await alive(wantedTags)).map((note) => [note.id, note]));
      const hits = index.find(query, (id) => notes.has(id));
      const found = hits.slice(0, limit).flatMap(({ id, score, terms }) => {
        const note = notes.get(id);
        return note
          ? [{ ...headOf(note), snippet: snippet(note.text, terms), score: Math.round(score * 100) / 100 }]
          : [];
      });
      return { notes: found, total: hits.length, unreadable: notebook.unreadable() };
    },

    list: async ({ tags: wantedTags, forgotten, limit, offset }) => {
      const all = forgotten
        ? [...(await notebook.notes()).values()].filter(({ forgottenAt }) => forgottenAt !== undefined)
        : await alive(wantedTags);
      const latestFirst = all.toSorted((a, b) => compare(b.updatedAt, a.updatedAt) || compare(b.id, a.id));
      return {
        notes: latestFirst
          .slice(offset, offset + limit)
          .map((note) => ({ ...headOf(note), snippet: snippet(note.text, []) })),
        total: all.length,
        unreadable: notebook.unreadable(),
      };
    },

    tags: async () => {
      const counts = new Map<string, number>();
      for (const note of await alive())
        for (const tag of note.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
      const counted = [...counts].map(([tag, notes]) => ({ tag, notes }));
      return { tags: counted.toSorted((a, b) => b.notes - a.notes || compare(a.tag, b.tag)) };
    },

    forget: async (id) => {
      const before = await find(id);
      const forgottenAt = now().toISOString();
      // Forgetting twice is forgetting: the first time counts.
      const note =
        before.forgottenAt === undefined
          ? await settle(
              () => find(id),
              () => ({ forgottenAt }),
            )
          : before;
      const until = new Date(Date.parse(note.forgottenAt ?? forgottenAt) + KEPT_DAYS * 24 * 60 * 60 * 1000);
      return { id, title: note.title, restorableUntil: until.toISOString() };
    },

    restore: async (id) => {
      const note = await find(id);
      if (note.forgottenAt === undefined) return headOf(note);
      return headOf(
        await settle(
          () => find(id),
          () => ({ forgottenAt: undefined }),
        ),
      );
    },
  };
}

function headOf({
  id,
  revision,
  title: name,
  tags: all,
  createdAt,
  updatedAt,
}: Note): z.output<typeof changedOutput> {
  return { id, revision, title: name, tags: [...all], createdAt, updatedAt };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
