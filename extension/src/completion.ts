/** A JSON schema as pydantic writes it: the parts that say what may stand where. */
export type Schema = {
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  type?: string;
  description?: string;
};

/** What may be written at the cursor. start, end: the stretch it replaces. */
export type Offer = { start: number; end: number; items: { label: string; insert: string; about: string; kind: 'property' | 'value' }[] };

/** What the schema allows at `offset` of a block-style YAML text: keys that are not there yet, or values. */
export function offered(schema: Schema, text: string, offset: number): Offer {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const before = text.slice(start, offset);
  const none: Offer = { start: offset, end: offset, items: [] };
  const lines = text.slice(0, start).split('\n');
  const key = /^(\s*)(?:- )?([\w/-]*)$/.exec(before);
  if (key) {
    const path = pathTo(lines, key[1].length);
    const there = siblings(text, start, key[1].length);
    const found = keysOf(schema, at(schema, path));
    const items = Object.entries(found)
      .filter(([name]) => name.startsWith(key[2]) && !there.has(name))
      .map(([name, part]) => ({ label: name, insert: `${name}: `, about: about(schema, part), kind: 'property' as const }));
    return { start: offset - key[2].length, end: offset, items };
  }
  const value = /^(\s*)(?:- )?([\w/-]+):\s+(\S*)$/.exec(before);
  if (!value) {
    return none;
  }
  const parts = at(schema, [...pathTo(lines, value[1].length), value[2]]);
  const items = parts
    .flatMap(part => valuesOf(part))
    .filter(one => one.startsWith(value[3]))
    .map(one => ({ label: one, insert: one, about: '', kind: 'value' as const }));
  return { start: offset - value[3].length, end: offset, items };
}

/** The keys above a line of this indentation, outermost first. */
function pathTo(lines: readonly string[], indent: number): string[] {
  const path: string[] = [];
  let limit = indent;
  for (let n = lines.length - 1; n >= 0 && limit > 0; n--) {
    const found = /^(\s*)(?:- )?([\w/-]+):/.exec(lines[n]);
    if (found && found[1].length < limit) {
      path.unshift(found[2]);
      limit = found[1].length;
    }
  }
  return path;
}

/** Keys that stand beside the line at `start`, in the same mapping. */
function siblings(text: string, start: number, indent: number): Set<string> {
  const found = new Set<string>();
  const same = new RegExp(`^ {${indent}}([\\w/-]+):`);
  const outside = (line: string): boolean => line.trim() !== '' && line.search(/\S/) < indent;
  const look = (lines: readonly string[]): void => {
    for (const line of lines) {
      if (outside(line)) {
        return;
      }
      const key = same.exec(line);
      if (key) {
        found.add(key[1]);
      }
    }
  };
  const end = text.indexOf('\n', start);
  look(text.slice(0, start).split('\n').reverse());
  look(end < 0 ? [] : text.slice(end + 1).split('\n'));
  return found;
}

function resolved(root: Schema, part: Schema): Schema[] {
  if (part.$ref) {
    const name = part.$ref.split('/').pop()!;
    return root.$defs?.[name] ? resolved(root, root.$defs[name]) : [];
  }
  return part.anyOf ? part.anyOf.flatMap(one => resolved(root, one)) : [part];
}

function at(root: Schema, path: readonly string[]): Schema[] {
  return path.reduce(
    (parts, name) =>
      parts
        .flatMap(part => (part.items ? resolved(root, part.items) : [part]))
        .flatMap(part => {
          const other = typeof part.additionalProperties === 'object' ? part.additionalProperties : undefined;
          const next = part.properties?.[name] ?? other;
          return next ? resolved(root, next) : [];
        }),
    resolved(root, root)
  );
}

function keysOf(root: Schema, parts: readonly Schema[]): Record<string, Schema> {
  const inner = parts.flatMap(part => (part.items ? resolved(root, part.items) : [part]));
  return Object.assign({}, ...inner.map(part => part.properties ?? {}));
}

function valuesOf(part: Schema): string[] {
  const fixed = part.enum ?? (part.const === undefined ? [] : [part.const]);
  return part.type === 'boolean' ? ['true', 'false'] : fixed.map(String);
}

function about(root: Schema, part: Schema): string {
  return part.description ?? resolved(root, part)[0]?.description ?? '';
}
