import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pythonOn } from '../../hub/sandbox/interpreters.ts';
import { tempFolder } from './temp-folder.ts';

/** A server of MCP in Python's standard library alone. `TOOLS` maps names to functions of the arguments. */
const SERVER = `import json, sys
def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()
def serve(tools):
    for line in sys.stdin:
        message = json.loads(line)
        ident, method, params = message.get("id"), message["method"], message.get("params", {})
        if ident is None:
            continue
        if method == "initialize":
            say({"id": ident, "result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "subject", "version": "1"}}})
        elif method == "tools/list":
            say({"id": ident, "result": {"tools": [{"name": name, "description": "The tool " + name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}} for name in tools]}})
        elif method == "tools/call":
            try:
                said, error = str(tools[params["name"]](params.get("arguments", {}))), False
            except Exception as fault:
                said, error = repr(fault), True
            say({"id": ident, "result": {"content": [{"type": "text", "text": said}], "isError": error}})
        elif method == "ping":
            say({"id": ident, "result": {}})
        else:
            say({"id": ident, "error": {"code": -32601, "message": "no such method"}})
`;

/** The sources of a Python skill, as an author would have them; `main` defines `TOOLS`. */
export async function pythonSkill(
  main: string,
  files: Readonly<Record<string, string | Buffer>> = {},
  manifest: Record<string, unknown> = {},
): Promise<string> {
  const folder = join(await tempFolder(), 'skill');
  const all = {
    'skill.json': JSON.stringify({
      name: 'local.test/subject',
      version: '1.0.0',
      title: 'Subject',
      description: 'A skill under test',
      license: 'Apache-2.0',
      runtime: { kind: 'python', entry: 'server/main.py', protocol: '2025-11-25' },
      ...manifest,
    }),
    'server/rpc.py': SERVER,
    'server/main.py': `from rpc import serve\n${main}\nserve(TOOLS)\n`,
    ...files,
  };
  for (const [path, content] of Object.entries(all)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** One entry of a wheel: its text, or bytes in hexadecimal, with the mode that it claims. */
export type WheelEntry = string | { hex: string; mode?: number };

const ZIP = `import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as out:
    for path, content in json.load(sys.stdin).items():
        info = zipfile.ZipInfo(path)
        mode, data = (0o100644, content.encode()) if isinstance(content, str) else (content.get("mode", 0o100644), bytes.fromhex(content["hex"]))
        info.external_attr, info.create_system, info.compress_type = mode << 16, 3, zipfile.ZIP_DEFLATED
        out.writestr(info, data)
`;

/** Builds a wheel; answers with its bytes and the line of a lock that pins it. */
export async function wheel(
  file: string,
  entries: Readonly<Record<string, WheelEntry>>,
): Promise<{ bytes: Buffer; locked: string }> {
  const { file: python } = await pythonOn(process.env['PATH'] ?? '');
  const path = join(await tempFolder(), file);
  await new Promise<void>((resolve, reject) => {
    const child = execFile(python, ['-I', '-c', ZIP, path], (error) => (error ? reject(error) : resolve()));
    child.stdin?.end(JSON.stringify(entries));
  });
  const bytes = await readFile(path);
  const [name, version] = file.split('-');
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { bytes, locked: `${name}==${version} \\\n    --hash=sha256:${digest}\n    # via the test\n` };
}
