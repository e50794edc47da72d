/** The files of a new Python skill, which needs no package: it packs and publishes as it is. */
export function pythonTemplate(name: string, title: string): Record<string, string> {
  const manifest = {
    $schema: 'https://berth.dev/schema/skill.v1.json',
    name,
    version: '0.1.0',
    title,
    description: 'Greets whoever is named.',
    license: 'Apache-2.0',
    runtime: { kind: 'python', entry: 'server/main.py', protocol: '2025-11-25' },
    permissions: {},
    tools: { greet: { effects: ['read'] } },
  };
  return {
    'skill.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
    'server/main.py': `"""An MCP server on standard input and output, in Python's standard library alone."""

import json
import sys

from greeting import greeting

TOOLS = [
    {
        "name": "greet",
        "title": "Greet",
        "description": "Says hello to whoever is named, or to the world.",
        "inputSchema": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 100, "description": "Whom to greet"}},
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
]


def call(name, arguments):
    """Runs a tool; what it raises is told to the model."""
    if name != "greet":
        raise ValueError(f"there is no tool {name}")
    return greeting(**arguments)


def answer(method, params):
    """The result of a request of MCP; None for a method that this server does not know."""
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "${name}", "version": "0.1.0"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        try:
            text, failed = call(params["name"], params.get("arguments", {})), False
        except Exception as error:
            text, failed = str(error), True
        return {"content": [{"type": "text", "text": text}], "isError": failed}
    return None


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"], message.get("params", {}))
        reply = {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
`,
    'server/greeting.py': `def greeting(name="world"):
    """What is said; without a name, to the world."""
    return f"Hello, {name}!"
`,
    'test/test_greeting.py': `import unittest

from greeting import greeting


class Greeting(unittest.TestCase):
    def test_greets_the_world_when_nobody_is_named(self):
        self.assertEqual(greeting(), "Hello, world!")

    def test_greets_by_name(self):
        self.assertEqual(greeting("Ada"), "Hello, Ada!")
`,
    'README.md': `# ${title}

A skill with one tool, \`greet\`, which takes an optional \`name\`.

    berth check .                    # the manifest, the tests, and one start in the sandbox
    berth publish .
    berth install ${name} --yes
    berth call ${name} greet '{"name": "Ada"}'

\`skill.json\` says what the skill is and which permissions it asks; it asks none. \`server/main.py\` is an MCP server on
standard input and output; every \`.py\` file beside it is packed. It runs with the Python of the machine, 3.11 or newer,
its standard library, and nothing that is installed there.

Packages of others are packed as wheels, pinned by their digests; nothing is downloaded when the skill is packed,
installed or run:

    pip-compile --generate-hashes -o requirements.lock requirements.in
    pip download --require-hashes --only-binary=:all: --no-deps -r requirements.lock -d wheels

\`berth pack\` unpacks \`wheels/\` into \`server/site/\` of the package, where \`import\` finds them. Wheels with compiled parts
run only with the Python and processor that they are for.
`,
  };
}
